//! The rules the code keeps, held by a test: headers, sizes, faces, layers, no circles.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail the test"
)]

mod luck;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use source::{Module, Source, Tree, paths, sources};

/// Lines of a file, its test module not counted.
const LONGEST: usize = 400;

/// Lines of a `mod.rs`.
const LONGEST_FACE: usize = 60;

/// The modules that may know the proxy framework.
const SHELL: [&str; 3] = ["gateway", "outbound", "server"];

/// The modules of `lib.rs` in its order, from the command line down to the ground.
fn layers() -> Vec<String> {
    let lib = sources("src").into_iter().find(|source| source.path == "src/lib.rs").unwrap();
    let module = |line: &str| {
        let line =
            line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub ")).unwrap_or(line);
        Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
    };
    lib.code().filter_map(module).filter(|name| name != "testing").collect()
}

#[test]
fn every_file_says_first_what_it_is_for() {
    for source in sources("src").into_iter().chain(sources("tests")) {
        assert!(source.text.starts_with("//! "), "{} has no `//!` header", source.path);
    }
}

/// A comment names its subject: "Longest wait for …", not "How long … is waited for".
#[test]
fn no_comment_of_an_item_begins_as_a_question() {
    let questions = ["How long", "What", "Which", "Who", "Whoever", "Whose"];
    let asks = |line: &&str| {
        let text = line.trim_start();
        let text = text.strip_prefix("/// ").or_else(|| text.strip_prefix("//! "));
        text.is_some_and(|text| {
            questions.iter().any(|question| {
                text.strip_prefix(question).is_some_and(|rest| rest.starts_with(' '))
            })
        })
    };
    let begins = |text: &str| {
        let mut before = "";
        let mut found = Vec::new();
        for line in text.lines() {
            if !before.trim_start().starts_with("//") && asks(&line) {
                found.push(line.trim().to_owned());
            }
            before = line;
        }
        found
    };
    let found: Vec<String> = sources("src")
        .iter()
        .flat_map(|source| {
            begins(&source.text).into_iter().map(|line| format!("{}: {line}", source.path))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_file_is_longer_than_it_may_be() {
    for source in sources("src").iter().filter(|source| !source.is_test()) {
        let lines = source.product().lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines, {LONGEST} are allowed", source.path);
    }
    for source in sources("tests") {
        let lines = source.text.lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines, {LONGEST} are allowed", source.path);
    }
}

#[test]
fn only_the_shell_knows_the_proxy_framework() {
    for source in sources("src").iter().filter(|source| !source.is_test()) {
        let knows =
            source.code().any(|line| line.contains("pingora::") || line.contains("pingora_"));
        let may = SHELL.contains(&source.layer())
            // Caps the framework's log targets, by name.
            || source.path == "src/observe/diagnostics.rs";
        assert!(!knows || may, "{} knows the proxy framework", source.path);
    }
}

/// A chain of modules that ends where it began, if there is one.
fn cycle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(
        module: &str,
        uses: &BTreeMap<String, BTreeSet<String>>,
        chain: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(start) = chain.iter().position(|earlier| earlier == module) {
            let mut cycle = chain.split_off(start);
            cycle.push(module.to_owned());
            return Some(cycle);
        }
        if done.contains(module) {
            return None;
        }
        chain.push(module.to_owned());
        for next in uses.get(module).into_iter().flatten() {
            if let Some(cycle) = walk(next, uses, chain, done) {
                return Some(cycle);
            }
        }
        chain.pop();
        done.insert(module.to_owned());
        None
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|module| walk(module, uses, &mut Vec::new(), &mut done))
}

/// A fault in one request must not end all of them.
#[test]
fn a_panic_ends_one_connection_and_not_the_process() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).unwrap();
    assert!(manifest.contains("[profile.release]\n"));
    assert!(manifest.contains("\npanic = \"unwind\"\n") && !manifest.contains("\"abort\""));
}

#[test]
fn no_folder_has_modules_that_import_each_other_in_circles() {
    let tree = Tree::new(&sources("src"));
    let found: Vec<String> = tree
        .folders()
        .iter()
        .filter_map(|folder| Some((folder, cycle(&tree.uses_in(folder))?)))
        .map(|(folder, cycle)| format!("src/{}: {}", folder.join("/"), cycle.join(" -> ")))
        .collect();
    assert!(found.is_empty(), "import circles:\n{}", found.join("\n"));
}

#[test]
fn no_module_imports_one_above_it() {
    let layers = layers();
    let height = |module: &Module| layers.iter().position(|name| Some(name) == module.first());
    let tree = Tree::new(&sources("src"));
    let climbs: BTreeSet<String> = tree
        .imports_and_faces()
        .filter(|(from, to)| height(from).zip(height(to)).is_some_and(|(from, to)| to < from))
        .map(|(from, to)| format!("{} -> {}", from.join("::"), to.join("::")))
        .collect();
    assert!(climbs.is_empty(), "imports that run up:\n{}", Vec::from_iter(climbs).join("\n"));
    let modules: BTreeSet<String> =
        tree.folders().into_iter().filter_map(|folder| folder.first().cloned()).collect();
    assert!(modules.iter().all(|module| layers.contains(module)), "a folder is not in lib.rs");
}

