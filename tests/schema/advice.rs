//! Settings that the program's own advice names: each one exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Where the program tells an operator what to write.
const SPEAKING: [&str; 3] = ["src/cli", "src/server/admin", "src/session/diagnose"];

/// Words of a sentence that follow a table's name.
const PROSE: [&str; 7] = ["and", "does", "in", "or", "to", "with", "yet"];

/// Settings of the apps themselves.
const OF_APPS: [&str; 1] = ["timeout_in"];

/// Every setting's name at or below a node of the schema.
fn settings(node: &Value, found: &mut BTreeSet<String>) {
    match node {
        Value::Object(members) => {
            if let Some(properties) = members.get("properties").and_then(Value::as_object) {
                found.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| settings(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| settings(item, found)),
        _ => {}
    }
}

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| files(&entry.unwrap().path(), found));
    } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "toml") {
        found.push(path.to_owned());
    }
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// Names in backticks that can only be settings, and those behind the name of their table.
fn named(line: &str) -> (Vec<&str>, Vec<(&str, &str)>) {
    let quoted = line.split('`').skip(1).step_by(2);
    let alone = quoted.filter(|text| text.contains('_') && word(text) == *text).collect();
    let tables = line.match_indices('[').filter_map(|(at, _)| {
        let (table, rest) = line.get(at + 1..)?.split_once("] ")?;
        let setting = word(rest.trim_start_matches('`'));
        let is_table = !table.is_empty() && word(table) == table;
        (is_table && !setting.is_empty() && !PROSE.contains(&setting)).then_some((table, setting))
    });
    (alone, tables.collect())
}

#[test]
fn every_setting_that_advice_names_is_in_the_schema() {
    let schema = super::schema();
    let below = |node: &Value| {
        let mut found = BTreeSet::new();
        settings(node, &mut found);
        found
    };
    let all = below(&schema);
    let of = |table: &str| match table {
        // Each kind has settings of its own.
        "session" => all.clone(),
        table => below(&schema["$defs"][table]),
    };
    let (mut paths, mut seen, mut wrong) = (Vec::new(), 0, Vec::new());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    SPEAKING.iter().for_each(|place| files(&root.join(place), &mut paths));
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let spoken = text.lines().filter(|line| !line.trim_start().starts_with(['/', '#']));
        for line in spoken {
            let (alone, tables) = named(line);
            seen += alone.len() + tables.len();
            let unknown = |name: &&str| !all.contains(*name) && !OF_APPS.contains(name);
            wrong.extend(alone.into_iter().filter(unknown).map(str::to_owned));
            let unknown = tables.into_iter().filter(|(table, name)| !of(table).contains(*name));
            wrong.extend(unknown.map(|(table, name)| format!("[{table}] {name}")));
        }
    }
    assert!(seen >= 15, "{seen} are found");
    assert_eq!(wrong, [""; 0], "no such settings");
}
