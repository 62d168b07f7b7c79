//! `gateway.toml`, in whatever state: every problem has a place in the file, and
//! a configuration with problems is refused.

use portcullis::testing::Config;
use portcullis::testing::Secrets;
use portcullis::testing::{Node, Problems};
use serde_json::{Value, json};

use super::templates;
use super::vectors::{cases, kinds};

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let read = |name: &str| {
        let path = super::vectors::folder().join("../../..").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let mut seeds = vec![read("gateway.toml")];
    let pages = ["README.md", "deploy/guides/frameworks.md", "deploy/guides/vendors.md"].map(read);
    let blocks = pages.iter().flat_map(|page| page.split("```toml\n").skip(1));
    seeds.extend(blocks.map(|block| block.split("```").next().unwrap().to_owned()));
    let mut tables: Vec<Value> = Vec::new();
    for case in cases(&kinds()) {
        if !tables.contains(&case.config) {
            tables.push(case.config);
        }
    }
    seeds.extend(tables.iter().map(|table| toml(&json!({ "session": table }))));
    seeds.extend(templates::tables().iter().map(|table| toml(&json!({ "token": { "t": table } }))));
    seeds.into_iter().map(String::into_bytes).collect()
}

pub(crate) fn toml(value: &Value) -> String {
    toml::to_string(value).unwrap()
}

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Stretching keys takes as long as the settings demand; there is no limit.
    let slow = ["iterations", "fastify", "\\"].iter().any(|word| text.contains(word));
    let secrets = if slow { Secrets::of_process("/nonexistent") } else { Secrets::Literal };
    let problems = Problems::default();
    let node = Node::parse(text, &problems);
    let _ = node.to_json();
    let is_toml = problems.is_empty();
    match Config::read(text, &secrets) {
        Ok(_) => assert!(is_toml),
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            for problem in problems {
                assert!(problem.offset <= text.len());
                let line = problem.display("gateway.toml", text).to_string();
                assert!(!line.contains('\n') && line.len() < 10_000, "{line}");
            }
        }
    }
}