/// Declarations and what is passed on; logic has a file with a name.
#[test]
fn mod_rs_is_a_face() {
    let mut wrong = Vec::new();
    for source in sources("src").iter().filter(|source| source.is_face() && !source.is_test()) {
        if source.text.lines().count() > LONGEST_FACE {
            wrong.push(format!("{} has more than {LONGEST_FACE} lines", source.path));
        }
        let code: Vec<&str> = source.code().collect();
        let logic = code.join("\n").split_inclusive(';').find_map(not_of_a_face);
        wrong.extend(logic.map(|logic| format!("{} holds logic: {logic}", source.path)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A statement other than `mod` and `use`, attributes left out.
fn not_of_a_face(statement: &str) -> Option<String> {
    let bare: Vec<&str> = statement
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("#["))
        .collect();
    let bare = bare.join(" ");
    let inner = match bare.strip_prefix("pub(") {
        Some(rest) => rest.split_once(") ").map_or("", |(_, inner)| inner),
        None => bare.strip_prefix("pub ").unwrap_or(&bare),
    };
    let is_fine = bare.is_empty() || inner.starts_with("mod ") || inner.starts_with("use ");
    (!is_fine).then(|| bare.chars().take(60).collect())
}

/// Adding a kind is adding a file: the rest asks its row.
#[test]
fn only_its_own_file_knows_a_session_kind_by_name() {
    let sources = sources("src");
    let formats = |source: &&Source| source.path.starts_with("src/session/format/");
    let kinds: BTreeSet<&str> = sources
        .iter()
        .filter(formats)
        .filter_map(|source| source.product().split_once("KIND: SessionKind = SessionKind {"))
        .filter_map(|(_, row)| row.split('"').nth(1))
        .collect();
    assert!(kinds.contains("next-auth"), "{kinds:?}");
    for source in sources.iter().filter(|source| !source.is_test() && !formats(source)) {
        if !["config", "session"].contains(&source.layer()) {
            continue;
        }
        let named = |line: &str| line.split('"').any(|text| kinds.contains(text));
        let found: Vec<&str> = source.code().filter(|line| named(line)).collect();
        assert!(found.is_empty(), "{} names a session kind: {found:?}", source.path);
    }
}

/// A folder named like a file holds its tests and nothing else.
#[test]
fn no_file_has_a_folder_of_its_name_beside_it() {
    let sources = sources("src");
    for source in &sources {
        let Some(folder) = source.path.strip_suffix(".rs").map(|path| format!("{path}/")) else {
            continue;
        };
        let inside =
            sources.iter().find(|other| other.path.starts_with(&folder) && !other.is_test());
        let inside = inside.map(|other| other.path.as_str());
        assert_eq!(inside, None, "{} stands beside a folder of its name", source.path);
    }
}

#[test]
fn the_rules_see_what_they_look_for() {
    let found = |code: &str| -> Vec<String> {
        paths(code).into_iter().map(|path| path.join("::")).collect()
    };
    let code = "use crate::{a::{B, c}, d, e::F as G};\nlet x = crate::g::H; other_crate::i::J;";
    assert_eq!(
        found(code),
        ["crate::a::B", "crate::a::c", "crate::d", "crate::e::F", "crate::g::H"]
    );
    assert_eq!(found("use super::x::{self, Y};"), ["super::x", "super::x::Y"]);

    let file = |path: &str, text: &str| Source {
        path: format!("src/{path}.rs"),
        module: path.split('/').filter(|part| *part != "mod").map(str::to_owned).collect(),
        text: text.to_owned(),
    };
    let face = file("f/mod", "mod a;\nmod b;\npub use a::A;\npub use b::B;");
    let circle =
        [face, file("f/a", "use super::B;\nstruct A;"), file("f/b", "use crate::f::A;\nstruct B;")];
    let tree = Tree::new(&circle);
    let folder = vec!["f".to_owned()];
    assert_eq!(cycle(&tree.uses_in(&folder)).unwrap(), ["a", "b", "a"], "seen through the face");

    let uses = |pairs: &[(&str, &str)]| {
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in pairs {
            uses.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        uses
    };
    assert!(cycle(&uses(&[("a", "b"), ("b", "c"), ("a", "c")])).is_none());
    assert_eq!(cycle(&uses(&[("a", "b"), ("b", "c"), ("c", "b")])).unwrap(), ["b", "c", "b"]);

    assert_eq!(not_of_a_face("#[cfg(test)]\nmod tests;"), None);
    assert_eq!(not_of_a_face("\npub(crate) use a::B;"), None);
    assert_eq!(not_of_a_face("const X: u8 = 1;").as_deref(), Some("const X: u8 = 1;"));
}
