//! Every vector of every kind: cookies made by the real libraries, and attacks
//! on them. The schema is that of `tests/fixtures/sessions/README.md`.

mod hints;
mod settings;
mod source;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::*;
use crate::base::secret::Secrets;
use crate::document::{At, Node, Problem, Problems};

/// Every kind but `introspect`, which has no format of its own.
fn kinds() -> impl Iterator<Item = &'static str> {
    format::names().filter(|kind| *kind != "introspect")
}

fn vectors(kind: &str) -> Vec<Json> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sessions");
    let text = std::fs::read(folder.join(format!("{kind}.json"))).unwrap();
    let mut file: Json = serde_json::from_slice(&text).unwrap();
    assert_eq!(file["format"], kind);
    let Json::Array(vectors) = file["vectors"].take() else { panic!("no vectors") };
    vectors
}

/// A vector's `config` as the operator's table: documents are texts there.
fn compile(config: &Json) -> Result<Source, Vec<Problem>> {
    let mut config = config.clone();
    for document in ["jwks", "certs"] {
        if let Some(member) = config.get_mut(document).filter(|member| member.is_object()) {
            *member = Json::String(member.to_string());
        }
    }
    let (node, problems) = (Node::from_json(&config), Problems::default());
    let secrets = Secrets::Literal;
    let mut table = At::new(&node, "session", &problems, &secrets).table().unwrap();
    let source = Source::read(&mut table);
    table.finish();
    match source {
        Some(source) if problems.is_empty() => Ok(source),
        _ => Err(problems.into_sorted()),
    }
}

fn cookie_header(vector: &Json) -> Vec<u8> {
    if let Some(encoded) = vector["cookie_header_b64"].as_str() {
        return STANDARD.decode(encoded).unwrap();
    }
    if let Some(lines) = vector["cookie_header_lines"].as_array() {
        let lines: Vec<_> = lines.iter().map(|line| line.as_str().unwrap()).collect();
        return lines.join("; ").into_bytes();
    }
    vector["cookie_header"].as_str().unwrap_or_default().as_bytes().to_vec()
}

/// What the verifier said, in the words of a vector's `expect`.
fn agrees(expected: &Json, found: &Result<Identity, Rejected>) -> bool {
    match found {
        Ok(identity) => {
            expected["outcome"] == "accept" && expected["user_id"] == identity.user_id()
        }
        Err(_) => expected["outcome"] == "reject",
    }
}

/// The reason and expiry are not normative, but where ours differ that is
/// worth a look.
fn differs(expected: &Json, found: &Result<Identity, Rejected>) -> Option<String> {
    match found {
        Ok(identity) => (expected["expires_at"].as_u64() != identity.expires_at())
            .then(|| format!("{} / {:?}", expected["expires_at"], identity.expires_at())),
        Err(rejected) => (expected["reason"] != rejected.reason.as_str()).then(|| {
            format!("{} / {}: {}", expected["reason"], rejected.reason.as_str(), rejected.detail)
        }),
    }
}

/// The way from cookies to an identity, the store's rows fed in where they are
/// asked for.
fn verdict(
    source: &Source,
    vector: &Json,
    cookies: Cookies<'_>,
    now: u64,
) -> Result<Identity, Rejected> {
    let mut check = source.look(cookies, now)?;
    for _ in 0..2 {
        match check {
            Check::Known(identity) => return Ok(identity),
            Check::Ask(question) => {
                let answer = answer(&vector["store"], &question.query);
                check = source.answered(&question, answer, now)?;
            }
        }
    }
    match check {
        Check::Known(identity) => Ok(identity),
        Check::Ask(_) => panic!("{} asks without end", vector["id"]),
    }
}

fn answer(store: &Json, query: &Query) -> Option<StoreAnswer> {
    let entries = store.as_array()?;
    match query {
        Query::App { url } => entries
            .iter()
            .find(|entry| entry["url"] == **url)
            .map(|entry| StoreAnswer::App { body: content(entry) }),
        Query::File { name } => entries.iter().find(|entry| entry["key"] == **name).map(|entry| {
            let modified = entry["mtime"].as_u64().unwrap();
            StoreAnswer::File { content: content(entry), modified }
        }),
        Query::Redis { key } => entries.iter().find(|entry| entry["key"] == **key).map(|entry| {
            StoreAnswer::Redis { value: content(entry), seconds_left: entry["ttl"].as_u64() }
        }),
        Query::Row { table, matching } => entries
            .iter()
            .filter(|entry| entry["table"] == **table)
            .map(|entry| row(&entry["row"]))
            .find(|row| matching.iter().all(|condition| row.0.contains(condition)))
            .map(StoreAnswer::Row),
    }
}

fn content(entry: &Json) -> Vec<u8> {
    match entry["value"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => STANDARD.decode(entry["value_b64"].as_str().unwrap()).unwrap(),
    }
}

/// Columns called `…_b64` stand for binary ones.
fn row(json: &Json) -> Row {
    let cell = |(name, value): (&String, &Json)| match (name.strip_suffix("_b64"), value) {
        (Some(name), Json::String(text)) => {
            (name.to_owned(), Cell::Bytes(STANDARD.decode(text).unwrap()))
        }
        (_, Json::String(text)) => (name.clone(), Cell::Text(text.clone())),
        (_, Json::Number(number)) => (name.clone(), Cell::Integer(number.as_i64().unwrap())),
        (_, Json::Bool(value)) => (name.clone(), Cell::Integer(i64::from(*value))),
        _ => (name.clone(), Cell::Null),
    };
    Row(json.as_object().unwrap().iter().map(cell).collect())
}

#[test]
fn every_vector_of_every_kind_has_its_outcome() {
    let mut failures = Vec::new();
    for kind in kinds().chain(["own"]) {
        let vectors = vectors(kind);
        assert!(!vectors.is_empty(), "{kind} has no vectors");
        let mut passed = 0;
        for vector in &vectors {
            let now = vector["now"].as_u64().unwrap();
            let header = cookie_header(vector);
            let source = match compile(&vector["config"]) {
                Ok(source) => source,
                Err(problems) => panic!("{}: {problems:?}", vector["id"]),
            };
            let found = verdict(&source, vector, Cookies::new(&header), now);
            let mut expected = vec![vector["expect"].clone()];
            expected
                .extend(vector["expect"]["alternatives"].as_array().into_iter().flatten().cloned());
            if expected.iter().any(|expected| agrees(expected, &found)) {
                passed += 1;
            } else {
                failures.push(format!("{}: {found:?}", vector["id"]));
            }
            if let Some(difference) = differs(&vector["expect"], &found) {
                println!("  {}: {difference}", vector["id"]);
            }
        }
        println!("{kind}: {passed} of {}", vectors.len());
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}
