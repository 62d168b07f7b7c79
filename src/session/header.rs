//! A session that comes in a header of the request instead of a cookie: a token that the
//! client's own code sends, or the header of a gate in front of the gateway.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::rejected::{Reason, Rejected};
use crate::document::{At, FromNode};

/// Longest value, in bytes, as for a cookie.
const MAX_VALUE: usize = 32 * 1024;

/// The fields of one request, of which a session may read some.
#[derive(Clone, Copy, Default)]
pub struct SentHeaders<'a> {
    fields: Option<&'a HeaderMap>,
    /// Whether the connection comes from one of `trusted_proxies`.
    via_trusted: bool,
}

impl<'a> SentHeaders<'a> {
    pub fn new(fields: &'a HeaderMap, via_trusted: bool) -> Self {
        Self { fields: Some(fields), via_trusted }
    }

    /// Copies of the fields of these names, and whether the connection is trusted.
    pub(super) fn copied<'n>(
        self,
        names: impl Iterator<Item = &'n HeaderName>,
    ) -> (HeaderMap, bool) {
        let mut copy = HeaderMap::new();
        for name in names {
            if !copy.contains_key(name) {
                self.all(name).for_each(|value| {
                    copy.append(name, value.clone());
                });
            }
        }
        (copy, self.via_trusted)
    }

    /// The value of a header that must not come twice; empty counts as absent.
    pub(crate) fn one(self, name: &HeaderName) -> Result<Option<&'a [u8]>, Rejected> {
        let mut values = self.all(name);
        let value = values.next().map(|value| value.as_bytes().trim_ascii());
        if values.next().is_some() {
            let detail = format!("header `{name}` was sent more than once");
            return Err(Rejected::new(Reason::Ambiguous, detail));
        }
        Ok(value.filter(|value| !value.is_empty()))
    }

    pub(super) fn holds(self, name: &HeaderName) -> bool {
        self.fields.is_some_and(|fields| fields.contains_key(name))
    }

    fn all(self, name: &HeaderName) -> impl Iterator<Item = &'a HeaderValue> + use<'a> {
        let fields = self.fields.map(|fields| fields.get_all(name).iter());
        fields.into_iter().flatten()
    }
}

/// The header a source reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderPlace {
    name: HeaderName,
    /// The word before the token, such as `Bearer`.
    scheme: Option<String>,
    set_by: SetBy,
    believed: Believed,
    /// Other headers that the session is made of.
    companions: Vec<HeaderName>,
}

/// The program that adds the header to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetBy {
    /// The client's own code. No browser adds it to another site's request.
    Client,
    /// A gate in front, which may do so because of a cookie.
    Gate,
}

/// The connections from which the header counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Believed {
    /// From any, because the value is signed.
    FromAnyone,
    /// From `trusted_proxies` only, because it proves nothing.
    FromTrusted,
}

impl HeaderPlace {
    /// The header of a gate, as its documentation names it.
    pub(crate) fn of_gate(name: HeaderName, believed: Believed) -> Self {
        Self { name, scheme: None, set_by: SetBy::Gate, believed, companions: Vec::new() }
    }

    pub(crate) fn with_companions(self, companions: Vec<HeaderName>) -> Self {
        Self { companions, ..self }
    }

    /// `Authorization` holds a scheme and is the client's own, unless the settings say
    /// otherwise; any other header is a gate's.
    pub(crate) fn of_token(
        name: HeaderName,
        scheme: Option<String>,
        set_by: Option<SetBy>,
    ) -> Self {
        let is_authorization = name == header::AUTHORIZATION;
        let usual = if is_authorization { SetBy::Client } else { SetBy::Gate };
        let scheme = scheme.or_else(|| is_authorization.then(|| "Bearer".to_owned()));
        let set_by = set_by.unwrap_or(usual);
        let believed = Believed::FromAnyone;
        Self { name, scheme, set_by, believed, companions: Vec::new() }
    }

    pub(crate) fn name(&self) -> &HeaderName {
        &self.name
    }

    /// The word before the token, if there must be one.
    pub(super) fn scheme(&self) -> Option<&str> {
        self.scheme.as_deref()
    }

