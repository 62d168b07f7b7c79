//! The signed-in user, in a form the app can verify: a short JWT in a request header,
//! signed with a separate key.
//!
//! Plain headers can be trusted if only the gateway reaches the app. Where that is not
//! certain, the app checks this: `alg` and key as configured, `typ`
//! `portcullis-identity+jwt`, `aud`, `exp`. Type, audience and key keep it apart
//! from every token the gateway hands out and from the session itself.
//!
//! One signature serves a session until a fifth of its lifetime is left; it never outlives
//! the session.

use std::str::FromStr as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue};
use jsonwebtoken::Algorithm;
use moka::sync::Cache;
use serde_json::json;

use super::key::Signer;
use crate::base::clock::Now;
use crate::base::digest::{Digest, Digester};
use crate::document::{At, FromNode, Table};

use crate::request::headers;
use crate::session::Identity;

/// The `typ` that sets an assertion apart from every other JWT (RFC 8725 section 3.11).
pub(crate) const TYPE: &str = "portcullis-identity+jwt";

const DEFAULT_TTL: Duration = Duration::from_secs(300);
const LONGEST_TTL: Duration = Duration::from_secs(3600);
/// Octets, as many as the hash has; shorter keys can be guessed offline (RFC 7518
/// section 3.2).
const SHORTEST_SECRET: usize = 32;
/// Bytes of assertions and bookkeeping kept at most.
const CAPACITY: u64 = 32 * 1024 * 1024;
const OVERHEAD: usize = 200;

/// `identity.assertion`, ready to sign.
pub struct Assertion {
    pub header: HeaderName,
    signer: Signer,
    /// The JWT's first part with its dot.
    start: String,
    issuer: String,
    audience: String,
    ttl: Duration,
    /// A digest of all of the above and the key: an assertion signed under other
    /// settings is never served.
    fingerprint: Digest,
}

impl FromNode for Assertion {
    fn read(at: &At<'_>) -> Option<Self> {
        let mut table = at.table()?;
        let header = table.take("header").map(|at| read_header(&at));
        let header = header.unwrap_or(Some(HeaderName::from_static("x-portcullis-assertion")));
        let algorithm = table.take("alg").map_or(Some(Algorithm::HS256), |at| read_algorithm(&at));
        let key = table.take_needed("key", "key = \"env:NAME\"").and_then(|at| {
            let (secret, algorithm) = (at.secret()?, algorithm?);
            let signer = Signer::new(algorithm, &secret);
            if signer.is_none() {
                at.problem(format!("the key is not a private key for {algorithm:?}"));
            }
            let is_shared = matches!(signer, Some(Signer::Shared(_)));
            if is_shared && secret.bytes().len() < SHORTEST_SECRET {
                at.problem(format!(
                    "the key is shorter than {SHORTEST_SECRET} bytes; make one with `openssl rand -base64 32`"
                ));
            }
            Some((signer?, secret.digest()))
        });
        let audience = named(&mut table, "audience", "audience = \"my-app\"");
        let issuer = table.get::<String>("issuer").unwrap_or_else(|| "portcullis".to_owned());
        let kid = table.get::<String>("kid");
        let ttl = table.take("ttl").map_or(Some(DEFAULT_TTL), |at| read_ttl(&at));
        table.finish();
        let (header, algorithm, (signer, key), audience, ttl) =
            (header?, algorithm?, key?, audience?, ttl?);
        let mut start = json!({ "alg": format!("{algorithm:?}"), "typ": TYPE });
        if let (Some(kid), Some(members)) = (kid, start.as_object_mut()) {
            members.insert("kid".to_owned(), kid.into());
        }
        let settings = json!([start, header.as_str(), issuer, audience, ttl.as_secs()]);
        let mut digester = Digester::default();
        digester.add(key.bytes());
        digester.add(settings.to_string().as_bytes());
        let start = URL_SAFE_NO_PAD.encode(start.to_string()) + ".";
        let fingerprint = digester.finish();
        Some(Self { header, signer, start, issuer, audience, ttl, fingerprint })
    }
}

fn read_header(at: &At<'_>) -> Option<HeaderName> {
    const EXPECTED: &str = r#"a header such as "X-Portcullis-Assertion""#;
    let name = HeaderName::try_from(at.text(EXPECTED)?).ok();
    let name = name.filter(|name| !headers::is_reserved(name));
    if name.is_none() {
        at.wrong(EXPECTED);
    }
    name
}

