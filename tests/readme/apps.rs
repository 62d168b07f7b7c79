//! The apps of `tests/interop/apps`, where real sessions are made: each is run with the
//! settings of a block of the guide, so that the guide's own words are what is tried.

use std::fs;
use std::path::PathBuf;

use portcullis::testing::{Node, Problems};
use serde_json::Value;

use super::pages::{root, texts};
use super::{frameworks, gates};

/// Settings of the app itself, which a block leaves to its reader.
const OF_THE_APP: [&str; 3] = ["cookie", "logout_paths", "user_id"];

/// A file's `[session]` without what belongs to one app: those settings, names of
/// variables, and addresses.
fn session(text: &str) -> Value {
    let problems = Problems::default();
    let mut session = Node::parse(text, &problems).to_json()["session"].take();
    assert!(problems.is_empty(), "{text}");
    let table = session.as_object_mut().unwrap();
    table.retain(|name, _| !OF_THE_APP.contains(&name.as_str()));
    strip(&mut session);
    session
}

fn strip(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with("env:") => "env:".clone_into(text),
        Value::String(text) if text.ends_with("/jwks.json") => "/jwks.json".clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Object(members) => members.values_mut().for_each(strip),
        _ => {}
    }
}

fn settings_of_apps() -> Vec<PathBuf> {
    let apps = fs::read_dir(root().join("tests/interop/apps")).unwrap();
    let folders = apps.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let folders =
        folders.filter(|path| !path.file_name().unwrap().as_encoded_bytes().starts_with(b"."));
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
}

#[test]
fn every_app_under_test_has_the_settings_of_a_block_of_the_guide() {
    let pages = [frameworks::PAGE, gates::PAGE].iter().flat_map(|page| texts(page, "toml"));
    let blocks: Vec<Value> = pages.map(|block| session(&block)).collect();
    let files = settings_of_apps();
    assert!(files.len() >= 18, "{files:?}");
    let alone: Vec<_> = files
        .iter()
        .map(|file| (file, session(&fs::read_to_string(file).unwrap())))
        .filter(|(_, found)| !blocks.contains(found))
        .collect();
    assert!(alone.is_empty(), "no block is like {alone:#?}");
}
