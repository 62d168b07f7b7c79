//! Requests and answers beyond JSON: forms, HTTP Basic, plain text, times of every kind,
//! signed requests, and a call before the call.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::base::clock::Now;
use crate::mint::tests::{NOW, OK, alice, body, read, value_of, wrong};
use crate::mint::{Call, MintError, Minter, Minting, Subject, Token};

/// A table of an exchange, with `more` over it.
fn exchange(more: &Value) -> Value {
    let mut table = json!({
        "kind": "exchange", "method": "POST", "url": "https://api.example.com/v1/token?x=1",
        "key": { "id": "client-1", "secret": "hunter2" }, "spare": ["key.id"],
        "headers": { "x-key": "{key.secret}" },
        "take": { "token": "/t" }, "response": { "t": "{token}" }, "ttl": "1m"
    });
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(table.as_object_mut().unwrap().remove(name)),
            value => table[name] = value.clone(),
        }
    }
    table
}

fn call(table: &Value) -> Result<Call, MintError> {
    let minter = read(table).unwrap();
    let (identity, inputs) = (alice(), Map::new());
    let subject = Subject { identity: &identity, inputs: &inputs, grant: &Value::Null };
    match minter.mint(&subject, Now::at(NOW))? {
        Minting::Call(call) | Minting::First(call) => Ok(call),
        Minting::Ready(_) => panic!("expected a call"),
    }
}

fn answered(table: &Value, status: u16, answer: &str) -> Result<Token, MintError> {
    let minter = read(table).unwrap();
    let (identity, inputs) = (alice(), Map::new());
    let subject = Subject { identity: &identity, inputs: &inputs, grant: &Value::Null };
    let status = StatusCode::from_u16(status).unwrap();
    minter.answered(&subject, Now::at(NOW), status, Bytes::copy_from_slice(answer.as_bytes()))
}

fn cause(table: &Value, status: u16, answer: &str) -> String {
    answered(table, status, answer).unwrap_err().to_string()
}

