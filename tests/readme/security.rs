//! The page on security promises nothing without a test.

use std::collections::BTreeSet;
use std::path::Path;

use super::pages::{page, root, ten_lines};
use super::{Running, folder, get, listening, portcullis};

const PAGE: &str = "deploy/guides/security.md";

/// The names of all functions in the Rust files below `folder`.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split_once("() "));
            found.extend(names.map(|(name, _)| name.to_owned()));
        }
    }
}

#[test]
fn every_promise_names_tests_that_exist() {
    let mut tests = BTreeSet::new();
    functions(&root().join("src"), &mut tests);
    functions(&root().join("tests"), &mut tests);
    let text = page(PAGE).text;
    let (_, promised) = text.split_once("\n## Promised\n").unwrap();
    let (promised, _) = promised.split_once("\n## ").unwrap();
    let promises: Vec<&str> = promised.split("\n* ").skip(1).collect();
    assert!(promises.len() > 15, "only {} promises", promises.len());
    for promise in promises {
        let (_, held) = promise.split_once("Held by").unwrap_or_else(|| panic!("{promise}"));
        let named: Vec<&str> = held.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{promise}");
        for name in named {
            assert!(tests.contains(name), "{PAGE}: there is no test `{name}`");
        }
    }
}

#[test]
fn a_running_gateway_leaves_no_core_file() {
    let config = ten_lines().replace("127.0.0.1:8080\"", "127.0.0.1:0\"\nadmin = false");
    let folder = folder("security-core", &config);
    let mut gateway = Running::start(portcullis(&folder, &["run"]));
    let address = listening(&mut gateway);
    assert_eq!(get(&address, "/api/get-auth-token"), "HTTP/1.1 401 Unauthorized");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gateway.0.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let numbers: Vec<&str> = core.split_whitespace().filter(|word| *word == "0").collect();
    assert_eq!(numbers.len(), 2, "{core}");
}
