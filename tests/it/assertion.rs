//! The app can verify who is signed in, and nothing else passes for that.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use portcullis::testing::Config;
use portcullis::testing::Secrets;
use serde_json::Value;

use crate::support::running::Running;
use crate::support::{App, Conn, SESSION_SECRET, Setup, clock, cookie_of, get, seconds};

const KEY: &str = "canary-of-the-assertion-0123456789abcdef";
const TYPE: &str = "portcullis-identity+jwt";

/// `[identity]` with an assertion of these members.
fn with(setup: Setup, members: &str) -> Setup {
    let text = setup.text();
    let replaced = text.replace(
        "\n[identity]\n",
        &format!("\n[identity]\nassertion = {{ audience = \"my-app\", {members} }}\n"),
    );
    assert_ne!(replaced, text);
    setup.replaced_by(replaced)
}

fn signed(setup: Setup) -> Setup {
    with(setup, &format!("key = {KEY:?}"))
}

/// The recipe of `deploy/guides/howto/identity.md`: algorithm, key, type, audience, expiry.
fn verified(assertion: &str, algorithm: Algorithm, key: &DecodingKey) -> Option<Value> {
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&["my-app"]);
    validation.set_issuer(&["portcullis"]);
    validation.set_required_spec_claims(&["aud", "exp", "iss", "sub"]);
    let header = decode_header(assertion).ok()?;
    let token = decode::<Value>(assertion, key, &validation).ok()?;
    (header.typ.as_deref() == Some(TYPE)).then_some(token.claims)
}

fn with_key(assertion: &str, key: &str) -> Option<Value> {
    verified(assertion, Algorithm::HS256, &DecodingKey::from_secret(key.as_bytes()))
}

#[test]
fn the_app_can_verify_who_is_signed_in() {
    let app = App::start();
    let gateway = signed(Setup::new(&app)).start();
    for user in ["ada", "eve", "ada"] {
        assert_eq!(gateway.ask(&get("/x").user(user)).status, 200);
    }
    assert_eq!(gateway.ask(&get("/x")).status, 200);
    let seen = app.seen();
    let assertions: Vec<_> = seen.iter().map(|seen| seen.one("x-portcullis-assertion")).collect();
    let claims = with_key(assertions[0].as_deref().unwrap(), KEY).unwrap();
    assert_eq!(claims["sub"], "ada");
    assert_eq!(with_key(assertions[1].as_deref().unwrap(), KEY).unwrap()["sub"], "eve");
    assert_eq!(assertions[2], assertions[0], "signed once");
    assert_eq!(assertions[3], None, "nobody is signed in");
}

#[test]
fn an_assertion_under_an_rsa_key_is_signed_on_no_thread_that_serves() {
    let app = App::start();
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tokens/keys/");
    let members = format!("alg = \"RS256\", key = \"file:{keys}rsa-pkcs8.pem\"");
    let running = Running::start(&with(Setup::new(&app), &members));
    let threads = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", running.process.id())).unwrap();
        let names = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
        names.filter_map(Result::ok).collect::<String>()
    };
    let mut conn = Conn::open(&running.address);
    assert_eq!(conn.ask(&get("/x")).status, 200);
    assert!(!threads().contains("signing"), "nobody is signed in");
    for _ in 0..2 {
        assert_eq!(conn.ask(&get("/x").user("ada")).status, 200);
    }
    assert!(threads().contains("signing"), "{}", threads());
    let assertions: Vec<_> =
        app.seen().iter().filter_map(|seen| seen.one("x-portcullis-assertion")).collect();
    let public = std::fs::read(format!("{keys}rsa-public.pem")).unwrap();
    let key = DecodingKey::from_rsa_pem(&public).unwrap();
    assert_eq!(verified(&assertions[0], Algorithm::RS256, &key).unwrap()["sub"], "ada");
    assert_eq!(assertions[1], assertions[0], "signed once");
}

