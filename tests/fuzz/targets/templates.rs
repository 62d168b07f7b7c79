//! Token templates, compiled and rendered: the table, the session and the
//! request's inputs are the input, with zero bytes between.

use std::path::PathBuf;

use portcullis::testing::Identity;
use portcullis::testing::Now;
use portcullis::testing::Secrets;
use portcullis::testing::{At, Node, Problems};
use portcullis::testing::{Minter, Minting, Presets, Subject};
use serde_json::{Map, Value, json};

use super::settings::toml;

const NOW: u64 = 1_767_225_600;
const SESSION_END: u64 = NOW + 86_400;

/// Tables that use the language in every way: those of the built-in presets
/// with what a vendor's case gives them, and some of our own.
pub(crate) fn tables() -> Vec<Value> {
    let mut tables = vec![
        json!({
            "preset": "portive", "key": "PRTV_onlyForTest_0123456789abcdef", "ttl": "1m",
            "params": { "claims": { "{session.org}": ["user:{session.user_id}"], "n?": "{session.n}" } },
        }),
        json!({
            "kind": "jwt", "alg": "HS256", "ttl": "90s", "key": { "secret": "s" },
            "vars": { "a": "{session.name|lower}", "b": "x{vars.a}y" },
            "claims": { "sub": "{session.user_id|quote}", "...": "{session.extra}", "e": "{exp}" },
            "response": { "token": "{token}", "ttl": "{ttl}" },
        }),
        json!({
            "kind": "hmac", "hash": "sha256", "key": { "id": "i", "secret": "s" }, "ttl": "1h",
            "sign": "{key.id}:{session.user_id|hex}:{request.c}",
            "request": { "c": { "from": "json:c", "allow": ["private-{session.user_id}-*"] } },
            "response": { "auth": "{key.id}:{signature}" },
        }),
    ];
    for case in vendor_cases() {
        tables.push(case.0);
    }
    tables
}

/// The vendors' cases: table, session and request.
fn vendor_cases() -> Vec<(Value, Value, Value)> {
    let folder: PathBuf = super::vectors::folder().join("../tokens");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut cases = Vec::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|e| e == "json")) {
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for case in file["cases"].as_array().into_iter().flatten() {
            let mut table = json!({
                "preset": file["provider"], "key": case["key"], "params": case["params"],
            });
            if let Some(ttl) = case["ttl"].as_u64() {
                table["ttl"] = format!("{ttl}s").into();
            }
            table.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            cases.push((without_null(&table), case["session"].clone(), case["request"].clone()));
        }
    }
    cases
}

/// TOML has no `null`.
fn without_null(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_null).collect(),
        Value::Object(members) => members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), without_null(value)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let session =
        json!({ "user_id": "u{key.secret}", "name": "Zoë*", "extra": { "a": [1, null] } });
    let own = tables().into_iter().take(3);
    let own = own.map(|table| (table, session.clone(), json!({ "c": "private-u-x" })));
    own.chain(vendor_cases())
        .map(|(table, session, request)| format!("{}\0{session}\0{request}", toml(&table)))
        .map(String::into_bytes)
        .collect()
}

pub(crate) fn run(data: &[u8]) {
    let mut parts = data.split(|&byte| byte == 0);
    let mut part = || parts.next().and_then(|part| std::str::from_utf8(part).ok());
    let Some(table) = part() else { return };
    let mut json = || part().and_then(|text| serde_json::from_str(text).ok());
    let session: Value = json().unwrap_or_default();
    let inputs: Map<String, Value> =
        json().and_then(|value: Value| value.as_object().cloned()).unwrap_or_default();
    let problems = Problems::default();
    let node = Node::parse(table, &problems);
    let at = At::new(&node, "token.t", &problems, &Secrets::Literal);
    let Some(mut table) = at.table() else { return };
    let minter = Minter::from_table("t", &mut table, Presets::builtin());
    table.finish();
    let Some(minter) = minter.filter(|_| problems.is_empty()) else { return };
    let user_id = session["user_id"].as_str().filter(|id| !id.is_empty()).unwrap_or("{key.secret}");
    let identity = Identity::assumed(user_id.to_owned(), session.clone(), Some(SESSION_END));
    let subject = Subject { identity: &identity, inputs: &inputs, grant: &json!({ "a": "{now}" }) };
    let _ = minter.cache_key(&subject);
    match minter.mint(&subject, Now::at(NOW)) {
        Ok(Minting::Ready(token)) => {
            assert!(token.expires_at <= SESSION_END, "a token that outlives the session");
            assert!(token.usable_until <= token.expires_at);
        }
        Ok(Minting::Call(call) | Minting::First(call)) => {
            assert!(call.url.starts_with("https://") || call.url.starts_with("http://"));
            let body = bytes::Bytes::copy_from_slice(data);
            let status = http::StatusCode::OK;
            if let Ok(token) = minter.answered(&subject, Now::at(NOW), status, body) {
                assert!(token.usable_until <= SESSION_END);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
