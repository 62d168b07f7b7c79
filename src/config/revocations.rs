//! `[revocations]`: where they are kept, and what they end.

use std::path::{Path, PathBuf};

use crate::base::secret::Secrets;
use crate::document::{At, Value};

/// Settings of revocations. A change needs a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    pub file: RevocationsFile,
    pub end_streams: EndStreams,
}

/// Where revocations are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RevocationsFile {
    /// In the state directory that systemd gives the process, if any.
    #[default]
    Default,
    None,
    Path(PathBuf),
}

/// Open WebSockets and streams that the gateway ends itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndStreams {
    /// Those of expired sessions too.
    Expired,
    Never,
    /// Those of sessions that are revoked or signed out.
    #[default]
    Revoked,
}

impl Revocations {
    pub(super) fn from_node(at: Option<At<'_>>) -> Option<Self> {
        let Some(at) = at else { return Some(Self::default()) };
        let mut table = at.table()?;
        let file = table.take("file").map(|at| read_file(&at));
        let end_streams = table.take("end_streams").map(|at| {
            at.choose(&[
                ("revoked", EndStreams::Revoked),
                ("expired", EndStreams::Expired),
                ("never", EndStreams::Never),
            ])
        });
        table.finish();
        Some(Self {
            file: file.unwrap_or(Some(RevocationsFile::Default))?,
            end_streams: end_streams.unwrap_or(Some(EndStreams::Revoked))?,
        })
    }

    /// The file; `state_directory` is what systemd says in `STATE_DIRECTORY`: one
    /// directory, or several between colons.
    pub fn path(&self, state_directory: Option<&str>) -> Option<PathBuf> {
        match &self.file {
            RevocationsFile::None => None,
            RevocationsFile::Path(path) => Some(path.clone()),
            RevocationsFile::Default => {
                let first = state_directory?.split(':').find(|path| !path.is_empty())?;
                Some(Path::new(first).join("revocations"))
            }
        }
    }
}

/// A relative path starts from the folder of the settings, as `file:` does.
fn read_file(at: &At<'_>) -> Option<RevocationsFile> {
    const EXPECTED: &str = r#"a path such as "/var/lib/portcullis/revocations", or false"#;
    match at.node.value {
        Value::Boolean(false) => Some(RevocationsFile::None),
        _ => match at.text(EXPECTED)? {
            "" => {
                at.wrong(EXPECTED);
                None
            }
            path => Some(RevocationsFile::Path(match at.secrets {
                Secrets::Literal => PathBuf::from(path),
                Secrets::Process { folder, .. } => folder.join(path),
            })),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_is_the_default_and_gives_way_to_what_is_written() {
        let mut settings = Revocations::default();
        assert_eq!(settings.path(None), None);
        assert_eq!(settings.path(Some("")), None);
        let below = Some(PathBuf::from("/var/lib/portcullis/revocations"));
        assert_eq!(settings.path(Some("/var/lib/portcullis")), below);
        assert_eq!(settings.path(Some("/var/lib/portcullis:/var/lib/other")), below);
        settings.file = RevocationsFile::Path("/a/b".into());
        assert_eq!(settings.path(Some("/var/lib/portcullis")), Some("/a/b".into()));
        settings.file = RevocationsFile::None;
        assert_eq!(settings.path(Some("/var/lib/portcullis")), None);
    }
}
