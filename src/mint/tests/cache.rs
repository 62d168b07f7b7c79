//! The requests that share a token, how long one is kept, and when none is made.

use serde_json::{Map, Value, json};

use crate::base::clock::Now;
use crate::base::digest::Digest;
use crate::mint::tests::{NOW, alice, claims, read};
use crate::mint::{CachePolicy, MintError, Minter, Minting, Subject, Token};
use crate::session::Identity;

fn livekit() -> Value {
    json!({
        "preset": "livekit", "key": { "api_key": "k", "api_secret": "s" }, "ttl": "10m",
        "params": { "video": { "room": "{request.room}", "role": "{session.role?}" } },
        "request": { "room": { "from": "json:room", "allow": "*" } },
        "grant": { "url": "http://127.0.0.1:3000/grants" }
    })
}

fn key(table: &Value, user: &str, session: Value, room: &str, grant: &Value) -> Digest {
    let minter = read(table).map_err(|problems| format!("{problems:?}")).unwrap();
    let identity = Identity::assumed(user.into(), session, None);
    let mut inputs = Map::new();
    inputs.insert("room".into(), room.into());
    minter.cache_key(&Subject { identity: &identity, inputs: &inputs, grant })
}

#[test]
fn whatever_changes_the_token_changes_the_cache_key() {
    let (session, grant) = (json!({ "name": "A", "role": "x", "unread": 1 }), json!({ "a": 1 }));
    let base = key(&livekit(), "u1", session.clone(), "r", &grant);
    assert_eq!(base, key(&livekit(), "u1", session.clone(), "r", &grant));
    let unread = json!({ "name": "A", "role": "x", "unread": 2 });
    assert_eq!(base, key(&livekit(), "u1", unread, "r", &grant), "no template reads it");
    let role = json!({ "name": "A", "role": "y", "unread": 1 });
    let absent = json!({ "name": "A", "unread": 1 });
    let mut others = vec![
        key(&livekit(), "u2", session.clone(), "r", &grant),
        key(&livekit(), "u1", role, "r", &grant),
        key(&livekit(), "u1", absent, "r", &grant),
        key(&livekit(), "u1", session.clone(), "r2", &grant),
        key(&livekit(), "u1", session.clone(), "r", &json!({ "a": 2 })),
        key(&livekit(), "u1", session.clone(), "r", &Value::Null),
    ];
    for (setting, value) in
        [("ttl", json!("11m")), ("typ", json!("JWT")), ("cache", json!("never"))]
    {
        let mut table = livekit();
        table[setting] = value;
        others.push(key(&table, "u1", session.clone(), "r", &grant));
    }
    let mut rotated = livekit();
    rotated["key"]["api_secret"] = "s2".into();
    others.push(key(&rotated, "u1", session, "r", &grant));
    others.push(base);
    let count = others.len();
    others.sort_unstable();
    others.dedup();
    assert_eq!(others.len(), count);
}

#[test]
fn fields_cannot_be_shifted_into_one_another() {
    let of = |name: &str, role: &str| {
        let session = json!({ "name": name, "role": role });
        key(&livekit(), "u", session, "r", &Value::Null)
    };
    assert_ne!(of("ab", "c"), of("a", "bc"));
    let user = |id: &str, room: &str| key(&livekit(), id, json!({}), room, &Value::Null);
    assert_ne!(user("ab", "c"), user("a", "bc"));
    let grant = |grant: Value| key(&livekit(), "u", json!({}), "r", &grant);
    assert_ne!(grant(json!(["a", "b"])), grant(json!(["ab"])));
    assert_ne!(grant(json!("1")), grant(json!(1)));
}

fn portive(ttl: &str) -> Minter {
    read(&json!({ "preset": "portive", "key": "PRTV_kid_secret", "ttl": ttl })).unwrap()
}

fn at(minter: &Minter, session_end: Option<u64>) -> Result<Token, MintError> {
    let identity = Identity::assumed("u".into(), json!({}), session_end);
    let inputs = Map::new();
    let subject = Subject { identity: &identity, inputs: &inputs, grant: &Value::Null };
    match minter.mint(&subject, Now::at(NOW))? {
        Minting::Call(_) | Minting::First(_) => panic!("expected a token"),
        Minting::Ready(token) => Ok(token),
    }
}

