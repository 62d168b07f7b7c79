//! Calls to remote issuers: what is sent, and what is made of the answers.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::base::clock::Now;
use crate::mint::tests::{NOW, OK, alice, body, read, value_of, wrong};
use crate::mint::{Call, MintError, Minter, Minting, Subject, Token};
use crate::session::Identity;

fn call(minter: &Minter, identity: &Identity, inputs: &Value) -> Result<Call, MintError> {
    let inputs = inputs.as_object().cloned().unwrap_or_default();
    let subject = Subject { identity, inputs: &inputs, grant: &Value::Null };
    match minter.mint(&subject, Now::at(NOW))? {
        Minting::Call(call) => Ok(call),
        Minting::First(_) | Minting::Ready(_) => panic!("expected a call"),
    }
}

fn answered(
    minter: &Minter,
    identity: &Identity,
    status: StatusCode,
    answer: &str,
) -> Result<Token, MintError> {
    let inputs = Map::new();
    let subject = Subject { identity, inputs: &inputs, grant: &Value::Null };
    minter.answered(&subject, Now::at(NOW), status, Bytes::copy_from_slice(answer.as_bytes()))
}

fn openai() -> Minter {
    let params = json!({ "expires_after": {}, "session": {} });
    read(&json!({ "preset": "openai-realtime", "key": "hunter2", "params": params })).unwrap()
}

#[test]
fn credentials_are_sent_but_never_printed() {
    let call = call(&openai(), &alice(), &Value::Null).unwrap();
    assert_eq!(call.headers["authorization"], "Bearer hunter2");
    assert!(!format!("{call:?} {:?}", call.headers).contains("hunter2"));
    assert_eq!(call.timeout.as_secs(), 5);
}

#[test]
fn a_browsers_input_stays_one_segment_of_the_path() {
    let minter = read(&json!({
        "preset": "cloudflare-stream-api", "key": { "account_id": "a", "api_token": "t" },
        "request": { "video": { "from": "json:video", "allow": "*" } }
    }))
    .unwrap();
    let url =
        |video: &str| call(&minter, &alice(), &json!({ "video": video })).map(|call| call.url);
    let start = "https://api.cloudflare.com/client/v4/accounts/a/stream/";
    assert_eq!(url("a/b").unwrap(), format!("{start}a%2Fb/token"));
    assert_eq!(url("a#b&c=d").unwrap(), format!("{start}a%23b%26c%3Dd/token"));
    for attack in ["..", ".", "a?b", "*"] {
        assert_eq!(url(attack).unwrap_err().code(), "not_allowed", "{attack}");
    }
}

#[test]
fn an_answer_gives_the_token_and_its_end() {
    let answer = json!({ "value": "ek_1", "expires_at": NOW + 600 }).to_string();
    let token = answered(&openai(), &alice(), OK, &answer).unwrap();
    assert_eq!(body(&token), json!({ "value": "ek_1", "expires_at": NOW + 600 }));
    assert_eq!(value_of(&token), "ek_1");
    assert_eq!((token.expires_at, token.usable_until), (NOW + 600, NOW + 480));
    let short = Identity::assumed("u".into(), json!({}), Some(NOW + 100));
    let token = answered(&openai(), &short, OK, &answer).unwrap();
    assert_eq!((token.expires_at, token.usable_until), (NOW + 100, NOW + 100));
}

#[test]
fn the_issuers_own_answer_is_passed_through_untouched() {
    let table = json!({
        "preset": "liveblocks-authorize", "key": "sk", "params": { "permissions": {} }
    });
    let answer = "{ \"token\": \"eyJ.x.y\",\n \"more\": 1 }";
    let token = answered(&read(&table).unwrap(), &alice(), OK, answer).unwrap();
    assert_eq!(*token.body, *answer.as_bytes());
    assert_eq!(value_of(&token), "eyJ.x.y");
}

