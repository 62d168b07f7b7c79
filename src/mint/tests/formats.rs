//! Formats with their own mechanism: Agora, Tencent, ZEGOCLOUD and S3, where no vendor's
//! library is needed; `tests/interop` has those.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::base::clock::Now;
use crate::mint::tests::{NOW, alice, body, claims, mint, read, user, value_of, wrong};
use crate::mint::{MintError, Minter, Minting, Subject};
use crate::session::Identity;

const APP: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn agora(more: &Value) -> Value {
    let mut table = json!({
        "preset": "agora-rtc", "key": { "app_id": APP, "app_certificate": "5".repeat(32) },
        "request": { "channel": { "from": "json:channel", "allow": ["{session.org_id}_*"] } }
    });
    for (name, value) in more.as_object().unwrap() {
        table[name] = value.clone();
    }
    table
}

#[test]
fn agora_gives_each_user_a_separate_token_and_no_user_everyones() {
    let minter = read(&agora(&json!({}))).unwrap();
    let input = json!({ "channel": "acme_room1" });
    let token = |id: &str| mint(&minter, &user(id), &input).map(|token| value_of(&token));
    assert!(token("user_42").unwrap().starts_with("007"));
    assert_ne!(token("user_42").unwrap(), token("user_42").unwrap(), "the salt is random");
    assert_eq!(token("0").unwrap_err().code(), "not_allowed", "0 means any user");
    let rival = json!({ "channel": "rival_room1" });
    assert_eq!(mint(&minter, &alice(), &rival).unwrap_err().code(), "not_allowed");
    for (member, value, text) in [
        ("key", json!({ "app_id": "x", "app_certificate": "5".repeat(32) }), "`key.app_id`"),
        ("key", json!({ "app_id": APP, "app_certificate": "hunter2" }), "`key.app_certificate`"),
        ("params", json!({ "role": "{session.role}" }), "\"publisher\" or \"subscriber\""),
        ("service", json!("video"), "token.x.service"),
    ] {
        let problem = wrong(&agora(&json!({ member: value })));
        assert!(problem.contains(text) && !problem.contains("hunter2"), "{problem}");
    }
}

#[test]
fn tencent_and_zego_refuse_what_their_servers_refuse() {
    let tencent = |app: &str| json!({ "preset": "tencent-usersig", "key": { "sdk_app_id": app, "secret_key": "k" } });
    let minter = read(&tencent("1400000000")).unwrap();
    let uuid = "550e8400-e29b-41d4-a716-446655440000";
    let token = mint(&minter, &user(uuid), &Value::Null).unwrap();
    assert_eq!(body(&token)["userId"], "550e8400e29b41d4a716446655440000");
    assert!(!value_of(&token).contains(['+', '/', '=']));
    assert!(mint(&minter, &user("a b"), &Value::Null).is_err());
    assert!(wrong(&tencent("app")).contains("`key.sdk_app_id` must be the app's number"));
    let zego = |secret: &str| json!({ "preset": "zego", "key": { "app_id": "1", "server_secret": secret } });
    let minter = read(&zego(&"s".repeat(32))).unwrap();
    assert!(mint(&minter, &alice(), &Value::Null).unwrap().value().starts_with(b"04"));
    let short = wrong(&zego("hunter2"));
    assert!(short.contains("32 characters") && !short.contains("hunter2"), "{short}");
}

#[test]
fn zoom_gets_a_uuid_without_hyphens_and_every_other_id_unchanged() {
    let zoom = read(&json!({
        "preset": "zoom-video", "key": { "sdk_key": "k", "sdk_secret": "s" },
        "params": { "role_type": 0 },
        "request": { "session_name": { "from": "json:name", "allow": "*" } }
    }))
    .unwrap();
    let identity = |id: &str| {
        let token = mint(&zoom, &user(id), &json!({ "session_name": "a" }));
        token.map(|token| claims(&token)["user_identity"].as_str().unwrap().to_owned()).ok()
    };
    let hex = "550e8400e29b41d4a716446655440000";
    assert_eq!(identity("550e8400-e29b-41d4-a716-446655440000").as_deref(), Some(hex));
    assert_eq!(identity("user_42").as_deref(), Some("user_42"));
    assert_eq!(identity(hex), None, "it would be the user with that UUID");
    assert_eq!(identity(&"u".repeat(36)), None);
}

