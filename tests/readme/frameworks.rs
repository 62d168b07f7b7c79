//! The block of every framework, with a cookie that framework made: it must be
//! accepted for its user under exactly the settings the page shows.

use std::collections::BTreeSet;
use std::path::Path;

use portcullis::testing::Secrets;
use portcullis::testing::SentHeaders;
use portcullis::testing::http::{HeaderMap, HeaderName, HeaderValue};
use portcullis::testing::{At, Node, Problems};
use portcullis::testing::{
    Cell, Check, Cookies, Fields, Identity, Query, Row, SessionReader, StoreAnswer,
};
use serde_json::{Value, json};

use super::pages::{ten_lines, texts};
use super::{folder, gates, portcullis};

pub(super) const PAGE: &str = "deploy/guides/frameworks.md";

/// The vector each block is shown to read, in the page's order, and the time
/// to read it at if the block's own age limit is shorter than the vector's.
const BLOCKS: [(&str, Option<u64>); 54] = [
    ("next-auth/basic", None),
    ("authjs/basic", None),
    ("lookup/authjs-database-strategy", None),
    ("better-auth/sql-session-table", None),
    ("better-auth/compact-cache", None),
    ("reports/ba-fields-renamed", None),
    ("reports/ba-jwks", None),
    ("iron-session/numeric-id", None),
    ("own/authkit-alive", None),
    ("h3-session/basic", None),
    ("reports/h3-v2-idle-fresh", None),
    ("react-router/basic", None),
    ("auth0/basic", None),
    ("reports/eoidc-readme", None),
    ("clerk/jwks", None),
    ("supabase/es256-jwks", None),
    ("firebase/basic", None),
    ("express-session/basic", None),
    ("reports/pg-simple-utc", None),
    ("cookie-session/basic", None),
    ("koa-session/basic", None),
    ("fastify-secure-session/just-before-expiry", None),
    ("stores/fastify-session", None),
    ("hono-session/basic", None),
    ("signed-cookie/object", None),
    ("yar/basic", None),
    ("hapi/state", None),
    ("django/db", None),
    ("django/redis-cache", None),
    ("django/signed-cookies-day-13", None),
    ("flask/day-30", None),
    ("flask-session/redis-msgpack", None),
    ("stores/fastapi-users-db", None),
    ("stores/fastapi-users-redis", None),
    ("starlette/day-13", None),
    ("rails/session-user-id", None),
    ("rails/rails8-auth-signed-session-id", None),
    ("laravel/database", Some(1_748_833_505)),
    ("laravel/redis", None),
    ("lookup/php-native-redis", None),
    ("php/symfony-php-session", None),
    ("stores/php-files", None),
    ("stores/drupal", None),
    ("plug/signed-int", None),
    ("plug/phx-gen-auth", None),
    ("jwt/hs256", None),
    ("jwt/rs256-jwks", None),
    ("reports/jwt-in-json", None),
    ("reports/jwt-split", None),
    ("reports/jwt-amplify", None),
    ("reports/jwt-idle", None),
    ("lookup/lucia-v3", None),
    ("stores/two-part-id", None),
    ("introspect", None),
];

/// Members whose content is a secret or a document.
const SECRETS: [&str; 6] = ["secret", "secrets", "keys", "public_key", "publishable_key", "url"];

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sessions")
}

pub(super) fn vector(id: &str) -> Value {
    let (file, name) = id.split_once('/').unwrap();
    if file == "reports" {
        return reported(name);
    }
    let text = std::fs::read(fixtures().join(format!("{file}.json"))).unwrap();
    let file: Value = serde_json::from_slice(&text).unwrap();
    let found = file["vectors"].as_array().unwrap().iter().find(|vector| vector["id"] == id);
    found.unwrap_or_else(|| panic!("no vector {id}")).clone()
}

/// A reported session as a vector, under the settings that read it.
fn reported(id: &str) -> Value {
    let cases = include_str!("../fixtures/reports/sessions.json");
    let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
    let case = cases.iter().find(|case| case["id"] == id).unwrap();
    let config = case.get("cured").unwrap_or_else(|| &case["session"]);
    json!({
        "config": config, "cookie_header": case["cookie"], "now": case["now"],
        "store": case.get("store"),
        "expect": { "outcome": case["want"], "user_id": case["user_id"] },
    })
}