#[test]
fn a_clients_own_assertion_header_never_arrives() {
    let app = App::start();
    let off = "[[route]]\npath = \"/off\"\nsession = \"off\"\n";
    let gateway = signed(Setup::new(&app).with(off)).start();
    for name in [
        "X-Portcullis-Assertion",
        "x_portcullis_assertion",
        "X.Portcullis.Assertion",
        "X-Portcullis_Assertion",
        "X~PORTCULLIS~ASSERTION",
    ] {
        for request in [get("/x"), get("/x").user("ada"), get("/off"), get("/off").user("ada")] {
            app.forget();
            assert_eq!(gateway.ask(&request.header(name, "forged")).status, 200, "{name}");
            let seen = app.only();
            let values = seen.fields();
            assert!(!values.iter().any(|(_, value)| value == "forged"), "{name}: {values:?}");
            if let Some(assertion) = seen.one("x-portcullis-assertion") {
                assert_eq!(with_key(&assertion, KEY).unwrap()["sub"], "ada");
                assert_eq!(seen.path(), "/x", "a route without sessions tells of none");
            }
        }
    }
}

#[test]
fn tokens_sessions_and_assertions_never_pass_for_each_other() {
    let app = App::start();
    let gateway = signed(Setup::new(&app)).start();
    gateway.ask(&get("/x").user("ada"));
    let assertion = app.only().one("x-portcullis-assertion").unwrap();
    let token = gateway.token("ada").auth_token();
    let session = cookie_of("ada").split_once('=').unwrap().1.to_owned();
    for other in [&token, &session] {
        for key in [KEY, SESSION_SECRET, "canaryOfTheKey0123456789abcdef"] {
            assert_eq!(with_key(other, key), None, "not even under its own key");
        }
    }
    let as_session = get("/api/get-auth-token").header("Cookie", &format!("session={assertion}"));
    gateway.ask(&as_session).assert_refused(401, "not_signed_in");
    for key in [SESSION_SECRET, "canaryOfTheKey0123456789abcdef"] {
        assert_eq!(with_key(&assertion, key), None);
    }
}

#[test]
fn a_key_that_signs_anything_else_is_refused() {
    let app = App::start();
    let combined = "PRTV_keyOne_canaryOfTheKey0123456789abcdef";
    for key in [SESSION_SECRET, combined] {
        let text = with(Setup::new(&app), &format!("key = {key:?}")).text();
        let problems = Config::read(&text, &Secrets::Literal).err().expect("a problem");
        let said: Vec<_> =
            problems.iter().map(|p| p.display("gateway.toml", &text).to_string()).collect();
        assert!(said.len() == 1 && said[0].contains("needs a separate one"), "{said:?}");
        assert!(!said[0].contains("canary"), "{said:?}");
    }
}

#[test]
fn a_private_key_lets_the_app_verify_without_being_able_to_sign() {
    let app = App::start();
    let key = rcgen::KeyPair::generate().unwrap();
    let members = format!(
        "key = {:?}, alg = \"ES256\", kid = \"k1\", header = \"X-Jwt\", ttl = \"1m\"",
        key.serialize_pem()
    );
    let gateway = with(Setup::new(&app), &members).start();
    gateway.ask(&get("/x").user("ada").header("x_jwt", "forged"));
    let assertion = app.only().one("x-jwt").unwrap();
    let public = DecodingKey::from_ec_pem(key.public_key_pem().as_bytes()).unwrap();
    let claims = verified(&assertion, Algorithm::ES256, &public).unwrap();
    assert_eq!(claims["sub"], "ada");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
    assert_eq!(decode_header(&assertion).unwrap().kid.as_deref(), Some("k1"));
}

#[test]
fn a_new_one_comes_in_time_and_with_a_new_key() {
    let (app, clock) = (App::start(), clock());
    let gateway = signed(Setup::new(&app).clock(&clock)).start();
    let assertion = || {
        app.forget();
        gateway.ask(&get("/x").user("ada"));
        app.only().one("x-portcullis-assertion").unwrap()
    };
    let first = assertion();
    clock.advance(seconds(239));
    assert_eq!(assertion(), first);
    clock.advance(seconds(1));
    let second = assertion();
    assert_ne!(second, first, "a minute before the first one ends");
    let other = "canary-of-another-assertion-0123456789";
    gateway.reload(&with(Setup::new(&app), &format!("key = {other:?}")));
    assert_eq!(with_key(&assertion(), KEY), None, "the old key signs nothing any more");
}
