//! Guesses the kind of a cookie from its name and value, asking every kind in turn. For hints to an
//! operator only; nothing is decided by looks.

use super::format::{self, SessionKind};
use super::value_notation::{Fit, Notation, Sample};

/// The looks of a value.
pub(super) struct Shape {
    /// The kinds that read such a value, the likeliest first.
    pub kinds: Vec<&'static SessionKind>,
    /// How many of them are worth a name in a hint.
    likely: usize,
    pub looks: &'static str,
    /// No other kind writes such a value.
    pub is_sure: bool,
}

impl Shape {
    /// `: kind = "a", "b" or "c"`, all that it may be.
    pub(super) fn advice(&self) -> String {
        let names: Vec<_> = self
            .kinds
            .iter()
            .take(self.likely.max(1))
            .map(|kind| format!("{:?}", kind.name))
            .collect();
        match names.split_last() {
            Some((last, [])) => format!(": kind = {last}"),
            Some((last, others)) => format!(": kind = {} or {last}", others.join(", ")),
            None => String::new(),
        }
    }

    pub(super) fn is_of(&self, kind: &SessionKind) -> bool {
        self.kinds.iter().any(|own| own.name == kind.name)
    }
}

/// The kind a cookie of this name usually belongs to.
pub(super) fn kind_of_name(name: &str) -> Option<&'static SessionKind> {
    let name = name.strip_prefix("__Secure-").unwrap_or(name);
    format::all().find(|kind| kind.hints.names.iter().any(|usual| is_named(name, usual)))
}

/// Whether `name` is `usual`, or that of one of its numbered parts.
fn is_named(name: &str, usual: &str) -> bool {
    if let Some((start, inner)) = usual.split_once('*') {
        return name.strip_prefix(start).is_some_and(|rest| rest.contains(inner));
    }
    name.strip_prefix(usual).is_some_and(|rest| {
        rest.is_empty()
            || rest.strip_prefix('.').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// The looks of a (decoded) value.
pub(super) fn of_value(value: &[u8]) -> Option<Shape> {
    let sample = Sample::new(value)?;
    let mut looks: Vec<_> = format::all()
        .filter_map(|kind| Some((kind, (kind.hints.look)(&sample)?)))
        .filter(|(_, look)| look.fit != Fit::Unsigned)
        .collect();
    looks.sort_by_key(|(_, look)| look.fit);
    let Some(&(_, best)) = looks.first() else {
        let unread = matches!(sample.notation, Notation::Encrypted { .. });
        let looks = "an encrypted token that no kind reads";
        return unread.then_some(Shape { kinds: Vec::new(), likely: 0, looks, is_sure: false });
    };
    let is_meant = |fit: Fit| best.fit != Fit::Sure || fit == Fit::Sure;
    looks.retain(|(_, look)| is_meant(look.fit));
    let likely = looks.iter().filter(|(_, look)| look.fit <= Fit::Possible).count();
    let kinds = looks.into_iter().map(|(kind, _)| kind).collect();
    Some(Shape { kinds, likely, looks: best.text, is_sure: best.fit == Fit::Sure })
}
