//! Combined keys such as `PRTV_{kid}_{secret}`, cut into their members.

use crate::document::At;
use crate::document::template_syntax::{Piece, StrayBrace, cut};

/// How a combined key is cut.
pub(super) struct Split {
    /// The pattern as written, for messages.
    pattern: String,
    /// The member of `key` that is cut.
    pub from: String,
    /// Each part's name, after the literal that precedes it.
    parts: Vec<(String, String)>,
    /// The literal behind the last part.
    end: String,
}

impl Split {
    /// Reads the pattern `at`; `from` names the member to split.
    pub(super) fn from_node(at: &At<'_>, from: Option<String>) -> Option<Self> {
        const EXPECTED: &str = r#"a pattern such as "PRTV_{kid}_{secret}""#;
        let pattern = at.text(EXPECTED)?;
        let Some((parts, end)) = parts(pattern) else {
            at.wrong(EXPECTED);
            return None;
        };
        let Some(from) = from else {
            at.problem("`key_split` needs `key_from`: the member of `key` to split");
            return None;
        };
        Some(Self { pattern: pattern.to_owned(), from, parts, end })
    }

    /// The named parts of a key. No part is empty or holds a separator, so there is one
    /// way to split a key, and a key with too many parts is refused.
    pub(super) fn cut(&self, text: &str) -> Option<Vec<(String, String)>> {
        let separators: Vec<&str> =
            self.parts.iter().skip(1).map(|(literal, _)| literal.as_str()).collect();
        let mut rest = text.strip_prefix(self.parts.first()?.0.as_str())?;
        let mut found = Vec::new();
        for (index, (_, name)) in self.parts.iter().enumerate() {
            let value = match separators.get(index) {
                Some(separator) => {
                    let (value, after) = rest.split_once(separator)?;
                    rest = after;
                    value
                }
                None => rest.strip_suffix(self.end.as_str())?,
            };
            let clean = |c: char| c.is_ascii_graphic();
            if value.is_empty()
                || !value.chars().all(clean)
                || separators.iter().any(|separator| value.contains(separator))
            {
                return None;
            }
            found.push((name.clone(), value.to_owned()));
        }
        Some(found)
    }

    /// The problem with a key that cannot be cut.
    pub(super) fn refusal(&self) -> String {
        format!(
            "the key does not have the shape {} (the value is not repeated here); copy it again \
             from the vendor's dashboard, whole and without quotes",
            self.pattern.replace('{', "<").replace('}', ">")
        )
    }
}

/// The parts of a pattern with the literals before them, and the last literal.
fn parts(pattern: &str) -> Option<(Vec<(String, String)>, String)> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    for piece in cut(pattern, StrayBrace::Literal).ok()? {
        match piece {
            Piece::Literal(text) => literal = text,
            Piece::Reference(reference) => {
                let name = reference.bare()?.join(".");
                parts.push((std::mem::take(&mut literal), name));
            }
        }
    }
    Some((parts, literal))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::secret::Secrets;
    use crate::document::{Node, Problems};

    fn split(pattern: &str) -> Option<Split> {
        let (node, problems) = (Node::from_json(&json!(pattern)), Problems::default());
        let at = At::new(&node, "", &problems, &Secrets::Literal);
        Split::from_node(&at, Some("api_key".to_owned()))
    }

    #[test]
    fn a_key_is_cut_in_one_way_or_not_at_all() {
        let split = split("PRTV_{kid}_{secret}").unwrap();
        let pair = |kid: &str, secret: &str| {
            Some(vec![("kid".into(), kid.into()), ("secret".into(), secret.into())])
        };
        assert_eq!(split.cut("PRTV_k1_s3cret"), pair("k1", "s3cret"));
        for text in ["k1_s", "PRTV_k1", "PRTV__s", "PRTV_k1_", "PRTV_k_s_t", "PRTV_k 1_s", ""] {
            assert_eq!(split.cut(text), None, "{text}");
        }
    }

    #[test]
    fn braces_mean_the_same_as_in_every_template() {
        let split = split("{{{name}}}:{secret}").unwrap();
        assert!(split.cut("{a}:b").is_some());
        assert!(split.cut("a:b").is_none());
    }

    #[test]
    fn a_pattern_with_a_filter_or_half_a_brace_is_refused() {
        for pattern in ["{kid", "{kid|json}", "{kid?}", "{}"] {
            assert!(split(pattern).is_none(), "{pattern}");
        }
    }
}
