//! Forms that make a test pass or fail by luck, each with the one that does not.

use std::path::Path;

use crate::source::sources;

/// A form, and what to write instead.
struct Rule {
    instead: &'static str,
    /// Whether an assertion, its blanks single, has it.
    is_in: fn(&str) -> bool,
}

/// What a process has said, which is read a moment after it was written.
const SAID: [&str; 3] = [".errors().contains(", ".output().contains(", "/metrics\").1.contains("];

const OF_ASSERTIONS: [Rule; 3] = [
    Rule {
        instead: "a request is counted a moment after its answer; ask `metric` or `log`, or wait \
                  with `counts` or `eventually`",
        is_in: |it| ["metric_now(", "log_now("].iter().any(|now| it.contains(now)),
    },
    Rule {
        instead: "what a process says is read a moment later; wait with `eventually`",
        is_in: |it| !it.starts_with("assert!(!") && SAID.iter().any(|said| it.contains(said)),
    },
    Rule {
        instead: "ids, hashes and commits in hexadecimal may have it by chance; use a name with \
                  a letter beyond f",
        is_in: |it| it.split('!').any(|one| absent(one).is_some_and(is_short_hexadecimal)),
    },
];

/// What must not be there, of an expression that began with `!`.
fn absent(negated: &str) -> Option<&str> {
    let (before, after) = negated.split_once(".contains(\"")?;
    let one = before.chars().all(|it| it.is_alphanumeric() || "_.()&*".contains(it));
    one.then(|| after.split('"').next())?
}

fn is_short_hexadecimal(text: &str) -> bool {
    text.len() < 8 && text.bytes().all(|it| it.is_ascii_hexdigit() && !it.is_ascii_uppercase())
}

/// Of whole files, their blanks single.
const OF_FILES: [Rule; 3] = [
    Rule {
        instead: "another process may take a port that was let go; keep a `Reserved`",
        is_in: |it| it.contains("bind(\"127.0.0.1:0\").unwrap().local_addr()"),
    },
    Rule {
        instead: "a gateway may read a file that is half written; `replace` it",
        is_in: |it| it.contains("fs::write(&running.file"),
    },
    Rule {
        instead: "a busy machine adds to what a clock on the wall says; bound a `Stopwatch`",
        is_in: |it| {
            it.contains("Instant::now()") && assertions(it).any(|one| one.contains(".elapsed() <"))
        },
    },
];

/// The text with every run of blanks as one, and none beside brackets and dots.
fn single(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace(" .", ".").replace("( ", "(")
}

/// Each `assert…`, to the end of its statement.
fn assertions(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').filter_map(|statement| statement.get(statement.rfind("assert")?..))
}

fn found(text: &str) -> Vec<&'static str> {
    let text = single(text);
    let asserted = OF_ASSERTIONS.iter().filter(|rule| assertions(&text).any(rule.is_in));
    let all = asserted.chain(OF_FILES.iter().filter(|rule| (rule.is_in)(&text)));
    all.map(|rule| rule.instead).collect()
}

#[test]
fn no_test_needs_luck() {
    let all = sources("tests").into_iter().chain(sources("src"));
    // What keeps the rules, and what measures.
    let own = ["tests/house_rules/", "tests/it/support/", "tests/bench/"];
    let all = all.filter(|source| !own.iter().any(|own| source.path.starts_with(own)));
    let wrong: Vec<String> = all
        .flat_map(|source| {
            found(&source.text).into_iter().map(move |it| format!("{}: {it}", source.path))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The tests in JavaScript, and what they share.
#[test]
fn every_port_of_the_interop_tests_is_taken_in_one_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    for below in ["", "support", "fronts", "renewing", "vendors"] {
        for file in std::fs::read_dir(folder.join(below)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|end| end != "mjs")
                || path.ends_with("support/ports.mjs")
            {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let own = ["function freePort", "once(server, \"close\")"];
            assert!(
                !own.iter().any(|it| text.contains(it)),
                "{}: ports.mjs has it",
                path.display()
            );
        }
    }
}

#[test]
fn the_rules_about_luck_see_what_they_look_for() {
    let one = |text: &str| found(text).len();
    assert_eq!(one("assert_eq!(gateway.metric_now(line), 1);"), 1);
    assert_eq!(one("eventually(line, || gateway.metric_now(line) == 1);"), 0);
    assert_eq!(one("assert!(\n    running.process.errors().contains(\"x\"),\n);"), 1);
    assert_eq!(one("assert!(!running.process.errors().contains(\"x\"));"), 0);
    assert_eq!(one("TcpListener::bind(\"127.0.0.1:0\")\n    .unwrap()\n    .local_addr()"), 1);
    assert_eq!(one("std::fs::write(&running.file, text).unwrap();"), 1);
    let late = "let began = Instant::now(); work(); assert!(began.elapsed() < seconds(4));";
    assert_eq!(one(late), 1);
    assert_eq!(one("assert!(!status.contains(\"ada\"), \"{status}\");"), 1);
    assert_eq!(one("assert!(!status.contains(\"lovelace\") && names.contains(\"ada\"));"), 0);
    assert_eq!(one(&late.replace("Instant::now", "Stopwatch::start")), 0);
}