/// The page's blocks, all of them a `[session]`.
fn framework_blocks() -> Vec<String> {
    let blocks = texts(PAGE, "toml");
    assert!(blocks.iter().all(|block| block.starts_with("[session]\n")));
    blocks
}

/// A block's settings with the vector's secrets in place of their references;
/// what the references were called, and stand for.
pub(super) fn filled(block: &str, vector: &Value) -> (Value, Vec<(String, String)>) {
    let problems = Problems::default();
    let mut table = Node::parse(block, &problems).to_json()["session"].take();
    assert!(problems.is_empty());
    let mut names = Vec::new();
    for member in SECRETS {
        if let Some(value) = table.get_mut(member) {
            fill(value, &mut secrets(vector, member), &mut names);
        }
    }
    let sql = table["store"]["engine"] == "sql";
    if let Some(url) = table.pointer_mut("/store/url") {
        let address = if sql { "postgres://u@127.0.0.1:1/app" } else { "redis://127.0.0.1:1" };
        fill(url, &mut vec![address.to_owned()], &mut names);
    }
    (table, names)
}

/// The vector's secrets of this name, the last one first.
fn secrets(vector: &Value, member: &str) -> Vec<String> {
    let config = &vector["config"];
    let given = match member {
        "secret" | "secrets" if config.get("secret").is_none() => &config["secrets"],
        "secrets" => &config["secret"],
        _ => &config[member],
    };
    let texts: Vec<&Value> = match given {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        one => vec![one],
    };
    texts.into_iter().rev().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn fill(value: &mut Value, secrets: &mut Vec<String>, names: &mut Vec<(String, String)>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, secrets, names)),
        Value::Object(members) => {
            members.values_mut().for_each(|member| fill(member, secrets, names));
        }
        Value::String(text) => {
            let Some(name) = text.strip_prefix("env:").map(str::to_owned) else { return };
            let secret = secrets.pop().unwrap_or_else(|| panic!("the vector has no {name}"));
            names.push((name, secret.clone()));
            *text = secret;
        }
        _ => panic!("no reference: {value}"),
    }
}

