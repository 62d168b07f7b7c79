//! Signatures over text beyond HMAC: a secret in front, private keys, several outputs, and
//! access lists that no value can widen.

use aws_lc_rs::signature::{self, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::base::text::hex;
use crate::mint::tests::{alice, body, mint, read, user, value_of, wrong};
use crate::session::Identity;

const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tokens/keys");

fn key(name: &str) -> String {
    std::fs::read_to_string(format!("{KEYS}/{name}.pem")).unwrap()
}

/// A public key out of its PEM, as DER.
fn public(name: &str) -> Vec<u8> {
    let pem = key(name);
    let text: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(text).unwrap()
}

fn signed(more: &Value) -> Value {
    let mut table = json!({
        "kind": "hmac", "hash": "sha256", "secret": "secret", "key": { "secret": "hunter2" },
        "sign": "{session.user_id}", "response": { "sig": "{sig}" }
    });
    for (name, value) in more.as_object().unwrap() {
        table[name] = value.clone();
    }
    table
}

fn signature(more: &Value) -> String {
    let token = mint(&read(&signed(more)).unwrap(), &alice(), &Value::Null).unwrap();
    body(&token)["sig"].as_str().unwrap().to_owned()
}

#[test]
fn a_secret_is_put_in_front_or_behind() {
    let sha256 = |text: &str| {
        hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref())
    };
    let mode = |mode: &str| signature(&json!({ "mode": mode }));
    assert_eq!(mode("hash-with-secret-prefix"), sha256("hunter2user_42"));
    assert_eq!(mode("hash-with-secret-suffix"), sha256("user_42hunter2"));
    let unknown = wrong(&signed(&json!({ "mode": "md5" })));
    assert!(unknown.contains("token.x.mode: ") && unknown.contains("rsa"), "{unknown}");
}

#[test]
fn private_keys_sign_text_and_their_public_halves_verify_it() {
    let rsa = json!({ "mode": "rsa", "encode": "base64", "key": { "secret": key("rsa-pkcs8") } });
    let found = STANDARD.decode(signature(&rsa)).unwrap();
    let verifier =
        UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, public("rsa-public"));
    assert!(verifier.verify(b"user_42", &found).is_ok());
    let ecdsa =
        json!({ "mode": "ecdsa", "encode": "base64", "key": { "secret": key("ec-p256-pkcs8") } });
    let verifier =
        UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, public("ec-p256-public"));
    for _ in 0..50 {
        let found = STANDARD.decode(signature(&ecdsa)).unwrap();
        assert!(verifier.verify(b"user_42", &found).is_ok());
    }
}

#[test]
fn a_private_key_never_signs_with_a_broken_hash_or_for_another_kind() {
    let sha1 = json!({ "mode": "rsa", "hash": "sha1", "key": { "secret": key("rsa-pkcs8") } });
    assert!(wrong(&signed(&sha1)).contains("SHA-1 is broken"));
    let other = json!({ "mode": "rsa", "key": { "secret": key("ec-p256-pkcs8") } });
    let text = wrong(&signed(&other));
    assert!(text.contains("`key.secret` is not a private key for this signature"), "{text}");
    assert!(!text.contains("BEGIN"), "{text}");
}

#[test]
fn a_signature_is_written_in_the_vendors_alphabet() {
    let raw = hex_bytes(&signature(&json!({})));
    for (encode, text) in [
        ("base64", STANDARD.encode(&raw)),
        ("base64url", STANDARD.encode(&raw).replace('+', "-").replace('/', "_").replace('=', "")),
        ("cloudfront", STANDARD.encode(&raw).replace('+', "-").replace('/', "~").replace('=', "_")),
    ] {
        assert_eq!(signature(&json!({ "encode": encode })), text, "{encode}");
    }
}

fn hex_bytes(text: &str) -> Vec<u8> {
    crate::base::text::from_hex(text.as_bytes()).unwrap()
}

