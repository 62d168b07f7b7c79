//! The hosts that the gateway answers to, and whose statement of the host counts.
//!
//! `Host` is only a client's statement. Without a list any name is served, by the default
//! upstream if no other has it; with one, a request for another host is misdirected.

use crate::document::{At, FromNode, OneOrMany, Table};
use crate::upstream::Host;

/// `hosts` and `trust_forwarded_host` of `[server]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts {
    /// Absent means any.
    listed: Option<Vec<Listed>>,
    forwarded: ForwardedHost,
}

/// Whether `X-Forwarded-Host` of a trusted proxy counts: many pass on the client's.
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
            at.problem("`trusted_proxies` is empty, so no proxy's word counts; set it too");
        }
        Self { listed, forwarded }
    }

    /// Whether requests for this host are answered.
    pub(crate) fn admit(&self, host: &str) -> bool {
        self.listed.as_ref().is_none_or(|all| all.iter().any(|listed| listed.covers(host)))
    }

    /// Whether the host that trusted proxies name is the one that counts.
    pub(crate) fn believe_proxies(&self) -> bool {
        self.forwarded == ForwardedHost::Believed
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
    use super::*;

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
}
