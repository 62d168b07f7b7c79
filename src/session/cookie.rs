//! From a `Cookie` header to the value a framework would find under a name.
//!
//! Works on bytes, because junk in a neighbouring cookie must not matter. Names
//! are compared whole and case-sensitively (RFC 6265 section 5.4).

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use memchr::{memchr, memchr_iter, memmem};

use crate::base::text::percent_decode;
use crate::document::{At, FromNode};
use crate::session::header::SentHeaders;
use crate::session::rejected::{Reason, Rejected};

/// Longest value, in bytes: more than any browser sends for one session. The whole header
/// is limited before.
const MAX_JOINED: usize = 32 * 1024;
/// Frameworks write at most five chunks; twenty leaves room.
pub(super) const MAX_CHUNKS: usize = 20;

/// The `Cookie` header of one request, several fields joined with `; `, and the headers
/// beside it that a session may come in.
#[derive(Clone, Copy)]
pub struct Cookies<'a>(&'a [u8], SentHeaders<'a>);

/// A copy of what a request sent, for a session that is looked at again later.
pub(crate) struct OwnedCookies {
    cookie: Vec<u8>,
    headers: HeaderMap,
    via_trusted: bool,
}

impl OwnedCookies {
    pub(crate) fn as_sent(&self) -> Cookies<'_> {
        let headers = SentHeaders::new(&self.headers, self.via_trusted);
        Cookies::new(&self.cookie).with_headers(headers)
    }
}

/// The cookie a framework picks among several of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicate {
    First,
    Last,
    /// Two different values are refused; the same value twice is one value.
    Reject,
}

/// The escaping of cookie values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As the fields of a form, where `+` is a space: Rack.
    Form,
    Percent,
    Raw,
}

impl FromNode for Duplicate {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[("first", Self::First), ("last", Self::Last), ("reject", Self::Reject)])
    }
}

impl<'a> Cookies<'a> {
    pub fn new(header: &'a [u8]) -> Self {
        Self(header, SentHeaders::default())
    }

    /// The same, with the request's other headers.
    pub fn with_headers(self, headers: SentHeaders<'a>) -> Self {
        Self(self.0, headers)
    }

    pub(crate) fn headers(self) -> SentHeaders<'a> {
        self.1
    }

    /// A copy, of the headers only those named.
    pub(crate) fn to_owned<'n>(
        self,
        headers: impl Iterator<Item = &'n HeaderName>,
    ) -> OwnedCookies {
        let (headers, via_trusted) = self.1.copied(headers);
        OwnedCookies { cookie: self.0.to_vec(), headers, via_trusted }
    }

    /// Every `name=value` pair, in order, one pair of quotes around the value
    /// removed. Parts without `=` are skipped.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut start = 0;
        memchr_iter(b';', self.0).chain([self.0.len()]).filter_map(move |end| {
            let part = self.0.get(std::mem::replace(&mut start, end + 1)..end)?;
            let (name, value) = part.split_at_checked(memchr(b'=', part)?)?;
            Some((trim(name), unquote(trim(value.get(1..)?))))
        })
    }

    /// Whether a value as it came has a blank, but no quotes around it. Libraries quote or
    /// encode a blank (RFC 6265 section 4.1.1).
    pub(crate) fn has_bare_blank(self, value: &[u8]) -> bool {
        let before = |at: usize| at.checked_sub(1).and_then(|at| self.0.get(at));
        value.contains(&b' ') && memmem::find(self.0, value).map(before) != Some(Some(&b'"'))
    }

    /// The value under `name` by the framework's rule. An empty value is picked
    /// like any other, and then counts as absent.
    pub fn get(self, name: &[u8], duplicate: Duplicate) -> Result<Option<&'a [u8]>, Rejected> {
        let mut found: Option<&[u8]> = None;
        for (_, value) in self.iter().filter(|(n, _)| *n == name) {
            match (found, duplicate) {
                (None, _) | (Some(_), Duplicate::Last) => found = Some(value),
                (Some(_), Duplicate::First) => break,
                (Some(first), Duplicate::Reject) if first == value => {}
                (Some(_), Duplicate::Reject) => {
                    let detail =
                        format!("cookie `{}` was sent twice with different values", text(name));
                    return Err(Rejected::new(Reason::Ambiguous, detail));
                }
            }
        }
        if found.is_some_and(|value| value.len() > MAX_JOINED) {
            return Err(oversized(name));
        }
        Ok(found.filter(|value| !value.is_empty()))
    }

    /// The value under `name`, or else its chunks `name<separator>0`, `1`, …
    /// joined in numeric order up to the first gap.
    pub fn get_chunked(
        self,
        name: &[u8],
        separator: &str,
        duplicate: Duplicate,
    ) -> Result<Option<Cow<'a, [u8]>>, Rejected> {
        if let Some(whole) = self.get(name, duplicate)? {
            return Ok(Some(Cow::Borrowed(whole)));
        }
        let mut joined = Vec::new();
        for index in 0..MAX_CHUNKS {
            let chunk_name = [name, separator.as_bytes(), index.to_string().as_bytes()].concat();
            let Some(chunk) = self.get(&chunk_name, duplicate)? else { break };
            joined.extend_from_slice(chunk);
            if joined.len() > MAX_JOINED {
                return Err(oversized(name));
            }
        }
        Ok(if joined.is_empty() { None } else { Some(Cow::Owned(joined)) })
    }

    /// The names of the chunks that `get_chunked` joins.
    pub fn chunk_names(
        self,
        name: &str,
        separator: &str,
        duplicate: Duplicate,
    ) -> impl Iterator<Item = String> {
        let names = (0..MAX_CHUNKS).map(move |index| format!("{name}{separator}{index}"));
        names.take_while(move |chunk| matches!(self.get(chunk.as_bytes(), duplicate), Ok(Some(_))))
    }
}

