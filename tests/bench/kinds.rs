//! The cost of each session kind: a cookie verified afresh, beside the same cookie
//! found in the table of verified ones.
//!
//! Cookies and rows are the fixtures'. The time a store or the app takes to
//! answer is not in these figures; what is done with the answer is.

use std::hint::black_box;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::testing::Config;
use portcullis::testing::Policy;
use portcullis::testing::Revoked;
use portcullis::testing::Secrets;
use portcullis::testing::Servers;
use portcullis::testing::Sessions;
use portcullis::testing::{At, Node, Problems};
use portcullis::testing::{Cell, Check, Cookies, Query, Row, SessionReader, StoreAnswer};
use portcullis::testing::{Clock, Now};
use serde_json::{Value, json};

use crate::median;

const ROUNDS: usize = 41;
/// Calls between two looks at the clock take about this long.
const ROUND: f64 = 1_000_000.0;

pub(crate) fn print() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("{:<24}{:>12}{:>12}{:>8}   kept", "kind", "verified", "looked up", "ratio");
    let mut count = 0;
    for file in files() {
        let vectors = file["vectors"].as_array().unwrap();
        let Some(case) = vectors.iter().find_map(|vector| Case::new(vector, &runtime)) else {
            println!("{:<24} has no vector that is accepted", file["format"]);
            continue;
        };
        count += 1;
        let kind = case.source.kind();
        let verified = nanoseconds(|| case.verify());
        match case.source.cache_seconds() {
            None => {
                let cached = nanoseconds(|| case.look_up().unwrap());
                let ratio = verified / cached;
                println!(
                    "{kind:<24}{verified:>9.0} ns{cached:>9.0} ns{ratio:>8.1}   while valid, 5 min at most"
                );
            }
            Some(seconds) => println!(
                "{kind:<24}{verified:>9.0} ns{:>12}{:>8}   {seconds} s, because a store is asked",
                "-", "-"
            ),
        }
    }
    println!(
        "{count} kinds. What the cookie alone decides is kept whatever the kind: one digest and one \n\
         look-up for all, and nobody has to know which kind is dear. What a store says is kept for \n\
         `cache_seconds`, because it may change its mind; 0 keeps nothing. Refusals that cost no \n\
         question are not kept: they would let a stranger fill the table."
    );
}

/// A session that is accepted, the first of its kind.
struct Case {
    source: SessionReader,
    header: Vec<u8>,
    now: u64,
    store: Value,
    policy: Policy,
    sessions: Sessions,
    servers: Servers,
    revoked: Revoked,
}

impl Case {
    fn new(vector: &Value, runtime: &tokio::runtime::Runtime) -> Option<Self> {
        let mut config = vector["config"].clone();
        for document in ["jwks", "certs"] {
            if let Some(member) = config.get_mut(document).filter(|member| member.is_object()) {
                *member = Value::String(member.to_string());
            }
        }
        // Vectors bring their rows; the settings ask where the store would be.
        if config["store"]["engine"] == "redis" {
            config["store"]["url"] = "redis://127.0.0.1:1".into();
        } else if config["store"]["engine"] == "sql" {
            config["store"]["url"] = "postgres://u@127.0.0.1:1/d".into();
        }
        let (node, problems) = (Node::from_json(&config), Problems::default());
        let at = At::new(&node, "session", &problems, &Secrets::Literal);
        let file = json!({ "session": config, "upstream": { "servers": ["http://127.0.0.1:1"] } });
        let policy = Config::read(&toml::to_string(&file).unwrap(), &Secrets::Literal);
        let case = Self {
            source: SessionReader::from_table(&mut at.table()?)?,
            header: vector["cookie_header"].as_str()?.as_bytes().to_vec(),
            now: vector["now"].as_u64()?,
            store: vector["store"].clone(),
            policy: policy.ok()?.policy,
            sessions: Sessions::default(),
            servers: Servers::new(runtime.handle(), Clock::system()),
            revoked: Revoked::default(),
        };
        let accepted = vector["expect"]["outcome"] == "accept" && case.verify();
        accepted.then(|| {
            case.look_up();
            case
        })
    }

    fn verify(&self) -> bool {
        let mut check = self.source.look(Cookies::new(black_box(&self.header)), self.now);
        while let Ok(Check::Ask(question)) = check {
            let answer = answer(&self.store, &question.query);
            check = self.source.answered(&question, answer, self.now);
        }
        check.is_ok()
    }

    /// As a request does it; `None` if somebody would have to be asked.
    fn look_up(&self) -> Option<bool> {
        let cookies = Cookies::new(black_box(&self.header));
        let now = Now::at(self.now);
        let verify =
            self.sessions.verify(&self.policy, &self.servers, &self.revoked, cookies, None, now);
        match pin!(verify).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(judged) => {
                Some(matches!(judged.verdict, portcullis::testing::Verdict::Known(..)))
            }
            Poll::Pending => None,
        }
    }
}

fn files() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sessions");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let is_kind = |path: &&std::path::PathBuf| {
        path.extension().is_some_and(|extension| extension == "json") && !path.ends_with("own.json")
    };
    let read = |path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    files.iter().filter(is_kind).map(read).collect()
}

fn answer(store: &Value, query: &Query) -> Option<StoreAnswer> {
    let mut entries = store.as_array()?.iter();
    match query {
        Query::App { .. } | Query::File { .. } | Query::Key { .. } | Query::RedisHash { .. } => {
            None
        }
        Query::Redis { key } => {
            let entry = entries.find(|entry| entry["key"] == **key)?;
            let value = match entry["value"].as_str() {
                Some(text) => text.as_bytes().to_vec(),
                None => STANDARD.decode(entry["value_b64"].as_str()?).unwrap(),
            };
            Some(StoreAnswer::Redis { value, seconds_left: entry["ttl"].as_u64() })
        }
        Query::Row { table, matching } => {
            let rows = entries.filter(|entry| entry["table"] == **table);
            let mut rows = rows.map(|entry| row(&entry["row"]));
            let fits = |row: &Row| matching.iter().all(|condition| row.0.contains(condition));
            rows.find(fits).map(StoreAnswer::Row)
        }
    }
}

fn row(json: &Value) -> Row {
    let cell = |value: &Value| match value {
        Value::String(text) => Cell::Text(text.clone()),
        Value::Number(number) => Cell::Integer(number.as_i64().unwrap()),
        _ => Cell::Null,
    };
    Row(json.as_object().unwrap().iter().map(|(name, value)| (name.clone(), cell(value))).collect())
}

/// One call: the median over rounds.
fn nanoseconds<T>(call: impl Fn() -> T) -> f64 {
    let mut calls = 1;
    let mut rounds = Vec::new();
    while rounds.len() < ROUNDS {
        let begun = Instant::now();
        for _ in 0..calls {
            black_box(call());
        }
        let elapsed = begun.elapsed().as_nanos() as f64;
        if elapsed < ROUND {
            calls *= 2;
        } else {
            rounds.push(elapsed / f64::from(calls));
        }
    }
    median(rounds)
}
