//! A first minter: Portive tokens only, until the template language replaces it.
#![allow(warnings)]
use crate::clock::Now;
use crate::document::{At, Table};
use crate::secret::Secret;
use crate::session::Identity;
use bytes::Bytes;
use std::time::Duration;
pub struct Minter {
    kid: String,
    secret: Secret,
    ttl: Duration,
    name: String,
    methods: Vec<http::Method>,
}
#[derive(Clone, Copy)]
pub enum CachePolicy {
    Never,
    User,
    Global,
}
pub struct Subject<'a> {
    pub identity: &'a Identity,
    pub inputs: &'a serde_json::Map<String, serde_json::Value>,
    pub grant: &'a serde_json::Value,
}
pub enum Minting {
    Ready(Token),
    Call(Call),
}
pub struct Call;
pub struct Token {
    body: Bytes,
    value: Bytes,
    exp: u64,
    usable: u64,
}
impl Token {
    pub fn body(&self) -> &Bytes {
        &self.body
    }
    pub fn value(&self) -> &Bytes {
        &self.value
    }
    pub fn content_type(&self) -> &'static str {
        "application/json"
    }
    pub fn set_cookie(&self) -> Option<&str> {
        None
    }
    pub fn usable_until(&self) -> u64 {
        self.usable
    }
    pub fn lifetime(&self) -> Duration {
        Duration::from_secs(86400)
    }
    pub fn size(&self) -> usize {
        self.body.len()
    }
}
#[derive(Debug)]
pub struct MintError;
impl MintError {
    pub fn code(&self) -> &'static str {
        "not_allowed"
    }
}
impl std::fmt::Display for MintError {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
pub struct Presets;
impl Presets {
    pub fn names(&self) -> std::vec::IntoIter<String> {
        vec![].into_iter()
    }
    pub fn text(&self, _n: &str) -> Option<String> {
        None
    }
    pub fn builtin() -> Self {
        Self
    }
    pub fn with_user(_: &At<'_>) -> Self {
        Self
    }
}
impl Minter {
    pub fn read(name: &str, t: &mut Table<'_>, _p: &Presets) -> Option<Self> {
        let _ = t.get::<String>("preset");
        let _ = t.take("params");
        let key = t.get::<Secret>("key")?;
        let ttl = t.get::<Duration>("ttl").unwrap_or(Duration::from_secs(60));
        let mut p = key.text()?.splitn(3, '_');
        p.next()?;
        Some(Self {
            kid: p.next()?.into(),
            secret: Secret::new(p.next()?),
            ttl,
            name: name.into(),
            methods: vec![http::Method::GET, http::Method::POST],
        })
    }
    pub fn methods(&self) -> &[http::Method] {
        &self.methods
    }
    pub fn cache(&self) -> CachePolicy {
        CachePolicy::User
    }
    pub fn cache_key(&self, s: &Subject<'_>) -> [u8; 32] {
        let d = aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA256,
            format!("{}:{}", self.name, s.identity.user_id()).as_bytes(),
        );
        d.as_ref().try_into().unwrap()
    }
    pub fn content_type(&self) -> &'static str {
        "application/json"
    }
    pub fn mint(&self, _s: &Subject<'_>, n: Now) -> Result<Minting, MintError> {
        let exp = n.unix() + self.ttl.as_secs();
        let mut h = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        h.kid = Some(self.kid.clone());
        let t = jsonwebtoken::encode(
            &h,
            &serde_json::json!({"iat": n.unix(), "exp": exp}),
            &jsonwebtoken::EncodingKey::from_secret(self.secret.bytes()),
        )
        .unwrap();
        let body = Bytes::from(format!("{{\"authToken\":\"{t}\"}}"));
        Ok(Minting::Ready(Token {
            value: body.slice(14..14 + t.len()),
            body,
            exp,
            usable: exp - 12,
        }))
    }
}
