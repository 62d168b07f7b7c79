//! The gateway as an issuer others trust by address: published keys, rotation.

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use crate::support::running::{Running, file_of};
use crate::support::{
    App, Conn, Gateway, Request, Setup, clock, eventually, folder, get, post, replace, seconds,
};

const KEYS: &str = "/.well-known/jwks.json";
const DOCUMENT: &str = "/.well-known/openid-configuration";

/// A private key that is one of the test's files, as it stands in the settings.
fn pem(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tokens/keys/");
    format!("{:?}", std::fs::read_to_string(format!("{folder}{name}")).unwrap())
}

fn rsa() -> String {
    format!("{{ private_key = {}, kid = \"2026-01\" }}", pem("rsa-pkcs8.pem"))
}

fn ec() -> String {
    format!("{{ private_key = {}, kid = \"2026-07\", alg = \"ES256\" }}", pem("ec-p256-pkcs8.pem"))
}

fn convex(keys: &str, more: &str) -> String {
    format!(
        r#"[token.convex]
path = "/api/convex"
preset = "convex"
key = {keys}
ttl = "1h"
cache = "user"
params = {{ iss = "https://app.example.com", aud = "convex" }}
{more}"#
    )
}

fn keys(gateway: &Gateway) -> JwkSet {
    serde_json::from_value(gateway.ask(&get(KEYS)).json()).unwrap()
}

fn kids(gateway: &Gateway) -> Vec<String> {
    keys(gateway).keys.into_iter().map(|key| key.common.key_id.unwrap()).collect()
}

fn token(gateway: &Gateway) -> String {
    let answer = gateway.ask(&get("/api/convex").user("ada"));
    answer.json()["token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

/// As anybody would who knows nothing but the address: the key is chosen by its
/// name, and brings its algorithm.
#[track_caller]
fn assert_verifies(gateway: &Gateway, token: &str) {
    let kid = decode_header(token).unwrap().kid.unwrap();
    let set = keys(gateway);
    let key: &Jwk = set.find(&kid).unwrap_or_else(|| panic!("{kid} is not listed"));
    let algorithm = key.common.key_algorithm.unwrap().to_string().parse().unwrap();
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&["convex"]);
    validation.set_issuer(&["https://app.example.com"]);
    // The clock of the test is ahead of the verifier's.
    validation.validate_exp = false;
    let claims = decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation);
    assert_eq!(claims.unwrap().claims["sub"], "ada");
}

#[test]
fn a_token_verifies_by_the_gateways_own_key_set_before_and_after_a_rotation() {
    let (app, clock) = (App::start(), clock());
    let setup = |keys: &str| Setup::new(&app).with(&convex(keys, "")).clock(&clock);
    let gateway = setup(&rsa()).start();
    let old = token(&gateway);
    assert_verifies(&gateway, &old);
    gateway.reload(&setup(&format!("[{}, {}]", ec(), rsa())));
    let new = token(&gateway);
    assert_eq!(decode_header(&new).unwrap().kid.as_deref(), Some("2026-07"), "never the old one");
    assert_verifies(&gateway, &new);
    assert_verifies(&gateway, &old);
    gateway.reload(&setup(&ec()));
    assert_eq!(kids(&gateway), ["2026-07", "2026-01"], "what it signed is still out there");
    assert_verifies(&gateway, &old);
    clock.advance(seconds(90 * 60 - 1));
    assert_verifies(&gateway, &old);
    clock.advance(seconds(1));
    assert_eq!(kids(&gateway), ["2026-07"]);
    assert_verifies(&gateway, &token(&gateway));
}

#[test]
fn a_key_can_be_withdrawn_at_once() {
    let (app, clock) = (App::start(), clock());
    let setup = |keys: &str, more| Setup::new(&app).with(&convex(keys, more)).clock(&clock);
    let gateway = setup(&rsa(), "").start();
    gateway.reload(&setup(&ec(), ""));
    assert_eq!(kids(&gateway), ["2026-07", "2026-01"]);
    gateway.reload(&setup(&ec(), "overlap = \"0s\""));
    assert_eq!(kids(&gateway), ["2026-07"]);
    gateway.reload(&setup(&rsa(), "overlap = \"10s\""));
    assert_eq!(kids(&gateway), ["2026-01", "2026-07"]);
    clock.advance(seconds(10));
    assert_eq!(kids(&gateway), ["2026-01"]);
}

#[test]
fn an_upgrade_keeps_listing_a_key_that_was_removed() {
    let app = App::start();
    let file_of_key = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tokens/keys/");
        format!("\"file:{folder}{name}\"")
    };
    let key = |kid: &str, name: &str, more: &str| {
        format!("{{ private_key = {}, kid = \"{kid}\"{more} }}", file_of_key(name))
    };
    let new = key("2026-07", "ec-p256-pkcs8.pem", ", alg = \"ES256\"");
    let old = key("2026-01", "rsa-pkcs8.pem", "");
    let text =
        |keys: &str| file_of(&Setup::new(&app).server("watch = false").with(&convex(keys, "")));
    let running =
        Running::start_as(&folder().join("gateway.toml"), &text(&format!("[{old}, {new}]")), &[]);
    let listed = || Conn::open(&running.address).ask(&get(KEYS)).json();
    let before = listed();
    replace(&running.file, text(&new));
    running.signal("HUP");
    eventually("the reload", || running.reloads("ok") == 1);
    let kept = listed();
    assert_eq!(kept["keys"], json!([before["keys"][1], before["keys"][0]]));
    for upgrade in 1..=2 {
        running.upgrade();
        assert_eq!(listed(), kept, "upgrade {upgrade}");
    }
    // A file changed before an upgrade instead of a reload.
    replace(&running.file, text(&old));
    running.upgrade();
    assert_eq!(listed(), before);
}

