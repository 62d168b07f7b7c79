//! Settings that are refused when read, and the messages.

use serde_json::{Value, json};

use crate::mint::Presets;
use crate::mint::tests::{alice, body, claims, mint, read, user, value_of, wrong};

const PORTIVE: &str = "PRTV_RFbFVVdEvOPCN79y_nV1kpublicTestSecret00000001";

fn portive(key: &str) -> Value {
    json!({ "preset": "portive", "key": key, "ttl": "1m" })
}

const UID: &str = "76cf8b87-fd12-4688-ad34-260d930ca4f4";

#[test]
fn the_seed_table_needs_one_reference_and_a_ttl() {
    let minter = read(&portive(PORTIVE)).unwrap();
    let token = mint(&minter, &alice(), &Value::Null).unwrap();
    assert_eq!(claims(&token), json!({ "iat": super::NOW, "exp": super::NOW + 60 }));
    assert_eq!(body(&token)["authToken"], value_of(&token));
    assert_eq!(body(&token).as_object().unwrap().len(), 1);
    assert_eq!(token.content_type(), "application/json");
    assert_eq!(format!("{token:?}"), "Token");
}

#[test]
fn a_malformed_key_names_the_shape_and_is_never_repeated() {
    for key in [
        "hunter2",
        "PRTV_onlytwo",
        "PRTV_a_b_c",
        "PRTV__secretpart",
        "PRTV_kid_",
        "prtv_kid_secretpart",
        "PRTV_kid_secret part",
        "\"PRTV_kid_secretpart\"",
    ] {
        let text = wrong(&portive(key));
        assert!(text.contains("token.x.key: ") && text.contains("PRTV_<kid>_<secret>"), "{text}");
        assert!(!text.contains(key) && !text.contains("secretpart") && !text.contains("hunter2"));
    }
}

#[test]
fn a_missing_key_says_what_to_write() {
    let text = wrong(&json!({ "preset": "portive" }));
    assert!(text.contains("`key` is missing") && text.contains("key = \"env:NAME\""), "{text}");
}

#[test]
fn a_preset_with_two_members_wants_a_table() {
    let text = wrong(&json!({ "preset": "livekit", "key": "x", "params": { "video": {} } }));
    assert!(text.contains("`key.api_key` is missing"), "{text}");
}

#[test]
fn unknown_names_are_refused_with_what_is_known() {
    let with = |params: Value| {
        let mut table = portive(PORTIVE);
        table["params"] = params;
        wrong(&table)
    };
    let text = with(json!({ "claims": { "a": "{sesion.user_id}" } }));
    assert!(text.contains("token.x.params.claims.a: unknown placeholder"), "{text}");
    let text = with(json!({ "claims": { "a": "{session.user_id|shout}" } }));
    assert!(text.contains("unknown filter"), "{text}");
    let text = with(json!({ "clams": {} }));
    assert!(text.contains("token.x.params.clams: unknown parameter") && text.contains("`claims`"));
    let text = with(json!({ "claims": { "a": "{key.secret}" } }));
    assert!(text.contains("`key.secret` is missing"), "{text}");
    let text = with(json!({ "claims": { "a": "{grant.x}" } }));
    assert!(text.contains("`grant` is used but not set"), "{text}");
    let text = with(json!({ "claims": { "a": "{request.room}" } }));
    assert!(text.contains("`request.room` is missing"), "{text}");
    let text = with(json!({ "claims": { "a": "{session.x" } }));
    assert!(text.contains("{{ or }}"), "{text}");
    let mut table = portive(PORTIVE);
    table["tll"] = "1m".into();
    assert!(wrong(&table).contains("token.x.tll: unknown key, did you mean `ttl`?"));
}

#[test]
fn one_mistake_is_reported_once() {
    let text = wrong(&json!({ "preset": "portiv", "key": "x", "ttl": "1m", "params": {} }));
    assert_eq!(text.lines().count(), 1, "{text}");
    let text = wrong(&json!({ "preset": "livekit", "key": { "api_key": "k", "api_secret": "s" } }));
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("`params.video` is missing"), "{text}");
}

