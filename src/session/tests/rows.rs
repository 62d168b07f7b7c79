//! The rules on rows, for every kind whose sessions live in a table.

use serde_json::{Value as Json, json};

use super::*;
use vectors::{cookie_header, verdict};

/// An accepted vector of every kind, or driver, with an SQL store.
fn of_every_kind() -> Vec<Json> {
    let files = vectors::files();
    let all = files.iter().flat_map(|file| vectors(file));
    let in_tables = all.filter(|vector| {
        vector["config"]["store"]["engine"] == "sql" && vector["expect"]["outcome"] == "accept"
    });
    let mut found: Vec<Json> = Vec::new();
    for vector in in_tables {
        if !found.iter().any(|other| other["config"]["kind"] == vector["config"]["kind"]) {
            found.push(vector);
        }
    }
    found
}

/// The verdict with more settings of the source and its store, and more columns in the
/// first row.
fn judged(vector: &Json, session: &Json, store: &Json, columns: &Json) -> Result<Identity, String> {
    let merge = |into: &mut Json, from: &Json| {
        from.as_object().unwrap().iter().for_each(|(key, value)| into[key] = value.clone());
    };
    let (mut config, mut rows) = (vector["config"].clone(), vector["store"].clone());
    merge(&mut config, session);
    merge(&mut config["store"], store);
    merge(&mut rows[0]["row"], columns);
    let source = compile(&config).map_err(|problems| format!("{problems:?}"))?;
    let header = cookie_header(vector);
    let now = vector["now"].as_u64().unwrap();
    let found = verdict(&source, &rows, Cookies::new(&header), now);
    found.map_err(|rejected| format!("{}: {}", rejected.reason.as_str(), rejected.detail))
}

#[test]
fn every_kind_with_a_table_takes_the_rules_on_its_rows() {
    let vectors = of_every_kind();
    assert!(vectors.len() >= 8, "{}", vectors.len());
    for vector in &vectors {
        let kind = &vector["config"]["kind"];
        let now = vector["now"].as_u64().unwrap();
        let nothing = json!({});
        let end = |store: Json, columns: Json| judged(vector, &nothing, &store, &columns);
        let created = json!({ "created_column": "made", "lifetime": "1h" });
        let idle = json!({ "idle_column": "seen", "idle": "30m" });
        let ends = end(created.clone(), json!({ "made": now - 60 })).map(|it| it.expires_at());
        assert!(ends.clone().unwrap().unwrap() <= now + 3540, "{kind}: {ends:?}");
        let old = end(created, json!({ "made": now - 3600 })).unwrap_err();
        assert!(old.starts_with("expired"), "{kind}: {old}");
        assert!(end(idle.clone(), json!({ "seen": now - 1799 })).is_ok(), "{kind}");
        let rested = end(idle, json!({ "seen": now - 1800 })).unwrap_err();
        assert!(rested.starts_with("expired"), "{kind}: {rested}");
        let require = json!({ "require": { "revoked": false } });
        assert!(end(require.clone(), json!({ "revoked": null })).is_ok(), "{kind}");
        let revoked = end(require, json!({ "revoked": "2026-01-01 00:00:00" })).unwrap_err();
        assert!(revoked.starts_with("signed_out"), "{kind}: {revoked}");
    }
}

#[test]
fn max_age_counts_from_the_column_of_creation_in_every_kind_with_a_table() {
    for vector in &of_every_kind() {
        let kind = vector["config"]["kind"].as_str().unwrap();
        // Plug and Django count from a time of their own.
        if ["plug", "django"].contains(&kind) {
            continue;
        }
        let now = vector["now"].as_u64().unwrap();
        let age = json!({ "max_age": "8h" });
        let column = json!({ "created_column": "made" });
        let young = judged(vector, &age, &column, &json!({ "made": now - 8 * 3600 + 1 }));
        assert_eq!(young.map(|it| it.expires_at()), Ok(Some(now + 1)), "{kind}");
        let old = judged(vector, &age, &column, &json!({ "made": now - 8 * 3600 })).unwrap_err();
        assert!(old.starts_with("expired"), "{kind}: {old}");
        let alone = judged(vector, &json!({}), &column, &json!({ "made": now })).unwrap_err();
        assert!(alone.contains("`lifetime` is missing"), "{kind}: {alone}");
        if kind != "better-auth" {
            let untold = judged(vector, &age, &json!({}), &json!({})).unwrap_err();
            assert!(untold.contains("`created_column`"), "{kind}: {untold}");
        }
    }
}