fn s3(preset: &str, params: &Value) -> Value {
    let mut table = json!({
        "preset": preset,
        "key": {
            "access_key_id": "AKTESTPUBLIC",
            "secret_access_key": "public-aws-secret-0123456789abcdef0123456789abcd"
        },
        "params": { "bucket": "bkt", "region": "eu-north-1" }
    });
    for (name, value) in params.as_object().unwrap() {
        table["params"][name] = value.clone();
    }
    if preset == "s3-presign" {
        table["request"] = json!({
            "object": { "from": "json:key", "allow": ["uploads/{session.user_id}/*"] },
            "size": { "from": "json:size", "allow": "*", "optional": true },
            "content_type": { "from": "json:type", "allow": ["image/*"], "optional": true }
        });
    }
    table
}

#[test]
fn a_presigned_get_is_the_one_of_the_vendors_library() {
    let vector = include_str!("../../../tests/fixtures/tokens/s3-presign.json");
    let vector: Value = serde_json::from_str(vector).unwrap();
    let wanted = vector["cases"][0]["expect"]["url"].as_str().unwrap();
    let mut table = s3("s3-presign", &json!({}));
    table["ttl"] = "300s".into();
    let minter = read(&table).unwrap();
    let inputs = json!({ "object": "uploads/user_42/a.png", "size": "7" });
    let url = body(&mint(&minter, &alice(), &inputs).unwrap())["url"].as_str().unwrap().to_owned();
    let unsigned = |url: &str| {
        let (start, rest) = url.split_once("&X-Amz-Signature=").unwrap();
        let more = rest.get(64..).unwrap().split('&').filter(|part| !part.is_empty());
        let mut parts: Vec<String> = start.split(['?', '&']).map(str::to_owned).collect();
        parts.extend(more.map(str::to_owned));
        parts.retain(|part| !part.starts_with("X-Amz-SignedHeaders"));
        parts.sort();
        parts
    };
    // Ours signs the size as well, so only that and the signature differ.
    assert_eq!(unsigned(&url), unsigned(wanted));
    assert!(url.contains("X-Amz-SignedHeaders=content-length%3Bhost"), "{url}");
}

#[test]
fn an_upload_has_a_size_a_type_and_a_place_of_its_user() {
    let minter = read(&s3("s3-presign", &json!({ "max_size": "1KiB" }))).unwrap();
    let put = |key: &str, size: &str, kind: &str| {
        let inputs = json!({ "object": key, "size": size, "content_type": kind });
        mint(&minter, &alice(), &inputs).map_err(|error| error.code())
    };
    assert!(put("uploads/user_42/a.png", "1024", "image/png").is_ok());
    for (key, size, kind, code) in [
        ("uploads/user_42/a.png", "1025", "image/png", "not_allowed"),
        ("uploads/user_42/a.png", "-1", "image/png", "bad_request"),
        ("uploads/user_42/a.png", "1e2", "image/png", "bad_request"),
        ("uploads/user_42/a.png", "10", "text/html", "not_allowed"),
        ("uploads/user_4/a.png", "10", "image/png", "not_allowed"),
        ("uploads/user_42/../user_4/a.png", "10", "image/png", "not_allowed"),
        ("uploads/user_42//a.png", "10", "image/png", "not_allowed"),
        ("uploads/user_42/", "10", "image/png", "not_allowed"),
    ] {
        assert_eq!(put(key, size, kind).unwrap_err(), code, "{key} {size} {kind}");
    }
    assert!(put("uploads/user_42/a.png", "1", "image/vnd.microsoft.icon").is_ok());
    for kind in [
        "image/png,text/html",
        "image/png;text/html",
        "image/png; charset=utf-8",
        "image/png text/html",
        "image/../text/html",
        "image/png/",
        "image/",
        "image/\u{e9}",
        "image/png\r\nX-A: b",
    ] {
        let code = put("uploads/user_42/a.png", "1", kind).unwrap_err();
        assert!(["bad_request", "not_allowed"].contains(&code), "{kind:?}: {code}");
    }
    let endless = json!({ "object": "uploads/user_42/a.png" });
    let error = mint(&minter, &alice(), &endless).unwrap_err();
    assert!(error.to_string().contains("would have no limit"), "{error}");
}

