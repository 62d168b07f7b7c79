//! The reference holds every setting, metric and command: its tables are made
//! from what the program itself says, so neither can change alone.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::pages::{page, root};
use super::{folder, run};

const PAGE: &str = "deploy/guides/reference.md";
/// The tables by their markers on the page, and where the schema describes them.
const TABLES: [(&str, &str); 11] = [
    ("server", "server"),
    ("auth", "auth"),
    ("upstream", "upstream"),
    ("token", "token"),
    ("members", "members"),
    ("route", "route"),
    ("identity", "identity"),
    ("shared", "shared"),
    ("revocations", "revocations"),
    ("log", "log"),
    ("session", "session"),
];

/// How names of metrics begin: the gateway's own, and those every process has.
const PREFIXES: [&str; 2] = ["portcullis_", "process_"];

/// One setting.
struct Row {
    key: String,
    kinds: Vec<String>,
    values: Vec<String>,
    meaning: String,
}

pub(super) struct Schema(pub Value);

impl Schema {
    pub(super) fn printed() -> Self {
        let (code, text, problems) = run(&folder("reference-schema", ""), &["schema"]);
        assert_eq!((code, problems.as_str()), (0, ""));
        Self(serde_json::from_str(&text).unwrap())
    }

    /// The node itself, or what it refers to.
    fn target<'s>(&'s self, node: &'s Value) -> &'s Value {
        node["$ref"]
            .as_str()
            .map_or(node, |name| self.0.pointer(name.trim_start_matches('#')).unwrap())
    }

    /// A definition's settings, those of its nested tables with dotted keys.
    fn rows(&self, definition: &str) -> Vec<Row> {
        let node = &self.0["$defs"][definition];
        let mut rows = Vec::new();
        if definition == "session" {
            for kind in node["anyOf"].as_array().unwrap() {
                let kind = self.target(kind);
                let name = kind["properties"]["kind"]["const"].as_str().unwrap();
                self.collect(kind, "", name, &mut rows);
            }
            let at = rows.iter().position(|row| row.key == "kind").unwrap();
            rows[..=at].rotate_right(1);
            rows[0].meaning = "The framework or library that makes the session.".to_owned();
        } else if definition == "token" {
            // What it shares with presets has a table of its own.
            self.properties(node, "", "", &mut rows);
        } else {
            self.collect(node, "", "", &mut rows);
        }
        rows
    }

    /// The settings of a table, wherever the schema has put them.
    fn collect(&self, node: &Value, prefix: &str, kind: &str, rows: &mut Vec<Row>) {
        let node = self.target(node);
        for list in ["allOf", "anyOf"] {
            for part in node[list].as_array().into_iter().flatten() {
                self.collect(part, prefix, kind, rows);
            }
        }
        self.properties(node, prefix, kind, rows);
        if node["items"].is_object() {
            self.collect(&node["items"], prefix, kind, rows);
        }
        if node["additionalProperties"].is_object() && !prefix.is_empty() {
            self.collect(&node["additionalProperties"], &format!("{prefix}NAME."), kind, rows);
        }
    }

    fn properties(&self, node: &Value, prefix: &str, kind: &str, rows: &mut Vec<Row>) {
        for (key, property) in node["properties"].as_object().into_iter().flatten() {
            if *property == false {
                continue;
            }
            let key = format!("{prefix}{key}");
            note(rows, &key, kind, &self.values(property), self.meaning(property));
            // A fallback takes what its store takes.
            if !key.ends_with(".fallback") {
                self.collect(property, &format!("{key}."), kind, rows);
            }
        }
    }

    /// The schema of a setting, or of what it refers to.
    fn meaning<'s>(&'s self, node: &'s Value) -> Option<&'s str> {
        let node = match node["description"].is_string() {
            true => node,
            false => self.target(node),
        };
        let parts = ["allOf", "anyOf"].iter().filter_map(|list| node[list].as_array()).flatten();
        node["description"]
            .as_str()
            .or_else(|| parts.into_iter().find_map(|part| self.meaning(part)))
    }

    /// The values allowed after the `=`.
    fn value(&self, node: &Value) -> String {
        joined(&self.values(node))
    }

