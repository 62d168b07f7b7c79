//! `portcullis schema`: the JSON Schema of gateway.toml, for editors.
//!
//! Written by hand beside the readers it describes: each session kind has its own
//! part, `schema.json` all the rest. `tests/schema` compares its keys with those
//! the readers ask for, and every example with it.

use std::process::ExitCode;

use super::output::print;
use crate::session;

/// Everything but the session kinds.
const FRAME: &str = include_str!("schema.json");
/// The member of the frame in whose place the kinds' schemas stand.
const KINDS: &str = "    \"session_kinds\": {},\n";
/// The list of references to them, empty in the frame.
const REFERENCES: &str = "      \"anyOf\": []\n";

pub(super) fn schema() -> ExitCode {
    print(whole().trim_end());
    ExitCode::SUCCESS
}

/// Put together as text, so that it reads as it was written.
fn whole() -> String {
    let (mut kinds, mut references) = (String::new(), Vec::new());
    for part in session::schemas() {
        // A part is an object; its members move one level in.
        for line in part.lines().filter(|line| line.starts_with(' ')) {
            if let Some(name) = line.strip_prefix("  \"").and_then(|line| line.split('"').next()) {
                references.push(format!("        {{ \"$ref\": \"#/$defs/{name}\" }}"));
            }
            kinds.push_str("  ");
            kinds.push_str(line);
            kinds.push_str(if line == "  }" { ",\n" } else { "\n" });
        }
    }
    let references = format!("      \"anyOf\": [\n{}\n      ]\n", references.join(",\n"));
    FRAME.replacen(KINDS, &kinds, 1).replacen(REFERENCES, &references, 1)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_part_of_every_kind_is_in_the_whole_and_referred_to() {
        assert_eq!((FRAME.matches(KINDS).count(), FRAME.matches(REFERENCES).count()), (1, 1));
        let whole: Value = serde_json::from_str(&whole()).unwrap();
        let references = whole["$defs"]["session"]["anyOf"].as_array().unwrap();
        let mut parts = 0;
        for part in session::schemas() {
            let Value::Object(part) = serde_json::from_str(part).unwrap() else { panic!() };
            for (name, schema) in part {
                assert_eq!(whole["$defs"][&name], schema, "{name}");
                let reference = format!("#/$defs/{name}");
                assert!(references.iter().any(|it| it["$ref"] == *reference), "{name}");
                parts += 1;
            }
        }
        assert_eq!(parts, references.len());
    }
}