fn policy(token: &Value) -> Value {
    let text = token["fields"]["Policy"].as_str().unwrap();
    serde_json::from_slice(&STANDARD.decode(text).unwrap()).unwrap()
}

#[test]
fn a_forms_policy_keeps_its_user_below_a_prefix() {
    let params = json!({ "prefix": "users/{session.user_id}/", "content_type": "image/*" });
    let minter = read(&s3("s3-post", &params)).unwrap();
    let form = body(&mint(&minter, &alice(), &Value::Null).unwrap());
    assert_eq!(form["url"], "https://bkt.s3.eu-north-1.amazonaws.com/");
    assert_eq!(form["fields"]["key"], "users/user_42/${filename}");
    let policy = policy(&form);
    assert_eq!(policy["expiration"], "2026-01-01T00:05:00Z");
    let conditions = policy["conditions"].as_array().unwrap();
    for condition in [
        json!({ "bucket": "bkt" }),
        json!(["starts-with", "$key", "users/user_42/"]),
        json!(["content-length-range", 0, 10_485_760]),
        json!(["starts-with", "$Content-Type", "image/"]),
    ] {
        assert!(conditions.contains(&condition), "{condition}");
    }
    for id in ["a/b", "*", "..", "a!b"] {
        assert!(mint(&minter, &user(id), &Value::Null).is_err(), "{id}");
    }
    let open = read(&s3("s3-post", &json!({ "prefix": "users/{session.user_id}" }))).unwrap();
    let error = mint(&open, &alice(), &Value::Null).unwrap_err();
    assert!(error.to_string().contains("must end with `/`"), "{error}");
}

#[test]
fn no_users_value_widens_a_forms_policy() {
    let params = json!({ "prefix": "users/{session.org_id}/", "content_type": "image/*" });
    let minter = read(&s3("s3-post", &params)).unwrap();
    let org = |org: &str| {
        let session = json!({ "user_id": "u", "org_id": org });
        let identity = Identity::assumed("u".into(), session, None);
        mint(&minter, &identity, &Value::Null).map(|token| policy(&body(&token)))
    };
    let prefix = |policy: &Value| policy["conditions"].as_array().unwrap().last().unwrap().clone();
    for (id, reason) in [
        ("${filename}", "S3 would put the browser's own words there"),
        ("a$b", "as above"),
        ("a\nb", "a control character"),
        ("a\0b", "a control character"),
        (&"x".repeat(1100), "too long"),
        ("a/../b", "a level"),
        ("", "nothing"),
    ] {
        assert!(org(id).is_err(), "{id}: {reason}");
    }
    for id in ["a\"b", "a\\", "é", "a%2fb", "a,b", "\"],[\"starts-with\",\"$key\",\""] {
        let Ok(policy) = org(id) else { continue };
        assert_eq!(prefix(&policy), json!(["starts-with", "$key", format!("users/{id}/")]));
        assert_eq!(policy["conditions"].as_array().unwrap().len(), 7, "{id}");
    }
}