    /// The same, one by one: words that may stand there, and kinds of values.
    fn values(&self, node: &Value) -> Vec<String> {
        if let Some(name) = node["$ref"].as_str() {
            let named = match name.rsplit('/').next().unwrap() {
                "reference" => "reference",
                "references" => "reference, list or table",
                "duration" => "duration",
                "seconds" => "seconds or duration",
                "rate" => "rate",
                "rates" => "rate or list",
                "size" => "size",
                "pointer" => "JSON Pointer",
                "listen" => "address",
                "url" => "URL",
                _ => return self.values(self.target(node)),
            };
            return vec![named.to_owned()];
        }
        if let Some(only) = node.get("const") {
            return vec![format!("`{only}`")];
        }
        if let Some(words) = node["enum"].as_array() {
            // Where case does not matter, the lower one is enough.
            let twice = |word: &Value| {
                let lower = word.as_str().map(str::to_lowercase);
                lower.is_some_and(|lower| *word != lower && words.iter().any(|w| *w == lower))
            };
            return words.iter().filter(|w| !twice(w)).map(|word| format!("`{word}`")).collect();
        }
        for list in ["anyOf", "allOf"] {
            if let Some(parts) = node[list].as_array() {
                let mut shown = Vec::new();
                for value in parts.iter().flat_map(|part| self.values(part)) {
                    add(&mut shown, &value);
                }
                return shown;
            }
        }
        let named = |kind: &Value| match kind.as_str() {
            Some("string") => "text".to_owned(),
            Some("array") => match self.value(&node["items"]) {
                plain if plain == "any" => "list".to_owned(),
                item => format!("list of {item}"),
            },
            Some("object") => "table".to_owned(),
            Some(other) => other.to_owned(),
            None => "any".to_owned(),
        };
        match node["type"].as_array() {
            Some(kinds) => kinds.iter().map(named).collect(),
            None => vec![named(&node["type"])],
        }
    }
}

fn add(list: &mut Vec<String>, text: &str) {
    if !text.is_empty() && !list.iter().any(|known| known == text) {
        list.push(text.to_owned());
    }
}

/// Words, then kinds of values; a list of what may also stand alone is "or list".
fn joined(values: &[String]) -> String {
    let (words, kinds): (Vec<&String>, Vec<&String>) =
        values.iter().partition(|value| value.starts_with('`'));
    let words = words.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(", ");
    let mut shown = Vec::new();
    if !words.is_empty() {
        shown.push(words);
    }
    for kind in kinds {
        let alone =
            kind.strip_prefix("list of ").is_some_and(|item| shown.iter().any(|s| s == item));
        shown.push(if alone { "list".to_owned() } else { kind.clone() });
    }
    shown.join(" or ")
}

/// A setting that means the same to several kinds is one row. Without a meaning
/// it says more about the kind's own row.
fn note(rows: &mut Vec<Row>, key: &str, kind: &str, values: &[String], meaning: Option<&str>) {
    let same = |row: &Row| match meaning {
        Some(meaning) => row.meaning == meaning,
        None => row.kinds.iter().any(|known| known == kind) || key == "kind",
    };
    let at = rows.iter().position(|row| row.key == key && same(row)).unwrap_or_else(|| {
        let meaning = meaning.unwrap_or_default().to_owned();
        rows.push(Row { key: key.to_owned(), kinds: Vec::new(), values: Vec::new(), meaning });
        rows.len() - 1
    });
    let row = &mut rows[at];
    add(&mut row.kinds, kind);
    values.iter().for_each(|value| add(&mut row.values, value));
}

/// The kinds that have a setting, or those that lack it if they are fewer.
fn kinds_of(row: &Row, all: &[String]) -> String {
    let others: Vec<&str> =
        all.iter().filter(|kind| !row.kinds.contains(kind)).map(String::as_str).collect();
    match others.len() {
        0 => "every kind".to_owned(),
        few if few < row.kinds.len() => format!("every kind but {}", others.join(", ")),
        _ => row.kinds.join(", "),
    }
}

