//! Shadow mode: every planted difference between the app's answer and the gateway's is found
//! and told as what it is, and no answer is changed.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use portcullis::testing::ManualClock;
use serde_json::{Value, json};

use crate::support::{
    Gateway, Request, Response, SESSION_SECRET, START, Script, Scripted, Setup, clock, eventually,
    get,
};

pub(crate) const KEY: &str = "canary-of-the-chat-key-0123456789abcdef";
pub(crate) const OTHER_KEY: &str = "canary-of-another-key-0123456789abcdef";

/// A gateway with one token of each mechanism, all in shadow mode.
pub(crate) fn setup(url: &str) -> Setup {
    Setup::towards(url).replaced_by(format!(
        r#"[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
[upstream]
servers = ["{url}"]
[session]
kind = "jwt"
cookie = "session"
secret = "{SESSION_SECRET}"
[preset.chat]
kind = "jwt"
alg = "HS256"
secret = "secret"
header = {{ kid = "main" }}
claims = {{ iss = "shop", aud = ["a", "b"], sub = "{{session.user_id}}", admin = false, level = 3, jti = "{{rand.jti}}", nbf = "{{iat}}", iat = "{{iat}}", exp = "{{exp}}" }}
response = {{ token = "{{token}}", user = "{{session.user_id}}", server = {{ region = "eu" }}, expires_at = "{{exp}}", expires_in = "{{ttl}}" }}
[token.chat]
path = "/api/chat"
preset = "chat"
key = "{KEY}"
ttl = "1m"
shadow = true
[token.turn]
path = "/api/turn"
preset = "turn-rest"
key = "{KEY}"
shadow = true
[token.pusher]
path = "/pusher/auth"
preset = "pusher-channel"
key = {{ app_key = "app", app_secret = "{KEY}" }}
request.channel_name.allow = ["private-*"]
limit = "2/minute"
shadow = true
"#
    ))
}

/// The app's answer, as a test changes it.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: String,
    header: Header,
    pub(crate) claims: Value,
    key: &'static str,
    pub(crate) body: Value,
    /// Around the JWT.
    wrap: fn(String) -> String,
}

/// What the gateway would have answered too.
pub(crate) fn good() -> Answer {
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("main".to_owned());
    let claims = json!({
        "iss": "shop", "aud": ["a", "b"], "sub": "ada", "admin": false, "level": 3,
        "jti": "16fd2706-8baf-433b-82eb-8c7fada847da",
        "nbf": START, "iat": START, "exp": START + 60,
    });
    let body = json!({
        "token": null, "user": "ada", "server": { "region": "eu" },
        "expires_at": START + 60, "expires_in": 60,
    });
    let fields = "Content-Type: application/json; charset=utf-8\r\n".to_owned();
    Answer { status: 200, fields, header, claims, key: KEY, body, wrap: |token| token }
}

impl Answer {
    pub(crate) fn body(&self) -> String {
        let key = EncodingKey::from_secret(self.key.as_bytes());
        let token = (self.wrap)(encode(&self.header, &self.claims, &key).unwrap());
        let mut body = self.body.clone();
        if body["token"].is_null() && body.get("token").is_some() {
            body["token"] = token.into();
        }
        body.to_string()
    }

    pub(crate) fn script(&self) -> Script {
        answer(self.status, &self.fields, self.body().as_bytes())
    }
}

pub(crate) fn answer(status: u16, fields: &str, body: &[u8]) -> Script {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nX-App: 1\r\n{fields}Content-Length: {length}\r\n\r\n");
    Script::says(&[head.as_bytes(), body])
}

type Change = fn(&mut Answer);
type Found = &'static [(&'static str, &'static str)];

fn remove(value: &mut Value, name: &str) {
    value.as_object_mut().unwrap().remove(name);
}