#[test]
fn a_token_never_outlives_its_session() {
    let token = at(&portive("1d"), Some(NOW + 100)).unwrap();
    assert_eq!(claims(&token)["exp"], NOW + 100);
    assert_eq!(token.expires_at, NOW + 100);
    let token = at(&portive("1m"), Some(NOW + 100)).unwrap();
    assert_eq!(claims(&token)["exp"], NOW + 60);
    for end in [NOW, NOW - 1, 0] {
        assert_eq!(at(&portive("1m"), Some(end)).unwrap_err().code(), "session_expired");
    }
}

#[test]
fn a_kept_token_is_not_handed_to_a_session_that_ends_sooner() {
    let token = at(&portive("1m"), None).unwrap();
    let session = |end| Identity::assumed("u".into(), json!({}), end);
    assert!(token.fits(&session(None), Now::at(NOW)));
    assert!(token.fits(&session(Some(NOW + 60)), Now::at(NOW)));
    assert!(!token.fits(&session(Some(NOW + 59)), Now::at(NOW)));
    assert!(!token.fits(&session(None), Now::at(token.usable_until)));
}

#[test]
fn too_little_session_for_the_vendor_is_said() {
    let zoom = read(&json!({
        "preset": "zoom-video", "key": { "sdk_key": "k", "sdk_secret": "s" },
        "params": { "role_type": 0 },
        "request": { "session_name": { "from": "json:name", "allow": "*" } }
    }))
    .unwrap();
    let identity = Identity::assumed("u".into(), json!({}), Some(NOW + 600));
    let inputs = json!({ "session_name": "standup" });
    let subject =
        Subject { identity: &identity, inputs: inputs.as_object().unwrap(), grant: &Value::Null };
    let error = zoom.mint(&subject, Now::at(NOW)).unwrap_err();
    assert_eq!(error.code(), "session_expired");
    assert!(error.to_string().contains("1800 s"), "{error}");
}

#[test]
fn a_kept_token_keeps_a_fifth_of_its_life_within_bounds() {
    for (ttl, left) in [("1d", 300), ("10m", 120), ("1m", 12), ("30s", 10), ("10s", 5), ("1s", 0)] {
        let token = at(&portive(ttl), None).unwrap();
        assert_eq!(token.expires_at - token.usable_until, left, "{ttl}");
    }
    let with = |min_left: &str| {
        let table = json!({
            "preset": "portive", "key": "PRTV_kid_secret", "ttl": "10m", "min_left": min_left
        });
        let token = at(&read(&table).unwrap(), None).unwrap();
        token.expires_at - token.usable_until
    };
    assert_eq!((with("2m"), with("50%"), with("9m"), with("90%")), (120, 300, 300, 300));
}

#[test]
fn a_token_for_everyone_may_not_depend_on_someone() {
    let mapkit = |origin: &str| {
        json!({
            "preset": "mapkit", "params": { "origin": origin },
            "key": {
                "team_id": "t", "key_id": "k",
                "private_key": include_str!("../../../tests/fixtures/tokens/keys/ec-p256-pkcs8.pem")
            }
        })
    };
    let minter = read(&mapkit("https://app.example.com")).unwrap();
    assert_eq!(minter.cache(), CachePolicy::Global);
    let key = |id: &str| {
        let (identity, inputs) = (Identity::assumed(id.into(), json!({}), None), Map::new());
        minter.cache_key(&Subject { identity: &identity, inputs: &inputs, grant: &Value::Null })
    };
    assert_eq!(key("a"), key("b"));
    for origin in ["{session.origin}", "{session.user_id}"] {
        let text = super::wrong(&mapkit(origin));
        assert!(text.contains("`cache = \"global\"`"), "{text}");
    }
}

#[test]
fn minters_are_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    shared(&portive("1m"));
    assert_eq!(portive("1m").methods(), [http::Method::GET, http::Method::POST]);
    assert!(portive("1m").inputs().is_empty() && portive("1m").grant().is_none());
    let _ = alice();
}
