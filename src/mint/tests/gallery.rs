//! The blocks of the vendors guide, with secrets that open nothing.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::document::{self, Node, Problems};

const PAGE: &str = include_str!("../../../deploy/guides/vendors.md");
const TEXT: &str = include_str!("../../../tests/fixtures/gallery.json");
const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tokens");

/// The session, the secrets and the requests of all blocks.
pub(super) fn fixture() -> &'static Value {
    static FIXTURE: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(TEXT).unwrap());
    &FIXTURE
}

/// The table of each block by the name of its token, keys in plain sight.
pub(super) fn tables() -> Vec<(String, Node)> {
    let toml: String =
        PAGE.split("```toml\n").skip(1).filter_map(|part| part.split("```").next()).collect();
    let secrets = fixture()["secrets"].as_object().unwrap();
    let text = secrets.iter().fold(toml, |text, (name, value)| {
        let content = Value::from(content(value.as_str().unwrap())).to_string();
        text.replace(&format!("\"env:{name}\""), &content)
    });
    let problems = Problems::default();
    let file = Node::parse(&text, &problems);
    assert!(problems.is_empty());
    let document::Value::Table(top) = file.value else { panic!("a table") };
    let (_, tokens) = top.into_iter().find(|(key, _)| key.name == "token").unwrap();
    let document::Value::Table(tables) = tokens.value else { panic!("a table") };
    tables.into_iter().map(|(key, node)| (key.name, node)).collect()
}

fn content(value: &str) -> String {
    let file = |name: &str| std::fs::read_to_string(format!("{KEYS}/{name}")).unwrap();
    match value.strip_prefix("base64 of ") {
        Some(name) => STANDARD.encode(file(name)),
        None if value.starts_with("keys/") => file(value),
        None => value.to_owned(),
    }
}
