//! The annotated example: it runs, each of its commented blocks runs in the place
//! it is meant for, and no setting is missing.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::reference::{Schema, names};
use super::{folder, portcullis, problems_of, run};

const EXAMPLE: &str = include_str!("../../gateway.toml");
const UPSTREAM: &str = "[upstream]\nservers = [\"http://127.0.0.1:3000\"]\n";
const SESSION: &str = "[session]\nkind = \"next-auth\"\nsecret = \"env:NEXTAUTH_SECRET\"\n";

/// The blocks of lines that begin with `##`, without it.
fn blocks() -> Vec<String> {
    let mut found = vec![String::new()];
    for line in EXAMPLE.lines() {
        match (line.strip_prefix("##"), found.last_mut()) {
            (Some(rest), Some(block)) => {
                block.push_str(rest.trim_start());
                block.push('\n');
            }
            (None, Some(block)) if !block.is_empty() => found.push(String::new()),
            _ => {}
        }
    }
    found.retain(|block| !block.is_empty());
    found
}

/// Secrets of the shapes that the blocks want.
fn secrets(block: &str) -> Vec<(String, String)> {
    let secret = |name: &str| match name {
        "APP_KEY" => format!("base64:{}", STANDARD.encode([b'0'; 32])),
        "CLERK_PUBLISHABLE_KEY" => format!("pk_test_{}", STANDARD.encode("clerk.app.test$")),
        "CONVEX_KEY" => include_str!("../fixtures/tokens/keys/ec-p256-pkcs8.pem").to_owned(),
        "DATABASE_URL" => "postgres://u@127.0.0.1:1/app".to_owned(),
        "OWN_API_KEY" => "OWN_kid_another-for-this-test-0123456789abc".to_owned(),
        "REDIS_URL" => "redis://127.0.0.1:1".to_owned(),
        "SESSION_KEY" => "0".repeat(32),
        name => format!("only-for-this-test-0123456789abcdef-{name}"),
    };
    let named = block.split("\"env:").skip(1).map(|rest| rest.split('"').next().unwrap());
    named.map(|name| (name.to_owned(), secret(name))).collect()
}

#[test]
fn the_annotated_example_holds() {
    let folder = folder("readme-example", EXAMPLE);
    assert_eq!(run(&folder, &["check"]), (0, "ok\n".into(), String::new()));
}

#[test]
fn every_commented_block_of_the_example_holds() {
    let blocks = blocks();
    assert!(blocks.len() > 20, "only {} blocks", blocks.len());
    for (index, block) in blocks.iter().enumerate() {
        let upstream = if block.contains("[upstream") { "" } else { UPSTREAM };
        let session = if block.contains("[session]") { "" } else { SESSION };
        let folder = folder(&format!("example-{index}"), &format!("{upstream}{session}{block}"));
        let output = portcullis(&folder, &["check"]).envs(secrets(block)).output().unwrap();
        let problems = problems_of(output.stderr);
        assert_eq!((output.status.code(), problems.as_str()), (Some(0), ""), "{block}");
    }
}

/// The names before each ` = `, and those in the headers of tables.
fn mentioned() -> BTreeSet<&'static str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let mut found = BTreeSet::new();
    for line in EXAMPLE.lines().map(|line| line.trim_start_matches(['#', ' '])) {
        let header = line.strip_prefix('[').and_then(|rest| rest.split(']').next());
        found.extend(header.into_iter().flat_map(|path| path.trim_start_matches('[').split('.')));
        for (at, _) in line.match_indices(" = ") {
            let before = line.split_at(at).0;
            found.extend(
                before.rsplit(|c| !is_part(c)).next().into_iter().flat_map(|n| n.split('.')),
            );
        }
    }
    found
}

#[test]
fn the_annotated_example_shows_every_setting() {
    let (shown, mut settings) = (mentioned(), BTreeSet::new());
    names(&Schema::printed().0, &mut settings);
    assert!(settings.len() > 100, "only {} settings", settings.len());
    let missing: Vec<_> = settings.iter().filter(|name| !shown.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "gateway.toml lacks {missing:?}");
}
