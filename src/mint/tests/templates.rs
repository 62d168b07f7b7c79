//! The template language, seen through the claims it makes.

use serde_json::{Map, Value, json};

use crate::base::clock::Now;
use crate::base::secret::Secrets;
use crate::document::{At, Node, Problems};
use crate::mint::tests::{NOW, claims, read, wrong};
use crate::mint::{MintError, Minter, Minting, Presets, Subject};
use crate::session::Identity;

fn table(made: &Value) -> Value {
    json!({
        "kind": "jwt", "alg": "HS256", "secret": "secret", "key": "s", "ttl": "1m",
        "grant": { "url": "http://127.0.0.1/g" },
        "claims": made, "response": { "token": "{token}" }
    })
}

fn made(template: &Value, grant: &Value) -> Result<Value, MintError> {
    let minter = read(&table(template)).map_err(|problems| format!("{problems:?}")).unwrap();
    let session = json!({
        "n": 7, "yes": true, "list": [1, "two"], "map": { "k": "v" }, "name": "Åsa", "empty": "",
        "null": null, "user_id": { "not": "this" }, "brace": "{session.name}"
    });
    let identity = Identity::assumed("42".into(), session, None);
    let subject = Subject { identity: &identity, inputs: &Map::new(), grant };
    match minter.mint(&subject, Now::at(NOW))? {
        Minting::Call(_) | Minting::First(_) => panic!("expected a token"),
        Minting::Ready(token) => Ok(claims(&token)),
    }
}

fn claim(template: &str) -> Result<Value, &'static str> {
    let made = made(&json!({ "x": template }), &json!({ "a": { "b": 1 } }));
    made.map(|claims| claims["x"].clone()).map_err(|error| error.code())
}

#[test]
fn one_placeholder_keeps_the_type_and_more_make_text() {
    assert_eq!(claim("{session.n}"), Ok(json!(7)));
    assert_eq!(claim("{session.n|str}"), Ok(json!("7")));
    assert_eq!(claim("n{session.n}"), Ok(json!("n7")));
    assert_eq!(claim("{session.yes}"), Ok(json!(true)));
    assert_eq!(claim("{session.list}"), Ok(json!([1, "two"])));
    assert_eq!(claim("{session.list.1}"), Ok(json!("two")));
    assert_eq!(claim("{session.map}"), Ok(json!({ "k": "v" })));
    assert_eq!(claim("{grant.a.b}"), Ok(json!(1)));
    assert_eq!(claim("{exp}-{now}"), Ok(format!("{}-{NOW}", NOW + 60).into()));
    assert_eq!(claim("{session.user_id}"), Ok(json!("42")), "always the text, never the member");
}

#[test]
fn doubled_braces_are_literal_and_values_are_not_read_again() {
    assert_eq!(claim("{{session.n}}"), Ok(json!("{session.n}")));
    assert_eq!(claim("https://x/{session.user_id}/{{?topic}}"), Ok(json!("https://x/42/{?topic}")));
    assert_eq!(claim("{session.brace}"), Ok(json!("{session.name}")));
}

#[test]
fn absence_is_a_refusal_unless_it_is_allowed() {
    for absent in ["{session.none}", "{session.null}", "{session.map.none}", "a{session.empty}"] {
        assert_eq!(claim(absent), Err("not_allowed"), "{absent}");
    }
    assert_eq!(claim("{session.empty}"), Ok(json!("")));
    for dropped in ["{session.none?}", "{session.empty?}", "{session.null?}", "a{session.none?}"] {
        assert_eq!(made(&json!({ "x": dropped, "y": 1 }), &Value::Null), Ok(json!({ "y": 1 })));
    }
    assert_eq!(
        made(&json!({ "x": ["{session.none?}", "{session.n}"] }), &Value::Null),
        Ok(json!({ "x": [7] }))
    );
    assert_eq!(claim("a{session.list}"), Err("not_allowed"), "a list is no text");
}