#[test]
fn any_media_type_is_any_and_a_whole_one_is_that_one() {
    let conditions = |kind: &str| {
        let params = json!({ "prefix": "u/", "content_type": kind });
        let form =
            body(&mint(&read(&s3("s3-post", &params)).unwrap(), &alice(), &Value::Null).unwrap());
        (
            policy(&form)["conditions"].as_array().unwrap().clone(),
            form["fields"]["Content-Type"].clone(),
        )
    };
    let (any, field) = conditions("*/*");
    assert!(any.contains(&json!(["starts-with", "$Content-Type", ""])) && field.is_null());
    let (one, field) = conditions("image/png");
    assert!(one.contains(&json!({ "Content-Type": "image/png" })) && field == "image/png");
}

#[test]
fn temporary_credentials_are_named_in_what_is_signed() {
    let with_token = |preset: &str, token: &str| {
        let mut table = s3(preset, &json!({ "prefix": "u/" }));
        if preset == "s3-presign" {
            table["params"] = json!({ "bucket": "bkt", "region": "eu-north-1" });
        }
        table["key"]["session_token"] = token.into();
        table
    };
    let inputs = json!({ "object": "uploads/user_42/a.png", "size": "7" });
    let minted = |preset: &str, inputs: &Value| {
        body(&mint(&read(&with_token(preset, "a+b/c==")).unwrap(), &alice(), inputs).unwrap())
    };
    let form = minted("s3-post", &Value::Null);
    assert_eq!(form["fields"]["X-Amz-Security-Token"], "a+b/c==");
    let condition = json!({ "X-Amz-Security-Token": "a+b/c==" });
    assert!(policy(&form)["conditions"].as_array().unwrap().contains(&condition));
    let url = minted("s3-presign", &inputs)["url"].as_str().unwrap().to_owned();
    let between = "X-Amz-Expires=300&X-Amz-Security-Token=a%2Bb%2Fc%3D%3D&X-Amz-SignedHeaders=";
    assert!(url.contains(between), "{url}");
    for token in ["", "a b", "a\n"] {
        let text = wrong(&with_token("s3-post", token));
        assert!(text.contains("`key.session_token` is empty or holds a blank"), "{text}");
    }
}

#[test]
fn a_bucket_elsewhere_is_addressed_as_its_server_asks() {
    let url = |params: Value| {
        let minter = read(&s3("s3-post", &params)).unwrap();
        let form = body(&mint(&minter, &alice(), &Value::Null).unwrap());
        form["url"].as_str().unwrap().to_owned()
    };
    let with = |endpoint: &str, more: Value| {
        let mut params = json!({ "prefix": "u/", "endpoint": endpoint });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };
    assert_eq!(
        url(with("https://minio.example.com:9000", json!({}))),
        "https://minio.example.com:9000/bkt"
    );
    let virtual_host = with("https://s3.example.com", json!({ "path_style": false }));
    assert_eq!(url(virtual_host), "https://bkt.s3.example.com/");
    for (name, value) in [
        ("endpoint", "https://s3.example.com/path"),
        ("endpoint", "s3.example.com"),
        ("bucket", "{session.org_id}"),
        ("bucket", "a/b"),
        ("max_size", "ten"),
    ] {
        let mut params = json!({ "prefix": "u/" });
        params[name] = value.into();
        let text = wrong(&s3("s3-post", &params));
        assert!(text.contains(&format!(".{name}: ")), "{name}: {text}");
    }
}

#[test]
fn none_of_them_needs_an_issuer() {
    let minter: Minter = read(&agora(&json!({}))).unwrap();
    let (identity, inputs) = (alice(), json!({ "channel": "acme_x" }).as_object().unwrap().clone());
    let subject = Subject { identity: &identity, inputs: &inputs, grant: &Value::Null };
    let minted: Result<Minting, MintError> = minter.mint(&subject, Now::at(NOW));
    assert!(matches!(minted, Ok(Minting::Ready(_))) && !minter.is_remote());
}
