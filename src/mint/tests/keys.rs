//! Keys of every kind and wrapping, rotation, and what may be published.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Value, json};

use crate::base::clock::Now;
use crate::mint::Minter;
use crate::mint::tests::{alice, body, mint, part, read, value_of, wrong};
use crate::mint::well_known::{Discovery, Retired, WellKnown};

fn file(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tokens/keys/");
    std::fs::read_to_string(format!("{folder}{name}")).unwrap()
}

fn table(algorithm: &str, key: &str) -> Value {
    json!({
        "kind": "jwt", "alg": algorithm, "secret": "private_key", "ttl": "1m",
        "key": { "private_key": key, "kid": "k1" }, "header": { "kid": "{key.kid}" },
        "claims": { "sub": "{session.user_id}", "exp": "{exp}" }, "response": { "token": "{token}" }
    })
}

fn token(table: &Value) -> String {
    let minter = read(table).map_err(|problems| format!("{problems:?}")).unwrap();
    let token = mint(&minter, &alice(), &Value::Null).unwrap();
    value_of(&token)
}

fn verifies(token: &str, key: &DecodingKey, algorithm: &str) -> bool {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let algorithm: Algorithm = algorithm.parse().unwrap();
    jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, algorithm).unwrap()
}

#[test]
fn every_algorithm_verifies_with_another_implementation() {
    let rsa = DecodingKey::from_rsa_pem(file("rsa-public.pem").as_bytes()).unwrap();
    for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        let token = token(&table(algorithm, &file("rsa-pkcs8.pem")));
        assert_eq!(part(&token, 0), json!({ "alg": algorithm, "typ": "JWT", "kid": "k1" }));
        assert!(verifies(&token, &rsa, algorithm), "{algorithm}");
    }
    for (algorithm, name) in [("ES256", "ec-p256"), ("ES384", "ec-p384")] {
        let public = file(&format!("{name}-public.pem"));
        let key = DecodingKey::from_ec_pem(public.as_bytes()).unwrap();
        let token = token(&table(algorithm, &file(&format!("{name}-pkcs8.pem"))));
        assert!(verifies(&token, &key, algorithm), "{algorithm}");
    }
    let ed = DecodingKey::from_ed_pem(file("ed25519-public.pem").as_bytes()).unwrap();
    assert!(verifies(&token(&table("EdDSA", &file("ed25519-pkcs8.pem"))), &ed, "EdDSA"));
    for algorithm in ["HS256", "HS384", "HS512"] {
        let token = token(&table(algorithm, "a shared secret"));
        assert!(verifies(&token, &DecodingKey::from_secret(b"a shared secret"), algorithm));
    }
}

#[test]
fn a_private_key_is_read_in_every_wrapping() {
    let rsa = DecodingKey::from_rsa_pem(file("rsa-public.pem").as_bytes()).unwrap();
    let (pkcs8, pkcs1) = (file("rsa-pkcs8.pem"), file("rsa-pkcs1.pem"));
    let account = json!({ "type": "service_account", "private_key": pkcs8, "client_email": "a@b" });
    for key in [
        pkcs8.clone(),
        pkcs1.clone(),
        format!("\n  {pkcs8}\n"),
        pkcs8.replace('\n', "\\n"),
        pkcs8.replace('\n', "\r\n"),
        STANDARD.encode(&pkcs8),
        STANDARD.encode(&pkcs1),
        file("rsa.jwk"),
        STANDARD.encode(file("rsa.jwk")),
        account.to_string(),
        STANDARD.encode(account.to_string()),
        pkcs8.replace('\n', "\\r\\n"),
        STANDARD.encode(&pkcs1).trim_end_matches('=').to_owned(),
        URL_SAFE_NO_PAD.encode(&pkcs8),
        pkcs8.lines().filter(|line| !line.starts_with('-')).collect(),
        format!("{}{pkcs8}", file("rsa-public.pem")),
    ] {
        assert!(verifies(&token(&table("RS256", &key)), &rsa, "RS256"), "{} bytes", key.len());
    }
    let ec = DecodingKey::from_ec_pem(file("ec-p256-public.pem").as_bytes()).unwrap();
    for name in ["ec-p256-pkcs8.pem", "ec-p256-sec1.pem", "ec-p256.jwk"] {
        assert!(verifies(&token(&table("ES256", &file(name))), &ec, "ES256"), "{name}");
    }
    // What `openssl ecparam -genkey` writes.
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let key = format!("{parameters}{}", file("ec-p256-sec1.pem"));
    assert!(verifies(&token(&table("ES256", &key)), &ec, "ES256"));
    let ed = DecodingKey::from_ed_pem(file("ed25519-public.pem").as_bytes()).unwrap();
    let jwk = file("ed25519.jwk");
    let mut padded: Value = serde_json::from_str(&jwk).unwrap();
    for member in ["d", "x"] {
        padded[member] = format!("{}=", padded[member].as_str().unwrap()).into();
    }
    for jwk in [jwk, padded.to_string()] {
        assert!(verifies(&token(&table("EdDSA", &jwk)), &ed, "EdDSA"), "{} bytes", jwk.len());
    }
}

