//! Notes on an accepted row, and the end that refuses one.

use serde_json::json;

use super::*;
use vectors::compile;

const NOW: u64 = 1_795_830_000;

/// The notes on a row that a `lookup` finds, with these settings of its store.
fn said(store: &Json, columns: &Json) -> Result<String, String> {
    let mut config = json!({ "kind": "lookup", "cookie": "sid", "store": { "engine": "sql" } });
    let mut row = json!({ "id": "id-0123456789", "user_id": "u-1" });
    let merge = |into: &mut Json, from: &Json| {
        from.as_object().unwrap().iter().for_each(|(key, value)| into[key] = value.clone());
    };
    merge(&mut config["store"], store);
    merge(&mut row, columns);
    let found = json!([{ "engine": "sql", "table": "sessions", "row": row }]);
    judged(&config, &found, "sid=id-0123456789")
}

fn judged(config: &Json, store: &Json, cookie: &str) -> Result<String, String> {
    let source = compile(config).map_err(|problems| format!("{problems:?}"))?;
    let cookies = Cookies::new(cookie.as_bytes());
    match reports::verdict(&source, store, cookies, NOW) {
        Ok((identity, row)) => Ok(source.notes(&identity, row.as_ref(), NOW).join("\n")),
        Err(why) => Err(format!("{}: {}", why.reason.as_str(), why.detail)),
    }
}

#[test]
fn a_row_that_looks_signed_out_names_the_rule_that_ends_it() {
    let nothing = json!({});
    for (column, set) in [
        ("revoked_at", json!("2026-11-28 01:00:00")),
        ("revokedAt", json!(1_795_829_000)),
        ("is_revoked", json!(true)),
        ("revoked_reason", json!("stolen")),
        ("destroyedAt", json!("2026-11-28 01:39:12.5")),
        ("deleted_at", json!("2026-11-28 01:00:00+00")),
        ("logged_out", json!(1)),
        ("logged_out_at", json!("2026-11-28")),
        ("logout_time", json!(1_795_829_000)),
        ("ended_at", json!("x")),
        ("invalidated", json!(1)),
        ("InvalidatedOn", json!("2026-11-28")),
        ("terminated_at", json!(1)),
        ("signed_out_at", json!(1)),
        ("is_expired", json!(true)),
    ] {
        let found = said(&nothing, &json!({ column: set })).unwrap();
        let cure = format!("require = {{ {column} = false }} in [session.store]");
        assert!(found.contains(&cure) && found.contains("is set"), "{column}: {found}");
        let cured = said(&json!({ "require": { column: false } }), &json!({ column: set }));
        assert!(cured.unwrap_err().starts_with("signed_out"), "{column}");
        let empty = said(&nothing, &json!({ column: null })).unwrap();
        assert!(empty.contains(&cure) && empty.contains("if the app sets"), "{column}: {empty}");
        let ruled = said(&json!({ "require": { column: false } }), &json!({ column: null }));
        assert_eq!(ruled.unwrap(), "", "{column}");
    }
    for column in ["is_active", "active", "isValid", "enabled"] {
        let found = said(&nothing, &json!({ column: false })).unwrap();
        let cure = format!("require = {{ {column} = true }} in [session.store]");
        assert!(found.contains(&cure) && found.contains("false or empty"), "{column}: {found}");
        let cured = said(&json!({ "require": { column: true } }), &json!({ column: false }));
        assert!(cured.is_err(), "{column}");
    }
    for column in
        ["deleted_count", "ip_address", "active_organization_id", "activation", "closed_by_ip"]
    {
        let found = said(&nothing, &json!({ column: "x" })).unwrap();
        assert_eq!(found, "", "{column} says nothing of an end");
    }
}

#[test]
fn an_end_of_the_row_that_no_setting_reads_ends_it() {
    let nothing = json!({});
    let past = [json!("2001-09-09 01:46:40"), json!(1_795_829_999), json!(1_795_829_999_000_u64)];
    for column in ["expires_at", "expiresAt", "expires", "expiry", "expire_date", "ExpiresOn"] {
        for end in &past {
            let over = said(&nothing, &json!({ column: end })).unwrap_err();
            assert!(over.starts_with("expired: expired "), "{column}: {over}");
            let cure = format!("expires_column = {column:?} in [session.store]");
            assert!(over.contains(&cure), "{column}: {over}");
        }
        let ahead = said(&nothing, &json!({ column: NOW + 60 })).unwrap();
        assert!(ahead.contains(&format!("expires_column = {column:?}")), "{column}: {ahead}");
        let read = json!({ "expires_column": column });
        assert_eq!(said(&read, &json!({ column: NOW + 60 })).unwrap(), "", "{column}");
        // The app may mean something else by it, or by a time that is none.
        for never in [json!(null), json!(0), json!(3600), json!("1970-01-01 00:00:00")] {
            assert_eq!(said(&nothing, &json!({ column: never })).unwrap(), "", "{column}: {never}");
        }
        let other = json!({ "require": { column: true } });
        assert_eq!(said(&other, &json!({ column: past[0] })).unwrap(), "", "{column}");
        let ruled = json!({ "created_column": "made", "lifetime": "1h" });
        let noted = said(&ruled, &json!({ column: past[0], "made": NOW - 60 })).unwrap();
        assert!(noted.contains("in the past") && noted.contains(column), "{noted}");
    }
    let other = json!({ "access_token_expires_at": past[0], "expires_in": 3600 });
    assert_eq!(said(&nothing, &other).unwrap(), "", "an end of something else");
}

#[test]
fn a_row_without_an_end_names_the_times_it_could_count_from() {
    let times = json!({ "created_at": "2026-11-28 01:00:00", "last_seen_at": NOW - 60 });
    let found = said(&json!({}), &times).unwrap();
    assert!(found.contains("created_column = \"created_at\" and lifetime"), "{found}");
    assert!(found.contains("idle_column = \"last_seen_at\" and idle"), "{found}");
    let mut ends = times.clone();
    ends["until"] = json!(NOW + 60);
    let known = said(&json!({ "expires_column": "until" }), &ends).unwrap();
    assert_eq!(known, "", "the session has an end");
}

#[test]
fn a_row_of_rails_is_judged_as_any_other() {
    let vector = vectors("rails").into_iter().find(|vector| {
        vector["config"]["store"]["engine"] == "sql" && vector["expect"]["outcome"] == "accept"
    });
    let vector = vector.unwrap();
    let mut store = vector["store"].clone();
    store[0]["row"]["expires_at"] = json!("2001-09-09 01:46:40");
    let cookie = String::from_utf8(cookie_header(&vector)).unwrap();
    let over = judged(&vector["config"], &store, &cookie).unwrap_err();
    assert!(over.contains("expires_at = \"/expires_at\" in [session]"), "{over}");
    let mut config = vector["config"].clone();
    config["expires_at"] = json!("/expires_at");
    let read = judged(&config, &store, &cookie).unwrap_err();
    assert!(read.starts_with("expired"), "{read}");
}

#[test]
fn a_session_without_an_end_names_the_member_that_holds_one() {
    let config = json!({
        "kind": "lookup", "cookie": "sid", "store": { "engine": "redis", "prefix": "s:" },
    });
    let value = json!({ "user_id": "u-1", "expires": NOW + 60 }).to_string();
    let store = json!([{ "engine": "redis", "key": "s:id-0123456789", "value": value }]);
    let mut config = config;
    config["user_id"] = json!("/user_id");
    let found = judged(&config, &store, "sid=id-0123456789").unwrap();
    assert!(found.contains("expires_at = \"/expires\" in [session]"), "{found}");
}
