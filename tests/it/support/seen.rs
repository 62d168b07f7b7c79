//! A request as the app received it.

/// A request as it came over the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) head: Vec<u8>,
    /// The body as it came, chunk framing included.
    pub(crate) wire: Vec<u8>,
    /// Octets of the body, without chunk framing.
    pub(crate) length: usize,
}

impl Seen {
    fn line(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.head).into_owned();
        text.split("\r\n").next().unwrap().split(' ').map(str::to_owned).collect()
    }

    pub(crate) fn method(&self) -> String {
        self.line()[0].clone()
    }

    pub(crate) fn target(&self) -> String {
        self.line().get(1).cloned().unwrap_or_default()
    }

    pub(crate) fn path(&self) -> String {
        self.target().split('?').next().unwrap().to_owned()
    }

    /// Every field, names as they came.
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let text = String::from_utf8_lossy(&self.head).into_owned();
        let fields = text.trim_end().split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
    }

    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let same = |(field, _): &(String, String)| field.eq_ignore_ascii_case(name);
        self.fields().into_iter().filter(same).map(|(_, value)| value).collect()
    }

    /// The only value under `name`.
    #[track_caller]
    pub(crate) fn one(&self, name: &str) -> Option<String> {
        let mut all = self.all(name);
        assert!(all.len() <= 1, "{name} came {} times", all.len());
        all.pop()
    }
}
