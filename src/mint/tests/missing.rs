//! One mistake, one problem: every block of the vendors guide without each of the things
//! it says, and with each of its parameters misspelt.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::document::template_syntax::{Presence, Reference, references};
use crate::document::{Node, Problem, Problems};
use crate::mint::Presets;
use crate::mint::tests::gallery::tables;
use crate::mint::tests::read;

fn blocks() -> Vec<(String, Value)> {
    tables().into_iter().map(|(name, node)| (name, node.to_json())).collect()
}

fn problems(table: &Value) -> Vec<Problem> {
    read(table).err().unwrap_or_default()
}

fn lines(problems: &[Problem]) -> String {
    let line = |problem: &Problem| format!("{}: {}", problem.path, problem.text);
    problems.iter().map(line).collect::<Vec<_>>().join("\n    ")
}

/// The preset of a block, as it is written.
fn preset(table: &Value) -> Map<String, Value> {
    let name = table["preset"].as_str().unwrap();
    let file = Node::parse(Presets::text(name).unwrap(), &Problems::default()).to_json();
    file[name].as_object().unwrap().clone()
}

/// The names a preset cannot do without: `key.app_id`, `param.region`. Variants are
/// refused one by one, so a preset can do without what only they need.
fn needed(preset: &Map<String, Value>) -> BTreeSet<String> {
    let mut preset = preset.clone();
    preset.remove("variants");
    let defaults = preset.remove("params").unwrap_or_default();
    let name = |reference: &Reference| {
        let first = reference.rest().first().map(String::as_str).unwrap_or_default();
        format!("{}.{first}", reference.root())
    };
    let is_needed = |reference: &Reference| {
        reference.presence == Presence::Needed
            && matches!(reference.root(), "key" | "param")
            && !(reference.root() == "param" && defaults.get(reference.rest().concat()).is_some())
    };
    let node = Node::from_json(&preset.clone().into());
    let found = references(&node);
    let mut needed: BTreeSet<_> =
        found.iter().filter(|reference| is_needed(reference)).map(name).collect();
    // A key that is published has a name without one.
    if preset.get("publish").is_some() {
        needed.remove("key.kid");
    }
    needed.extend(preset.get("hash_from").map(|from| from.as_str().unwrap().to_owned()));
    needed
}

/// Every part of a block, each with the table that lacks it.
fn without_each(table: &Value) -> Vec<(String, Value)> {
    let mut pointers: Vec<String> = ["key", "ttl", "url"].map(|name| format!("/{name}")).into();
    for (group, deep) in [("key", false), ("params", true), ("request", true)] {
        for (name, value) in table[group].as_object().into_iter().flatten() {
            pointers.push(format!("/{group}/{name}"));
            let inner = value.as_object().filter(|_| deep).into_iter().flatten();
            let plain = inner.filter(|(inner, _)| !inner.contains(['/', '~']));
            pointers.extend(plain.map(|(inner, _)| format!("/{group}/{name}/{inner}")));
        }
    }
    let without = |pointer: String| {
        let mut table = table.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        table.pointer_mut(parent)?.as_object_mut()?.remove(name)?;
        Some((pointer.trim_start_matches('/').replace('/', "."), table))
    };
    pointers.into_iter().filter_map(without).collect()
}

#[test]
fn a_missing_setting_is_one_problem_in_every_preset() {
    let (mut failures, mut missed, mut seen) = (Vec::new(), 0, BTreeSet::new());
    for (name, table) in blocks() {
        let preset = preset(&table);
        let needed = needed(&preset);
        seen.insert(table["preset"].as_str().unwrap().to_owned());
        assert!(problems(&table).is_empty(), "{name}: {}", lines(&problems(&table)));
        for (path, table) in without_each(&table) {
            let found = problems(&table);
            let is_one = found.len() == 1 && found[0].path.starts_with("token.x");
            let last = path.rsplit('.').next().unwrap();
            let names_it = |text: &str| text.contains("is missing") && text.contains(last);
            let must = needed.contains(&path.replace("params.", "param."));
            // Without a member that stands for the whole key, each of the others is missed.
            let many = path == "key" && found.iter().all(|found| found.text.starts_with("`key."));
            let as_it_should = match found.as_slice() {
                [] => !must,
                [one] => {
                    is_one && (names_it(&one.text) || one.text.contains("`secret` is missing"))
                }
                _ => many,
            };
            missed += found.len();
            if !as_it_should {
                failures.push(format!("{name} without {path}:\n    {}", lines(&found)));
            }
        }
    }
    assert!(failures.is_empty(), "{}\n{}", failures.len(), failures.join("\n"));
    assert!(missed > 250, "{missed} problems");
    assert_eq!(seen, Presets::builtin().names().map(str::to_owned).collect());
}