#[test]
fn the_key_set_is_public_and_cacheable_and_holds_public_halves_only() {
    let app = App::start();
    let gateway = Setup::new(&app).with(&convex(&rsa(), "")).start();
    let answer = gateway.ask(&get(KEYS));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("vary"), None);
    for private in ["\"d\"", "\"p\"", "\"q\"", "\"k\"", "PRIVATE"] {
        assert!(!answer.text().contains(private), "{private}");
    }
    let head = gateway.ask(&Request::new("HEAD", KEYS));
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), answer.header("content-length"));
    let posted = gateway.ask(&post(KEYS, b""));
    posted.assert_refused(405, "method_not_allowed");
    assert_eq!(posted.header("allow"), Some("GET, HEAD"));
    assert!(app.seen().is_empty());
    assert_eq!(gateway.line_of(&posted)["route"], KEYS);
}

#[test]
fn the_discovery_document_leads_to_the_key_set() {
    let app = App::start();
    let gateway = Setup::new(&app).with(&convex(&rsa(), "")).start();
    let answer = gateway.ask(&get(DOCUMENT).host("whatever.example"));
    assert_eq!(answer.status, 200);
    let document = answer.json();
    assert_eq!(document["issuer"], "https://app.example.com");
    assert_eq!(document["jwks_uri"], format!("https://app.example.com{KEYS}"));
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["RS256"]));
    let below = convex(&rsa(), "").replace("https://app.example.com", "https://a.example/auth/");
    let below = Setup::new(&app).with(&below).start();
    assert_eq!(
        below.ask(&get(&format!("/auth{DOCUMENT}"))).json()["issuer"],
        "https://a.example/auth/"
    );
    assert!(below.ask(&get(DOCUMENT)).is_from_app());
}

#[test]
fn two_issuers_are_distinguished_by_host() {
    let app = App::start();
    let second = convex(&ec(), "")
        .replace("token.convex", "token.second")
        .replace("/api/convex", "/api/second")
        .replace("app.example.com", "b.example");
    let gateway = Setup::new(&app).with(&convex(&rsa(), "")).with(&second).start();
    let issuer = |host: &str| gateway.ask(&get(DOCUMENT).host(host)).json()["issuer"].clone();
    assert_eq!(issuer("b.example"), "https://b.example");
    assert_eq!(issuer("app.example.com"), "https://app.example.com");
    assert_eq!(
        issuer("c.example"),
        "https://app.example.com",
        "the first, never a host of the client's"
    );
    assert_eq!(kids(&gateway), ["2026-01", "2026-07"]);
}

#[test]
fn where_no_key_is_published_these_are_the_apps_paths() {
    let app = App::start();
    for gateway in [
        Setup::new(&app).start(),
        Setup::new(&app).with(&convex(&rsa(), "publish = false")).start(),
    ] {
        for path in [KEYS, DOCUMENT] {
            assert!(gateway.ask(&get(path)).is_from_app(), "{path}");
        }
    }
}

#[test]
fn check_names_the_keys_of_a_rotation() {
    let folder = folder();
    let file = folder.join("gateway.toml");
    for (name, pem) in [("new.pem", "ec-p256-pkcs8.pem"), ("old.pem", "rsa-pkcs8.pem")] {
        let from = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tokens/keys/");
        std::fs::copy(format!("{from}{pem}"), folder.join(name)).unwrap();
    }
    std::fs::write(folder.join("secret"), "0123456789abcdef0123456789abcdef").unwrap();
    for name in ["new.pem", "old.pem", "secret"] {
        let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(folder.join(name), own).unwrap();
    }
    let text = r#"
[upstream]
servers = ["http://127.0.0.1:3000"]
[session]
kind = "jwt"
secret = "file:secret"
cookie = "session"
audience = "app"
[token.convex]
path = "/api/convex"
preset = "convex"
limit = "30/minute"
key = [{ private_key = "file:new.pem", kid = "2026-07", alg = "ES256" }, { private_key = "file:old.pem", kid = "2026-01" }]
params = { iss = "https://app.example.com", aud = "convex" }
"#;
    std::fs::write(&file, text).unwrap();
    let check = |file: &std::path::Path| {
        crate::support::Process::finish(&["check", "--config", file.to_str().unwrap()], &[])
    };
    let expected = "token.convex: key \"2026-07\" (ES256): signs, published\n\
                    token.convex: key \"2026-01\" (RS256): published\nok\n";
    assert_eq!(check(&file), (0, expected.to_owned(), String::new()));
    let twice = text.replace("2026-07", "2026-01");
    std::fs::write(&file, twice).unwrap();
    let (code, _, problems) = check(&file);
    assert_eq!(code, 2);
    assert!(problems.contains("has the `kid` of another one"), "{problems}");
}
