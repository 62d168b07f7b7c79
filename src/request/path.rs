//! The rule that a path falls under, if the path has one reading only.
//!
//! Rules match the exact bytes of the path, and the same bytes are forwarded:
//! nothing is normalised, so gateway and app cannot disagree about a rewrite.
//! They could still read one path differently (`/Admin`, `/admin;x`, `/a%64min`).
//! Therefore the path is also read the way a lenient app might read it; if that
//! reading falls under another rule that guards something, the request is
//! refused as ambiguous.

use crate::base::text::percent_decode;
use crate::document::{At, FromNode};

/// `path` of a rule: exact, `/x/*` (one more segment), `/x/**` (`/x` and
/// everything below it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    shape: Shape,
    literal: String,
    lenient: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Below,
    Exact,
    OneSegment,
}

impl Pattern {
    /// Parses a pattern; `None` if it is not an absolute path or has a `*`
    /// anywhere but at the end.
    pub fn parse(text: &str) -> Option<Self> {
        let (shape, literal) = if let Some(literal) = text.strip_suffix("/**") {
            (Shape::Below, literal)
        } else if let Some(literal) = text.strip_suffix("/*") {
            (Shape::OneSegment, literal)
        } else {
            (Shape::Exact, text)
        };
        let absolute = literal.starts_with('/') || (literal.is_empty() && shape != Shape::Exact);
        let plain = literal.bytes().all(|b| b.is_ascii_graphic() && !b"*?#\\".contains(&b));
        let lenient = lenient(literal);
        (absolute && plain).then(|| Self { shape, literal: literal.to_owned(), lenient })
    }

    fn matches(&self, path: &str) -> bool {
        self.shape.matches(&self.literal, path)
    }

    fn matches_leniently(&self, path: &str) -> bool {
        self.shape.matches(&self.lenient, path)
    }

    /// Whether the path falls under the pattern, as it stands or as a lenient
    /// app might read it.
    pub fn covers(&self, path: &str) -> bool {
        self.matches(path) || self.matches_leniently(&lenient(path))
    }

    pub fn is_exact(&self) -> bool {
        self.shape == Shape::Exact
    }

    pub fn as_str(&self) -> &str {
        &self.literal
    }
}

impl Shape {
    fn matches(self, literal: &str, path: &str) -> bool {
        match self {
            Self::Below => path
                .strip_prefix(literal)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Exact => path == literal,
            Self::OneSegment => path
                .strip_prefix(literal)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|segment| !segment.is_empty() && !segment.contains('/')),
        }
    }
}

