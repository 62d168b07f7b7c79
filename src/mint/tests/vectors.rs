//! Every vector of `tests/fixtures/tokens`, compared as the vector says.
//!
//! The vectors were made by the vendors' own libraries; where one names another
//! verifier than our signer, `jsonwebtoken` is it.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value, json};

use crate::base::clock::Now;
use crate::mint::tests::{Minter, NOW, OK, body, part, read, value_of};
use crate::mint::{Call, MintError, Minting, Subject, Token};
use crate::session::Identity;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tokens");

/// Not reproduced here: a format with a random salt and a signed address, which have
/// tests of their own, and a signature that is then exchanged.
const WITHOUT_PRESET: [&str; 3] = ["ably-request-token", "agora", "s3-presign"];

#[test]
fn every_vector_of_the_vendors_libraries_is_reproduced() {
    let mut counts = BTreeMap::new();
    let mut failures = Vec::new();
    for entry in std::fs::read_dir(FOLDER).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let file: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let provider = file["provider"].as_str().unwrap().to_owned();
        if provider == "behaviour" || WITHOUT_PRESET.contains(&provider.as_str()) {
            continue;
        }
        for case in file["cases"].as_array().unwrap() {
            // These show what a library does that a gateway should not.
            if case["reproduce"] == false {
                continue;
            }
            let (passed, all) = counts.entry(provider.clone()).or_insert((0, 0));
            *all += 1;
            match check(&file, case) {
                Ok(()) => *passed += 1,
                Err(why) => failures.push(format!("{provider} / {}: {why}", case["name"])),
            }
        }
    }
    for (provider, (passed, all)) in &counts {
        println!("{provider}: {passed} of {all}");
    }
    let passed: i32 = counts.values().map(|(passed, _)| passed).sum();
    println!("{passed} vectors of {} providers", counts.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!((counts.len(), passed), (58, 116), "a vector went missing");
}

fn check(file: &Value, case: &Value) -> Result<(), String> {
    let minter = match read(&table(file, case)) {
        Ok(minter) => minter,
        Err(_) if case["expect_error"] == true => return Ok(()),
        Err(problems) => return Err(format!("{problems:?}")),
    };
    let identity = identity(case);
    let inputs = case["request"].as_object().cloned().unwrap_or_default();
    let subject = Subject { identity: &identity, inputs: &inputs, grant: &Value::Null };
    let now = Now::at(case["now"].as_u64().unwrap_or(NOW));
    let draw = |name: &String| case["random"][name].as_str().unwrap_or("random").to_owned();
    let draws: Vec<String> = minter.draws.iter().map(draw).collect();
    match minter.mint_with(&subject, now, &draws) {
        Err(_) if case["expect_error"] == true => Ok(()),
        Err(error) => Err(error.to_string()),
        Ok(_) if case["expect_error"] == true => Err("minted, but should be refused".into()),
        Ok(Minting::Call(call)) => {
            compare_call(&call, &case["expect"]["upstream_request"])?;
            compare_answer(&minter, &subject, now, file, case).map_err(|error| error.to_string())
        }
        Ok(Minting::First(_)) => Err("a first call".into()),
        Ok(Minting::Ready(token)) => match file["compare"].as_str().unwrap() {
            "jwt" => compare_jwt(&token, file, case),
            // Members keep their order, so signed texts are equal to the byte.
            "exact" | "signed-text" => compare_exact(&token, &case["expect"]),
            other => Err(format!("unknown rule {other}")),
        },
    }
}

/// The `[token.x]` table an operator would write for a case.
fn table(file: &Value, case: &Value) -> Value {
    let mut table = json!({
        "preset": file["provider"], "key": keys(&case["key"]), "params": literal(&case["params"])
    });
    if let Some(ttl) = case["ttl"].as_u64() {
        table["ttl"] = format!("{ttl}s").into();
    }
    if let Some(backdate) = case["backdate"].as_u64() {
        table["backdate"] = format!("{backdate}s").into();
    }
    let mut request = Map::new();
    for name in case["request"].as_object().into_iter().flat_map(Map::keys) {
        let own = match name.as_str() {
            "socket_id" => json!({}),
            "channel_name" => json!({ "allow": ["*"] }),
            _ => json!({ "from": format!("json:{name}"), "allow": ["*"] }),
        };
        request.insert(name.clone(), own);
    }
    if file["provider"] == "livekit" {
        table["params"]["server_url"] = "wss://acme.livekit.example".into();
    }
    if !request.is_empty() {
        table["request"] = request.into();
    }
    table
}

fn keys(keys: &Value) -> Value {
    let content = |value: &Value| match value.as_str().unwrap() {
        text if text.starts_with("base64 of keys/") => {
            use base64::Engine as _;
            let file = text.trim_start_matches("base64 of ");
            let pem = std::fs::read(Path::new(FOLDER).join(file)).unwrap();
            base64::engine::general_purpose::STANDARD.encode(pem)
        }
        text if text.starts_with("keys/") => {
            let file = text.split(' ').next().unwrap();
            std::fs::read_to_string(Path::new(FOLDER).join(file)).unwrap()
        }
        text => text.to_owned(),
    };
    let members = keys.as_object().unwrap().iter();
    members
        .map(|(name, value)| (name.clone(), Value::from(content(value))))
        .collect::<Map<_, _>>()
        .into()
}

