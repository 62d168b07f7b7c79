//! `[shared]`: the store in which replicas count limits, hear of revocations and, if
//! asked, keep tokens.

use std::time::Duration;

use crate::base::digest::Digest;
use crate::base::redis_url::RedisUrl;
use crate::base::secret::Secret;
use crate::document::{At, FromNode as _, OneOrMany, Value};
use crate::limit::OnError;

/// Shortest key: as long as the cipher's.
const KEY_BYTES: usize = 32;
const DEFAULT_PREFIX: &str = "portcullis";
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(50);

/// Settings of what replicas share. A reload may change all of them.
#[derive(Clone)]
pub struct SharedSettings {
    pub(crate) url: RedisUrl,
    /// Stands for the address, which may hold a password.
    address: Digest,
    /// The first seals, all open.
    pub(crate) keys: Vec<Secret>,
    pub(crate) prefix: String,
    /// Longest wait for the store.
    pub(crate) timeout: Duration,
    /// Whether tokens are kept in the store, sealed.
    pub(crate) tokens: bool,
    pub(crate) on_error: OnError,
}

impl PartialEq for SharedSettings {
    fn eq(&self, other: &Self) -> bool {
        let keys = |shared: &Self| shared.keys.iter().map(Secret::digest).collect::<Vec<_>>();
        self.address == other.address
            && keys(self) == keys(other)
            && (&self.prefix, self.timeout, self.tokens, self.on_error)
                == (&other.prefix, other.timeout, other.tokens, other.on_error)
    }
}