fn read_algorithm(at: &At<'_>) -> Option<Algorithm> {
    const EXPECTED: &str = r#"a signature algorithm such as "HS256", "ES256" or "EdDSA""#;
    let algorithm = Algorithm::from_str(at.text(EXPECTED)?).ok();
    if algorithm.is_none() {
        at.wrong(EXPECTED);
    }
    algorithm
}

fn read_ttl(at: &At<'_>) -> Option<Duration> {
    let ttl = Duration::read(at)?;
    if ttl < Duration::from_secs(10) || ttl > LONGEST_TTL {
        at.problem("expected between \"10s\" and \"1h\"");
        return None;
    }
    Some(ttl)
}

fn named(table: &mut Table<'_>, key: &'static str, hint: &str) -> Option<String> {
    let at = table.take_needed(key, hint)?;
    let text = String::read(&at)?;
    if text.is_empty() {
        at.problem(format!("found an empty string; write {hint}"));
        return None;
    }
    Some(text)
}

impl Assertion {
    /// Whether signing one takes a thread for milliseconds.
    pub(crate) fn is_slow(&self) -> bool {
        self.signer.is_rsa()
    }

    /// A digest over everything the assertion's text depends on.
    fn key(&self, identity: &Identity) -> Digest {
        let mut digester = Digester::default();
        digester.add(self.fingerprint.bytes());
        digester.add(&identity.expires_at().unwrap_or(u64::MAX).to_be_bytes());
        digester.add(identity.user_id().as_bytes());
        digester.finish()
    }

    /// Signs a new one; `None` if the session is over or the key fails.
    fn sign(&self, identity: &Identity, now: Now) -> Option<Signed> {
        let latest = now.unix() + self.ttl.as_secs();
        let session_ends = identity.expires_at().unwrap_or(u64::MAX);
        let expires_at = latest.min(session_ends);
        if expires_at <= now.unix() {
            return None;
        }
        let claims = json!({
            "iss": self.issuer,
            "aud": self.audience,
            "sub": identity.user_id(),
            "iat": now.unix(),
            "exp": expires_at,
        });
        let mut text = self.start.clone();
        URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut text);
        let signature = self.signer.sign(text.as_bytes()).ok()?;
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        let value = HeaderValue::from_str(&text).ok()?;
        // No longer one can replace an assertion that ends with the session.
        let margin = if expires_at == session_ends { 0 } else { self.ttl.as_secs() / 5 };
        Some(Signed { value, from: now.unix(), until: expires_at - margin })
    }
}

/// An assertion and when it is served.
#[derive(Clone)]
struct Signed {
    value: HeaderValue,
    from: u64,
    until: u64,
}

impl Signed {
    fn serves_at(&self, now: Now) -> bool {
        (self.from..self.until).contains(&now.unix())
    }
}

/// The assertions that are served again.
pub struct Assertions(Cache<Digest, Signed>);

impl Default for Assertions {
    fn default() -> Self {
        let weigh = |_: &Digest, signed: &Signed| {
            u32::try_from(signed.value.len() + OVERHEAD).unwrap_or(u32::MAX)
        };
        // The cache's own expiry only frees memory; `header_for` decides what is served.
        let cache = Cache::builder().max_capacity(CAPACITY).weigher(weigh);
        Self(cache.time_to_live(LONGEST_TTL).build())
    }
}

impl Assertions {
    /// As `header_for`, if it was signed before.
    pub(crate) fn kept(
        &self,
        assertion: &Assertion,
        identity: &Identity,
        now: Now,
    ) -> Option<(HeaderName, HeaderValue)> {
        let kept = self.0.get(&assertion.key(identity)).filter(|kept| kept.serves_at(now))?;
        Some((assertion.header.clone(), kept.value))
    }

