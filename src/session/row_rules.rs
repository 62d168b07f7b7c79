//! The app's own rules on a session's row: `require`, `created_column` with `lifetime`, and
//! `idle_column` with `idle`, for every kind whose sessions live in a table.
//!
//! Apps keep rows after a sign-out, and after their end.

use super::rejected::{Reason, Rejected};
use super::seconds::Seconds;
use super::store::{Cell, Engine, Row, RowSpan};
use crate::document::{At, FromNode, Table, Value as Setting};

/// Rules on the columns of a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowRules {
    require: Vec<(String, Wanted)>,
    /// A time in a column, and how much later the session ends.
    ends: Vec<(String, u64)>,
    /// The column of the time at which the session began.
    created: Option<String>,
}

/// The settings that count from `created_column`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum CountedFromCreation {
    Lifetime,
    /// `max_age` of the session does, too.
    LifetimeAndAge,
}

/// A column's required value.
#[derive(Clone, Debug)]
enum Wanted {
    /// `false`: null, 0 or an empty text.
    Nothing,
    One(Vec<String>),
    /// `true`: anything but that.
    Something,
}

impl RowRules {
    pub(super) fn read(
        table: &mut Table<'_>,
        engine: Engine,
        counted: CountedFromCreation,
    ) -> Self {
        let mut rules = Self::default();
        if let Some(at) = table.take("require") {
            rules.require = at
                .members()
                .into_iter()
                .filter_map(|(key, at)| Some((key.name.clone(), at.read()?)))
                .collect();
        }
        for (column, length, meaning) in [
            ("created_column", "lifetime", "how long a session lives"),
            ("idle_column", "idle", "how long a session may be idle"),
        ] {
            let name = table.get::<String>(column);
            if length == "lifetime" {
                rules.created.clone_from(&name);
            }
            let given = table.get::<Seconds>(length).map(|Seconds(seconds)| seconds);
            match (name, given) {
                (Some(name), Some(seconds)) => rules.ends.push((name, seconds)),
                // The file's own time says when it was written.
                (None, Some(_)) if engine != Engine::File => {
                    table.missing(column, &format!(", the time that `{length}` counts from"));
                }
                (Some(_), None)
                    if length == "lifetime" && counted == CountedFromCreation::LifetimeAndAge => {}
                (Some(_), None) if table.peek(length).is_none() => {
                    table.missing(length, &format!(", {meaning}; write {length} = \"14d\""));
                }
                _ => {}
            }
        }
        rules
    }

    /// The columns that the rules read.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        let required = self.require.iter().map(|(name, _)| name);
        let ends = self.ends.iter().map(|(name, _)| name);
        required.chain(ends).chain(&self.created).map(String::as_str)
    }

    /// The setting that names a column.
    pub(super) fn key_of(&self, name: &str) -> Option<&'static str> {
        if self.created.as_deref() == Some(name) {
            return Some("created_column");
        }
        let is = |own: &String| own == name;
        let counted = self.ends.iter().any(|(own, _)| is(own)).then_some("idle_column");
        counted.or_else(|| self.require.iter().any(|(own, _)| is(own)).then_some("require"))
    }

    /// Whether a column tells when a session ends.
    pub(super) fn tell_an_end(&self) -> bool {
        !self.ends.is_empty() || self.created.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.require.is_empty() && self.ends.is_empty() && self.created.is_none()
    }

    /// The span of time by these rules, if the row is that of a session that holds.
    pub(super) fn check(&self, row: &Row) -> Result<RowSpan, Rejected> {
        for (column, wanted) in &self.require {
            if !wanted.fits(row.get(column)?) {
                let detail = format!(
                    "column `{column}` does not hold what `require` of the store asks for: \
                     signed out, or another kind of row"
                );
                return Err(Rejected::new(Reason::SignedOut, detail));
            }
        }
        let began = self.created.as_ref().map(|column| row.time(column)).transpose()?;
        let mut end = None;
        for (column, seconds) in &self.ends {
            let later = row.time(column)?.saturating_add(*seconds);
            end = Some(end.map_or(later, |end: u64| end.min(later)));
        }
        Ok(RowSpan { began, ends: end })
    }
}

impl Wanted {
    fn fits(&self, cell: &Cell) -> bool {
        match self {
            Self::Nothing => cell.is_nothing(),
            Self::One(wanted) => wanted.iter().any(|wanted| **wanted == *cell.as_text()),
            Self::Something => !cell.is_nothing(),
        }
    }
}

impl FromNode for Wanted {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = "false (null or 0), true, a string, a number, or a list of them";
        match at.node.value {
            Setting::Boolean(false) => return Some(Self::Nothing),
            Setting::Boolean(true) => return Some(Self::Something),
            _ => {}
        }
        let items = at.items();
        let texts: Option<Vec<String>> = items
            .iter()
            .map(|item| match &item.node.value {
                Setting::Text(text) => Some(text.clone()),
                Setting::Integer(number) => Some(number.to_string()),
                _ => None,
            })
            .collect();
        let texts = texts.filter(|texts| !texts.is_empty());
        if texts.is_none() {
            at.wrong(EXPECTED);
        }
        texts.map(Self::One)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let cells = [
            ("revoked_at", Cell::Null),
            ("active", Cell::Integer(1)),
            ("kind", Cell::Text("web".to_owned())),
            ("created_at", Cell::Time(1000)),
            ("seen_at", Cell::Integer(1_500)),
        ];
        Row(cells.into_iter().map(|(name, cell)| (name.to_owned(), cell)).collect())
    }

    fn rules(require: &[(&str, Wanted)], ends: &[(&str, u64)]) -> RowRules {
        RowRules {
            require: require.iter().map(|(name, it)| ((*name).to_owned(), it.clone())).collect(),
            ends: ends.iter().map(|(name, seconds)| ((*name).to_owned(), *seconds)).collect(),
            created: None,
        }
    }

    #[test]
    fn a_row_kept_after_sign_out_is_not_a_session() {
        let says = |column, wanted| rules(&[(column, wanted)], &[]).check(&row());
        assert!(says("revoked_at", Wanted::Nothing).is_ok());
        assert_eq!(says("active", Wanted::Nothing).unwrap_err().reason, Reason::SignedOut);
        assert!(says("active", Wanted::Something).is_ok());
        assert!(says("revoked_at", Wanted::Something).is_err());
        assert!(says("kind", Wanted::One(vec!["app".into(), "web".into()])).is_ok());
        assert!(says("kind", Wanted::One(vec!["app".into()])).is_err());
        assert!(says("missing", Wanted::Nothing).is_err(), "a column that is not there");
    }

    #[test]
    fn the_earliest_end_counts() {
        let end = |ends: &[(&str, u64)]| rules(&[], ends).check(&row()).map(|span| span.ends);
        assert_eq!(end(&[("created_at", 3600)]).unwrap(), Some(4600));
        assert_eq!(end(&[("created_at", 3600), ("seen_at", 60)]).unwrap(), Some(1560));
        assert_eq!(end(&[]).unwrap(), None);
        assert!(end(&[("kind", 60)]).is_err(), "a column that holds no time");
    }
}