#[test]
fn a_private_key_chooses_its_algorithm_where_none_is_named() {
    for (name, algorithm) in [
        ("rsa-pkcs8.pem", "RS256"),
        ("ec-p256-pkcs8.pem", "ES256"),
        ("ec-p384-pkcs8.pem", "ES384"),
        ("ed25519-pkcs8.pem", "EdDSA"),
        ("ed25519.jwk", "EdDSA"),
    ] {
        let hasura = json!({
            "preset": "hasura", "key": { "private_key": file(name) }, "params": { "hasura": {} }
        });
        assert_eq!(part(&token(&hasura), 0)["alg"], algorithm, "{name}");
    }
    let shared = json!({
        "preset": "hasura", "key": { "secret": "MAECAQAwDQYJ" }, "params": { "hasura": {} }
    });
    assert_eq!(part(&token(&shared), 0)["alg"], "HS256");
}

#[test]
fn a_key_file_is_not_a_shared_secret() {
    for key in ["rsa-pkcs8.pem", "rsa-public.pem"] {
        let text = wrong(&json!({
            "preset": "hasura", "key": { "secret": file(key), "alg": "HS256" },
            "params": { "hasura": {} }
        }));
        assert!(text.contains("is not a key for HS256") && text.contains("RS256"), "{text}");
        assert!(wrong(&table("HS256", &file(key))).contains("is not a key for HS256"));
    }
}

#[test]
fn a_key_of_another_kind_is_refused_and_not_repeated() {
    for (algorithm, key) in [
        ("RS256", file("ec-p256-pkcs8.pem")),
        ("RS256", file("rsa-public.pem")),
        ("RS256", file("rsa-1024-pkcs8.pem")),
        ("RS256", "hunter2".to_owned()),
        ("ES256", file("ec-p384-pkcs8.pem")),
        ("ES384", file("ec-p256-pkcs8.pem")),
        ("ES256", file("rsa-pkcs8.pem")),
        ("EdDSA", file("ec-p256-pkcs8.pem")),
    ] {
        let text = wrong(&table(algorithm, &key));
        assert!(text.contains(&format!("is not a key for {algorithm}")), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("BEGIN"), "{text}");
    }
}

#[test]
fn a_service_account_file_alone_is_enough_for_firebase() {
    let account = json!({
        "type": "service_account", "private_key": file("rsa-pkcs8.pem"),
        "client_email": "bot@demo.iam.gserviceaccount.com", "project_id": "demo"
    });
    let token = token(&json!({ "preset": "firebase", "key": account.to_string() }));
    assert_eq!(part(&token, 1)["iss"], "bot@demo.iam.gserviceaccount.com");
    assert_eq!(part(&token, 1)["sub"], "bot@demo.iam.gserviceaccount.com");
}

#[test]
fn the_first_of_several_keys_signs_and_all_are_published() {
    let mut table = table("RS256", "");
    table["alg_from"] = "key.alg".into();
    table["publish"] = true.into();
    table["key"] = json!([
        { "private_key": file("rsa-pkcs8.pem"), "kid": "new" },
        { "private_key": file("ec-p256-pkcs8.pem"), "kid": "old", "alg": "ES256" },
        { "private_key": file("ed25519-pkcs8.pem"), "kid": "older", "alg": "EdDSA" }
    ]);
    let minter = read(&table).map_err(|problems| format!("{problems:?}")).unwrap();
    let made = mint(&minter, &alice(), &Value::Null).unwrap();
    let token = body(&made)["token"].as_str().unwrap().to_owned();
    assert_eq!(part(&token, 0)["kid"], "new");
    let keys = &minter.published().keys;
    let jwks: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
    assert_eq!(jwks.iter().map(|jwk| &jwk["kid"]).collect::<Vec<_>>(), ["new", "old", "older"]);
    let jwk: Jwk = serde_json::from_value(jwks[0].clone()).unwrap();
    assert!(verifies(&token, &DecodingKey::from_jwk(&jwk).unwrap(), "RS256"));
    for jwk in jwks {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(jwk.get(private).is_none(), "{private} of {}", jwk["kid"]);
        }
    }
}

