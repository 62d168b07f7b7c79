//! Whole configurations of every kind: the annotated example, the blocks of the
//! README and the guides, and the settings of every session vector.

use std::path::{Path, PathBuf};

use portcullis::testing::{Node, Problems};
use serde_json::{Map, Value, json};

const EXAMPLE: &str = include_str!("../../gateway.toml");
const PRESETS: &str = concat!(
    include_str!("../../src/mint/presets/jwt.toml"),
    include_str!("../../src/mint/presets/hmac.toml"),
    include_str!("../../src/mint/presets/exchange.toml"),
    include_str!("../../src/mint/presets/formats.toml"),
);

fn parsed(text: &str) -> Value {
    let problems = Problems::default();
    let value = Node::parse(text, &problems).to_json();
    assert!(problems.is_empty(), "{:?}", problems.into_sorted());
    value
}

/// The blocks of the README and the guides, the README's ten lines first; a
/// framework's is put in place of their session.
pub(crate) fn page_blocks() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = Vec::new();
    collect(&root.join("deploy/guides"), &mut pages);
    pages.sort();
    pages.insert(0, root.join("README.md"));
    let text: String = pages.iter().map(|page| std::fs::read_to_string(page).unwrap()).collect();
    let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let blocks: Vec<&str> = blocks.collect();
    let (before, _) = blocks[0].split_once("[session]\n").unwrap();
    let whole = |block: &&str| match block.starts_with("[session]\n") {
        true => format!("{before}{block}"),
        false => (*block).to_owned(),
    };
    blocks.iter().map(whole).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { collect(&path, found) } else { found.push(path) }
    }
}

/// The annotated example with every setting it shows commented out.
fn uncommented() -> String {
    let setting = |line: &str| {
        let text = line.strip_prefix("# ")?;
        let (key, _) = text.split_once(" = ")?;
        let plain = |b: u8| b.is_ascii_lowercase() || b"_.".contains(&b);
        // These exclude what stands beside them.
        let other = ["secrets"].contains(&key);
        (key.bytes().all(plain) && !other).then(|| text.to_owned())
    };
    let line = |line: &str| {
        let table = line.strip_prefix("# ").filter(|text| text.starts_with('['));
        let own = table.map(str::to_owned).or_else(|| setting(line));
        own.unwrap_or_else(|| line.to_owned())
    };
    EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Every sample with its name.
pub(crate) fn valid() -> Vec<(String, Value)> {
    let mut samples = vec![
        ("gateway.toml".to_owned(), parsed(EXAMPLE)),
        ("gateway.toml, uncommented".to_owned(), parsed(&uncommented())),
        ("everything else".to_owned(), everything_else()),
    ];
    for (index, block) in page_blocks().iter().enumerate() {
        samples.push((format!("block {} of the pages", index + 1), parsed(block)));
    }
    let mut tables: Vec<Value> = Vec::new();
    for (id, config) in vectors() {
        // Stretching a secret takes seconds.
        let slow = config["kind"] == "fastify-secure-session" && config.get("keys").is_none();
        if !slow && !tables.contains(&config) {
            tables.push(config.clone());
            let upstream = json!({ "servers": ["http://127.0.0.1:1"] });
            samples.push((id, json!({ "upstream": upstream, "session": config })));
        }
    }
    samples
}

/// Settings that no example shows.
fn everything_else() -> Value {
    parsed(
        r#"
        [upstream.app]
        servers = ["http://127.0.0.1:1"]
        tls = { verify = true }

        [[session]]
        kind = "next-auth"
        secret = "env:A"

        [[session]]
        kind = "introspect"
        url = "http://127.0.0.1:1/me"
        cookies = ["a", "b"]
        user_id = "/id"

        [token.t]
        path = "/t"
        preset = "portive"
        key = "env:K"
        ttl = "1m"
        grant = { url = "http://127.0.0.1:1/g", forward = ["cookie"], timeout = "1s" }
        request = { room = { from = "json:room", allow = ["*"] } }

        [preset.own]
        kind = "jwt"

        [[route]]
        path = "/x"
        upstream = "app"
        "#,
    )
}

/// The settings of the vectors as they would stand in a file.
fn vectors() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sessions");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut found = Vec::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|e| e == "json")) {
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for vector in file["vectors"].as_array().unwrap() {
            let mut config = vector["config"].clone();
            referenced(&mut config);
            found.push((vector["id"].as_str().unwrap().to_owned(), config));
        }
    }
    found
}

/// References in place of secrets.
fn referenced(config: &mut Value) {
    let reference = json!("env:A_SECRET_THAT_IS_LONG_ENOUGH_00");
    for member in ["secret", "secrets", "keys", "public_key", "jwks", "certs", "publishable_key"] {
        match config.get_mut(member) {
            Some(Value::Array(items)) => items.fill(reference.clone()),
            Some(Value::Object(members)) if member != "jwks" => {
                members.values_mut().for_each(|value| *value = reference.clone());
            }
            Some(value) => *value = reference.clone(),
            None => {}
        }
    }
    if let Some(store) = config.get_mut("store") {
        match store["engine"].as_str() {
            Some("file") => store["path"] = json!("/tmp"),
            _ => store["url"] = json!("env:URL"),
        }
    }
}

/// The built-in presets.
pub(crate) fn presets() -> Map<String, Value> {
    parsed(PRESETS).as_object().unwrap().clone()
}
