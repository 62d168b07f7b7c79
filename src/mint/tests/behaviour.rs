//! The promises of `behaviour.json` that are this module's to keep. The others
//! (`no-store`, an exact 200) belong to the endpoint.

use serde_json::{Map, Value, json};

use crate::base::clock::Now;
use crate::mint::tests::{NOW, alice, body, claims, mint, read, wrong};
use crate::mint::{CachePolicy, Minting, Subject};

#[test]
fn every_case_is_covered_here_or_by_the_endpoint() {
    let file = include_str!("../../../tests/fixtures/tokens/behaviour.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let cases: Vec<_> =
        file["cases"].as_array().unwrap().iter().map(|case| case["id"].as_str().unwrap()).collect();
    let known = [
        "ttl-over-max",
        "missing-claim",
        "client-identity-ignored",
        "two-calls-differ",
        "two-calls-differ",
        "no-store",
        "text-body",
        "status-exact",
    ];
    assert_eq!(cases, known);
}

#[test]
fn twilio_refuses_a_life_over_a_day_at_load() {
    let text = wrong(&json!({
        "preset": "twilio", "ttl": "25h", "params": { "grants": {} },
        "key": { "account_sid": "AC", "key_sid": "SK", "key_secret": "hunter2" }
    }));
    assert!(text.contains("token.x.ttl: found \"25h\", expected at most 86400 s"), "{text}");
    assert!(!text.contains("hunter2"));
}

#[test]
fn tiptap_never_signs_a_token_for_every_document() {
    let tiptap = |documents: Value| {
        let mut table = json!({ "preset": "tiptap-collab", "key": "s" });
        if !documents.is_null() {
            table["params"] = json!({ "allowedDocumentNames": documents });
        }
        table
    };
    assert!(wrong(&tiptap(Value::Null)).contains("`params.allowedDocumentNames` is missing"));
    let mut table = tiptap("{grant.documents}".into());
    table["grant"] = json!({ "url": "http://127.0.0.1:3000/grants" });
    let minter = read(&table).unwrap();
    let (identity, inputs) = (alice(), Map::new());
    for grant in [json!({}), json!({ "documents": null }), Value::Null] {
        let subject = Subject { identity: &identity, inputs: &inputs, grant: &grant };
        let error = minter.mint(&subject, Now::at(NOW)).unwrap_err();
        assert_eq!(error.code(), "not_allowed");
        assert_eq!(error.to_string(), "`grant.documents` has no value");
    }
    let grant = json!({ "documents": ["a", "b"] });
    let subject = Subject { identity: &identity, inputs: &inputs, grant: &grant };
    let Ok(Minting::Ready(token)) = minter.mint(&subject, Now::at(NOW)) else { panic!() };
    assert_eq!(claims(&token)["allowedDocumentNames"], json!(["a", "b"]));
}

#[test]
fn who_the_browser_says_it_is_does_not_matter() {
    let minter = read(&json!({
        "preset": "livekit", "key": { "api_key": "k", "api_secret": "s" },
        "params": { "video": { "room": "{request.room}" } },
        "request": { "room": { "from": "json:room_name", "allow": "{session.org_id}-*" } }
    }))
    .unwrap();
    let request = br#"{"room_name": "acme-standup", "participant_identity": "admin",
        "participant_name": "Boss", "sub": "admin", "room": "other"}"#;
    let inputs = minter.inputs().collect(None, request, &alice()).unwrap();
    assert_eq!(Value::Object(inputs.clone()), json!({ "room": "acme-standup" }));
    let token = mint(&minter, &alice(), &inputs.into()).unwrap();
    assert_eq!(claims(&token)["sub"], "user_42");
    assert_eq!(claims(&token)["name"], "Alice Example");
    let other = br#"{"room_name": "evil-standup"}"#;
    assert_eq!(minter.inputs().collect(None, other, &alice()).unwrap_err().code(), "not_allowed");
}

#[test]
fn two_tokens_for_liveblocks_are_two_calls() {
    let minter = read(&json!({
        "preset": "liveblocks-authorize", "key": "sk", "params": { "permissions": {} }
    }))
    .unwrap();
    assert_eq!(minter.cache(), CachePolicy::Never);
    let (identity, inputs) = (alice(), Map::new());
    let subject = Subject { identity: &identity, inputs: &inputs, grant: &Value::Null };
    assert!(matches!(minter.mint(&subject, Now::at(NOW)), Ok(Minting::Call(_))));
}

#[test]
fn two_requests_to_ably_carry_two_nonces() {
    let minter = read(&json!({
        "preset": "ably-token-request", "key": "app.key:secret", "params": { "capability": {} }
    }))
    .unwrap();
    assert_eq!(minter.cache(), CachePolicy::Never);
    let made = || body(&mint(&minter, &alice(), &Value::Null).unwrap());
    let (first, second) = (made(), made());
    assert_ne!(first["nonce"], second["nonce"]);
    assert_ne!(first["mac"], second["mac"]);
    let nonce = first["nonce"].as_str().unwrap();
    assert!(
        nonce.len() == 36
            && nonce.as_bytes()[14] == b'4'
            && b"89ab".contains(&nonce.as_bytes()[19])
    );
}

#[test]
fn ckeditor_gets_the_bare_token() {
    let minter = read(&json!({
        "preset": "ckeditor", "key": { "access_key": "s", "environment_id": "e" },
        "params": { "collaboration": { "*": { "role": "writer" } } }
    }))
    .unwrap();
    let token = mint(&minter, &alice(), &Value::Null).unwrap();
    assert_eq!(token.content_type(), "text/plain");
    assert_eq!(*token.body, *token.value());
    assert!(token.body.starts_with(b"ey") && !token.body.ends_with(b"\n"));
}
