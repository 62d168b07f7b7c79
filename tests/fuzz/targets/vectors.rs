//! Session vectors as fuzz targets use them: a compiled source, the cookies that
//! were sent, the store's content, and the identities they may yield.

use std::path::Path;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::base::secret::Secrets;
use portcullis::document::{At, Node, Problems};
use portcullis::session::{
    Cell, Check, Cookies, Identity, Query, Rejected, Row, Source, StoreAnswer,
};
use serde_json::Value;

/// One vector.
pub(crate) struct Case {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) header: Vec<u8>,
    pub(crate) config: Value,
    pub(crate) now: u64,
    pub(crate) store: Value,
    source: OnceLock<Source>,
    /// The identities that cookies of this kind's vectors, whole or in parts, hold
    /// under this case's settings.
    authentic: OnceLock<Vec<Identity>>,
}

/// The kinds there are fixtures for, by name.
pub(crate) fn kinds() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let stems = files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    let mut kinds: Vec<_> = stems.filter(|kind| kind != "own").collect();
    kinds.sort();
    kinds
}

/// The vectors of some kinds, in a fixed order.
pub(crate) fn cases(kinds: &[String]) -> Vec<Case> {
    let mut cases = Vec::new();
    for file in kinds.iter().map(String::as_str).chain(["own"]) {
        let path = folder().join(format!("{file}.json"));
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for vector in file["vectors"].as_array().unwrap() {
            let kind = vector["config"]["kind"].as_str().unwrap();
            if kinds.iter().any(|wanted| wanted == kind) {
                cases.push(case(kind, vector));
            }
        }
    }
    cases
}

/// The folder of the session vectors.
pub(crate) fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("tests/fixtures/sessions"))
        .find(|folder| folder.is_dir())
        .expect("the fixtures are in the repository")
}

fn case(kind: &str, vector: &Value) -> Case {
    Case {
        kind: kind.to_owned(),
        id: vector["id"].as_str().unwrap().to_owned(),
        header: header(vector),
        config: config(vector),
        now: vector["now"].as_u64().unwrap(),
        store: vector["store"].clone(),
        source: OnceLock::new(),
        authentic: OnceLock::new(),
    }
}

/// The settings as they stand in a file: documents are texts there.
fn config(vector: &Value) -> Value {
    let mut config = vector["config"].clone();
    for document in ["jwks", "certs"] {
        if let Some(member) = config.get_mut(document).filter(|member| member.is_object()) {
            *member = Value::String(member.to_string());
        }
    }
    config
}

fn header(vector: &Value) -> Vec<u8> {
    if let Some(encoded) = vector["cookie_header_b64"].as_str() {
        return STANDARD.decode(encoded).unwrap();
    }
    if let Some(lines) = vector["cookie_header_lines"].as_array() {
        let lines: Vec<_> = lines.iter().map(|line| line.as_str().unwrap()).collect();
        return lines.join("; ").into_bytes();
    }
    vector["cookie_header"].as_str().unwrap_or_default().as_bytes().to_vec()
}

impl Case {
    pub(crate) fn source(&self) -> &Source {
        self.source.get_or_init(|| {
            let (node, problems) = (Node::from_json(&self.config), Problems::default());
            let at = At::new(&node, "session", &problems, &Secrets::Literal);
            Source::read(&mut at.table().unwrap()).expect("the settings of a vector hold")
        })
    }

    /// From cookies to an identity, asking the vector's store in between.
    pub(crate) fn verdict(&self, header: &[u8]) -> Result<Identity, Rejected> {
        let mut check = self.source().look(Cookies::new(header), self.now)?;
        for _ in 0..2 {
            match check {
                Check::Known(identity) => return Ok(identity),
                Check::Ask(question) => {
                    let answer = answer(&self.store, &question.query);
                    check = self.source().answered(&question, answer, self.now)?;
                }
            }
        }
        match check {
            Check::Known(identity) => Ok(identity),
            Check::Ask(_) => panic!("{} asks without end", self.id),
        }
    }

    /// Whether these cookies may make this identity known.
    pub(crate) fn is_authentic(&self, identity: &Identity, all: &[Self]) -> bool {
        let authentic = self.authentic.get_or_init(|| {
            let same_kind = all.iter().filter(|case| case.kind == self.kind);
            let headers = same_kind.flat_map(|case| parts(&case.header));
            headers.filter_map(|header| self.verdict(&header).ok()).collect()
        });
        authentic.contains(identity)
    }
}

/// A header, each of its cookies alone, and all but each.
fn parts(header: &[u8]) -> Vec<Vec<u8>> {
    let cookies: Vec<&[u8]> = header.split(|&byte| byte == b';').collect();
    let mut parts = vec![header.to_vec()];
    for (index, cookie) in cookies.iter().enumerate() {
        parts.push(cookie.to_vec());
        let mut others = cookies.clone();
        others.remove(index);
        parts.push(others.join(&b';'));
    }
    parts
}

pub(crate) fn answer(store: &Value, query: &Query) -> Option<StoreAnswer> {
    let entries = store.as_array()?;
    let keyed = |key: &str| entries.iter().find(|entry| entry["key"] == *key);
    match query {
        Query::App { .. } => None,
        Query::File { name } => keyed(name).map(|entry| {
            let modified = entry["mtime"].as_u64().unwrap();
            StoreAnswer::File { content: content(entry), modified }
        }),
        Query::Redis { key } => keyed(key).map(|entry| StoreAnswer::Redis {
            value: content(entry),
            seconds_left: entry["ttl"].as_u64(),
        }),
        Query::Row { table, matching } => entries
            .iter()
            .filter(|entry| entry["table"] == **table)
            .map(|entry| row(&entry["row"]))
            .find(|row| matching.iter().all(|condition| row.0.contains(condition)))
            .map(StoreAnswer::Row),
    }
}

fn content(entry: &Value) -> Vec<u8> {
    match entry["value"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => STANDARD.decode(entry["value_b64"].as_str().unwrap()).unwrap(),
    }
}

/// Columns called `…_b64` stand for binary ones.
fn row(json: &Value) -> Row {
    let cell = |(name, value): (&String, &Value)| match (name.strip_suffix("_b64"), value) {
        (Some(name), Value::String(text)) => {
            (name.to_owned(), Cell::Bytes(STANDARD.decode(text).unwrap()))
        }
        (_, Value::String(text)) => (name.clone(), Cell::Text(text.clone())),
        (_, Value::Number(number)) => (name.clone(), Cell::Integer(number.as_i64().unwrap())),
        (_, Value::Bool(value)) => (name.clone(), Cell::Integer(i64::from(*value))),
        _ => (name.clone(), Cell::Null),
    };
    Row(json.as_object().unwrap().iter().map(cell).collect())
}
