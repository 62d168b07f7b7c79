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
    format::all().find(|kind| is_one_of(name, kind.hints.names))
}

/// Whether a library of this kind sets a cookie of this name beside the session.
pub(super) fn is_beside_session(name: &str, kind: &SessionKind) -> bool {
    is_one_of(name, kind.hints.companions) || is_one_of(name, kind.remember_cookies)
}

fn is_one_of(name: &str, all: &[&str]) -> bool {
    let prefixes = ["__Secure-", "__Host-"];
    let plain = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    all.iter().any(|usual| is_named(plain, usual))
}

/// Whether `name` is `usual`, or that of one of its numbered parts; `*` is any text.
fn is_named(name: &str, usual: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let whole = name.rsplit_once('.').filter(|(_, number)| is_number(number));
    let names = [Some(name), whole.map(|(whole, _)| whole)];
    names.into_iter().flatten().any(|name| match usual.split_once('*') {
        Some((start, end)) => name.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
        None => name == usual,
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
    let is_meant = |fit: Fit| best.fit != Fit::Sure || [Fit::Sure, Fit::Shared].contains(&fit);
    looks.retain(|(_, look)| is_meant(look.fit));
    let likely = looks.iter().filter(|(_, look)| look.fit <= Fit::Possible).count();
    let kinds = looks.into_iter().map(|(kind, _)| kind).collect();
    Some(Shape { kinds, likely, looks: best.text, is_sure: best.fit == Fit::Sure })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_only_a_number_may_follow() {
        for (name, usual, is_its) in [
            ("sb-abc-auth-token", "sb-*-auth-token", true),
            ("sb-abc-auth-token.0", "sb-*-auth-token", true),
            ("sb-abc-auth-token.12", "sb-*-auth-token", true),
            ("sb-abc-auth-token-code-verifier", "sb-*-auth-token", false),
            ("sb-abc-auth-token.", "sb-*-auth-token", false),
            ("__txn_abc", "__txn_*", true),
            ("shop.state", "*.state", true),
            ("authjs.session-token.1", "authjs.session-token", true),
            ("authjs.session-tokens", "authjs.session-token", false),
        ] {
            assert_eq!(is_named(name, usual), is_its, "{name} {usual}");
        }
    }
}