#[test]
fn a_bare_preset_is_answered_with_exactly_the_settings_it_lacks() {
    let mut failures = Vec::new();
    for (name, table) in blocks() {
        let found = problems(&json!({ "preset": table["preset"] }));
        let is_of_token = |found: &&Problem| found.path != "token.x";
        let is_follow_up = |found: &&Problem| {
            !found.text.contains(" is missing; ") && !found.text.contains("is missing: ")
        };
        let wrong = found.iter().filter(|it| is_of_token(it) || is_follow_up(it)).count();
        let keys = found.iter().filter(|found| found.text.contains("`key` is missing")).count();
        let members = found.iter().filter(|found| found.text.contains("`key.")).count();
        if wrong > 0 || (keys > 0 && members > 0) || found.is_empty() {
            failures.push(format!("{name}:\n    {}", lines(&found)));
        }
    }
    assert!(failures.is_empty(), "{}\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_parameter_that_cannot_be_read_is_one_problem_in_every_preset() {
    let (mut failures, mut tried) = (Vec::new(), 0);
    for (name, table) in blocks() {
        for (param, _) in table["params"].as_object().into_iter().flatten() {
            tried += 1;
            let mut table = table.clone();
            table["params"][param] = "{sesion.user_id}".into();
            let found = problems(&table);
            let path = format!("token.x.params.{param}");
            if !matches!(found.as_slice(), [one] if one.path == path && one.text.contains("unknown placeholder"))
            {
                failures.push(format!("{name} with a misspelt {param}:\n    {}", lines(&found)));
            }
        }
    }
    assert!(failures.is_empty(), "{}\n{}", failures.len(), failures.join("\n"));
    assert!(tried > 80, "{tried} parameters");
}

#[test]
fn an_input_that_cannot_be_read_is_one_problem_in_every_preset() {
    let (mut failures, mut tried) = (Vec::new(), 0);
    for (name, table) in blocks() {
        let inputs: Vec<_> = table["request"].as_object().into_iter().flatten().collect();
        for (input, written) in inputs {
            let mut cases = vec![(format!("/{input}"), json!("json:room"))];
            for (member, value) in
                [("from", json!("jsn:room")), ("from", json!(5)), ("allow", json!(5))]
            {
                cases.extend(written.get(member).map(|_| (format!("/{input}/{member}"), value)));
            }
            for (pointer, value) in cases {
                tried += 1;
                let mut table = table.clone();
                *table["request"].pointer_mut(&pointer).unwrap() = value;
                let found = problems(&table);
                let path = format!("token.x.request{}", pointer.replace('/', "."));
                if !matches!(found.as_slice(), [one] if one.path == path) {
                    failures.push(format!("{name} with a wrong {pointer}:\n    {}", lines(&found)));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}\n{}", failures.len(), failures.join("\n"));
    assert!(tried > 60, "{tried} inputs");
}

#[test]
fn an_input_that_allows_nothing_is_not_one_that_allows_everything() {
    let (_, mut livekit) = blocks().into_iter().find(|(name, _)| name == "livekit").unwrap();
    livekit["request"]["room"]["allow"] = json!([]);
    let found = problems(&livekit);
    assert!(
        matches!(found.as_slice(), [one] if one.text.contains("`request.room.allow`")),
        "{}",
        lines(&found)
    );
}

#[test]
fn a_wrong_part_of_a_server_is_named_where_its_operator_wrote_it() {
    for (preset, key, param) in [
        ("azure-speech", json!("key"), "region"),
        ("azure-openai-realtime", json!("key"), "resource"),
        ("azure-communication", json!("a2V5"), "resource"),
        ("plaid-link", json!({ "client_id": "id", "secret": "key" }), "environment"),
    ] {
        let (_, block) = blocks().into_iter().find(|(_, it)| it["preset"] == preset).unwrap();
        for value in ["", "west europe", "a/b", "a@b", "{session.org_id}", "https://x"] {
            let mut table = block.clone();
            table["key"] = key.clone();
            table["params"][param] = value.into();
            let found = lines(&problems(&table));
            let wanted = format!("token.x: `params.{param}` is part of the server's name");
            assert!(
                found.starts_with(&wanted) && !found.contains('\n'),
                "{preset} {value}: {found}"
            );
        }
    }
}