#[test]
fn filters_write_what_vendors_expect() {
    assert_eq!(claim("{session.map|json}"), Ok(json!(r#"{"k":"v"}"#)));
    assert_eq!(claim("{session.name|quote}"), Ok(json!("\"Åsa\"")));
    assert_eq!(claim("{session.name|safe}"), Err("not_allowed"));
    assert_eq!(claim("{session.map|query}"), Ok(json!("k=v")));
    let grant = json!({ "b": [2, "x&y"], "a": "å b" });
    let filtered = |filter: &str| {
        made(&json!({ "x": format!("{{grant|{filter}}}") }), &grant).unwrap()["x"].clone()
    };
    assert_eq!(filtered("query"), "a=%C3%A5%20b&b=2%2Cx%26y");
    assert_eq!(filtered("pairs"), "a=å b&b=2,x%26y");
    assert_eq!(filtered("cjson"), r#"{"a":"å b","b":["x&y",2]}"#);
    assert_eq!(filtered("joined|json"), r#"{"b":"2,x&y","a":"å b"}"#);
}

#[test]
fn lists_and_what_is_empty_are_written_as_the_vendors_libraries_do() {
    let grant =
        json!({ "a": "", "b": [], "c": [["x", "y"], "z"], "d": 1.0, "e": 1.5, "f": [null] });
    let filtered = |filter: &str| {
        made(&json!({ "x": format!("{{grant|{filter}}}") }), &grant).unwrap()["x"].clone()
    };
    // Algolia's keeps empty values, Cloudinary's leaves them out.
    assert_eq!(filtered("query"), "a=&b=&c=x%2Cy%2Cz&d=1&e=1.5&f=");
    assert_eq!(filtered("pairs"), "c=x,y,z&d=1&e=1.5");
}

#[test]
fn keys_are_templates_and_names_cannot_collide() {
    let keyed = made(&json!({ "room:{session.user_id}": ["w"] }), &Value::Null);
    assert_eq!(keyed, Ok(json!({ "room:42": ["w"] })));
    let collides = made(&json!({ "{session.user_id}": 1, "42": 2 }), &Value::Null);
    assert_eq!(collides.unwrap_err().code(), "not_allowed");
}

#[test]
fn merged_members_never_replace_written_ones() {
    let grant = json!({ "sub": "admin", "exp": 1, "role": "editor" });
    let template = json!({ "*": "{grant}", "sub": "{session.user_id}", "exp": "{exp}" });
    let expected = json!({ "role": "editor", "sub": "42", "exp": NOW + 60 });
    assert_eq!(made(&template, &grant), Ok(expected.clone()));
    let template = json!({ "sub": "{session.user_id}", "exp": "{exp}", "*": "{grant}" });
    assert_eq!(made(&template, &grant), Ok(expected));
    let text = made(&json!({ "*": "{grant}" }), &json!("admin")).unwrap_err();
    assert_eq!(text.code(), "not_allowed");
}

#[test]
fn a_preset_of_the_users_own_is_read_like_a_built_in_one() {
    let claims = json!({ "sub": "{session.user_id}", "plan": "{param.plan}" });
    let mut mine = table(&claims);
    let with_key = mine.clone();
    ["key", "grant"].iter().for_each(|own| drop(mine.as_object_mut().unwrap().remove(*own)));
    let file = |mine: &Value| {
        Node::from_json(&json!({
            "preset": { "mine": mine, "portive": { "kind": "jwt" }, "spelt": { "knd": "jwt" } },
            "token": { "preset": "mine", "key": "s", "params": { "plan": "pro" } }
        }))
    };
    let paths = |file: &Node| {
        let (problems, secrets) = (Problems::default(), Secrets::Literal);
        let mut root = At::new(file, "", &problems, &secrets).table().unwrap();
        let presets = Presets::with_user(root.take("preset").as_ref());
        let mut token = root.take("token").unwrap().table().unwrap();
        assert!(Minter::from_table("x", &mut token, &presets).is_some());
        problems.into_sorted().into_iter().map(|problem| problem.path).collect::<Vec<_>>()
    };
    assert_eq!(paths(&file(&mine)), ["preset.portive", "preset.spelt.knd"]);
    let own = paths(&file(&with_key));
    assert!(own.iter().any(|path| path == "preset.mine.key"), "a key is the token's: {own:?}");
}

#[test]
fn a_hook_that_is_not_set_cannot_be_used() {
    let mut table = table(&json!({ "x": "{grant.a}" }));
    table.as_object_mut().unwrap().remove("grant");
    assert!(wrong(&table).contains("token.x.claims.x: `grant` is used but not set"));
}
