//! Every session vector whose session is in a store, with its rows in the real
//! one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::testing::Secrets;
use portcullis::testing::Servers;
use portcullis::testing::{At, Node, Problems};
use portcullis::testing::{Clock, Now};
use portcullis::testing::{Cookies, SessionReader};
use serde_json::{Value, json};

use crate::columns::{block_on, execute};
use crate::servers::{Server, folder, mariadb, postgres, redis};
use reader::{content, cookie_header, fields};

#[path = "../fixtures/sessions/vectors.rs"]
#[expect(dead_code, reason = "shared with other tests, which use all of it")]
mod reader;

/// The vectors that need `engine`.
fn vectors(engine: &str) -> Vec<Value> {
    let fits = |vector: &Value| {
        let rows = vector["store"].as_array();
        rows.is_some_and(|rows| rows.iter().all(|row| row["engine"] == engine))
            && vector["config"]["store"]["engine"] == engine
    };
    let all = reader::files().into_iter().flat_map(|file| reader::vectors(&file));
    all.filter(fits).collect()
}

fn source(vector: &Value, url: &str) -> SessionReader {
    let mut config = vector["config"].clone();
    let place = if config["store"]["engine"] == "file" { "path" } else { "url" };
    config["store"][place] = json!(url);
    config["store"]["timeout"] = json!("5s");
    let (node, problems) = (Node::from_json(&config), Problems::default());
    let mut table = At::new(&node, "session", &problems, &Secrets::Literal).table().unwrap();
    SessionReader::from_table(&mut table).unwrap()
}

/// Asks the store, and compares with the vector; what differs.
fn differs(vector: &Value, url: &str) -> Option<String> {
    let (source, header) = (source(vector, url), cookie_header(vector));
    let now = Now::at(vector["now"].as_u64().unwrap());
    let found = block_on(async {
        let servers = Servers::new(&tokio::runtime::Handle::current(), Clock::system());
        servers.check(&source, Cookies::new(&header), now).await
    });
    let mut expected = vec![vector["expect"].clone()];
    expected.extend(vector["expect"]["alternatives"].as_array().into_iter().flatten().cloned());
    let agrees = expected.iter().any(|expected| match &found {
        Ok(identity) => {
            expected["outcome"] == "accept" && expected["user_id"] == identity.user_id()
        }
        Err(_) => expected["outcome"] == "reject",
    });
    let unanswered = matches!(&found, Err(portcullis::testing::Refused::Unanswered(_)));
    (!agrees || unanswered).then(|| format!("{}: {found:?}", vector["id"]))
}

