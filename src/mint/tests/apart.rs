//! Texts that match many texts: no org reaches into another's, whatever their names.

use serde_json::{Value, json};

use crate::mint::tests::{mint, read, wrong};
use crate::session::Identity;

fn org(id: &str) -> Identity {
    Identity::assumed("u".into(), json!({ "org_id": id }), None)
}

#[test]
fn a_key_with_a_wildcard_is_one_orgs_whatever_orgs_are_called() {
    let ably = |capability: &str| {
        json!({
            "preset": "ably-jwt", "key": "app.key:secret",
            "params": { "capability": { capability: ["*"] } }
        })
    };
    for (capability, refused, allowed) in [
        ("{session.org_id}-*", "acme-corp", "acme:corp"),
        ("org:{session.org_id}:*", "acme:corp", "acme-corp"),
        ("org/{session.org_id}/#", "acme/x", "acme-corp"),
        ("org.{session.org_id}.>", "acme.x", "acme-corp"),
        ("org/{session.org_id}/+/x", "a/b", "acme-corp"),
        ("{session.org_id}/{{id}}", "a/b", "acme-corp"),
        ("*:{session.org_id}", "a:b", "acme-corp"),
        ("^{session.org_id}-.*$", "acme|x", "acme"),
        ("^{session.org_id}:.*$", "a.me", "acme-corp"),
        ("users/{session.org_id}", "#", "acme-corp"),
        ("users/{session.org_id}/x", "+", "a+b"),
    ] {
        let minter = read(&ably(capability)).unwrap();
        assert!(mint(&minter, &org(allowed), &Value::Null).is_ok(), "{capability}");
        let error = mint(&minter, &org(refused), &Value::Null).unwrap_err();
        assert_eq!(error.code(), "not_allowed", "{capability}");
        assert!(!error.to_string().contains(refused), "the log must not repeat the value");
    }
    for capability in ["{session.org_id}*", "x-{session.org_id}*", "*{session.user_id}"] {
        assert!(wrong(&ably(capability)).contains("nothing ends the field"), "{capability}");
    }
}

#[test]
fn a_room_that_a_browser_completes_is_one_orgs() {
    let livekit = |room: &str| {
        json!({
            "preset": "livekit", "key": { "api_key": "k", "api_secret": "s" },
            "params": { "video": { "room": room } },
            "request": { "room": { "from": "json:room", "allow": "*" } }
        })
    };
    let minted = |room: &str, id: &str| {
        mint(&read(&livekit(room)).unwrap(), &org(id), &json!({ "room": "corp-x" })).is_ok()
    };
    assert!(minted("{session.org_id}-{request.room}", "acme"));
    assert!(!minted("{session.org_id}-{request.room}", "acme-corp"));
    assert!(minted("{session.org_id} in {request.room}", "Mary Ann"), "a title");
    assert!(wrong(&livekit("{session.org_id}{request.room}")).contains("nothing ends the field"));
    // A parameter that is a text of several parts is looked through.
    let mut nested = livekit("{param.org}*");
    nested["params"]["org"] = "{session.org_id}".into();
    assert!(read(&nested).is_err());
}