#[test]
fn a_misspelt_preset_is_answered_with_the_one_that_was_meant() {
    for (written, meant) in [
        ("portiv", "did you mean \"portive\"?"),
        ("LiveKit", "did you mean \"livekit\"?"),
        ("stream", "did you mean \"stream-chat\" or \"stream-video\" or"),
        ("openai", "did you mean \"openai-realtime\" or \"openai-chatkit\" or"),
        ("nonsense", "expected the name of a preset: portive, "),
    ] {
        let text = wrong(&json!({ "preset": written, "key": "x", "ttl": "1m" }));
        assert!(text.contains(meant), "{text}");
        assert_eq!(Presets::builtin().meant(written).is_some(), meant.starts_with("did"));
    }
}

#[test]
fn a_secret_never_reaches_a_browser() {
    let own = json!({
        "kind": "jwt", "alg": "HS256", "secret": "secret", "key": { "secret": "hunter2hunter2" },
        "ttl": "1m", "claims": { "x": "{key.secret}" }, "response": { "t": "{token}" }
    });
    let text = wrong(&own);
    assert!(text.contains("token.x.claims.x: `key.secret` is a secret"), "{text}");
    let mut shown = own;
    shown["claims"] = json!({});
    shown["response"] = json!({ "t": "{key.secret}" });
    assert!(wrong(&shown).contains("token.x.response.t"));
    assert!(!wrong(&shown).contains("hunter2"));
    let velt = json!({
        "preset": "velt", "key": { "api_key": "hunter2", "auth_token": "hunter3" },
        "response": { "leak": "{key.auth_token}" }
    });
    assert!(wrong(&velt).contains("`key.auth_token` is a secret"));
}

#[test]
fn a_users_name_is_never_read_as_a_template() {
    let mut table = portive(PORTIVE);
    table["params"] = json!({ "claims": { "who": "{session.user_id}" } });
    let minter = read(&table).unwrap();
    for name in ["{key.secret}", "{{env.X}}", "*", "{param.claims}", "\"},{\"admin\":true"] {
        let token = mint(&minter, &user(name), &Value::Null).unwrap();
        assert_eq!(claims(&token)["who"], name);
    }
}

#[test]
fn a_user_called_star_is_refused_where_a_vendor_reads_wildcards() {
    let ably = read(&json!({
        "preset": "ably-jwt", "key": "app.key:secret",
        "params": { "capability": { "user:{session.user_id}": ["*"] } }
    }))
    .unwrap();
    assert!(mint(&ably, &alice(), &Value::Null).is_ok());
    for name in ["*", "a*", "{x}", "a?", "[!a]", "a\nb"] {
        let error = mint(&ably, &user(name), &Value::Null).unwrap_err();
        assert_eq!(error.code(), "not_allowed", "{name}");
        assert!(!error.to_string().contains(name), "the log must not repeat the value");
    }
}

#[test]
fn session_text_in_a_filter_needs_quote_or_a_character_set() {
    let meili = |filter: &str, chars: Option<&str>| {
        let mut table = json!({
            "preset": "meilisearch", "key": { "api_key": "k", "api_key_uid": UID },
            "params": { "searchRules": { "docs": { "filter": filter } } }
        });
        if let Some(chars) = chars {
            table["user_id_chars"] = chars.into();
        }
        table
    };
    let text = wrong(&meili("org_id = {session.org_id}", None));
    assert!(text.contains("params.searchRules.docs.filter") && text.contains("|quote"), "{text}");
    assert!(wrong(&meili("{session.filter}", None)).contains("|quote"));
    assert!(wrong(&meili("id = {session.user_id}", Some("A-Za-z\" "))).contains("|quote"));
    assert!(read(&meili("id = {session.user_id}", Some("A-Za-z0-9_"))).is_ok());
    assert!(read(&meili("org_id = {session.org_id|safe}", None)).is_ok());
    let minter = read(&meili("org_id = {session.org_id|quote}", None)).unwrap();
    let token = mint(&minter, &alice(), &Value::Null).unwrap();
    assert_eq!(claims(&token)["searchRules"]["docs"]["filter"], "org_id = \"acme\"");
}

#[test]
fn a_preset_or_a_token_names_members_that_hold_expressions() {
    let own = |expressions: Value, member: &str| {
        json!({
            "kind": "jwt", "alg": "HS256", "secret": "s", "key": "k", "ttl": "1m",
            "expressions": expressions, "claims": { member: "org = {session.org_id}" },
            "response": { "t": "{token}" }
        })
    };
    assert!(read(&own(json!([]), "where")).is_ok());
    assert!(wrong(&own(json!(["where"]), "where")).contains("|quote"));
    assert!(wrong(&own(json!(["*query"]), "subQuery")).contains("|quote"));
    assert!(wrong(&own(json!([]), "filter_by")).contains("|quote"), "always one of them");
}