    pub(crate) fn is_of_client(&self) -> bool {
        self.set_by == SetBy::Client
    }

    /// Whether the request holds something in this header that may be the session.
    pub(crate) fn is_sent(&self, headers: SentHeaders<'_>) -> bool {
        self.sent(headers).next().is_some()
    }

    /// Whether it holds something else than the scheme and a token, in which another reader
    /// may find one: by another word, a blank of another kind, or the place alone. Tokens
    /// have two points.
    pub(crate) fn is_hinted(&self, headers: SentHeaders<'_>) -> bool {
        let has_points = |value: &[u8]| value.iter().filter(|&&b| b == b'.').nth(1).is_some();
        self.scheme.is_some()
            && headers.all(&self.name).any(|field| {
                let value = field.as_bytes();
                has_points(value) && self.token(value.trim_ascii()).is_none()
            })
    }

    /// The values as they came, of a header that counts.
    pub(crate) fn sent<'a>(
        &self,
        headers: SentHeaders<'a>,
    ) -> impl Iterator<Item = &'a [u8]> + use<'a, '_> {
        let counts = self.believed == Believed::FromAnyone || headers.via_trusted;
        let fields = headers.all(&self.name).filter(move |_| counts);
        fields.filter_map(|field| self.token(field.as_bytes().trim_ascii()))
    }

    /// The value, which must be one.
    pub(crate) fn find<'a>(&self, headers: SentHeaders<'a>) -> Result<Option<&'a [u8]>, Rejected> {
        let mut values = self.sent(headers);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() || headers.all(&self.name).nth(1).is_some() {
            let detail = format!("header `{}` was sent more than once", self.name);
            return Err(Rejected::new(Reason::Ambiguous, detail));
        }
        if value.len() > MAX_VALUE {
            let detail = format!("header `{}` is larger than {MAX_VALUE} bytes", self.name);
            return Err(Rejected::new(Reason::Oversized, detail));
        }
        Ok(Some(value))
    }

    /// All headers that the session is made of.
    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        std::iter::once(&self.name).chain(&self.companions)
    }

    /// Calls `add` with every byte that can change the session.
    pub(crate) fn add_to_digest(&self, headers: SentHeaders<'_>, add: &mut impl FnMut(&[u8])) {
        add(self.name.as_str().as_bytes());
        self.sent(headers).for_each(&mut *add);
        for name in &self.companions {
            add(name.as_str().as_bytes());
            headers.all(name).for_each(|value| add(value.as_bytes()));
        }
    }

    /// Whether the value proves nothing by itself.
    pub(crate) fn is_bare(&self) -> bool {
        self.believed == Believed::FromTrusted
    }

    /// Whether these headers may go on to the app: each once, from where it counts.
    pub(crate) fn may_pass(&self, headers: SentHeaders<'_>) -> bool {
        let counts = self.believed == Believed::FromAnyone || headers.via_trusted;
        counts && self.names().all(|name| headers.all(name).nth(1).is_none())
    }

    pub(crate) fn missing(&self) -> Rejected {
        let detail = match (&self.scheme, self.believed) {
            (Some(scheme), _) => format!("no header `{}` with a {scheme} token", self.name),
            (None, Believed::FromAnyone) => format!("no header `{}`", self.name),
            (None, Believed::FromTrusted) => {
                format!("header `{}` did not come from one of `trusted_proxies`", self.name)
            }
        };
        Rejected::new(Reason::Missing, detail)
    }

    /// The challenge that asks for it (RFC 9110 section 11.6.1, RFC 6750 section 3).
    pub(crate) fn challenge(&self) -> String {
        match &self.scheme {
            Some(scheme) => scheme.clone(),
            None => format!("Header header-name=\"{}\"", self.name),
        }
    }

    /// The token behind the scheme, which has no letter case (RFC 9110 section 11.1).
    fn token<'v>(&self, value: &'v [u8]) -> Option<&'v [u8]> {
        let token = match &self.scheme {
            None => value,
            Some(scheme) => {
                let (word, rest) = value.split_at_checked(scheme.len())?;
                let is_scheme = word.eq_ignore_ascii_case(scheme.as_bytes());
                rest.strip_prefix(b" ").filter(|_| is_scheme)?.trim_ascii_start()
            }
        };
        Some(token).filter(|token| !token.is_empty())
    }
}

