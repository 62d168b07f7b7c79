//! Selects the headers with a session that go on to the app, as `passing` does for cookies.

use http::HeaderName;

use super::header::SentHeaders;
use super::source::SessionReader;

/// One source's verdict on its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its session verifies.
    Accepted,
    /// Nothing is known against it.
    Open,
    /// Its session is revoked or signed out, or contradicts another one.
    Over,
}

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
    /// Most requests have none, and most policies read none.
    pub(crate) fn select<'s>(
        headers: SentHeaders<'_>,
        sources: impl Iterator<Item = (&'s SessionReader, Standing)>,
    ) -> Self {
        let mut passing = Self::default();
        for (source, standing) in sources {
            let unread = source.unread_headers().iter().filter(|name| headers.holds(name));
            passing.withheld.extend(unread.cloned());
            let Some(place) = source.header() else { continue };
            if standing == Standing::Over && place.is_sent(headers) || !place.may_pass(headers) {
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
        PassingHeaders::select(SentHeaders::new(&map, false), [(&source, standing)].into_iter())
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
            PassingHeaders::select(SentHeaders::new(map, false), [(&source, standing)].into_iter())
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
        assert_eq!(select(&["Basic a"], Standing::Over).withheld, none);
        for standing in [Standing::Open, Standing::Accepted, Standing::Over] {
            let twice = select(&["Bearer a", "Basic b"], standing);
            assert_eq!((twice.withheld, twice.kept), (vec![AUTHORIZATION], none.clone()));
        }
    }
}