#[test]
fn a_form_is_sent_as_a_form_with_its_tables_written_out() {
    let form = json!({
        "grant_type": "client_credentials", "scope": "a b&c=d",
        "components": { "buy_button": { "enabled": true }, "list": [{ "id": 1 }, "é"] },
        "customer": "{session.email}", "absent": "{session.nothing?}", "ttl": "{ttl}"
    });
    let call = call(&exchange(&json!({ "form": form }))).unwrap();
    assert_eq!(call.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(
        call.body,
        "grant_type=client_credentials&scope=a%20b%26c%3Dd\
         &components%5Bbuy_button%5D%5Benabled%5D=true&components%5Blist%5D%5B0%5D%5Bid%5D=1\
         &components%5Blist%5D%5B1%5D=%C3%A9&customer=alice%40example.com&ttl=60"
    );
    let both = wrong(&exchange(&json!({ "form": {}, "body": {} })));
    assert!(both.contains("token.x.form: a request has one body"), "{both}");
    let text = wrong(&exchange(&json!({ "form": "a=b" })));
    assert!(text.contains("token.x.form: ") && text.contains("a table of fields"), "{text}");
}

#[test]
fn http_basic_is_made_of_a_user_and_a_password() {
    let basic = json!({ "basic": ["{key.id}", "{key.secret}"], "headers": {} });
    let sent = call(&exchange(&basic)).unwrap();
    assert_eq!(sent.headers["authorization"], "Basic Y2xpZW50LTE6aHVudGVyMg==");
    assert!(sent.headers["authorization"].is_sensitive());
    let mut colon = exchange(&basic);
    colon["key"]["id"] = "a:b".into();
    assert!(call(&colon).unwrap_err().to_string().contains("`basic` holds a colon"));
    for basic in [json!("a:b"), json!(["a"]), json!(["a", "b", "c"])] {
        let text = wrong(&exchange(&json!({ "basic": basic })));
        assert!(
            text.contains("token.x.basic: ") && text.contains("a user and a password"),
            "{text}"
        );
    }
}

#[test]
fn a_secret_can_be_encoded_on_its_way_to_its_issuer() {
    let mut table = exchange(&json!({ "headers": { "x-key": "{key.secret|percent}" } }));
    table["key"]["secret"] = "a/b".into();
    assert_eq!(call(&table).unwrap().headers["x-key"], "a%2Fb");
}

#[test]
fn a_bare_token_is_read_as_text_and_a_page_is_none() {
    let text = exchange(&json!({ "answer": "text", "take": null }));
    assert_eq!(call(&text).unwrap().headers["accept"], "*/*");
    let token = answered(&text, 200, "eyJ.x.y\r\n").unwrap();
    assert_eq!((value_of(&token), body(&token)), ("eyJ.x.y".into(), json!({ "t": "eyJ.x.y" })));
    assert_eq!(token.expires_at, NOW + 60);
    for page in [
        "",
        " ",
        "<html>sorry</html> now",
        "<html/>",
        "two words",
        "\u{fffd}",
        "a\nb",
        "{}",
        "[]",
        "null",
        "{\"error\":7}",
        "\"quoted\"",
    ] {
        let cause = cause(&text, 200, page);
        assert!(
            cause.contains("`answer = \"text\"` expects the issuer to answer with the bare token"),
            "{cause}"
        );
    }
    let both = wrong(&exchange(&json!({ "answer": "text" })));
    assert!(both.contains("token.x.take: `take` reads JSON"), "{both}");
    let other = wrong(&exchange(&json!({ "answer": "xml" })));
    assert!(other.contains("token.x.answer: "), "{other}");
}

#[test]
fn an_end_is_read_in_any_form_and_a_wrong_one_names_its_member() {
    let take = |take: Value| exchange(&json!({ "take": take }));
    let at = take(json!({ "token": "/t", "expires_at": "/data/0/end" }));
    let answer = |end: Value| json!({ "t": "x", "data": [{ "end": end }] }).to_string();
    for end in [
        json!(NOW + 90),
        json!((NOW + 90).to_string()),
        json!((NOW + 90) * 1000),
        json!("2026-01-01T00:01:30Z"),
        json!("2026-01-01T02:01:30.250+02:00"),
    ] {
        let token = answered(&at, 200, &answer(end.clone())).unwrap();
        assert_eq!(token.expires_at, NOW + 90, "{end}");
    }
    let wrong = cause(&at, 200, &answer(json!("tomorrow")));
    assert!(wrong.contains("`take.expires_at` expects a time at `/data/0/end`"), "{wrong}");
    assert!(!wrong.contains("tomorrow"), "an answer with a token is never quoted");
    assert_eq!(answered(&at, 200, "{\"t\":\"x\"}").unwrap().expires_at, NOW + 60, "no end");
    let within = take(json!({ "token": "/t", "expires_in": "/in" }));
    for span in [json!(90), json!("90"), json!("90s"), json!(90.5)] {
        let answer = json!({ "t": "x", "in": span }).to_string();
        assert_eq!(answered(&within, 200, &answer).unwrap().expires_at, NOW + 90, "{span}");
    }
    let wrong = cause(&within, 200, r#"{"t":"x","in":{}}"#);
    assert!(wrong.contains("`take.expires_in` expects a time at `/in`"), "{wrong}");
    assert!(wrong.contains("found a table"), "{wrong}");
}

#[test]
fn a_missing_token_names_the_member_and_the_value_found() {
    let table = exchange(&json!({ "take": { "token": "/data/token" } }));
    for (answer, found) in [
        (json!({}), "nothing"),
        (json!({ "data": { "token": 7 } }), "a number"),
        (json!({ "data": { "token": null } }), "null"),
        (json!({ "data": { "token": "" } }), "an empty text"),
        (json!({ "data": { "token": ["secret-token"] } }), "a list"),
    ] {
        let cause = cause(&table, 200, &answer.to_string());
        assert!(cause.contains("`take.token` expects a string at `/data/token`"), "{cause}");
        assert!(cause.ends_with(&format!("found {found}")), "{cause}");
        assert!(!cause.contains("secret-token"), "{cause}");
    }
}

#[test]
fn an_error_under_status_200_is_reported_without_the_rest_of_the_answer() {
    let table = exchange(&json!({ "take": { "token": "/data/token" } }));
    let no_token = "found nothing";
    for (answer, said) in [
        (
            json!({ "data": null, "errors": [{ "message": "no account hunter2" }] }),
            " and said: no account [hidden]",
        ),
        (json!({ "error": { "code": 7, "message": "try later" } }), " and said: try later"),
        (json!({ "error": "denied" }), " and said: denied"),
        (json!({ "errors": [] }), ""),
        (json!({ "message": "secret", "code": "secret", "token": "secret" }), ""),
        (json!("secret"), ""),
    ] {
        let cause = cause(&table, 200, &answer.to_string());
        assert!(cause.ends_with(&format!("{no_token}{said}")), "{cause}");
        assert!(!cause.contains("secret"), "{cause}");
    }
}

#[test]
fn an_answer_that_cannot_be_read_is_told_apart_and_not_quoted() {
    let take = json!({ "token": "/token", "expires_at": "/expires_at" });
    let table = exchange(&json!({ "take": take }));
    for (status, answer, said) in [
        (200, "", "found an empty body"),
        (200, "<!doctype html><p>secret", "found a page of HTML or XML"),
        (200, "{\"token\":\"secret", "JSON with a mistake"),
        (200, "secret", "answer = \"text\""),
        (301, "", "the issuer answered 301, a redirect, which is not followed"),
        (200, r#"{"access_token":"secret","ttl":1}"#, "(a table with `access_token`, `ttl`)"),
        (200, r#"[{"token":"secret"}]"#, "(a list), found nothing"),
        (200, r#"{"code":7,"msg":"app not found"}"#, "found nothing and said: app not found"),
        (200, r#"{"code":7,"message":"secret"}"#, "found nothing"),
        (400, r#"{"code":7,"msg":"bad room"}"#, "and said: bad room"),
        (
            200,
            r#"{"token":"x","expires_at":"2027-01-01"}"#,
            "RFC 3339 with its zone), found a string",
        ),
    ] {
        let cause = cause(&table, status, answer);
        assert!(cause.contains(said) && !cause.contains("secret"), "{answer}: {cause}");
    }
    let marked = "\u{feff}{\"token\":\"t-1\"}";
    assert_eq!(answered(&table, 200, marked).unwrap().expires_at, NOW + 60);
}

#[test]
fn other_members_of_the_answer_reach_the_browser_by_name() {
    let table = exchange(&json!({
        "take": { "token": "/ice/1/credential" },
        "response": { "iceServers": "{answer.ice}", "id": "{answer.call.id}", "x": "{answer.no?}" }
    }));
    let ice = json!([{ "urls": "stun:x" }, { "urls": ["turn:x"], "credential": "c" }]);
    let answer = json!({ "ice": ice, "call": { "id": "c-1" }, "internal": "not for browsers" });
    let token = answered(&table, 200, &answer.to_string()).unwrap();
    assert_eq!(body(&token), json!({ "iceServers": ice, "id": "c-1" }));
    let lacking = json!({ "ice": ice }).to_string();
    let error = answered(&table, 200, &lacking).unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        ("issuer_failed", "`answer.call.id` has no value")
    );
}

#[test]
fn a_refusal_is_reported_in_the_issuers_words_without_the_key() {
    let table = exchange(&json!({}));
    let said = json!({ "error": { "message": "no agent 7 for key hunter2", "code": "x" } });
    let text = cause(&table, 404, &said.to_string());
    assert_eq!(text, "the issuer answered 404 and said: no agent 7 for key [hidden]");
    assert_eq!(
        cause(&table, 429, "slow down"),
        "the issuer's rate limit is reached: it answered 429 and said: slow down"
    );
    assert_eq!(cause(&table, 500, "<html>oh no</html>"), "the issuer answered 500");
}

#[test]
fn a_request_is_signed_over_its_time_method_path_and_body() {
    let table = exchange(&json!({
        "secret": "secret", "hash": "sha256", "encode": "hex",
        "sign": "{now}{call.method}{call.path}{call.body}",
        "headers": { "x-sig": "{sig}", "x-ts": "{now}", "x-host": "{call.host}",
                     "x-hash": "{call.body|sha256:base64}" },
        "body": { "user": "{session.user_id}" }, "query": { "ttl": "{ttl|str}" }
    }));
    let call = call(&table).unwrap();
    assert_eq!(call.url, "https://api.example.com/v1/token?x=1&ttl=60");
    let text = format!("{NOW}POST/v1/token?x=1&ttl=60{{\"user\":\"user_42\"}}");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"hunter2");
    let signature = crate::base::text::hex(aws_lc_rs::hmac::sign(&key, text.as_bytes()).as_ref());
    assert_eq!(call.headers["x-sig"], signature.as_str());
    assert_eq!(
        (&call.headers["x-host"], &call.headers["x-ts"]),
        (&"api.example.com".parse().unwrap(), &NOW.to_string().parse().unwrap(),)
    );
    let unsigned = wrong(&exchange(&json!({ "headers": { "x-sig": "{sig}" } })));
    assert!(unsigned.contains("unknown placeholder"), "{unsigned}");
    let secret = exchange(&json!({
        "secret": "secret", "hash": "sha256", "sign": "{now}{key.secret}",
        "headers": { "x-sig": "{sig}" }
    }));
    assert!(wrong(&secret).contains("`key.secret` is a secret"), "{}", wrong(&secret));
}

fn in_two() -> Value {
    exchange(&json!({
        "first": {
            "method": "POST", "url": "https://login.example.com/{param.tenant}/token",
            "basic": ["{key.id}", "{key.secret}"],
            "form": { "grant_type": "client_credentials" },
            "take": { "token": "/access_token", "expires_in": "/expires_in" }
        },
        "params": { "tenant": "t1" },
        "headers": { "authorization": "Bearer {first.token}" },
        "body": { "user": "{session.user_id}" }
    }))
}

#[test]
fn a_first_call_gives_the_second_its_credential() {
    let minter = read(&in_two()).unwrap();
    let (identity, inputs) = (alice(), Map::new());
    let subject = Subject { identity: &identity, inputs: &inputs, grant: &Value::Null };
    let Minting::First(first) = minter.mint(&subject, Now::at(NOW)).unwrap() else { panic!() };
    assert_eq!(first.url, "https://login.example.com/t1/token");
    assert_eq!(first.body, "grant_type=client_credentials");
    let answer = Bytes::from_static(br#"{"access_token":"at-1","expires_in":"3600"}"#);
    let given = minter.first_answered(OK, &answer, Now::at(NOW)).unwrap();
    assert_eq!(given.usable_until, NOW + 3300, "five minutes are left");
    let second = minter.call_with(&subject, &given.token, Now::at(NOW)).unwrap();
    assert_eq!(second.headers["authorization"], "Bearer at-1");
    assert_eq!(second.body, r#"{"user":"user_42"}"#);
    let refused = Bytes::from_static(br#"{"error_description":"wrong secret hunter2"}"#);
    let unauthorized = StatusCode::UNAUTHORIZED;
    let error = minter.first_answered(unauthorized, &refused, Now::at(NOW)).err().unwrap();
    assert_eq!(error.to_string(), "the issuer answered 401 and said: wrong secret [hidden]");
}

#[test]
fn a_first_call_is_the_same_for_every_user() {
    for member in ["{session.user_id}", "{request.x}", "{grant.x}"] {
        let mut table = in_two();
        table["first"]["form"]["user"] = member.into();
        let text = wrong(&table);
        assert!(
            text.contains("token.x.first: the first call is made once for all users"),
            "{text}"
        );
    }
    let mut shown = in_two();
    shown["response"] = json!({ "t": "{first.token}" });
    assert!(wrong(&shown).contains("unknown placeholder"), "its token is not for browsers");
    let mut in_address = in_two();
    in_address["url"] = "https://api.example.com/{first.token}".into();
    assert!(wrong(&in_address).contains("unknown placeholder"), "nor for the logs of servers");
    let mut unknown = in_two();
    unknown["first"]["bdy"] = json!({});
    assert!(wrong(&unknown).contains("token.x.first.bdy"), "{}", wrong(&unknown));
}

#[test]
fn the_first_calls_key_changes_with_the_settings_and_not_with_the_user() {
    let minter = |tenant: &str| -> Minter {
        let mut table = in_two();
        table["params"]["tenant"] = tenant.into();
        read(&table).unwrap()
    };
    assert_eq!(minter("t1").first_key(), minter("t1").first_key());
    assert_ne!(minter("t1").first_key(), minter("t2").first_key());
    assert!(minter("t1").first_answered(OK, &Bytes::new(), Now::at(NOW)).is_err());
    let alone = read(&exchange(&json!({}))).unwrap();
    assert!(alone.first_answered(OK, &Bytes::new(), Now::at(NOW)).is_err());
}

#[test]
fn a_region_the_operator_writes_may_stand_in_the_server_and_nothing_else_may() {
    let url = "https://{param.region}.api.example.com/t";
    let table = |region: Value| exchange(&json!({ "url": url, "params": { "region": region } }));
    assert_eq!(call(&table(json!("eu-1"))).unwrap().url, "https://eu-1.api.example.com/t");
    for region in ["{session.org_id}", "a/b", "evil.com#", "a@b", "", "a:b@c", "x\\"] {
        let text = wrong(&table(json!(region)));
        assert!(text.contains("the server must be fixed"), "{region}: {text}");
    }
    let key = exchange(&json!({ "url": "https://{key.id}.example.com/t" }));
    assert_eq!(call(&key).unwrap().url, "https://client-1.example.com/t");
    let secret = exchange(&json!({ "url": "https://{key.secret}.example.com/t" }));
    assert!(wrong(&secret).contains("the server must be fixed"));
}

fn preset(name: &str, key: &Value, params: &Value) -> Value {
    json!({ "preset": name, "key": key, "params": params })
}

#[test]
fn settings_a_vendor_adds_never_replace_those_of_the_preset() {
    let config = json!({ "is_sandbox": true, "avatar_id": "another" });
    let params = json!({ "avatar_id": "mine", "config": config });
    let sent = call(&preset("liveavatar", &json!("k"), &params)).unwrap();
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body, json!({ "is_sandbox": true, "mode": "FULL", "avatar_id": "mine" }));
    let sent = call(&preset("tavus", &json!("k"), &json!({ "replica_id": "r1" }))).unwrap();
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body, json!({ "replica_id": "r1", "conversation_name": "user_42" }));
}

#[test]
fn servers_for_a_call_are_kept_for_half_their_life() {
    let key = json!({ "key_id": "id", "api_token": "t" });
    let answer =
        json!({ "iceServers": [{ "urls": ["turn:x"], "username": "u", "credential": "c" }] });
    let token =
        answered(&preset("cloudflare-turn", &key, &json!({})), 201, &answer.to_string()).unwrap();
    assert_eq!((token.usable_until, token.expires_at), (NOW + 1800, NOW + 3600));
}