#[test]
fn a_token_shows_four_characters_of_a_secret_and_no_more() {
    let own = |shown: &str| {
        json!({
            "kind": "jwt", "alg": "HS256", "secret": "secret", "key": { "secret": "hunter2hunter2" },
            "ttl": "1m", "claims": { "x": shown }, "response": { "t": "{token}" }
        })
    };
    for shown in ["{key.secret|first4}", "{key.secret|first:4}"] {
        let token = mint(&read(&own(shown)).unwrap(), &alice(), &Value::Null).unwrap();
        assert_eq!(claims(&token)["x"], "hunt");
    }
    for shown in ["{key.secret|first:5}", "{key.secret|first:4|json}", "{key.secret|json}"] {
        assert!(wrong(&own(shown)).contains("`key.secret` is a secret"), "{shown}");
    }
}

#[test]
fn a_ttl_outside_the_vendors_bounds_is_refused_at_load() {
    let zoom = |ttl: &str| {
        json!({
            "preset": "zoom-video", "key": { "sdk_key": "k", "sdk_secret": "s" }, "ttl": ttl,
            "params": { "role_type": 0 },
            "request": { "session_name": { "from": "json:name", "allow": "*" } }
        })
    };
    assert!(wrong(&zoom("29m")).contains("token.x.ttl: found \"29m\", expected at least 1800 s"));
    assert!(wrong(&zoom("49h")).contains("at most 172800 s"));
    assert!(read(&zoom("30m")).is_ok());
    assert!(wrong(&zoom("1500ms")).contains("whole seconds"));
}

#[test]
fn an_input_without_a_rule_is_refused() {
    let text = wrong(&json!({
        "preset": "centrifugo", "key": "s", "request": { "channel": { "from": "json:channel" } }
    }));
    assert!(text.contains("`request.channel.allow` is missing"), "{text}");
}

#[test]
fn the_examples_for_the_ten_most_used_vendors_are_accepted() {
    let file = include_str!("../../../tests/fixtures/tokens/ten-endpoints.toml");
    let problems = crate::document::Problems::default();
    let file = crate::document::Node::parse(file, &problems).to_json();
    assert!(problems.is_empty());
    let pem = include_str!("../../../tests/fixtures/tokens/keys/rsa-pkcs8.pem");
    let examples = file["token"].as_array().unwrap();
    assert_eq!(examples.len(), 11);
    for example in examples {
        let mut example = example.clone();
        for (name, value) in example["key"].as_object_mut().unwrap() {
            *value = match (name.as_str(), example_key(value)) {
                ("private_key", _) => pem.into(),
                (_, "env:PORTIVE_API_KEY") => PORTIVE.into(),
                (_, "env:ABLY_API_KEY") => "app.key:secret".into(),
                ("api_key_uid", _) => UID.into(),
                (_, text) => text.replace(':', "-").into(),
            };
        }
        let problems = read(&example).err();
        assert!(problems.is_none(), "{}: {problems:?}", example["preset"]);
    }
}