/// Each with the differences it must be told as, and no others.
#[rustfmt::skip]
const PLANTED: [(&str, Change, Found); 33] = [
    ("a member is missing", |a| remove(&mut a.body, "user"), &[("shape", "/user")]),
    ("a member more", |a| a.body["theme"] = "dark".into(), &[("shape", "/theme")]),
    ("a member deep inside", |a| a.body["server"] = json!({ "zone": "eu" }), &[("shape", "/server/region"), ("shape", "/server/zone")]),
    ("a member of another type", |a| a.body["server"] = "eu".into(), &[("type", "/server")]),
    ("another value", |a| a.body["user"] = "ada@example.com".into(), &[("value", "/user")]),
    ("another life beside the token", |a| a.body["expires_in"] = 3600.into(), &[("ttl", "/expires_in")]),
    ("another end beside the token", |a| a.body["expires_at"] = (START + 3600).into(), &[("ttl", "/expires_at")]),
    ("milliseconds for seconds", |a| a.body["expires_at"] = ((START + 60) * 1000).into(), &[("type", "/expires_at")]),
    ("a date for seconds", |a| a.body["expires_at"] = "2027-01-15T08:01:00Z".into(), &[("type", "/expires_at")]),
    ("the bare token", |a| a.body = "token".into(), &[("type", "")]),
    ("another media type", |a| a.fields = "Content-Type: text/plain\r\n".into(), &[("content_type", "content-type")]),
    ("another status", |a| a.status = 201, &[("status", "status")]),
    ("the app refuses", |a| a.status = 403, &[("status", "status")]),
    ("the app has failed", |a| a.status = 500, &[("status", "status")]),
    ("a cookie is set", |a| a.fields += "Set-Cookie: sid=s%3Acanary; Path=/\r\n", &[("cookies", "cookie sid")]),
    ("any origin may read it", |a| a.fields += "Access-Control-Allow-Origin: *\r\n", &[("cors", "access-control-allow-origin")]),
    ("another algorithm", |a| a.header.alg = Algorithm::HS512, &[("value", "/token header/alg")]),
    ("no key id", |a| a.header.kid = None, &[("shape", "/token header/kid")]),
    ("another key id", |a| a.header.kid = Some("old".into()), &[("value", "/token header/kid")]),
    ("another key", |a| a.key = OTHER_KEY, &[("signature", "/token")]),
    ("an opaque token", |a| a.wrap = |_| "x".repeat(40), &[("form", "/token")]),
    ("a claim is missing", |a| remove(&mut a.claims, "admin"), &[("shape", "/token claims/admin")]),
    ("a claim more", |a| a.claims["email"] = "ada@example.com".into(), &[("shape", "/token claims/email")]),
    ("a claim of another type", |a| a.claims["aud"] = "a".into(), &[("type", "/token claims/aud")]),
    ("a list with fewer items", |a| a.claims["aud"] = json!(["a"]), &[("shape", "/token claims/aud")]),
    ("another issuer", |a| a.claims["iss"] = "shop-staging".into(), &[("value", "/token claims/iss")]),
    ("another truth", |a| a.claims["admin"] = true.into(), &[("value", "/token claims/admin")]),
    ("another number", |a| a.claims["level"] = 4.into(), &[("value", "/token claims/level")]),
    ("random letters of another kind", |a| a.claims["jti"] = "7".into(), &[("form", "/token claims/jti")]),
    ("a longer life", |a| a.claims["exp"] = (START + 86_400).into(), &[("ttl", "/token claims/exp")]),
    ("no beginning", |a| { remove(&mut a.claims, "iat"); remove(&mut a.claims, "nbf"); }, &[("shape", "/token claims/iat"), ("shape", "/token claims/nbf")]),
    ("no end", |a| remove(&mut a.claims, "exp"), &[("shape", "/token claims/exp")]),
    ("a beginning in milliseconds", |a| a.claims["iat"] = (START * 1000).into(), &[("type", "/token claims/iat"), ("ttl", "/token claims/exp")]),
];

fn planted(target: &str) -> Option<Script> {
    let number: usize = target.strip_prefix("/api/chat?case=")?.parse().ok()?;
    let mut answer = good();
    PLANTED[number].1(&mut answer);
    Some(answer.script())
}

pub(crate) fn status_of(gateway: &Gateway, token: &str) -> Value {
    let answer = gateway.admin("GET /status HTTP/1.1", "");
    let status: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let tokens = status["tokens"].as_array().unwrap();
    tokens.iter().find(|it| it["token"] == token).unwrap()["shadow"].clone()
}

/// The findings once so many answers were looked at.
pub(crate) fn found(gateway: &Gateway, token: &str, answers: u64) -> Value {
    let mut found = Value::Null;
    eventually("the comparison", || {
        found = status_of(gateway, token);
        let count = |name: &str| found[name].as_u64().unwrap();
        count("same") + count("different") + count("skipped") == answers
    });
    found
}

pub(crate) fn places(found: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = found["differences"].as_array().unwrap();
    let mut places: Vec<_> = rows.iter().map(|it| (text(&it["kind"]), text(&it["at"]))).collect();
    places.sort();
    places
}

#[track_caller]
pub(crate) fn assert_found(gateway: &Gateway, token: &str, wanted: &[(&str, &str)]) {
    let found = found(gateway, token, 1);
    let mut wanted: Vec<_> =
        wanted.iter().map(|(kind, at)| ((*kind).to_owned(), (*at).to_owned())).collect();
    wanted.sort();
    assert_eq!(places(&found), wanted, "{found}");
}

pub(crate) fn setup_clone(setup: &Setup, clock: &Arc<ManualClock>) -> Setup {
    Setup::towards("").replaced_by(setup.text()).clock(clock)
}

pub(crate) fn chat(query: &str) -> Request {
    get(&format!("/api/chat{query}")).user("ada")
}

#[track_caller]
fn assert_as_sent(answer: &Response, sent: &Answer) {
    assert!(answer.is_from_app(), "{answer:?}");
    assert_eq!((answer.status, answer.text()), (sent.status, sent.body()));
    assert_eq!(answer.header("ratelimit"), None);
}

#[test]
fn every_planted_difference_is_found_and_no_answer_is_changed() {
    let app = Scripted::start(planted);
    let setup = setup(&app.url);
    let clock = clock();
    let gateway = setup_clone(&setup, &clock).start();
    for (number, (name, change, wanted)) in PLANTED.iter().enumerate() {
        let mut sent = good();
        change(&mut sent);
        let answer = gateway.ask(&chat(&format!("?case={number}")));
        assert_as_sent(&answer, &sent);
        println!("{name}");
        assert_found(&gateway, "chat", wanted);
        assert_eq!(found(&gateway, "chat", 1)["different"], 1, "{name}");
        gateway.reload(&setup);
        assert_eq!(status_of(&gateway, "chat")["different"], 0, "a reload begins again");
    }
    let different = "portcullis_shadow_answers_total{result=\"different\",token=\"chat\"}";
    gateway.counts(different, PLANTED.len() as u64);
    let of_life = "portcullis_shadow_differences_total{kind=\"ttl\",token=\"chat\"}";
    gateway.counts(of_life, 4);
}