/// Checks all vectors of an engine after `prepare` has written their rows.
fn check(engine: &str, url: &str, at_least: usize, mut prepare: impl FnMut(&Value, &[Value])) {
    let vectors = vectors(engine);
    assert!(vectors.len() >= at_least, "{} vectors", vectors.len());
    let mut failures = Vec::new();
    for vector in &vectors {
        prepare(vector, vector["store"].as_array().unwrap());
        failures.extend(differs(vector, url));
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn redis_holds_every_vectors_session() {
    let server = redis("");
    let mut client = server.redis_client();
    check("redis", &server.url("redis"), 40, |_, rows| {
        let () = redis::cmd("FLUSHALL").query(&mut client).unwrap();
        for entry in rows {
            let key = entry["key"].as_str().unwrap();
            let mut set = redis::cmd(if entry.get("hash").is_some() { "HSET" } else { "SET" });
            set.arg(key);
            match entry.get("hash") {
                Some(_) => fields(entry).iter().for_each(|(name, value)| {
                    set.arg(name).arg(value);
                }),
                None => {
                    set.arg(content(entry));
                }
            }
            let _: redis::Value = set.query(&mut client).unwrap();
            if let Some(ttl) = entry["ttl"].as_u64() {
                let () = redis::cmd("EXPIRE").arg(key).arg(ttl).query(&mut client).unwrap();
            }
        }
    });
}

#[test]
fn a_folder_holds_every_vectors_session() {
    let folder = folder("sessions");
    check("file", &folder.display().to_string(), 1, |_, rows| {
        for entry in rows {
            let path = folder.join(entry["key"].as_str().unwrap());
            std::fs::write(&path, content(entry)).unwrap();
            let modified = std::time::UNIX_EPOCH
                + std::time::Duration::from_secs(entry["mtime"].as_u64().unwrap());
            std::fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(modified)
                .unwrap();
        }
    });
    std::fs::remove_dir_all(folder).unwrap();
}

/// How one database writes names, bytes and types.
struct Dialect {
    quote: char,
    bytes: fn(&str) -> String,
    text: &'static str,
    blob: &'static str,
}

impl Dialect {
    fn name(&self, name: &str) -> String {
        format!("{0}{name}{0}", self.quote)
    }

    /// A row's columns: name, type and value.
    fn columns(&self, entry: &Value) -> Vec<(String, &'static str, String)> {
        let column = |(column, value): (&String, &Value)| match (column.strip_suffix("_b64"), value)
        {
            (Some(column), Value::String(text)) => {
                let bytes = STANDARD.decode(text).unwrap();
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                (self.name(column), self.blob, (self.bytes)(&hex))
            }
            (_, Value::Number(number)) => (self.name(column), "bigint", number.to_string()),
            (_, Value::Bool(value)) => (self.name(column), "boolean", value.to_string()),
            (_, Value::String(text)) => {
                assert!(!text.contains('\\'), "written the same way everywhere");
                (self.name(column), self.text, format!("'{}'", text.replace('\'', "''")))
            }
            _ => (self.name(column), self.text, "NULL".to_owned()),
        };
        entry["row"].as_object().unwrap().iter().map(column).collect()
    }

    fn create(&self, entry: &Value) -> String {
        let columns = self.columns(entry);
        let columns: Vec<_> =
            columns.iter().map(|(name, kind, _)| format!("{name} {kind}")).collect();
        format!("CREATE TABLE {} ({});", self.name(table(entry)), columns.join(","))
    }

    fn insert(&self, entry: &Value) -> String {
        let columns = self.columns(entry);
        let names: Vec<_> = columns.iter().map(|(name, ..)| name.as_str()).collect();
        let values: Vec<_> = columns.iter().map(|(_, _, value)| value.as_str()).collect();
        let table = self.name(table(entry));
        format!("INSERT INTO {table} ({}) VALUES ({});", names.join(","), values.join(","))
    }
}

fn table(entry: &Value) -> &str {
    entry["table"].as_str().unwrap()
}

/// A miss is a row that is not there, not a table: beside a vector's own tables
/// those of all others of its kind are there, without rows.
fn check_sql(url: &str, dialect: &Dialect) {
    let all = vectors("sql");
    check("sql", url, 30, |vector, rows| {
        let of_kind =
            all.iter().filter(|other| other["config"]["kind"] == vector["config"]["kind"]);
        let others = of_kind.flat_map(|other| other["store"].as_array().unwrap());
        let named = vector["config"]["store"]["table"].as_str();
        let mut tables: Vec<&Value> = Vec::new();
        // SQLite takes `Session` for `session`: the one the vector means is kept.
        let meant = others.clone().filter(|entry| named == Some(table(entry)));
        for entry in rows.iter().chain(meant).chain(others) {
            if !tables.iter().any(|known| table(known).eq_ignore_ascii_case(table(entry))) {
                tables.push(entry);
            }
        }
        let drop = |entry: &Value| format!("DROP TABLE IF EXISTS {};", dialect.name(table(entry)));
        let drops: String =
            all.iter().flat_map(|vector| vector["store"].as_array().unwrap()).map(drop).collect();
        let creates: String = tables.iter().map(|entry| dialect.create(entry)).collect();
        let inserts: String = rows.iter().map(|entry| dialect.insert(entry)).collect();
        execute(url, &[drops, creates, inserts].concat());
    });
}

#[test]
fn postgres_holds_every_vectors_session() {
    let server: Server = postgres();
    let bytes = |hex: &str| format!("'\\x{hex}'");
    let dialect = Dialect { quote: '"', bytes, text: "text", blob: "bytea" };
    check_sql(&server.url("postgres"), &dialect);
}

#[test]
fn mariadb_holds_every_vectors_session() {
    let server = mariadb();
    let bytes = |hex: &str| format!("x'{hex}'");
    let dialect = Dialect { quote: '`', bytes, text: "longtext", blob: "longblob" };
    check_sql(&server.url("mysql"), &dialect);
}

#[test]
fn sqlite_holds_every_vectors_session() {
    let folder = folder("vectors");
    let bytes = |hex: &str| format!("x'{hex}'");
    let dialect = Dialect { quote: '`', bytes, text: "text", blob: "blob" };
    check_sql(&format!("sqlite://{}", folder.join("app.db").display()), &dialect);
    std::fs::remove_dir_all(folder).unwrap();
}
