//! Cookies by which an app signs a user in again ("remember me"), beside the session's own.
//!
//! Where a session is over, they are kept from the app like the session itself: with one of
//! them it would begin another session at once. Alone, without the session, the gateway
//! cannot tell whose they are.

use super::cookie::fold;
use super::format::SessionKind;
use super::settings::Settings;
use crate::document::{At, FromNode, OneOrMany};

/// The names of such cookies.
#[derive(Clone, Debug, Default)]
pub(super) struct RememberCookies(Vec<NamePattern>);

/// A name, or the text before and after its one `*`; folded.
#[derive(Clone, Debug)]
struct NamePattern {
    start: Vec<u8>,
    end: Option<Vec<u8>>,
}

impl RememberCookies {
    /// `remember_cookies`, or those of the kind.
    pub(super) fn read(settings: &mut Settings<'_, '_>, kind: &SessionKind) -> Self {
        if let Some(at) = settings.table().take("remember_cookies") {
            return Self(
                at.read::<OneOrMany<NamePattern>>().map(|many| many.0).unwrap_or_default(),
            );
        }
        Self(kind.remember_cookies.iter().filter_map(|name| NamePattern::parse(name)).collect())
    }

    /// Whether some parser could take a folded name for one of them.
    pub(super) fn include(&self, folded: &[u8]) -> bool {
        self.0.iter().any(|pattern| pattern.fits(folded))
    }
}

impl NamePattern {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('*');
        let (start, end) = (parts.next()?, parts.next());
        let is_name = |b: u8| b.is_ascii_graphic() && !b";,=\"".contains(&b);
        let is_whole = parts.next().is_none() && text.len() > usize::from(end.is_some());
        (is_whole && text.bytes().all(is_name)).then(|| Self {
            start: fold(start.as_bytes()),
            end: end.map(|end| fold(end.as_bytes())),
        })
    }

    fn fits(&self, folded: &[u8]) -> bool {
        match &self.end {
            None => folded == self.start,
            Some(end) => folded.strip_prefix(&*self.start).is_some_and(|rest| rest.ends_with(end)),
        }
    }
}

impl FromNode for NamePattern {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"a cookie's name with at most one *, such as "remember_web_*""#;
        let pattern = Self::parse(at.text(EXPECTED)?);
        if pattern.is_none() {
            at.wrong(EXPECTED);
        }
        pattern
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_at_most_one_star_and_fits_folded_names() {
        let fits = |pattern: &str, name: &str| {
            NamePattern::parse(pattern).unwrap().fits(&fold(name.as_bytes()))
        };
        assert!(fits("remember_web_*", "remember_web_59ba36addc2b2f9401580f014c7f58ea4e30989d"));
        assert!(fits("remember_web_*", "Remember%5Fweb_"));
        assert!(fits("remember_*_token", "remember_user_token"));
        assert!(!fits("remember_*_token", "remember_token"), "nothing counts twice");
        assert!(fits("*_remember_me", "_shop_web_user_remember_me"));
        assert!(!fits("remember_token", "remember_token2"));
        for wrong in ["", "*", "a*b*", "a b", "a=b", "a;b"] {
            assert!(NamePattern::parse(wrong).is_none(), "{wrong}");
        }
    }
}