#[test]
fn max_age_of_django_bounds_every_backend() {
    for backend in ["db", "cache", "cached_db", "signed_cookies"] {
        let accepted =
            |it: &Json| it["config"]["backend"] == backend && it["expect"]["outcome"] == "accept";
        let vector = vectors("django").into_iter().find(accepted).unwrap();
        let now = vector["now"].as_u64().unwrap();
        let ends = |settings: Json| match vector["config"].get("store") {
            Some(_) => judged(&vector, &settings, &json!({}), &json!({})),
            None => {
                let mut config = vector["config"].clone();
                config["max_age"] = settings["max_age"].clone();
                let source = compile(&config).map_err(|problems| format!("{problems:?}"))?;
                let header = cookie_header(&vector);
                verdict(&source, &Json::Null, Cookies::new(&header), now)
                    .map_err(|rejected| rejected.detail.into_owned())
            }
        };
        let usual = ends(json!({ "max_age": "7305d" })).unwrap().expires_at();
        // A year: what was written long ago is over, and what may have been written now
        // ends in a year.
        match ends(json!({ "max_age": "365d" })) {
            Ok(identity) => {
                assert!(identity.expires_at() <= Some(now + 365 * 86400), "{backend}");
                assert!(identity.expires_at() <= usual, "{backend}");
            }
            Err(why) => assert!(why.contains("expired"), "{backend}: {why}"),
        }
        let span = ends(json!({ "max_age": { "at": "/nowhere", "limit": "8h" } })).unwrap_err();
        assert!(span.contains("no time at `/nowhere`"), "{backend}: {span}");
    }
}

#[test]
fn every_column_that_is_read_may_have_another_name() {
    let renamed = [
        (
            "django",
            vec![
                ("session_key", "id_column"),
                ("session_data", "session_column"),
                ("expire_date", "expires_column"),
            ],
        ),
        (
            "laravel",
            vec![
                ("id", "id_column"),
                ("payload", "session_column"),
                ("last_activity", "activity_column"),
            ],
        ),
        (
            "flask-session",
            vec![
                ("session_id", "id_column"),
                ("data_b64", "session_column"),
                ("expiry", "expires_column"),
            ],
        ),
        (
            "express-session",
            vec![("sid", "id_column"), ("sess", "session_column"), ("expire", "expires_column")],
        ),
        (
            "plug",
            vec![
                ("token_b64", "token_column"),
                ("context", "context_column"),
                ("inserted_at", "inserted_column"),
            ],
        ),
        ("rails", vec![("id", "id_column"), ("user_id", "user_column")]),
        (
            "better-auth",
            vec![
                ("token", "token_column"),
                ("expiresAt", "expires_column"),
                ("userId", "user_column"),
            ],
        ),
    ];
    let vectors = of_every_kind();
    for (kind, columns) in renamed {
        let vector = vectors.iter().find(|it| it["config"]["kind"] == kind).unwrap();
        let mut vector = vector.clone();
        let mut settings = json!({});
        for (column, setting) in columns {
            let row = vector["store"][0]["row"].as_object_mut().unwrap();
            let Some(value) = row.remove(column) else { panic!("{kind} has no {column}") };
            let suffix = if column.ends_with("_b64") { "_b64" } else { "" };
            row.insert(format!("own_{setting}{suffix}"), value);
            settings[setting] = json!(format!("own_{setting}"));
        }
        let found = judged(&vector, &json!({}), &settings, &json!({}));
        let user = found.as_ref().map(|it| it.user_id().to_owned());
        assert_eq!(
            vector["expect"]["user_id"],
            user.clone().unwrap_or_default(),
            "{kind}: {user:?}"
        );
    }
}