#[test]
fn a_failing_issuer_is_recognised_and_its_tokens_never_quoted() {
    let code = |status: u16, answer: &str| {
        let status = StatusCode::from_u16(status).unwrap();
        let error = answered(&openai(), &alice(), status, answer).unwrap_err();
        assert!(!error.to_string().contains("quoted"), "{error}");
        error.code()
    };
    for status in [301, 400, 401, 403, 404, 500, 503] {
        assert_eq!(code(status, r#"{"value":"quoted"}"#), "issuer_failed", "{status}");
    }
    assert_eq!(code(429, ""), "unavailable");
    for answer in ["quoted", "{}", r#"{"value":""}"#, r#"{"value":7}"#, "[]", ""] {
        assert_eq!(code(200, answer), "issuer_failed", "{answer}");
    }
    let ended = json!({ "value": "quoted", "expires_at": NOW }).to_string();
    assert_eq!(code(200, &ended), "issuer_failed");
}

#[test]
fn a_secret_may_not_stand_in_the_address() {
    let text = wrong(&json!({
        "preset": "elevenlabs-signed-url", "key": "k", "params": { "agent_id": "a" },
        "url": "https://api.elevenlabs.io/{key.api_key}"
    }));
    assert!(text.contains("token.x.url: `key.api_key` is a secret"), "{text}");
    let text = wrong(&json!({
        "preset": "elevenlabs-signed-url", "key": "k", "params": { "agent_id": "a" },
        "url": "ftp://x"
    }));
    assert!(text.contains("https://"), "{text}");
}

fn asking(url: &str) -> Value {
    json!({
        "kind": "exchange", "method": "POST", "url": url, "key": { "api_key": "hunter2" },
        "headers": { "authorization": "Bearer {key.api_key}" },
        "request": { "h": { "from": "query:h", "allow": "*" } },
        "take": { "token": "/t" }, "response": { "t": "{token}" }, "ttl": "1m"
    })
}

#[test]
fn only_the_operator_chooses_the_server_that_gets_the_key() {
    for url in [
        "https://{request.h}/t",
        "https://api.example.com{request.h}/t",
        "https://api.example.com:{request.h}/t",
        "https://api.{session.org_id}.example.com/t",
        "https://api.example.com@{request.h}/t",
        "https://{session.org_id}@api.example.com/t",
        "https://{key.api_key}.example.com/t",
        "{request.h}",
    ] {
        let text = wrong(&asking(url));
        assert!(text.contains("token.x.url: ") && text.contains("the server must be"), "{text}");
    }
    assert!(read(&asking("https://api.example.com/{request.h}?x={session.org_id}")).is_ok());
}

#[test]
fn a_key_travels_encrypted_or_stays_on_this_machine() {
    for url in [
        "http://api.example.com/t",
        "http://10.0.0.5/{request.h}",
        "http://localhost.example.com/t",
        "http://127.0.0.1.example.com/t",
        "HTTP://api.example.com/t",
    ] {
        let text = wrong(&asking(url));
        assert!(text.contains("token.x.url: the key would be sent unencrypted"), "{url}: {text}");
    }
    for url in ["http://127.0.0.1:9/t", "http://localhost:9/t", "http://[::1]:9/t"] {
        assert!(read(&asking(url)).is_ok(), "{url}");
    }
}

#[test]
fn a_dot_segment_is_found_before_a_query_too() {
    let minter = read(&asking("https://api.example.com/v1/{request.h}?k=1")).unwrap();
    for attack in ["..", "."] {
        let refused = call(&minter, &alice(), &json!({ "h": attack })).unwrap_err();
        assert_eq!(refused.code(), "not_allowed", "{attack}");
    }
}

#[test]
fn a_header_of_an_issuer_has_one_spelling() {
    let mut table = asking("https://api.example.com/t");
    table["headers"] = json!({ "X-Tenant": "a", "x-tenant": "b" });
    assert!(wrong(&table).contains("sets `x-tenant` twice"), "{}", wrong(&table));
}

#[test]
fn a_header_of_an_issuer_names_no_server_and_no_length() {
    for name in ["Host", "content-length", "Transfer-Encoding", "connection"] {
        let mut table = asking("https://api.example.com/t");
        table["headers"][name] = "{request.h}".into();
        assert!(wrong(&table).contains("routes or frames the request"), "{name}");
        let mut table = asking("https://api.example.com/t");
        table["grant"] = json!({ "url": "http://127.0.0.1/g", "forward": ["cookie", name] });
        assert!(wrong(&table).contains("routes or frames the request"), "{name}");
    }
}

#[test]
fn the_app_answers_the_grant_hook_with_json_or_a_refusal() {
    let minter = read(&json!({
        "preset": "tiptap-collab", "key": "s",
        "params": { "allowedDocumentNames": "{grant.documents}" },
        "grant": { "url": "http://127.0.0.1:3000/g", "forward": ["cookie"], "timeout": "500ms" }
    }))
    .unwrap();
    let hook = minter.grant().unwrap();
    let (identity, inputs) = (alice(), Map::new());
    let subject = Subject { identity: &identity, inputs: &inputs, grant: &Value::Null };
    assert_eq!(hook.url(&subject).unwrap(), "http://127.0.0.1:3000/g");
    assert_eq!(hook.timeout.as_millis(), 500);
    assert_eq!(hook.forward, [http::header::COOKIE]);
    assert_eq!(hook.answered(OK, b"{\"documents\":[]}"), Ok(json!({ "documents": [] })));
    let code = |status, body: &[u8]| hook.answered(status, body).unwrap_err().code();
    assert_eq!(code(StatusCode::FORBIDDEN, b""), "not_allowed");
    assert_eq!(code(StatusCode::UNAUTHORIZED, b""), "not_signed_in");
    assert_eq!(code(StatusCode::INTERNAL_SERVER_ERROR, b""), "issuer_failed");
    assert_eq!(code(OK, b"<html>"), "issuer_failed");
}

#[test]
fn a_customer_that_is_a_list_or_a_table_is_not_a_customer() {
    for (preset, field) in [
        ("stripe-customer-session", "customer"),
        ("stripe-ephemeral-key", "customer"),
        ("braintree", "customer_id"),
    ] {
        let mut table = json!({ "preset": preset, "key": "sk", "params": {} });
        if preset == "braintree" {
            table["key"] = json!({ "public_key": "p", "private_key": "q" });
        }
        if preset == "stripe-customer-session" {
            table["params"]["components"] = json!({ "buy_button": { "enabled": true } });
        }
        if preset == "stripe-ephemeral-key" {
            table["params"]["version"] = "2025-08-27.basil".into();
        }
        table["params"][field] = "{session.customer}".into();
        let minter = read(&table).unwrap();
        let ask = |customer: Value| {
            let session = json!({ "user_id": "u", "customer": customer });
            call(&minter, &Identity::assumed("u".into(), session, None), &Value::Null)
        };
        let body = ask(json!("cus_1")).unwrap().body;
        assert!(String::from_utf8_lossy(&body).contains("cus_1"), "{preset}");
        for wrong in
            [json!(["cus_1", "cus_2"]), json!(["cus_1"]), json!([]), json!({ "id": "cus_1" })]
        {
            let refused = ask(wrong.clone()).map_err(|error| error.code());
            assert_eq!(
                refused.map(|call| call.body).unwrap_err(),
                "not_allowed",
                "{preset} {wrong}"
            );
        }
    }
}

#[test]
fn power_bi_is_asked_for_no_longer_a_life_than_the_sessions() {
    let minter = read(&json!({
        "preset": "power-bi",
        "key": { "tenant_id": "t", "client_id": "c", "client_secret": "s" },
        "params": { "report_id": "r", "dataset_id": "d" }
    }))
    .unwrap();
    let minutes = |end: Option<u64>| {
        let identity = Identity::assumed("u".into(), json!({ "user_id": "u" }), end);
        let inputs = Map::new();
        let subject = Subject { identity: &identity, inputs: &inputs, grant: &Value::Null };
        let first = crate::base::secret::Secret::new("first");
        let call = minter.call_with(&subject, &first, Now::at(NOW))?;
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        Ok::<_, MintError>(body["lifetimeInMinutes"].clone())
    };
    assert_eq!(minutes(None).unwrap(), 60);
    assert_eq!(minutes(Some(NOW + 7200)).unwrap(), 60);
    assert_eq!(minutes(Some(NOW + 600)).unwrap(), 10);
    assert_eq!(minutes(Some(NOW + 119)).unwrap(), 1, "never rounded up");
    assert_eq!(minutes(Some(NOW + 59)).unwrap_err().code(), "session_expired");
}
