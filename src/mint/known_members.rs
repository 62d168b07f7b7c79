//! Every member a token or a preset may have, as its readers declare them.

use std::sync::LazyLock;

use super::grant::GrantHook;
use super::inputs::Inputs;
use super::key::KeyShape;
use super::lifetime::Lifetime;
use super::mechanism;
use super::statuses::Statuses;
use super::template::Expressions;
use super::user_ids::UserIds;

/// Members that belong to no single reader.
const COMMON: [&str; 7] = ["cache", "checked", "kind", "methods", "params", "preset", "spare"];

const READERS: [&[&str]; 8] = [
    &COMMON,
    &Expressions::KEYS,
    &GrantHook::KEYS,
    &Inputs::KEYS,
    &KeyShape::KEYS,
    &Lifetime::KEYS,
    &Statuses::KEYS,
    &UserIds::KEYS,
];

/// Every known member. A reader that asks for another one fails in `LayeredTable`.
pub(super) fn known_members() -> &'static [&'static str] {
    static KNOWN: LazyLock<Vec<&str>> = LazyLock::new(|| {
        READERS.iter().chain(&mechanism::KEYS).copied().flatten().copied().collect()
    });
    &KNOWN
}

/// Whether a preset may have this member.
pub(super) fn is_known(name: &str) -> bool {
    known_members().contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_any_reader_is_known_and_no_other() {
        for name in ["kind", "key_split", "claims", "hash", "url", "ttl", "publish", "overlap"] {
            assert!(is_known(name), "{name}");
        }
        for name in ["tll", "", "path", "limit"] {
            assert!(!is_known(name), "{name}");
        }
    }
}