/// Whom the vector's cookies make known under the block's settings.
pub(super) fn known(table: &Value, vector: &Value, now: u64) -> Result<Identity, String> {
    let (node, problems) = (Node::from_json(table), Problems::default());
    let mut cursor = At::new(&node, "session", &problems, &Secrets::Literal).table().unwrap();
    let source = SessionReader::from_table(&mut cursor);
    cursor.finish();
    assert!(problems.is_empty(), "{:?}", problems.into_sorted());
    let source = source.unwrap();
    if let Some(keys) = source.remote_keys() {
        let config = &vector["config"];
        let document = config.get("jwks").or_else(|| config.get("certs")).unwrap();
        let text = document.as_str().map_or_else(|| document.to_string(), str::to_owned);
        keys.supply(text.as_bytes()).unwrap();
    }
    let header = vector["cookie_header"].as_str().unwrap().as_bytes();
    let mut headers = HeaderMap::new();
    for field in vector["headers"].as_array().into_iter().flatten() {
        let [name, value] = [0, 1].map(|at| field[at].as_str().unwrap());
        headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let headers = SentHeaders::new(&headers, true);
    let mut check = source
        .look(Cookies::new(header).with_headers(headers), now)
        .map_err(|why| format!("{why:?}"))?;
    for _ in 0..3 {
        match check {
            Check::Known(identity) => return Ok(identity),
            Check::Ask(question) => {
                let answer = answer(&vector["store"], &question.query);
                let found = source.answered(&question, answer, now);
                check = found.map_err(|why| format!("{:?}: {why:?}", question.query))?;
            }
        }
    }
    Err("asks without end".to_owned())
}

/// The content of the vector's store.
fn answer(store: &Value, query: &Query) -> Option<StoreAnswer> {
    let mut entries = store.as_array()?.iter();
    match query {
        Query::App { .. } => Some(StoreAnswer::App { body: store[0].to_string().into_bytes() }),
        Query::File { name } => {
            let entry = entries.find(|entry| entry["key"] == **name)?;
            let content = entry["value"].as_str()?.as_bytes().to_vec();
            Some(StoreAnswer::File { content, modified: entry["mtime"].as_u64()? })
        }
        Query::Key { url } => {
            let entry = entries.find(|entry| entry["url"] == **url)?;
            Some(StoreAnswer::Key { document: entry["value"].as_str()?.as_bytes().to_vec() })
        }
        Query::Redis { key } => {
            let entry = entries.find(|entry| entry["key"] == **key)?;
            let value = match entry["value"].as_str() {
                Some(text) => text.as_bytes().to_vec(),
                None => decoded(entry["value_b64"].as_str()?),
            };
            Some(StoreAnswer::Redis { value, seconds_left: entry["ttl"].as_u64() })
        }
        Query::RedisHash { key } => {
            let entry = entries.find(|entry| entry["key"] == **key)?;
            let field = |(name, value): (&String, &Value)| {
                (name.as_bytes().to_vec(), value.as_str().unwrap().as_bytes().to_vec())
            };
            let fields = entry["hash"].as_object()?.iter().map(field).collect();
            let (fields, seconds_left) = (Fields(fields), entry["ttl"].as_u64());
            Some(StoreAnswer::RedisHash { fields, seconds_left })
        }
        Query::Row { table, matching } => entries
            .filter(|entry| entry["table"] == **table)
            .map(|entry| row(&entry["row"]))
            .find(|row| matching.iter().all(|condition| row.0.contains(condition)))
            .map(StoreAnswer::Row),
    }
}

fn row(json: &Value) -> Row {
    let cell = |(name, value): (&String, &Value)| match (name.strip_suffix("_b64"), value) {
        (Some(name), Value::String(text)) => (name.to_owned(), Cell::Bytes(decoded(text))),
        (_, Value::String(text)) => (name.clone(), Cell::Text(text.clone())),
        (_, Value::Number(number)) => (name.clone(), Cell::Integer(number.as_i64().unwrap())),
        _ => (name.clone(), Cell::Null),
    };
    Row(json.as_object().unwrap().iter().map(cell).collect())
}

fn decoded(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// Files whose vectors are of several kinds.
const OF_NO_KIND: [&str; 5] = ["compressed", "hapi", "own", "php", "stores"];

/// Stands in for the vector of the one kind that has no cookie of its own.
fn introspected() -> Value {
    json!({
        "cookie_header": "ASP.NET_SessionId=abc", "now": 1_800_000_000, "config": {},
        "store": [{ "id": "u1" }], "expect": { "outcome": "accept", "user_id": "u1" },
    })
}

#[test]
fn every_framework_block_reads_a_cookie_of_that_framework() {
    let found = framework_blocks();
    assert_eq!(found.len(), BLOCKS.len(), "one vector for each block");
    let mut kinds = BTreeSet::new();
    for (block, (id, now)) in found.iter().zip(BLOCKS) {
        let vector = if id == "introspect" { introspected() } else { vector(id) };
        assert_eq!(vector["expect"]["outcome"], "accept", "{id}");
        let (table, names) = filled(block, &vector);
        let now = now.unwrap_or_else(|| vector["now"].as_u64().unwrap());
        let identity = known(&table, &vector, now);
        let identity = identity.unwrap_or_else(|why| panic!("{id}: {why}\n{block}"));
        assert_eq!(vector["expect"]["user_id"], identity.user_id(), "{id}\n{block}");
        holds("readme-framework", block, names);
        kinds.insert(table["kind"].as_str().unwrap().to_owned());
    }
    // Every kind of the fixtures, and `introspect`.
    let files = std::fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let all = files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    let all: BTreeSet<_> = all
        .filter(|kind| {
            !OF_NO_KIND.contains(&kind.as_str()) && !gates::FILES.contains(&kind.as_str())
        })
        .chain(["introspect".to_owned()])
        .collect();
    assert_eq!(kinds, all);
}

/// The block in place of the ten lines' `[session]` is a configuration that can
/// run. Pages are tested side by side, each in a folder of its own.
pub(super) fn holds(work: &str, block: &str, names: Vec<(String, String)>) {
    let ten_lines = ten_lines();
    let (before, _) = ten_lines.split_once("[session]\n").unwrap();
    let (_, after) = ten_lines.split_once("[token.portive]\n").unwrap();
    // A block may add to `[server]`, which stands first.
    let (server, block) = match block.split_once("[session]\n") {
        Some((server, session)) => (server, format!("[session]\n{session}")),
        None => ("", block.to_owned()),
    };
    let server = server.replace("[server]\n", "");
    let before = before.replacen("[server]\n", &format!("[server]\n{server}"), 1);
    let config = format!("{before}{block}\n[token.portive]\n{after}");
    let folder = folder(work, &config);
    let output = portcullis(&folder, &["check"]).envs(names).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}\n{block}");
}
