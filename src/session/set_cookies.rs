//! The cookies of a source as a browser will send them after a response.

use super::cookie::Cookies;
use super::source::SessionReader;

impl SessionReader {
    /// The cookies as they will be once the browser has stored those of a response
    /// (`Set-Cookie`); `None` if none of them is this source's.
    pub fn own_cookies_after<'c>(
        &self,
        cookies: Cookies<'_>,
        set: impl Iterator<Item = &'c [u8]>,
    ) -> Option<Vec<u8>> {
        let pair = |set: &'c [u8]| set.split(|&b| b == b';').next().unwrap_or_default();
        let set = set.map(pair).collect::<Vec<_>>().join(&b"; "[..]);
        let set = self.own_cookies(Cookies::new(&set));
        let is_set = |name: &[u8]| Cookies::new(&set).iter().any(|(other, _)| other == name);
        let kept = cookies.iter().filter(|(name, _)| self.reads_cookie(name) && !is_set(name));
        let kept =
            kept.map(|(name, value)| [b"; ", name, b"=", value].concat()).collect::<Vec<_>>();
        (!set.is_empty()).then(|| [set.clone(), kept.concat()].concat())
    }

    /// The cookies this source reads, as a separate `Cookie` header.
    fn own_cookies(&self, cookies: Cookies<'_>) -> Vec<u8> {
        let own = cookies.iter().filter(|(name, _)| self.reads_cookie(name));
        let pairs: Vec<_> = own.map(|(name, value)| [name, b"=", value].concat()).collect();
        pairs.join(&b"; "[..])
    }
}