impl FromNode for Pattern {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"a path such as "/admin", "/admin/*" or "/admin/**""#;
        let pattern = Self::parse(at.text(EXPECTED)?);
        if pattern.is_none() {
            at.wrong(EXPECTED);
        }
        pattern
    }
}

/// A rule's place in the table: paths find it, `guards` says whether slipping
/// past it would matter.
pub(crate) trait Rule {
    fn pattern(&self) -> &Pattern;
    fn guards(&self) -> bool;
}

/// The path can be read in two ways that fall under different rules.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous;

/// The first rule that matches the path, if it is the only reading.
pub(crate) fn find<'r, R: Rule>(rules: &'r [R], path: &str) -> Result<Option<&'r R>, Ambiguous> {
    let index = rules.iter().position(|rule| rule.pattern().matches(path));
    if !is_plain(path) {
        let read = lenient(path);
        let other = rules.iter().position(|rule| rule.pattern().matches_leniently(&read));
        if other != index && other.and_then(|other| rules.get(other)).is_some_and(Rule::guards) {
            return Err(Ambiguous);
        }
    }
    Ok(index.and_then(|index| rules.get(index)))
}

/// A path every app reads alike: lower-case segments without escapes.
fn is_plain(path: &str) -> bool {
    let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~');
    let mut after_slash = false;
    for b in path.bytes() {
        let is_slash = b == b'/';
        if !(plain(b) || is_slash && !after_slash) {
            return false;
        }
        after_slash = is_slash;
    }
    path.len() == 1 || !after_slash
}

/// The path as the most lenient app would read it: escapes decoded (twice, as
/// chained decoders do), case folded, `\` as `/`, path parameters dropped,
/// repeated and trailing slashes removed, trailing dots and blanks dropped.
fn lenient(path: &str) -> String {
    let once = decode(path.as_bytes());
    let twice = decode(&once);
    let text = String::from_utf8_lossy(&twice).to_lowercase().replace('\\', "/");
    let mut read = String::with_capacity(text.len());
    for segment in text.split('/') {
        let segment = segment.split([';', '?', '#', '\0']).next().unwrap_or("");
        let segment = segment.trim_end_matches(['.', ' ']);
        if !segment.is_empty() {
            read.push('/');
            read.push_str(segment);
        }
    }
    read
}

fn decode(path: &[u8]) -> Vec<u8> {
    percent_decode(path).into_owned()
}

/// Whether two hexadecimal digits follow every `%`: decoders make different things
/// of `%zz` and `%u002f`, or give up.
fn escapes_are_whole(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| {
        rest.as_bytes()
            .first_chunk()
            .is_some_and(|digits: &[u8; 2]| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Whether a careless UTF-8 decoder would find characters that a careful one
/// refuses (RFC 3629 section 10): `%c0%af` was a slash to some servers.
fn is_overlong(reading: &[u8]) -> bool {
    reading.windows(2).any(|pair| {
        matches!(pair, [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f])
    })
}

/// Why a path is refused whatever the rules are: apps are known to disagree
/// about what it means.
pub(crate) fn refuse(path: &str) -> Result<(), &'static str> {
    if path.starts_with("//") {
        return Err("the path starts with two slashes");
    }
    if path.contains('\\') || path.contains('#') {
        return Err("the path contains a character that does not belong in one");
    }
    if !path.contains(['%', '.']) {
        return Ok(());
    }
    if !escapes_are_whole(path) {
        return Err("the path contains a `%` that is no escape");
    }
    let decoded = decode(path.as_bytes());
    if decoded.iter().any(|b| b.is_ascii_control() || *b == b'\\') {
        return Err("the path contains an escaped control character or backslash");
    }
    let again = decode(&decoded);
    for reading in [&decoded, &again] {
        let is_dots = |segment: &[u8]| {
            let name = segment.split(|&b| b == b';').next().unwrap_or_default();
            name == b"." || name == b".."
        };
        if reading.split(|&b| b == b'/' || b == b'\\').any(is_dots) {
            return Err("the path contains a dot segment");
        }
        if is_overlong(reading) {
            return Err("the path contains a character in more octets than it has");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Guard(Pattern, bool);

    impl Rule for Guard {
        fn pattern(&self) -> &Pattern {
            &self.0
        }
        fn guards(&self) -> bool {
            self.1
        }
    }

    fn rules() -> Vec<Guard> {
        let guard = |text: &str, guards| Guard(Pattern::parse(text).unwrap(), guards);
        vec![
            guard("/api/get-auth-token", true),
            guard("/login", false),
            guard("/admin/**", true),
            guard("/files/*", true),
        ]
    }

    fn found(path: &str) -> Result<Option<String>, Ambiguous> {
        let rules = rules();
        find(&rules, path).map(|rule| rule.map(|rule| rule.0.literal.clone()))
    }

    #[test]
    fn rules_match_exact_paths_segments_and_subtrees() {
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(found("/api/get-auth-token"), some("/api/get-auth-token"));
        assert_eq!(found("/admin"), some("/admin"));
        assert_eq!(found("/admin/a/b"), some("/admin"));
        assert_eq!(found("/files/a"), some("/files"));
        assert_eq!(found("/files/a/b"), Ok(None));
        assert_eq!(found("/administrator"), Ok(None));
    }

    #[test]
    fn a_path_that_a_lenient_app_would_take_for_a_guarded_one_is_ambiguous() {
        for path in [
            "/Admin/x",
            "/%61dmin/x",
            "/%2561dmin",
            "/admin;x=1/y",
            "/x//..//admin".strip_prefix("/x//..").unwrap(),
            "/api/get-auth-token/",
            "/api//get-auth-token",
            "/api%2fget-auth-token",
            "/api/get-auth-token.",
            "/api/get-auth-token%20",
            "/api/GET-auth-token",
            "/api/get-auth-token%3fx",
            "/files%2Fa",
        ] {
            assert_eq!(found(path), Err(Ambiguous), "{path}");
        }
    }

    #[test]
    fn odd_paths_that_no_guard_could_mean_pass() {
        for path in ["/Login", "/login/", "/wiki/C%23", "/a//b", "/@scope%2fpackage", "/x.y/Z", "/"]
        {
            assert_eq!(found(path), Ok(None), "{path}");
        }
    }

    #[test]
    fn paths_apps_are_known_to_disagree_about_are_refused() {
        for path in [
            "//admin",
            "/\\admin",
            "/a/../admin",
            "/a/./b",
            "/a/%2e%2e/admin",
            "/a/..%2fadmin",
            "/a/%2E./b",
            "/a/..;/b",
            "/a/%252e%252e/b",
            "/x%00",
            "/x%0d%0a",
            "/x%5cy",
            "/a#b",
            "/..",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%u002f",
            "/a%+1b",
            "/%c0%ae%c0%ae/admin",
            "/x/%c0%af/admin",
            "/x/%25c0%25af",
            "/x/%e0%80%af",
            "/x/%f0%80%80%af",
        ] {
            assert!(refuse(path).is_err(), "{path}");
        }
        for path in ["/", "/a.b/c..d", "/...", "/.well-known/x", "/a%20b", "/%E2%82%AC", "/caf%E9"]
        {
            assert_eq!(refuse(path), Ok(()), "{path}");
        }
    }
}
