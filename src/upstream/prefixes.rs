//! `locales` and `base_path`: the prefixes of an app's paths.

use crate::document::{At, FromNode, OneOrMany, Table};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefixes {
    /// Locales that stand as the first segment, such as `de` or `pt-BR`.
    pub(crate) locales: Vec<String>,
    /// The path that the whole app is below, such as `/shop`; empty if it lives at the root.
    pub(crate) base_path: String,
}

impl Prefixes {
    pub(crate) fn from_table(table: &mut Table<'_>) -> Self {
        let locales = table.get::<OneOrMany<Locale>>("locales").map(|many| many.0);
        let base_path = table.take("base_path").and_then(|at| read_base_path(&at));
        Self {
            locales: locales.into_iter().flatten().map(|locale| locale.0).collect(),
            base_path: base_path.unwrap_or_default(),
        }
    }
}

/// One segment of letters, digits, `-` and `_`.
struct Locale(String);

impl FromNode for Locale {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"a locale as it stands in the path, such as "de" or "pt-BR""#;
        let text = at.text(EXPECTED)?;
        if text.is_empty() || !text.bytes().all(is_of_a_name) {
            at.wrong(EXPECTED);
            return None;
        }
        Some(Self(text.to_owned()))
    }
}

fn is_of_a_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')
}

fn read_base_path(at: &At<'_>) -> Option<String> {
    const EXPECTED: &str = r#"the path that the whole app is below, such as "/shop""#;
    let text = at.text(EXPECTED)?;
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(is_of_a_name);
    if !text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_name)) {
        at.wrong(EXPECTED);
        return None;
    }
    Some(text.to_owned())
}
