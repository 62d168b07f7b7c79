//! Members whose text a vendor runs: search filters, queries, conditions.
//!
//! Text from a session or a browser could change the meaning of such an expression, so
//! templates refuse it there without protection. Which members hold an
//! expression is data: `expressions` of a preset or a token names them.

use crate::mint::charset::between_stars;
use crate::mint::layered_table::LayeredTable;

/// Always applied: settings add patterns and never remove this one.
const ALWAYS: &str = "*filter*";

/// Patterns over the names of members, in lower case.
pub(in crate::mint) struct Expressions {
    run: Vec<Vec<String>>,
    /// Members that hold access lists: paths with wildcards, several joined by `!`.
    acls: Vec<Vec<String>>,
}

/// The surroundings of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// In a member that holds an access list.
    Acl,
    /// In a member a vendor runs, or below one.
    Expression,
    Ordinary,
}

impl Expressions {
    pub(in crate::mint) const KEYS: [&str; 2] = ["acls", "expressions"];

    /// `expressions` and `acls` of the preset and of the token, both.
    pub(in crate::mint) fn from_members(members: &mut LayeredTable<'_, '_, '_>) -> Self {
        let mut listed = |key| -> Vec<String> {
            let preset = members.inherited(key).and_then(|at| at.read::<Vec<String>>());
            let own = members.own(key).and_then(|at| at.read::<Vec<String>>());
            preset.into_iter().chain(own).flatten().collect()
        };
        let (run, acls) = (listed("expressions"), listed("acls"));
        Self::new(run.iter().map(String::as_str), acls.iter().map(String::as_str))
    }

    fn new<'a>(added: impl Iterator<Item = &'a str>, acls: impl Iterator<Item = &'a str>) -> Self {
        let runs = |pattern: &str| -> Vec<String> {
            pattern.to_ascii_lowercase().split('*').map(str::to_owned).collect()
        };
        let run = std::iter::once(ALWAYS).chain(added).map(runs).collect();
        Self { run, acls: acls.map(runs).collect() }
    }

    /// The position of a value under the member `name`.
    pub(super) fn under(&self, outer: Position, name: &str) -> Position {
        let name = name.to_ascii_lowercase();
        let holds = |runs: &Vec<String>| between_stars(runs, &name);
        if outer == Position::Expression || self.run.iter().any(holds) {
            return Position::Expression;
        }
        if outer == Position::Acl || self.acls.iter().any(holds) {
            return Position::Acl;
        }
        Position::Ordinary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_known_by_its_members_name_and_holds_below_it() {
        let expressions = Expressions::new(["rules.where", "Query*"].into_iter(), [].into_iter());
        let under = |outer, name| expressions.under(outer, name) == Position::Expression;
        for name in ["filter", "filter_by", "facetFilters", "FILTER", "rules.where", "queryText"] {
            assert!(under(Position::Ordinary, name), "{name}");
        }
        for name in ["fil", "rules", "where", "my_query"] {
            assert!(!under(Position::Ordinary, name), "{name}");
        }
        assert!(under(Position::Expression, "anything"), "below an expression all is one");
    }
}