/// A token with this overlap whose key has this name.
fn published(kid: &str, overlap: &str) -> Minter {
    let mut table = table("ES256", &file("ec-p256-pkcs8.pem"));
    table["publish"] = true.into();
    table["overlap"] = overlap.into();
    table["key"]["kid"] = kid.into();
    read(&table).map_err(|problems| format!("{problems:?}")).unwrap()
}

fn discovery(minter: &Minter) -> Discovery {
    Discovery::from_tokens(std::iter::once(("x", minter))).unwrap()
}

#[test]
fn another_process_lists_keys_for_the_rest_of_their_overlap() {
    let (old, new) = (published("old", "1h"), published("new", "1h"));
    let start = Now::at(1_000_000);
    let after = |seconds: u64| start.plus(Duration::from_secs(seconds));
    let retired = Retired::default();
    retired.replace(&discovery(&old), &discovery(&new), start);
    let lines = retired.lines(&discovery(&new), after(600));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(retired.lines(&discovery(&new), after(3600)).len() == 1, "its time is over");
    // Its clock has another start.
    let (its_start, its_retired) = (Now::at(5), Retired::default());
    for line in &lines {
        its_retired.learn(line, its_start);
    }
    let kids = |minter: &Minter, seconds: u64| -> Vec<String> {
        let now = its_start.plus(Duration::from_secs(seconds));
        let reply = discovery(minter).reply(&WellKnown::Keys, &its_retired, "a", now);
        let document: Value = serde_json::from_slice(&reply.body).unwrap();
        let keys = document["keys"].as_array().unwrap().iter();
        keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kids(&new, 0), ["new", "old"]);
    assert_eq!(kids(&new, 2999), ["new", "old"]);
    assert_eq!(kids(&new, 3000), ["new"]);
    // Settings that publish neither.
    assert_eq!(kids(&published("newer", "1h"), 0), ["newer", "new", "old"]);
    assert_eq!(kids(&published("newer", "0s"), 0), ["newer"], "withdrawn at once");
}

#[test]
fn a_line_of_another_process_that_is_no_public_key_is_passed_over() {
    let minter = published("k1", "1h");
    let good = Retired::default().lines(&discovery(&minter), Now::at(5)).remove(0);
    let learned = |line: &str| {
        let retired = Retired::default();
        retired.learn(line, Now::at(5));
        retired.lines(&Discovery::default(), Now::at(5)).len()
    };
    assert_eq!(learned(&good), 1);
    for line in [
        "",
        "{}",
        good.get(..good.len() - 1).unwrap(),
        &good.replace("\"kty\":\"EC\"", "\"kty\":\"EC\",\"d\":\"AA\""),
        &good.replace("\"kty\":\"EC\"", "\"kty\":\"oct\",\"k\":\"AA\""),
        &good.replace("\"kid\":\"k1\"", "\"kid\":1"),
        &good.replace("\"age\":0", "\"age\":-1"),
    ] {
        assert_eq!(learned(line), 0, "{line}");
    }
}

#[test]
fn published_keys_verify_what_their_private_halves_sign() {
    for (algorithm, name) in
        [("ES256", "ec-p256"), ("ES384", "ec-p384"), ("EdDSA", "ed25519"), ("PS256", "rsa")]
    {
        let mut table = table(algorithm, &file(&format!("{name}-pkcs8.pem")));
        table["publish"] = true.into();
        let jwk = read(&table).unwrap().published().keys[0].jwk().clone();
        let jwk: Jwk = serde_json::from_value(jwk).unwrap();
        let key = DecodingKey::from_jwk(&jwk).unwrap();
        assert!(verifies(&token(&table), &key, algorithm), "{algorithm}");
    }
}