/// The rows as the page shows them.
fn table(rows: &[Row]) -> String {
    let all = rows.iter().find(|row| row.key == "kind").map_or(0, |row| row.kinds.len());
    let mut text = String::from(match all {
        0 => "| setting | value | meaning |\n|---|---|---|\n",
        _ => "| setting | kinds | value | meaning |\n|---|---|---|---|\n",
    });
    for row in rows {
        let values = joined(&row.values).replace('|', "\\|");
        let meaning = row.meaning.replace('|', "\\|").replace('*', "\\*").replace("__", "\\_\\_");
        let kinds = match all {
            0 => String::new(),
            _ => format!(" {} |", kinds_of(row, &rows[0].kinds)),
        };
        writeln!(text, "| `{}` |{kinds} {values} | {meaning} |", row.key).unwrap();
    }
    text
}

/// The page with what the program says between its markers.
fn renewed(text: &str, name: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{PAGE} lacks {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{PAGE} lacks {end}"));
    format!("{before}{begin}\n{content}\n{end}{after}")
}

#[test]
fn the_tables_are_those_of_the_schema() {
    let schema = Schema::printed();
    let shown = page(PAGE).text;
    let expected = TABLES.iter().fold(shown.clone(), |text, (name, definition)| {
        renewed(&text, name, &table(&schema.rows(definition)))
    });
    if shown != expected {
        let place = folder("reference-expected", "").join("reference.md");
        std::fs::write(&place, expected).unwrap();
        panic!("{PAGE} differs from `portcullis schema`; copy {} over it", place.display());
    }
}

/// Every name of a setting anywhere in a schema.
pub(super) fn names(node: &Value, found: &mut BTreeSet<String>) {
    match node {
        Value::Object(members) => {
            for (key, property) in
                members.get("properties").and_then(Value::as_object).into_iter().flatten()
            {
                if *property != false {
                    found.insert(key.clone());
                }
            }
            members.values().for_each(|value| names(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        _ => {}
    }
}

#[test]
fn no_setting_is_missing() {
    let mut found = BTreeSet::new();
    names(&Schema::printed().0, &mut found);
    assert!(found.len() > 100, "only {} settings", found.len());
    let text = page(PAGE).text;
    let missing: Vec<_> = found
        .iter()
        .filter(|name| {
            // A setting's own row, or the heading of the table of that name.
            let row = [format!("`{name}` |"), format!(".{name}` |"), format!("[{name}")];
            !row.iter().any(|text_of_row| text.contains(text_of_row.as_str()))
        })
        .collect();
    assert!(missing.is_empty(), "{PAGE} lacks {missing:?}");
}

#[test]
fn every_metric_has_its_row_and_every_row_its_metric() {
    let mut registered = BTreeSet::new();
    collect_metrics(&root().join("src"), &mut registered);
    assert!(registered.len() > 20, "only {registered:?}");
    let text = page(PAGE).text;
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.map(|rest| rest.split(['`', '{']).next().unwrap());
    let is_metric = |name: &&str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let shown: BTreeSet<String> = names.filter(is_metric).map(str::to_owned).collect();
    assert_eq!(shown, registered);
}

/// Every metric's name that the sources write as a text of its own.
fn collect_metrics(folder: &std::path::Path, found: &mut BTreeSet<String>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect_metrics(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for prefix in PREFIXES {
                for rest in text.split(&format!("\"{prefix}")).skip(1) {
                    let (name, _) = rest.split_once('"').unwrap();
                    let is_plain =
                        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
                    if !name.is_empty() && name.bytes().all(is_plain) {
                        found.insert(format!("{prefix}{name}"));
                    }
                }
            }
        }
    }
}

#[test]
fn every_command_has_its_row() {
    let (code, help, _) = run(&folder("reference-help", ""), &["--help"]);
    assert_eq!(code, 0);
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let names: BTreeSet<&str> = commands
        .filter_map(|line| line.split_whitespace().next())
        .filter(|n| *n != "help")
        .collect();
    let text = page(PAGE).text;
    for name in &names {
        assert!(text.contains(&format!("| `portcullis {name}")), "{PAGE} lacks `{name}`");
    }
    assert!(names.len() >= 7, "only {names:?}");
}