    /// The header that names the signed-in user to the app.
    pub fn header_for(
        &self,
        assertion: &Assertion,
        identity: &Identity,
        now: Now,
    ) -> Option<(HeaderName, HeaderValue)> {
        let key = assertion.key(identity);
        let kept = self.0.get(&key).filter(|kept| kept.serves_at(now));
        let value = match kept {
            Some(kept) => kept.value,
            None => {
                let signed = assertion.sign(identity, now)?;
                let value = signed.value.clone();
                self.0.insert(key, signed);
                value
            }
        };
        Some((assertion.header.clone(), value))
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
    use serde_json::Value;

    use super::*;
    use crate::base::secret::Secrets;
    use crate::document::{Node, Problems};

    const KEY: &str = "an-assertion-key-of-thirty-two-bytes";

    fn read(json: &Value) -> Result<Assertion, String> {
        let (node, problems) = (Node::from_json(json), Problems::default());
        let read = Assertion::read(&At::new(&node, "", &problems, &Secrets::Literal));
        let said: Vec<_> =
            problems.into_sorted().iter().map(|p| p.display("", "").to_string()).collect();
        read.filter(|_| said.is_empty()).ok_or_else(|| said.join("\n"))
    }

    fn assertion() -> Assertion {
        read(&json!({ "key": KEY, "audience": "my-app" })).unwrap()
    }

    fn user(name: &str, expires_at: Option<u64>) -> Identity {
        Identity::assumed(name.to_owned(), Value::Null, expires_at)
    }

    fn claims(value: &HeaderValue, key: &str) -> Option<Value> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&["my-app"]);
        validation.validate_exp = false;
        let key = DecodingKey::from_secret(key.as_bytes());
        decode(value.to_str().unwrap(), &key, &validation).ok().map(|token| token.claims)
    }

    #[test]
    fn it_says_who_for_whom_and_until_when() {
        let (header, value) = Assertions::default()
            .header_for(&assertion(), &user("u1", None), Now::at(1000))
            .unwrap();
        assert_eq!(header, "x-portcullis-assertion");
        assert_eq!(decode_header(value.to_str().unwrap()).unwrap().typ.as_deref(), Some(TYPE));
        let expected =
            json!({"iss": "portcullis", "aud": "my-app", "sub": "u1", "iat": 1000, "exp": 1300});
        assert_eq!(claims(&value, KEY), Some(expected));
        assert_eq!(claims(&value, "another-key-of-more-than-thirty-two-bytes"), None);
    }

    #[test]
    fn one_signature_serves_until_a_fifth_of_its_life_is_left() {
        let (kept, assertion, u1) = (Assertions::default(), assertion(), user("u1", None));
        let at = |seconds| kept.header_for(&assertion, &u1, Now::at(seconds)).unwrap().1;
        let first = at(1000);
        assert_eq!(at(1239), first);
        let second = at(1240);
        assert_ne!(second, first);
        assert_eq!(at(1300), second);
        assert_ne!(at(900), second, "a clock set back must not serve the future");
    }

    #[test]
    fn it_never_outlives_the_session() {
        let (kept, assertion) = (Assertions::default(), assertion());
        let ending = user("u1", Some(1100));
        let (_, value) = kept.header_for(&assertion, &ending, Now::at(1000)).unwrap();
        assert_eq!(claims(&value, KEY).unwrap()["exp"], 1100);
        assert_eq!(kept.header_for(&assertion, &ending, Now::at(1099)).unwrap().1, value);
        assert!(kept.header_for(&assertion, &ending, Now::at(1100)).is_none());
    }

    #[test]
    fn users_sessions_and_settings_never_share_one() {
        let kept = Assertions::default();
        let mut seen = std::collections::HashSet::new();
        let other = |json| read(&json).unwrap();
        for assertion in [
            assertion(),
            other(json!({ "key": format!("{KEY}2"), "audience": "my-app" })),
            other(json!({ "key": KEY, "audience": "other-app" })),
            other(json!({ "key": KEY, "audience": "my-app", "kid": "k2" })),
            other(json!({ "key": KEY, "audience": "my-app", "issuer": "me" })),
        ] {
            for identity in [user("u1", None), user("u2", None), user("u1", Some(1200))] {
                let (_, value) = kept.header_for(&assertion, &identity, Now::at(1000)).unwrap();
                assert!(seen.insert(value));
            }
        }
    }

    #[test]
    fn settings_that_cannot_hold_are_named() {
        for (settings, said) in [
            (json!({ "audience": "a" }), "`key` is missing"),
            (json!({ "key": KEY }), "`audience` is missing"),
            (json!({ "key": "short", "audience": "a" }), "shorter than 32 bytes"),
            (json!({ "key": KEY, "audience": "a", "alg": "none" }), "a signature algorithm"),
            (json!({ "key": KEY, "audience": "a", "alg": "ES256" }), "not a private key for ES256"),
            (json!({ "key": KEY, "audience": "a", "ttl": "2d" }), "between"),
            (json!({ "key": KEY, "audience": "a", "header": "Cookie" }), "a header such as"),
            (json!({ "key": KEY, "audience": "a", "header": "X_A" }), "a header such as"),
            (json!({ "key": KEY, "audience": "" }), "an empty string"),
        ] {
            let problem = read(&settings).err().unwrap();
            assert!(problem.contains(said) && !problem.contains(KEY), "{problem}");
        }
    }
}