/// Parameters are templates; the vectors hold their values.
fn literal(value: &Value) -> Value {
    let escaped = |text: &str| text.replace('{', "{{").replace('}', "}}");
    match value {
        Value::Array(items) => items.iter().map(literal).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (escaped(key), literal(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::String(text) => escaped(text).into(),
        other => other.clone(),
    }
}

fn identity(case: &Value) -> Identity {
    let user = case["session"]["user_id"].as_str().unwrap().to_owned();
    Identity::assumed(user, case["session"].clone(), None)
}

fn equal(what: &str, found: &Value, expected: &Value) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: found {found}, expected {expected}"))
}

fn compare_jwt(token: &Token, file: &Value, case: &Value) -> Result<(), String> {
    let text = &value_of(token);
    let (header, payload) = (part(text, 0), part(text, 1));
    equal("header", &header, &case["expect"]["header"])?;
    equal("payload", &payload, &case["expect"]["payload"])?;
    if let (Some(exp), Some(ttl)) = (payload["exp"].as_u64(), case["ttl"].as_u64()) {
        equal("expires_at", &token.expires_at.into(), &exp.into())?;
        assert!(token.usable_until < exp && token.usable_until >= exp - ttl / 2);
    }
    verify(text, &header, case)?;
    match &file["response"] {
        Value::Object(shape) => {
            let body = body(token);
            let names = |map: &Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
            equal("members", &names(body.as_object().unwrap()).into(), &names(shape).into())?;
            let holder = shape.iter().find(|(_, value)| *value == "<token>");
            holder.map_or(Ok(()), |(name, _)| equal("token", &body[name], &text.as_str().into()))
        }
        Value::String(note) if note.starts_with("body is the") => {
            equal("body", &String::from_utf8_lossy(&token.body).into(), &text.as_str().into())
        }
        Value::String(note) if note.starts_with("cookie") => {
            let cookie = token.set_cookies()[0].to_str().unwrap();
            let expected = format!("{}={text};", note.split([' ', ',']).nth(1).unwrap());
            assert!(cookie.starts_with(&expected), "{cookie}");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The signature holds for a verifier that is not ours.
fn verify(token: &str, header: &Value, case: &Value) -> Result<(), String> {
    let algorithm: Algorithm = header["alg"].as_str().unwrap().parse().unwrap();
    let public = |name: &str| std::fs::read(format!("{FOLDER}/keys/{name}-public.pem")).unwrap();
    let key = match algorithm {
        Algorithm::RS256 => DecodingKey::from_rsa_pem(&public("rsa")).unwrap(),
        Algorithm::ES256 => DecodingKey::from_ec_pem(&public("ec-p256")).unwrap(),
        Algorithm::EdDSA => DecodingKey::from_ed_pem(&public("ed25519")).unwrap(),
        _ => shared(case),
    };
    let (message, signature) = token.rsplit_once('.').unwrap();
    match jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, algorithm) {
        Ok(true) => Ok(()),
        other => Err(format!("the signature does not verify: {other:?}")),
    }
}

fn shared(case: &Value) -> DecodingKey {
    let key = case["key"].as_object().unwrap();
    if let Some(combined) = key.get("api_key").filter(|_| key.len() == 1) {
        let combined = combined.as_str().unwrap();
        let secret = combined.rsplit(if combined.starts_with("PRTV_") { '_' } else { ':' }).next();
        return DecodingKey::from_secret(secret.unwrap().as_bytes());
    }
    if let Some(encoded) = key.get("k_base64url") {
        return DecodingKey::from_secret(
            &base64::Engine::decode(
                &base64::engine::general_purpose::URL_SAFE_NO_PAD,
                encoded.as_str().unwrap(),
            )
            .unwrap(),
        );
    }
    let named = |name: &&String| {
        name.contains("secret") || ["access_key", "jwt_key"].contains(&name.as_str())
    };
    let name = key.keys().find(named).map_or("api_key", String::as_str);
    DecodingKey::from_secret(key[name].as_str().unwrap().as_bytes())
}

fn compare_exact(token: &Token, expect: &Value) -> Result<(), String> {
    if let [cookie] = token.set_cookies() {
        let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
        return equal("cookie", &pair.into(), &expect["token"]);
    }
    if !expect["token"].is_null() {
        equal("token", &value_of(token).into(), &expect["token"])?;
    }
    match &expect["response"] {
        Value::Null => Ok(()),
        response => equal("response", &body(token), response),
    }
}

fn compare_call(call: &Call, expect: &Value) -> Result<(), String> {
    equal("method", &call.method.as_str().into(), &expect["method"])?;
    let url: http::Uri = call.url.parse().unwrap();
    equal("path", &url.path().into(), &expect["path"])?;
    let query: Map<String, Value> = url
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    equal("query", &query.into(), &expect["query"])?;
    let body = serde_json::from_slice(&call.body).unwrap_or(Value::Null);
    equal("body", &body, &expect["body"])?;
    for (name, value) in expect["headers"].as_object().unwrap() {
        if name != "accept" {
            let found = call.headers.get(name).map(|value| value.to_str().unwrap());
            equal(name, &found.into(), value)?;
        }
    }
    Ok(())
}

fn compare_answer(
    minter: &Minter,
    subject: &Subject<'_>,
    now: Now,
    file: &Value,
    case: &Value,
) -> Result<(), MintError> {
    let reply = &case["upstream_reply"];
    let token = minter.answered(subject, now, OK, Bytes::from(reply.to_string()))?;
    let pointer = case["token_pointer"].as_str().or_else(|| file["token_pointer"].as_str());
    let pointer = pointer.map_or("/token", |text| text.split(' ').next().unwrap());
    let expected = reply.pointer(pointer).unwrap().as_str().unwrap();
    assert_eq!(value_of(&token).as_bytes(), expected.as_bytes(), "{}", file["provider"]);
    if let Some(life) = file["expires_in_pointer"].as_str() {
        assert_eq!(token.expires_at, now.unix() + reply.pointer(life).unwrap().as_u64().unwrap());
    }
    Ok(())
}
