//! The cost of the cryptography when nothing is remembered: opening a session of
//! each kind, and making a token.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use portcullis::testing::Config;
use portcullis::testing::Now;
use portcullis::testing::Secrets;
use portcullis::testing::Subject;
use portcullis::testing::{At, Node, Problems};
use portcullis::testing::{Cookies, Identity, SessionReader};
use serde_json::{Map, Value, json};

use crate::servers::gateway_toml;

/// Each call is repeated for this long.
const PATIENCE: Duration = Duration::from_millis(100);

pub(crate) fn print() {
    for path in files() {
        let text = std::fs::read(&path).unwrap();
        let file: Value = serde_json::from_slice(&text).unwrap();
        let vectors = file["vectors"].as_array().unwrap();
        if let Some((id, each)) = vectors.iter().find_map(verify) {
            println!("verify {id:<40} {each:>7.0} ns");
        }
    }
    println!("sign   {:<40} {:>7.0} ns", "portive", sign());
}

fn files() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sessions");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    files
}

/// The first session the original library wrote, if its kind needs no store.
fn verify(vector: &Value) -> Option<(&str, f64)> {
    let (problems, secrets) = (Problems::default(), Secrets::Literal);
    let node = Node::from_json(&vector["config"]);
    let source =
        SessionReader::from_table(&mut At::new(&node, "session", &problems, &secrets).table()?)?;
    let cookies = vector["cookie_header"].as_str()?.as_bytes();
    let now = vector["now"].as_u64()?;
    let open = || source.check(Cookies::new(black_box(cookies)), now);
    open().ok()?;
    Some((vector["id"].as_str()?, nanoseconds(open)))
}

fn sign() -> f64 {
    let config =
        Config::read(&gateway_toml("jwt", "127.0.0.1:1", "", ""), &Secrets::Literal).unwrap();
    let identity = Identity::assumed("user-1".to_owned(), json!({"sub": "user-1"}), None);
    let inputs = Map::new();
    let subject = Subject { identity: &identity, inputs: &inputs, grant: &Value::Null };
    nanoseconds(|| config.policy.tokens[0].minter.mint(black_box(&subject), Now::at(1_790_000_000)))
}

/// One call, on average.
fn nanoseconds<T>(call: impl Fn() -> T) -> f64 {
    let begun = Instant::now();
    let mut calls = 0_u32;
    while begun.elapsed() < PATIENCE {
        for _ in 0..16 {
            black_box(call());
        }
        calls += 16;
    }
    begun.elapsed().as_nanos() as f64 / f64::from(calls)
}
