//! `portcullis schema` describes what the readers read: the same keys in every
//! table, and every example there is.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail the test they serve"
)]

mod advice;
mod samples;
mod walk;

use std::collections::BTreeSet;
use std::process::Command;

use jsonschema::Validator;
use portcullis::testing::Config;
use portcullis::testing::Secrets;
use portcullis::testing::{Node, Problems};
use serde_json::{Value, json};

/// A key that no reader asks for.
const UNREAD: &str = "zz_unread";

fn schema() -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis")).arg("schema").output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn validator() -> Validator {
    let schema = schema();
    assert!(jsonschema::draft202012::meta::validate(&schema).is_ok());
    jsonschema::draft202012::new(&schema).unwrap()
}

/// The keys the reader expects beside an unread one: `None` where any key may
/// stand, or where the reader did not get that far.
fn expected_by_reader(sample: &Value, table: &str) -> Option<BTreeSet<String>> {
    if table == "/upstream" && sample["upstream"].get("servers").is_none() {
        // With a setting in it, a table of upstreams would be one upstream.
        return None;
    }
    let mut changed = sample.clone();
    changed.pointer_mut(table).unwrap()[UNREAD] = json!(1);
    let text = toml::to_string(&changed).unwrap();
    let Err(problems) = Config::read(&text, &Secrets::Literal) else { return None };
    let unknown = problems.iter().find(|problem| {
        problem.path.ends_with(UNREAD) && problem.text.starts_with("unknown key, expected one of ")
    })?;
    let listed = unknown.text.split('`').skip(1).step_by(2);
    Some(listed.map(str::to_owned).collect())
}

#[test]
fn every_example_is_valid() {
    let validator = validator();
    for (name, sample) in samples::valid() {
        let errors: Vec<_> = validator
            .iter_errors(&sample)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}\n{sample:#}");
    }
}

#[test]
fn every_table_has_the_keys_its_reader_asks_for() {
    let schema = schema();
    let (mut tables, mut wrong) = (0, BTreeSet::new());
    for (name, sample) in samples::valid() {
        for table in walk::tables(&sample) {
            let Some(asked) = expected_by_reader(&sample, &table) else { continue };
            let described = walk::keys(&schema, &sample, &table);
            tables += 1;
            let missing: Vec<_> = asked.difference(&described).collect();
            if !missing.is_empty() {
                wrong.insert(format!("{table} of {name}: the schema lacks {missing:?}"));
            }
            // A preset's kind decides which of its members a token may override.
            let surplus: Vec<_> = described.difference(&asked).collect();
            if !surplus.is_empty() && !table.starts_with("/token/") {
                wrong.insert(format!("{table} of {name}: no reader asks for {surplus:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "src/cli/schema.json:\n{}", Vec::from_iter(wrong).join("\n"));
    assert!(tables > 300, "only {tables} tables were compared");
}

#[test]
fn a_key_that_no_reader_asks_for_is_invalid() {
    let validator = validator();
    let mut tables = 0;
    for (name, sample) in samples::valid() {
        for table in walk::tables(&sample) {
            if expected_by_reader(&sample, &table).is_none() {
                continue;
            }
            let mut changed = sample.clone();
            changed.pointer_mut(&table).unwrap()[UNREAD] = json!(1);
            assert!(!validator.is_valid(&changed), "{table} of {name}");
            tables += 1;
        }
    }
    assert!(tables > 300, "only {tables} tables were compared");
}

#[test]
fn every_built_in_preset_is_described() {
    let mut schema = schema();
    let presets = samples::presets();
    assert!(presets.len() > 50);
    schema["properties"] = json!({});
    schema["additionalProperties"] = json!({ "$ref": "#/$defs/preset" });
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let presets = Value::Object(presets);
    let errors: Vec<_> = validator
        .iter_errors(&presets)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn plain_mistakes_are_invalid() {
    let validator = validator();
    let ten_lines = samples::page_blocks()[0].clone();
    for (good, bad) in [
        ("ttl = \"1m\"", "ttl = 60"),
        ("\"30/minute\"", "30"),
        ("\"env:NEXTAUTH_SECRET\"", "\"hunter2\""),
        ("kind = \"next-auth\"", "kind = \"nextauth\""),
        ("listen = \"127.0.0.1:8080\"", "listen = 8080"),
        ("servers = [\"http://127.0.0.1:3000\"]", "servers = []"),
        ("secret =", "secrte ="),
        ("[upstream]", "[upstraem]"),
        ("path = \"/api", "path = \"api"),
    ] {
        assert!(ten_lines.contains(good), "{good}");
        let text = ten_lines.replace(good, bad);
        let problems = Problems::default();
        let sample = Node::parse(&text, &problems).to_json();
        assert!(problems.is_empty() && !validator.is_valid(&sample), "{bad}");
    }
}