#[test]
fn one_answer_sets_several_cookies_for_a_domain() {
    let table = signed(&json!({
        "cookies": { "A": "{sig|first:8}", "B": "{session.user_id}" },
        "cookie_domain": "example.com", "cookie_path": "/media", "ttl": "1m", "response": {}
    }));
    let token = mint(&read(&table).unwrap(), &alice(), &Value::Null).unwrap();
    let cookies: Vec<_> = token.set_cookies().iter().map(|it| it.to_str().unwrap()).collect();
    let [first, second] = cookies.as_slice() else { panic!("{cookies:?}") };
    assert!(first.starts_with("A=") && second.starts_with("B=user_42; "), "{cookies:?}");
    for cookie in &cookies {
        let rest = cookie.split_once("; ").unwrap().1;
        let wanted = "Path=/media; Domain=example.com; Expires=Thu, 01 Jan 2026 00:01:00 GMT; \
                      Secure; HttpOnly; SameSite=Strict";
        assert_eq!(rest, wanted);
    }
    let attack = mint(&read(&table).unwrap(), &user("x; Domain=evil.com"), &Value::Null);
    assert_eq!(attack.unwrap_err().code(), "not_allowed");
    for (member, value) in [
        ("cookie_domain", json!("{session.org_id}")),
        ("cookie_domain", json!("com")),
        ("cookie_domain", json!("a.com; Path=/")),
        ("cookies", json!({ "a b": "x" })),
    ] {
        let text = wrong(&signed(&json!({ member: value })));
        assert!(text.contains(&format!("token.x.{member}")), "{text}");
    }
}

fn pusher(key: &Value) -> Value {
    json!({
        "preset": "pusher-channel", "key": key,
        "request": { "channel_name": { "allow": ["private-encrypted-{session.user_id}"] } }
    })
}

#[test]
fn an_encrypted_channel_needs_its_master_key_and_its_pattern() {
    let input = |name: &str| json!({ "socket_id": "1.2", "channel_name": name });
    let own = input("private-encrypted-user_42");
    let without = read(&pusher(&json!({ "app_key": "k", "app_secret": "s" }))).unwrap();
    let refused = mint(&without, &alice(), &own).unwrap_err();
    let cause = "`key.encryption_master_key_base64` is not set, so this kind is refused";
    assert_eq!((refused.code(), refused.to_string().as_str()), ("not_allowed", cause));
    let key = |master: String| json!({ "app_key": "k", "app_secret": "s", "encryption_master_key_base64": master });
    let minter = read(&pusher(&key(STANDARD.encode([7; 32])))).unwrap();
    let answer = body(&mint(&minter, &alice(), &own).unwrap());
    assert_eq!(answer["shared_secret"].as_str().map(str::len), Some(44));
    let other = mint(&minter, &alice(), &input("private-encrypted-user_4")).unwrap_err();
    assert_eq!(other.code(), "not_allowed");
    for master in [STANDARD.encode([7; 16]), "not base64!".to_owned()] {
        let text = wrong(&pusher(&key(master.clone())));
        assert!(text.contains("`key.encryption_master_key_base64`"), "{text}");
        assert!(!text.contains(&master), "{text}");
    }
}

#[test]
fn a_value_of_a_user_cannot_widen_an_access_list() {
    let table = |acl: Value| {
        json!({
            "preset": "cloudinary-cookie", "key": "0123456789abcdef0123456789abcdef",
            "params": { "acl": acl }
        })
    };
    let minted = |acl: Value, id: &str| mint(&read(&table(acl)).unwrap(), &user(id), &Value::Null);
    for acl in [
        json!("/users/{session.user_id}/*"),
        json!(["/a/*", "/users/{session.user_id}/*"]),
        json!("/users/{session.user_id}"),
        json!("{session.user_id}"),
    ] {
        let token = minted(acl.clone(), "user_42").unwrap();
        assert!(value_of(&token).contains("user_42"), "{acl}");
        for id in ["*", "a*", "a!/b", "a~exp=9", "a/b", "..%2f/", "/"] {
            assert!(minted(acl.clone(), id).is_err(), "{acl} {id}");
        }
    }
    let domain = |value: &str| {
        let mut table = table(json!("/*"));
        table["params"]["domain"] = value.into();
        mint(&read(&table).unwrap(), &Identity::assumed("u".into(), json!({}), None), &Value::Null)
    };
    let cookie = domain("example.com").unwrap().set_cookies()[0].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("__cld_token__=st=") && cookie.contains("; Domain=example.com; "));
}

#[test]
fn zoom_takes_a_uuid_and_never_two_users_as_one() {
    let table = json!({
        "preset": "zoom-video", "key": { "sdk_key": "k", "sdk_secret": "s" },
        "params": { "role_type": 0 },
        "request": { "session_name": { "from": "json:name", "allow": ["*"] } }
    });
    let minter = read(&table).unwrap();
    let minted = |id: &str| mint(&minter, &user(id), &json!({ "session_name": "lesson" }));
    let token = minted("550e8400-e29b-41d4-a716-446655440000").unwrap();
    let identity = super::claims(&token)["user_identity"].clone();
    assert_eq!(identity, "550e8400e29b41d4a716446655440000");
    let twin = minted("550e8400e29b41d4a716446655440000").unwrap_err();
    assert_eq!(twin.code(), "not_allowed");
    assert_eq!(super::claims(&minted("user_42").unwrap())["user_identity"], "user_42");
}