impl FromNode for SetBy {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[("client", Self::Client), ("gate", Self::Gate)])
    }
}

/// A header's name, as a setting.
pub(crate) struct FieldName(pub HeaderName);

impl FromNode for FieldName {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"the name of a header, such as "authorization""#;
        const NEVER: [HeaderName; 5] = [
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::COOKIE,
            header::HOST,
            header::TRANSFER_ENCODING,
        ];
        let name = HeaderName::try_from(at.text(EXPECTED)?).ok();
        let name = name.filter(|name| !name.as_str().contains(['_', '.']));
        match name {
            Some(name) if name == header::COOKIE => {
                at.problem("found the header of all cookies; name the one with `cookie`");
                None
            }
            Some(name) if !NEVER.contains(&name) => Some(Self(name)),
            Some(_) | None => {
                at.wrong(EXPECTED);
                None
            }
        }
    }
}

/// The scheme of an `Authorization` field.
pub(crate) struct AuthScheme(pub String);

impl FromNode for AuthScheme {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"one word, such as "Bearer""#;
        let word = at.text(EXPECTED)?;
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if word.is_empty() || word.len() > 32 || !word.bytes().all(is_token) {
            at.wrong(EXPECTED);
            return None;
        }
        Some(Self(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn bearer(values: &[&str]) -> Result<Option<String>, Reason> {
        let map = headers(values);
        let place = HeaderPlace::of_token(header::AUTHORIZATION, None, None);
        let found = place.find(SentHeaders::new(&map, false)).map_err(|why| why.reason)?;
        Ok(found.map(|value| String::from_utf8(value.to_vec()).unwrap()))
    }

    #[test]
    fn a_token_follows_its_scheme_in_any_case() {
        for value in ["Bearer abc", "bearer abc", "BEARER   abc ", " Bearer abc"] {
            assert_eq!(bearer(&[value]), Ok(Some("abc".to_owned())), "{value}");
        }
        for value in ["Basic abc", "Bearerabc", "Bearer", "Bearer ", "abc", "Bearer-abc", ""] {
            assert_eq!(bearer(&[value]), Ok(None), "{value}");
        }
        assert_eq!(bearer(&[]), Ok(None));
    }

    #[test]
    fn another_reader_may_find_a_token_where_this_one_finds_none() {
        let place = HeaderPlace::of_token(header::AUTHORIZATION, None, None);
        for (value, expected) in [
            ("Bearer\ta.b.c", true),
            ("JWT a.b.c", true),
            ("a.b.c", true),
            ("Bearer:a.b.c", true),
            ("Token token=\"a.b.c\"", true),
            ("Bearer a.b.c", false),
            ("bearer  a.b.c d", false),
            ("Basic YWRhOnNlY3JldA==", false),
            ("Bearer", false),
            ("", false),
        ] {
            let map = headers(&[value]);
            assert_eq!(place.is_hinted(SentHeaders::new(&map, false)), expected, "{value}");
        }
    }

    #[test]
    fn of_two_headers_none_is_taken() {
        for values in [["Bearer a", "Bearer b"], ["Bearer a", "Bearer a"], ["Basic x", "Bearer a"]]
        {
            assert_eq!(bearer(&values), Err(Reason::Ambiguous), "{values:?}");
        }
    }

    #[test]
    fn a_bare_header_counts_from_trusted_proxies_only() {
        let name = HeaderName::from_static("x-forwarded-user");
        let place = HeaderPlace::of_gate(name.clone(), Believed::FromTrusted);
        let mut map = HeaderMap::new();
        map.append(name, HeaderValue::from_static("ada"));
        let found = |trusted| place.find(SentHeaders::new(&map, trusted)).unwrap().is_some();
        assert!(found(true) && !found(false));
        assert!(!place.is_sent(SentHeaders::new(&map, false)));
    }
}