fn example_key(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn presets_can_be_listed_and_printed() {
    let names: Vec<_> = Presets::builtin().names().collect();
    assert_eq!(names.len(), 101);
    for name in names {
        let text = Presets::text(name).unwrap();
        assert!(text.starts_with(&format!("[{name}]\nkind = ")), "{text}");
        let problems = crate::document::Problems::default();
        let parsed = crate::document::Node::parse(text, &problems).to_json();
        assert!(problems.is_empty() && parsed[name]["kind"].is_string(), "{name}");
    }
    assert_eq!(Presets::text("nonesuch"), None);
}

#[test]
fn the_uid_of_a_meilisearch_key_is_one() {
    let table = |uid: &str| {
        json!({
            "preset": "meilisearch", "key": { "api_key": "k", "api_key_uid": uid },
            "params": { "searchRules": ["docs"] }
        })
    };
    assert!(read(&table(UID)).is_ok());
    let text = wrong(&table("hunter2-is-the-key-itself"));
    assert!(text.contains("token.x.key.api_key_uid: found something other than a UUID"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_user_id_is_at_most_as_long_as_the_vendor_accepts() {
    for (preset, key, more, longest) in [
        ("zoom-video", json!({ "sdk_key": "k", "sdk_secret": "s" }), Some("session_name"), 35),
        ("zendesk", json!({ "key_id": "k", "shared_secret": "s" }), None, 255),
    ] {
        let mut table = json!({ "preset": preset, "key": key });
        if let Some(input) = more {
            table["params"] = json!({ "role_type": 1 });
            table["request"] = json!({ input: { "from": "json:name", "allow": ["*"] } });
        }
        let minter = read(&table).unwrap();
        let inputs = || more.map_or(Value::Null, |input| json!({ input: "lesson" }));
        assert!(mint(&minter, &user(&"x".repeat(longest)), &inputs()).is_ok(), "{preset}");
        let long = mint(&minter, &user(&"x".repeat(longest + 1)), &inputs()).unwrap_err();
        assert!(long.to_string().contains("`user_id_max`"), "{preset}: {long}");
    }
}

#[test]
fn claims_that_firebase_refuses_are_refused_here() {
    let table = |claims: &Value| {
        json!({
            "preset": "firebase", "params": { "claims": claims },
            "grant": { "url": "http://127.0.0.1/grants" },
            "key": {
                "client_email": "bot@demo.test",
                "private_key": include_str!("../../../tests/fixtures/tokens/keys/rsa-pkcs8.pem")
            }
        })
    };
    let minter = read(&table(&json!({ "role": "admin" }))).unwrap();
    assert!(mint(&minter, &user(&"x".repeat(128)), &Value::Null).is_ok());
    let long = mint(&minter, &user(&"x".repeat(129)), &Value::Null).unwrap_err();
    assert!(long.to_string().contains("`user_id_max`"), "{long}");
    let text = wrong(&table(&json!({ "aud": "x", "role": "admin" })));
    assert!(text.contains("the vendor reserves the claim `claims.aud`"), "{text}");
    // What the app adds is only known when it is asked.
    let minter = read(&table(&"{grant.claims}".into())).unwrap();
    let identity = alice();
    let inputs = serde_json::Map::new();
    for (claims, allowed) in [(json!({ "plan": "pro" }), true), (json!({ "nonce": 1 }), false)] {
        let grant = json!({ "claims": claims });
        let subject = crate::mint::Subject { identity: &identity, inputs: &inputs, grant: &grant };
        assert_eq!(minter.mint(&subject, crate::base::clock::Now::at(super::NOW)).is_ok(), allowed);
    }
}

#[test]
fn a_user_called_star_is_not_every_user_at_ably() {
    for preset in ["ably-jwt", "ably-token-request"] {
        let ably = json!({
            "preset": preset, "key": "app.key:secret", "params": { "capability": { "a": ["*"] } }
        });
        let ably = read(&ably).unwrap();
        assert!(mint(&ably, &user("Zo\u{eb} \u{674e}+()-,"), &Value::Null).is_ok());
        assert_eq!(mint(&ably, &user("*"), &Value::Null).unwrap_err().code(), "not_allowed");
    }
}

#[test]
fn an_item_of_a_list_cannot_mean_all_of_them() {
    let tiptap = read(&json!({
        "preset": "tiptap-collab", "key": "s",
        "params": { "allowedDocumentNames": ["{session.user_id}", "{session.roles}"] }
    }))
    .unwrap();
    let token = mint(&tiptap, &alice(), &Value::Null).unwrap();
    assert_eq!(claims(&token)["allowedDocumentNames"], json!(["user_42", ["editor"]]));
    for name in ["*", "user_*", "{x}"] {
        let error = mint(&tiptap, &user(name), &Value::Null).unwrap_err();
        assert_eq!(error.code(), "not_allowed", "{name}");
    }
}

#[test]
fn a_number_that_json_cannot_write_is_refused() {
    for number in ["inf", "nan"] {
        let text =
            format!("preset = \"portive\"\nkey = \"{PORTIVE}\"\nparams.claims.n = {number}\n");
        let file = crate::document::Node::parse(&text, &crate::document::Problems::default());
        let problems = super::read_node(&file).err().expect("a problem");
        assert!(problems[0].text.contains("a number that JSON cannot express"), "{problems:?}");
    }
}

#[test]
fn without_a_name_there_is_no_signature_over_nothing() {
    let crisp = read(&json!({ "preset": "crisp", "key": "s" })).unwrap();
    let nobody = crate::session::Identity::assumed("1".into(), json!({ "email": "" }), None);
    assert_eq!(mint(&crisp, &nobody, &Value::Null).unwrap_err().code(), "not_allowed");
}
