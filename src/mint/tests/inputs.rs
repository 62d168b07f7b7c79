//! Inputs a browser may send, and how others are refused.

use serde_json::{Value, json};

use crate::mint::tests::{alice, body, mint, read, user};
use crate::mint::{Minter, Subject};

fn pusher() -> Minter {
    read(&json!({
        "preset": "pusher-channel", "key": { "app_key": "k", "app_secret": "s" },
        "params": { "presence": { "user_id": "{session.user_id}" } },
        "request": { "channel_name": {
            "allow": ["private-user-{session.user_id}", "presence-{session.org_id}-*"]
        } }
    }))
    .unwrap()
}

fn asked(body: &str) -> Result<Value, &'static str> {
    let minter = pusher();
    let inputs = minter.inputs().collect(None, body.as_bytes(), &alice());
    let inputs = inputs.map_err(|error| error.code())?;
    let token = mint(&minter, &alice(), &inputs.into()).map_err(|error| error.code())?;
    Ok(self::body(&token))
}

#[test]
fn only_allowed_channels_are_signed() {
    assert!(asked("socket_id=1.2&channel_name=private-user-user_42").is_ok());
    let presence = asked("socket_id=1.2&channel_name=presence-acme-x").unwrap();
    assert_eq!(presence["channel_data"], r#"{"user_id":"user_42"}"#);
    for other in ["private-user-user_43", "presence-evil-x", "xprivate-user-user_42", "public"] {
        assert_eq!(asked(&format!("socket_id=1.2&channel_name={other}")), Err("not_allowed"));
    }
}

#[test]
fn an_operator_spells_inputs_by_name_or_as_a_request_has_them() {
    let minter = read(&json!({
        "preset": "zoom-video", "key": { "sdk_key": "k", "sdk_secret": "s" },
        "params": { "role_type": 1 },
        "request": { "session_name": { "from": "json:meeting.topic", "allow": ["*"] } }
    }))
    .unwrap();
    for given in [json!({ "session_name": "a" }), json!({ "meeting": { "topic": "a" } })] {
        let inputs = minter.inputs().read_object(&given);
        assert_eq!(Value::Object(inputs), json!({ "session_name": "a" }), "{given}");
    }
}

#[test]
fn a_channel_name_cannot_be_a_users_signature() {
    let attack = "socket_id=1.2&channel_name=%3Auser%3A%3A%7B%22id%22%3A%22victim%22%7D";
    assert_eq!(asked(attack), Err("bad_request"));
}

#[test]
fn malformed_inputs_are_bad_requests() {
    for body in [
        "",
        "socket_id=1.2",
        "channel_name=private-user-user_42",
        "socket_id=&channel_name=private-user-user_42",
        "socket_id=1.2%0a&channel_name=private-user-user_42",
        "socket_id=1.2&socket_id=1.2&channel_name=private-user-user_42",
        "socket_id=1.2&channel_name=private-user-user_42%",
        "socket_id=1.2&channel_name=%ff",
        "socket_id=1.2&channel_name=private-user-user_42%2f",
        r#"{"socket_id":"1.2","channel_name":"private-user-user_42"}"#,
    ] {
        assert_eq!(asked(body), Err("bad_request"), "{body}");
    }
    let long = format!("socket_id=1.2&channel_name=presence-acme-{}", "x".repeat(200));
    assert_eq!(asked(&long), Err("bad_request"));
}

#[test]
fn minting_checks_inputs_again() {
    let inputs = json!({ "socket_id": "1.2", "channel_name": "private-user-someone" });
    assert_eq!(mint(&pusher(), &alice(), &inputs).unwrap_err().code(), "not_allowed");
    let starred = json!({ "socket_id": "1.2", "channel_name": "private-user-*" });
    assert_eq!(mint(&pusher(), &user("*"), &starred).unwrap_err().code(), "bad_request");
}

#[test]
fn json_inputs_are_texts_at_a_path_and_queries_are_decoded() {
    let minter = read(&json!({
        "preset": "daily", "key": { "api_key": "k", "domain_id": "d" },
        "params": { "is_owner": false },
        "request": { "room": { "from": "json:where.room", "allow": "acme*", "max": 10 } }
    }))
    .unwrap();
    assert!(minter.inputs().reads_body());
    let collect = |body: &str| {
        let inputs = minter.inputs().collect(None, body.as_bytes(), &alice());
        inputs.map(Value::Object).map_err(|error| error.code())
    };
    assert_eq!(collect(r#"{"where":{"room":"acme å"}}"#), Ok(json!({ "room": "acme å" })));
    for body in [
        "{}",
        "[]",
        "",
        "{",
        r#"{"where":{"room":7}}"#,
        r#"{"where":{"room":["acme"]}}"#,
        "null",
        r#"{"where":{"room":"acme","room":"acme"}}"#,
        r#"{"where":{},"where":{"room":"acme"}}"#,
    ] {
        assert_eq!(collect(body), Err("bad_request"), "{body}");
    }
    assert_eq!(collect(r#"{"where":{"room":"acme-too-long"}}"#), Err("bad_request"));
    let minter = read(&json!({
        "preset": "daily", "key": { "api_key": "k", "domain_id": "d" },
        "params": { "is_owner": false },
        "request": { "room": { "from": "query:room", "allow": "*" } }
    }))
    .unwrap();
    assert!(!minter.inputs().reads_body());
    let inputs = minter.inputs().collect(Some("x=1&room=a+b%2Fc"), b"", &alice()).unwrap();
    assert_eq!(inputs["room"], "a b/c");
}

#[test]
fn the_app_gets_inputs_that_nothing_here_allows() {
    let table = |url: &str, allow: Value| {
        let mut room = json!({ "from": "json:room" });
        if !allow.is_null() {
            room["allow"] = allow;
        }
        json!({
            "preset": "daily", "key": { "api_key": "k", "domain_id": "d" },
            "params": { "is_owner": false }, "grant": { "url": url }, "request": { "room": room }
        })
    };
    let url = |template: &str, allow: Value, room: &str| {
        let minter = read(&table(template, allow)).unwrap();
        let (identity, inputs) = (alice(), json!({ "room": room }));
        let inputs = inputs.as_object().unwrap();
        let subject = Subject { identity: &identity, inputs, grant: &Value::Null };
        minter.grant().unwrap().url(&subject).map_err(|error| error.code())
    };
    let plain = "http://127.0.0.1/grants";
    let told = |more: &str| Ok(format!("{plain}{more}"));
    assert_eq!(url(plain, Value::Null, "a&b c"), told("?room=a%26b%20c"));
    assert_eq!(url(&format!("{plain}?x=1"), Value::Null, "*"), told("?x=1&room=*"));
    assert_eq!(url(plain, json!("acme-*"), "acme-1"), told(""), "a pattern has decided");
    let named = format!("{plain}/{{session.org_id}}/{{request.room}}");
    assert_eq!(url(&named, Value::Null, "a/b"), told("/acme/a%2Fb"), "it is not told twice");
    assert_eq!(url(&named, Value::Null, ".."), Err("bad_request"));
    for wrong in ["http://{request.room}/", "http://h{session.org_id}.test", "http://h/{key.k}"] {
        assert!(read(&table(wrong, Value::Null)).is_err(), "{wrong}");
    }
}