impl SharedSettings {
    pub(super) fn from_node(at: &At<'_>) -> Option<Self> {
        let mut table = at.table()?;
        let address = table.take_needed("redis", r#"redis = "env:REDIS_URL""#);
        let redis = address.and_then(|at| read_address(&at));
        let keys = table.take("key").map(|at| read_keys(&at));
        let prefix = table.take("prefix").map(|at| read_prefix(&at));
        let timeout = table.take("timeout").map(|at| read_timeout(&at));
        let tokens = table.get::<bool>("tokens").unwrap_or(false);
        let on_error = table.take("on_error").map(|at| read_on_error(&at));
        table.finish();
        if tokens && keys.is_none() {
            at.problem(
                "`tokens` needs `key`, which encrypts them: write key = \"env:SHARED_KEY\" and set \
                 that variable to `base64:` followed by the output of `openssl rand -base64 32`",
            );
            return None;
        }
        let (url, address) = redis?;
        Some(Self {
            url,
            address,
            keys: keys.unwrap_or(Some(Vec::new()))?,
            prefix: prefix.unwrap_or_else(|| Some(DEFAULT_PREFIX.to_owned()))?,
            timeout: timeout.unwrap_or(Some(DEFAULT_TIMEOUT))?,
            tokens,
            on_error: on_error.unwrap_or(Some(OnError::Local))?,
        })
    }
}

fn read_address(at: &At<'_>) -> Option<(RedisUrl, Digest)> {
    let secret = at.secret()?;
    let Some(text) = secret.text() else {
        at.problem("its value is not text");
        return None;
    };
    match RedisUrl::parse(text) {
        Ok(url) => Some((url, secret.digest())),
        Err(bad) => {
            at.problem(format!("its value cannot be used: {}", bad.0));
            None
        }
    }
}

fn read_keys(at: &At<'_>) -> Option<Vec<Secret>> {
    let OneOrMany(keys) = OneOrMany::<Secret>::read(at)?;
    if keys.is_empty() {
        at.problem(
            "found an empty list, expected one reference or more: the first seals, all open",
        );
        return None;
    }
    if keys.iter().any(|key| key.bytes().len() < KEY_BYTES || key.is_monotonous()) {
        at.problem(
            "a key is shorter than 32 bytes, or not random; write `base64:` followed by the output \
             of `openssl rand -base64 32`",
        );
        return None;
    }
    Some(keys)
}

/// Braces would put every key of a Cluster on one server.
fn read_prefix(at: &At<'_>) -> Option<String> {
    const EXPECTED: &str =
        r#"up to 64 letters, digits, `-`, `_`, `.` and `:`, such as "portcullis""#;
    let prefix = at.text(EXPECTED)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(is_plain) {
        at.wrong(EXPECTED);
        return None;
    }
    Some(prefix.to_owned())
}

fn read_timeout(at: &At<'_>) -> Option<Duration> {
    let timeout = at.read::<Duration>()?;
    if timeout < Duration::from_millis(5) || timeout > Duration::from_secs(5) {
        at.wrong(r#"between "5ms" and "5s": token requests wait that long when the store is down"#);
        return None;
    }
    Some(timeout)
}

fn read_on_error(at: &At<'_>) -> Option<OnError> {
    if matches!(&at.node.value, Value::Text(text) if text.eq_ignore_ascii_case("allow")) {
        at.problem(
            "found \"allow\", which must be set on each route: limit = { rates = \"30/minute\", \
             on_error = \"allow\" }; here write \"local\" or \"deny\"",
        );
        return None;
    }
    at.choose(&[("local", OnError::Local), ("deny", OnError::Deny)])
}

/// A limit's settings about sharing have no meaning without a store.
pub(super) fn check_unshared(top: &crate::document::Table<'_>) {
    let mut limits = Vec::new();
    if let Some(tokens) = top.peek("token").filter(|at| matches!(at.node.value, Value::Table(_))) {
        limits.extend(tokens.members().into_iter().filter_map(|(_, at)| at.find(&["limit"])));
    }
    if let Some(routes) = top.peek("route") {
        limits.extend(routes.items().iter().filter_map(|at| at.find(&["limit"])));
    }
    for limit in limits {
        for key in ["on_error", "lease"] {
            if let Some(at) = limit.find(&[key]) {
                at.problem(format!(
                    "`{key}` applies only to replicas that count together; add [shared] with redis \
                     = \"env:REDIS_URL\", or leave it out"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::base::secret::Secrets;
    use crate::config::Config;

    const BEGIN: &str = "[upstream]\nservers = [\"http://127.0.0.1:1\"]\n[session]\nkind = \"jwt\"\n\
        cookie = \"sid\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n";

    /// The problems of a file with these lines, a line each.
    fn problems(lines: &str) -> String {
        let text = format!("{BEGIN}{lines}\n");
        match Config::read(&text, &Secrets::Literal) {
            Ok(_) => String::new(),
            Err(problems) => {
                problems.iter().map(|one| format!("{}\n", one.display("f", &text))).collect()
            }
        }
    }

    fn token(limit: &str) -> String {
        format!(
            "[token.portive]\npath = \"/t\"\npreset = \"portive\"\nttl = \"1m\"\n\
             key = \"OWN_kid_another-for-this-test-0123456789abc\"\nlimit = {limit}\n"
        )
    }

    #[test]
    fn a_wrong_setting_says_what_to_write() {
        let url = "redis = \"redis://127.0.0.1:1\"";
        for (lines, said) in [
            ("[shared]", "redis = \"env:REDIS_URL\""),
            ("[shared]\nredis = \"http://canary\"", "redis+cluster://"),
            ("[shared]\nredis = \"redis://canary:port\"", "HOST[:PORT]"),
            (&format!("[shared]\n{url}\nrediss = 1"), "did you mean `redis`?"),
            (&format!("[shared]\n{url}\ntokens = true"), "openssl rand -base64 32"),
            (&format!("[shared]\n{url}\nkey = \"canary\""), "32 bytes"),
            (&format!("[shared]\n{url}\nkey = []"), "the first seals"),
            (&format!("[shared]\n{url}\nprefix = \"{{a}}\""), "letters, digits"),
            (&format!("[shared]\n{url}\ntimeout = \"1ms\""), "between \"5ms\" and \"5s\""),
            (&format!("[shared]\n{url}\non_error = \"allow\""), "on each route"),
            (&format!("[shared]\n{url}\non_error = \"open\""), "\"local\", \"deny\""),
            (&token("{ rates = \"30/minute\", on_error = \"deny\" }"), "add [shared]"),
            (&token("{ rates = \"30/minute\", lease = \"10%\" }"), "add [shared]"),
        ] {
            let found = problems(lines);
            assert!(found.contains(said), "{lines}\n{found}");
            assert!(!found.contains("canary"), "{found}");
        }
        for (limit, said) in [
            ("{ rates = \"30/minute\", on_error = \"allow\" }", "which is for routes"),
            ("{ on_error = \"deny\" }", "rates = \"30/minute\""),
            ("{ rates = \"30/minute\", lease = \"90%\" }", "\"1%\" to \"50%\""),
            ("{ rates = \"30/minute\", lease = 10 }", "such as \"10%\""),
            ("{ rates = \"5/s\", lease = \"50%\" }", "10s or longer"),
            ("{ rates = \"30/minute\", lease = \"5%\" }", "at least two"),
        ] {
            let found = problems(&format!("[shared]\n{url}\n{}", token(limit)));
            assert!(found.contains(said), "{limit}\n{found}");
        }
    }

    #[test]
    fn every_setting_is_read_and_any_change_is_one() {
        let read = |lines: &str| {
            let text = format!("{BEGIN}[shared]\nredis = \"redis://127.0.0.1:1\"\n{lines}\n");
            Config::read(&text, &Secrets::Literal).unwrap_or_else(|_| panic!("{lines}")).shared
        };
        let changes = [
            "",
            "tokens = true\nkey = \"0123456789abcdefghijklmnopqrstuv\"",
            "key = [\"0123456789abcdefghijklmnopqrstuv\", \"0123456789abcdefghijklmnopqrstu_\"]",
            "prefix = \"other\"",
            "timeout = \"20ms\"",
            "on_error = \"deny\"",
        ];
        for (index, lines) in changes.iter().enumerate() {
            for (other_index, other) in changes.iter().enumerate() {
                assert_eq!(read(lines) == read(other), index == other_index, "{lines} {other}");
            }
        }
    }
}
