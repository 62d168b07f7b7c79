//! Patterns of rules, and paths that are malformed.
//!
//! Rules match the exact bytes of the path, and the same bytes are forwarded: nothing is
//! normalised, so gateway and app cannot disagree about a rewrite. They can still read one
//! path differently; `readings` finds all of them, `rules` applies the rules to each.

use crate::base::text::percent_decode;
use crate::document::{At, FromNode};
use crate::request::readings::{Readings, TooMany, settled};
use crate::upstream::Prefixes;

/// `path` of a rule: exact, `/x/*` (one more segment), `/x/**` (`/x` and
/// everything below it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    shape: Shape,
    literal: String,
    /// In small letters, every habit of servers followed to its end.
    settled: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Below,
    Exact,
    OneSegment,
}

impl PathPattern {
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
        let settled = settled(literal);
        (absolute && plain).then(|| Self { shape, literal: literal.to_owned(), settled })
    }

    /// Whether the path, or any reading of it in an app with these prefixes, falls under the
    /// pattern.
    pub(crate) fn covers(&self, path: &str, query: Option<&str>, prefixes: &Prefixes) -> bool {
        match Readings::of(path, query, prefixes) {
            Ok(Readings::Itself) => self.fits_settled(path.as_bytes()),
            Ok(Readings::Several(readings)) => {
                readings.iter().any(|reading| self.fits_settled(&reading.path))
            }
            Err(TooMany) => true,
        }
    }

    /// Whether the path, unchanged, falls under the pattern.
    pub(crate) fn fits(&self, path: &[u8]) -> bool {
        self.shape.fits(self.literal.as_bytes(), path, <[u8] as PartialEq>::eq)
    }

    /// Whether it does without regard to letter case, the pattern's own path read as the most
    /// lenient server would.
    pub(crate) fn fits_settled(&self, path: &[u8]) -> bool {
        self.shape.fits(&self.settled, path, <[u8]>::eq_ignore_ascii_case)
    }

    /// Whether servers read the pattern's own path differently.
    pub(crate) fn is_odd(&self) -> bool {
        self.settled != self.literal.as_bytes()
    }

    pub fn is_exact(&self) -> bool {
        self.shape == Shape::Exact
    }

    pub fn as_str(&self) -> &str {
        &self.literal
    }

    /// The path in small letters, every habit of servers followed to its end.
    pub(crate) fn as_settled(&self) -> &[u8] {
        &self.settled
    }
}

impl Shape {
    fn fits(self, literal: &[u8], path: &[u8], is_same: fn(&[u8], &[u8]) -> bool) -> bool {
        let below = || {
            let (start, rest) = path.split_at_checked(literal.len())?;
            is_same(start, literal).then_some(rest)
        };
        match self {
            Self::Below => below().is_some_and(|rest| matches!(rest.first(), None | Some(b'/'))),
            Self::Exact => is_same(path, literal),
            Self::OneSegment => below()
                .and_then(|rest| rest.strip_prefix(b"/"))
                .is_some_and(|segment| !segment.is_empty() && !segment.contains(&b'/')),
        }
    }
}

impl FromNode for PathPattern {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"a path such as "/admin", "/admin/*" or "/admin/**""#;
        let pattern = Self::parse(at.text(EXPECTED)?);
        if pattern.is_none() {
            at.wrong(EXPECTED);
        }
        pattern
    }
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

/// Why a path is refused under any rule: it is malformed. Whatever else servers disagree
/// about is for the rules of all its readings to judge.
pub(crate) fn refuse(path: &str) -> Result<(), &'static str> {
    if path.contains('#') {
        return Err("the path contains a fragment");
    }
    if !path.contains('%') {
        return Ok(());
    }
    if !escapes_are_whole(path) {
        return Err("the path contains a `%` that is not an escape");
    }
    if decode(path.as_bytes()).contains(&b'\0') {
        return Err("the path contains an escaped NUL");
    }
    Ok(())
}

/// Whether a path written in the settings has parts that servers do not keep apart from
/// others: `//`, dot segments, backslashes, control characters.
pub(crate) fn is_doubtful(path: &str) -> bool {
    let decoded = decode(path.as_bytes());
    let twice = decode(&decoded);
    let is_dots = |segment: &[u8]| {
        let name = segment.split(|&b| b == b';').next().unwrap_or_default();
        name == b"." || name == b".."
    };
    path.starts_with("//")
        || refuse(path).is_err()
        || decoded.iter().any(|b| b.is_ascii_control() || *b == b'\\')
        || [&decoded, &twice].iter().any(|path| path.split(|&b| b == b'/').any(is_dots))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_exact_paths_segments_and_subtrees() {
        for (pattern, inside, outside) in [
            ("/login", &["/login"][..], &["/login/x", "/logins", "/x/login"][..]),
            ("/files/*", &["/files/a"], &["/files", "/files/", "/files/a/b"]),
            ("/admin/**", &["/admin", "/admin/", "/admin/a/b"], &["/administrator", "/x/admin"]),
            ("/**", &["/", "/x/y"], &[]),
            ("/*", &["/x"], &["/", "/x/y"]),
            ("/", &["/"], &["/x"]),
        ] {
            let pattern = PathPattern::parse(pattern).unwrap();
            for path in inside {
                assert!(pattern.fits(path.as_bytes()), "{path}");
                assert!(pattern.fits_settled(path.to_uppercase().as_bytes()), "{path}");
            }
            for path in outside {
                assert!(!pattern.fits(path.as_bytes()), "{path}");
            }
        }
    }

    #[test]
    fn malformed_paths_are_refused_and_no_others() {
        for path in ["/x%00", "/x%00.png", "/a#b", "/a%", "/a%2", "/a%zz", "/a%u002f", "/a%+1b"] {
            assert!(refuse(path).is_err(), "{path}");
        }
        for path in [
            "/",
            "//x",
            "/\\x",
            "/a/../b",
            "/a/%2e%2e/b",
            "/a/..;/b",
            "/x%0d%0a",
            "/x%5cy",
            "/..",
            "/caf%E9",
            "/%c0%ae",
            "/x%2500",
            "/a%20b",
            "/%E2%82%AC",
        ] {
            assert_eq!(refuse(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn doubtful_paths_are_recognised() {
        for path in
            ["//x", "/a/../b", "/a/%2e%2e/b", "/a/..;/b", "/x%0d", "/x%5cy", "/a%252e%252e/."]
        {
            assert!(is_doubtful(path), "{path}");
        }
        for path in ["/", "/api/get-auth-token", "/api/get-auth-token/", "/a.b/c..d", "/a%20b"] {
            assert!(!is_doubtful(path), "{path}");
        }
    }
}