impl Encoding {
    /// The value as the framework hands it to the app.
    pub(crate) fn decode(self, value: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
        match self {
            Self::Form if value.contains(&b'+') => {
                let spaced = value.iter().map(|&b| if b == b'+' { b' ' } else { b });
                Cow::Owned(percent_decode(&spaced.collect::<Vec<_>>()).into_owned())
            }
            Self::Form | Self::Percent => match percent_decode(&value) {
                Cow::Borrowed(_) => value,
                Cow::Owned(decoded) => Cow::Owned(decoded),
            },
            Self::Raw => value,
        }
    }
}

/// One spelling for all of a cookie's name: unescaped, in lower case, without
/// surrounding junk.
pub(super) fn fold(name: &[u8]) -> Vec<u8> {
    let mut name: Cow<'_, [u8]> = Cow::Borrowed(name);
    for _ in 0..2 {
        name = Cow::Owned(percent_decode(&name).into_owned());
    }
    let junk = |b: &u8| !b.is_ascii_graphic() || *b == b'"';
    let start = name.iter().position(|b| !junk(b)).unwrap_or(name.len());
    let end = name.iter().rposition(|b| !junk(b)).map_or(start, |last| last + 1);
    let inner = name.get(start..end).unwrap_or_default().iter();
    inner.map(u8::to_ascii_lowercase).collect()
}

fn oversized(name: &[u8]) -> Rejected {
    Rejected::new(
        Reason::Oversized,
        format!("cookie `{}` is larger than {MAX_JOINED} bytes", text(name)),
    )
}

fn text(name: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(name)
}

fn trim(part: &[u8]) -> &[u8] {
    let blank = |b: &u8| *b == b' ' || *b == b'\t';
    let start = part.iter().position(|b| !blank(b)).unwrap_or(part.len());
    let end = part.iter().rposition(|b| !blank(b)).map_or(start, |last| last + 1);
    part.get(start..end).unwrap_or_default()
}

fn unquote(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(header: &str, duplicate: Duplicate) -> Option<&str> {
        let value = Cookies::new(header.as_bytes()).get(b"a", duplicate).ok().flatten();
        value.map(|bytes| std::str::from_utf8(bytes).unwrap())
    }

    #[test]
    fn names_are_compared_whole_and_case_sensitively() {
        assert_eq!(get("xa=1; A=2; a =3; aa=4", Duplicate::First), Some("3"));
        assert_eq!(get("xa=1; A=2; a_old=3", Duplicate::First), None);
        assert_eq!(get("a;=;;a=\"q=1\"", Duplicate::First), Some("q=1"));
    }

    #[test]
    fn duplicates_follow_the_configured_rule() {
        assert_eq!(get("a=1; a=2", Duplicate::First), Some("1"));
        assert_eq!(get("a=1; a=2", Duplicate::Last), Some("2"));
        assert_eq!(get("a=1; a=2", Duplicate::Reject), None);
        assert_eq!(get("a=1; a=1", Duplicate::Reject), Some("1"));
    }

    #[test]
    fn chunks_join_in_numeric_order_up_to_the_first_gap() {
        let join = |header: &str| {
            let cookies = Cookies::new(header.as_bytes());
            let joined = cookies.get_chunked(b"a", ".", Duplicate::First).unwrap();
            joined.map(|bytes| String::from_utf8(bytes.into_owned()).unwrap())
        };
        assert_eq!(join("a.1=B; a.0=A; a.10=K; a.3=D"), Some("AB".into()));
        assert_eq!(join("a.0=old; a=whole"), Some("whole".into()));
        assert_eq!(join("a.1=B"), None);
    }

    #[test]
    fn an_oversized_value_is_refused_not_cut() {
        let header = format!("a={}", "x".repeat(MAX_JOINED + 1));
        let refused = Cookies::new(header.as_bytes()).get(b"a", Duplicate::First).unwrap_err();
        assert_eq!(refused.reason, Reason::Oversized);
    }

    #[test]
    fn percent_decoding_leaves_plus_and_stray_percent_alone() {
        assert_eq!(&*percent_decode(b"s%3Aab%2Bc+d%zz%4"), b"s:ab+c+d%zz%4");
        assert_eq!(&*Encoding::Form.decode(b"ab%2Bc+d"[..].into()), b"ab+c d");
        assert_eq!(&*Encoding::Raw.decode(b"ab%2Bc+d"[..].into()), b"ab%2Bc+d");
    }
}
