//! The hosts that the gateway answers to, and whose word on the host counts.
//!
//! `Host` is what a client says. Without a list any name is served, by the default
//! upstream if no other has it; with one, a request for another host is misdirected.

use http::header::HeaderMap;

use crate::base::host::is_host;
use crate::document::{At, FromNode, OneOrMany, Table};
use crate::request::client::Client;
use crate::upstream::Host;

/// `hosts` and `trust_forwarded_host` of `[server]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts {
    /// Absent means any.
    listed: Option<Vec<Listed>>,
    forwarded: ForwardedHost,
}

/// Whether `X-Forwarded-Host` of a trusted proxy counts: many pass on what the client sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ForwardedHost {
    Believed,
    #[default]
    Ignored,
}

/// A name, or all names one level or more below it: `*.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listed {
    Below(Host),
    Exactly(Host),
}

impl Hosts {
    pub(crate) fn from_table(table: &mut Table<'_>) -> Self {
        let listed = table.take("hosts").and_then(|at| {
            let listed = at.read::<OneOrMany<Listed>>()?.0;
            if listed.is_empty() {
                at.problem("found an empty list, which would refuse every request");
            }
            Some(listed)
        });
        let believed = table.take("trust_forwarded_host");
        let forwarded = match believed.as_ref().and_then(At::read::<bool>) {
            Some(true) => ForwardedHost::Believed,
            Some(false) | None => ForwardedHost::Ignored,
        };
        if let (Some(at), ForwardedHost::Believed, None) =
            (&believed, forwarded, table.peek("trusted_proxies"))
        {
            at.problem("there are no `trusted_proxies` whose word it could be; write those too");
        }
        Self { listed, forwarded }
    }

    /// Whether requests for this host are answered.
    pub(crate) fn admit(&self, host: &str) -> bool {
        self.listed.as_ref().is_none_or(|all| all.iter().any(|listed| listed.covers(host)))
    }

    /// The host that a trusted proxy says the client asked for. Each proxy adds what it was
    /// asked for, so of as many entries as there are trusted hops the first counts.
    pub(crate) fn forwarded<'a>(&self, client: &Client, headers: &'a HeaderMap) -> Option<&'a str> {
        if self.forwarded == ForwardedHost::Ignored || !client.via_trusted {
            return None;
        }
        let fields = headers.get_all("x-forwarded-host").iter();
        let entries: Vec<&[u8]> =
            fields.flat_map(|field| field.as_bytes().split(|&b| b == b',')).collect();
        let first = entries.len().saturating_sub(client.hops.len().max(1));
        let host = std::str::from_utf8(entries.get(first)?.trim_ascii()).ok()?;
        is_host(host.as_bytes()).then_some(host)
    }
}

impl Listed {
    fn covers(&self, host: &str) -> bool {
        match self {
            Self::Below(parent) => {
                let mut below = host.match_indices('.').filter(|(dot, _)| *dot > 0);
                below.any(|(dot, _)| host.get(dot + 1..).is_some_and(|rest| parent.is(rest)))
            }
            Self::Exactly(name) => name.is(host),
        }
    }
}

impl FromNode for Listed {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str =
            r#"a host name without a port, such as "app.example.com" or "*.example.com""#;
        let text = at.text(EXPECTED)?;
        let listed = match text.strip_prefix("*.") {
            Some(parent) => Host::parse(parent).map(Self::Below),
            None => Host::parse(text).map(Self::Exactly),
        };
        if listed.is_none() {
            at.wrong(EXPECTED);
        }
        listed
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::request::client::Scheme;

    fn hosts(listed: &[&str]) -> Hosts {
        let one = |text: &&str| match text.strip_prefix("*.") {
            Some(parent) => Listed::Below(Host::parse(parent).unwrap()),
            None => Listed::Exactly(Host::parse(text).unwrap()),
        };
        Hosts { listed: Some(listed.iter().map(one).collect()), forwarded: ForwardedHost::Believed }
    }

    #[test]
    fn only_listed_hosts_are_answered_in_any_spelling_that_means_them() {
        let hosts = hosts(&["app.example.com", "*.tenants.example.com", "127.0.0.1"]);
        for host in [
            "app.example.com",
            "APP.example.com:8443",
            "app.example.com.",
            "a.tenants.example.com",
            "a.b.Tenants.example.com:1",
            "127.0.0.1:8080",
        ] {
            assert!(hosts.admit(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "evil.example",
            "xapp.example.com",
            "app.example.com.evil.example",
            "tenants.example.com",
            ".tenants.example.com",
            "atenants.example.com",
            "127.0.0.2",
        ] {
            assert!(!hosts.admit(host), "{host}");
        }
        assert!(Hosts::default().admit("evil.example"));
    }

    #[test]
    fn the_forwarded_host_is_the_one_the_outermost_trusted_proxy_was_asked_for() {
        let forwarded = |hosts: &Hosts, hops: usize, via_trusted, fields: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for &field in fields {
                headers.append("x-forwarded-host", HeaderValue::from_static(field));
            }
            let hops = vec!["10.0.0.1".parse().unwrap(); hops];
            let client = Client { address: None, scheme: Scheme::Http, hops, via_trusted };
            hosts.forwarded(&client, &headers).map(str::to_owned)
        };
        let believed = hosts(&["x"]);
        let of = |hops, fields: &[&'static str]| forwarded(&believed, hops, true, fields);
        assert_eq!(of(1, &["a.test"]).as_deref(), Some("a.test"));
        assert_eq!(of(1, &["evil.test, a.test"]).as_deref(), Some("a.test"));
        assert_eq!(of(2, &["evil.test, a.test, b.test"]).as_deref(), Some("a.test"));
        assert_eq!(of(2, &["evil.test", "a.test, b.test"]).as_deref(), Some("a.test"));
        assert_eq!(of(2, &["a.test"]).as_deref(), Some("a.test"));
        assert_eq!(of(0, &["a.test"]).as_deref(), Some("a.test"));
        assert_eq!(of(1, &["not a host"]), None);
        assert_eq!(of(1, &[]), None);
        assert_eq!(forwarded(&believed, 1, false, &["a.test"]), None);
        assert_eq!(forwarded(&Hosts::default(), 1, true, &["a.test"]), None);
    }
}