#[test]
fn a_shared_secret_is_never_published() {
    let mut table = table("HS256", "hunter2hunter2");
    table["publish"] = true.into();
    let text = wrong(&table);
    assert!(text.contains("a shared secret is never published"), "{text}");
    assert!(!text.contains("hunter2"));
    assert!(
        read(&self::table("RS256", &file("rsa-pkcs8.pem"))).unwrap().published().keys.is_empty()
    );
}

#[test]
fn a_key_is_published_if_its_token_or_the_key_itself_says_so() {
    let mut table = table("RS256", "");
    table["alg_from"] = "key.alg".into();
    let keys = |new: Option<bool>, old: Option<bool>| {
        json!([
            { "private_key": file("rsa-pkcs8.pem"), "kid": "new", "publish": new },
            { "private_key": file("ed25519-pkcs8.pem"), "kid": "old", "alg": "EdDSA", "publish": old }
        ])
    };
    for (token, new, old, expected) in [
        (None, None, None, vec![]),
        (None, None, Some(true), vec!["old"]),
        (Some(true), None, None, vec!["new", "old"]),
        (Some(true), None, Some(false), vec!["new"]),
        (Some(false), Some(true), None, vec!["new"]),
    ] {
        table["key"] = keys(new, old);
        table["publish"] = token.into();
        let minter = read(&table).map_err(|problems| format!("{problems:?}")).unwrap();
        let kids: Vec<_> = minter.published().keys.iter().map(|key| key.kid()).collect();
        assert_eq!(kids, expected, "{token:?} {new:?} {old:?}");
        assert_eq!(minter.kids(), [Some("new".to_owned()), Some("old".to_owned())]);
    }
}

/// The thumbprint of RFC 8037, appendix A.3.
#[test]
fn a_published_key_without_a_name_is_called_by_its_thumbprint() {
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    });
    let mut table = table("EdDSA", &jwk.to_string());
    table["publish"] = true.into();
    table["key"] = json!({ "private_key": jwk.to_string() });
    let minter = read(&table).map_err(|problems| format!("{problems:?}")).unwrap();
    let thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    assert_eq!(minter.published().keys[0].kid(), thumbprint);
    assert_eq!(part(&token(&table), 0)["kid"], thumbprint);
}

#[test]
fn tokens_of_a_published_key_must_name_it() {
    let mut table = table("RS256", &file("rsa-pkcs8.pem"));
    table["publish"] = true.into();
    for header in [json!({}), json!({ "kid": "another" }), Value::Null] {
        table["header"] = header;
        let text = wrong(&table);
        assert!(text.contains("do not say which key signed"), "{text}");
    }
    table["publish"] = false.into();
    table["overlap"] = "1h".into();
    assert!(wrong(&table).contains("`overlap` applies to published keys"));
}

#[test]
fn an_old_key_stays_published_as_long_as_its_tokens_and_old_lists_live() {
    let mut table = table("RS256", &file("rsa-pkcs8.pem"));
    table["publish"] = true.into();
    let overlap = |table: &Value| read(table).unwrap().overlap().as_secs();
    assert_eq!(overlap(&table), 60 + 30 * 60);
    table["overlap"] = "2h".into();
    assert_eq!(overlap(&table), 2 * 3600);
}

#[test]
fn a_secret_in_another_encoding_gets_the_expected_one_named() {
    let base64 = "is not base64 text";
    for (preset, key, wanted) in [
        ("azure-blob-sas", json!({ "account": "a", "account_key": "hunter2!" }), base64),
        ("azure-communication", json!("hunter2!"), base64),
        ("cloudinary-cookie", json!("hunter2!"), "is not hexadecimal text"),
        (
            "pusher-channel",
            json!({ "app_key": "a", "app_secret": "s", "encryption_master_key_base64": "hunter2!" }),
            base64,
        ),
        ("powersync", json!({ "kid": "k", "k_base64url": "hunter2!" }), "a base64url text"),
    ] {
        let request = json!({ "from": "json:blob", "allow": "*" });
        let params = json!({ "resource": "r", "container": "c", "acl": "/a", "aud": "a" });
        let mut table = json!({ "preset": preset, "key": key, "params": params });
        table["request"] = match preset {
            "azure-blob-sas" => json!({ "blob": request }),
            "pusher-channel" => json!({ "channel_name": { "allow": "*" } }),
            _ => json!({}),
        };
        let text = wrong(&table);
        assert!(text.contains(wanted) && !text.contains("hunter2"), "{preset}: {text}");
        assert!(!text.contains("the preset names"), "{preset}: {text}");
    }
}
