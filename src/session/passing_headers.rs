//! Selects the headers with a session that go on to the app, as `passing` does for cookies.

use http::HeaderName;

use super::header::SentHeaders;
use super::source::SessionReader;
use super::verdict::Standing;

/// The session headers of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PassingHeaders {
    /// Those that the app must not see.
    pub withheld: Vec<HeaderName>,
    /// Those that it may see although none counts under such a name: they were
    /// verified.
    pub kept: Vec<HeaderName>,
}

impl PassingHeaders {
    /// Most requests have none, and most policies read none. Where `is_strict`, a header
    /// that only the app may find a session in does not go on either.
    pub(crate) fn select<'s>(
        headers: SentHeaders<'_>,
        sources: impl Iterator<Item = (&'s SessionReader, Standing)>,
        is_strict: bool,
    ) -> Self {
        let mut passing = Self::default();
        for (source, standing) in sources {
            let unread = source.unread_headers().iter().filter(|name| headers.holds(name));
            passing.withheld.extend(unread.cloned());
            let Some(place) = source.header() else { continue };
            let is_withheld = match standing {
                Standing::Over | Standing::Respelled => place.is_sent(headers),
                Standing::Accepted | Standing::Open => false,
            };
            let is_stray = is_strict && place.is_hinted(headers);
            if is_withheld || is_stray || !place.may_pass(headers) {
                passing.withheld.extend(place.names().cloned());
            } else if standing == Standing::Accepted {
                passing.kept.extend(place.names().cloned());
            }
        }
        let Self { withheld, kept } = &mut passing;
        kept.retain(|name| !withheld.contains(name));
        passing
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};

    use super::*;
    use crate::session::tests::vectors::compile;

    const AUTHORIZATION: HeaderName = header::AUTHORIZATION;

    fn select(sent: &[&str], standing: Standing) -> PassingHeaders {
        let settings = serde_json::json!({
            "kind": "jwt", "header": "authorization", "secret": "0123456789abcdef0123456789abcdef",
        });
        let source = compile(&settings).unwrap();
        let mut map = HeaderMap::new();
        for value in sent {
            map.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let sources = [(&source, standing)].into_iter();
        let is_strict = standing != Standing::Open;
        PassingHeaders::select(SentHeaders::new(&map, false), sources, is_strict)
    }

    #[test]
    fn a_header_that_only_the_framework_reads_is_withheld_from_every_request() {
        let settings = serde_json::json!({
            "kind": "h3-session", "cookie": "Login", "user_id": "/user/id",
            "secret": "0123456789abcdef0123456789abcdef",
        });
        let source = compile(&settings).unwrap();
        let mut map = HeaderMap::new();
        let select = |map: &HeaderMap, standing| {
            let sources = [(&source, standing)].into_iter();
            PassingHeaders::select(SentHeaders::new(map, false), sources, false)
        };
        for standing in [Standing::Accepted, Standing::Open, Standing::Over] {
            assert_eq!(select(&map, standing), PassingHeaders::default());
        }
        map.append("x-login-session", HeaderValue::from_static("Fe26.2**a"));
        for standing in [Standing::Accepted, Standing::Open, Standing::Over] {
            assert_eq!(select(&map, standing).withheld, ["x-login-session"]);
        }
    }

    #[test]
    fn a_token_passes_unless_its_session_is_over_or_it_came_twice() {
        let none = Vec::<HeaderName>::new();
        assert_eq!(select(&["Bearer a"], Standing::Open), PassingHeaders::default());
        assert_eq!(select(&["Bearer a"], Standing::Accepted).kept, [AUTHORIZATION]);
        assert_eq!(select(&["Bearer a"], Standing::Over).withheld, [AUTHORIZATION]);
        assert_eq!(select(&["Bearer a"], Standing::Respelled).withheld, [AUTHORIZATION]);
        for value in ["Basic a", "Basic YWRhOnNlY3JldA==", "Negotiate a.b"] {
            assert_eq!(select(&[value], Standing::Over).withheld, none);
        }
        for value in ["Bearer\ta.b.c", "JWT a.b.c", "a.b.c", "Bearer:a.b.c"] {
            assert_eq!(select(&[value], Standing::Open), PassingHeaders::default(), "{value}");
            for standing in [Standing::Accepted, Standing::Over] {
                assert_eq!(select(&[value], standing).withheld, [AUTHORIZATION], "{value}");
            }
        }
        for standing in [Standing::Open, Standing::Accepted, Standing::Over] {
            let twice = select(&["Bearer a", "Basic b"], standing);
            assert_eq!((twice.withheld, twice.kept), (vec![AUTHORIZATION], none.clone()));
        }
    }
}
