//! Which user ids a vendor accepts.

use super::charset::CharSet;
use super::error::MintError;
use super::layered_table::LayeredTable;
use crate::session::Identity;

/// The vendor's rule for user ids.
pub(super) struct UserIds {
    chars: Option<CharSet>,
    /// In characters.
    longest: usize,
}

impl UserIds {
    pub(super) const KEYS: [&str; 2] = ["user_id_chars", "user_id_max"];

    pub(super) fn from_members(members: &mut LayeredTable<'_, '_, '_>) -> Self {
        Self {
            chars: members.get("user_id_chars"),
            longest: members.get("user_id_max").unwrap_or(usize::MAX),
        }
    }

    /// Whether no user id can break out of an expression.
    pub(super) fn are_safe(&self) -> bool {
        self.chars.as_ref().is_some_and(CharSet::is_safe)
    }

    /// Refuses a user id that the vendor refuses or reads as a wildcard.
    pub(super) fn check(&self, identity: &Identity) -> Result<(), MintError> {
        let user = identity.user_id();
        if user.chars().count() > self.longest {
            return Err(MintError::not_allowed("the user id is longer than `user_id_max`"));
        }
        if self.chars.as_ref().is_some_and(|chars| !chars.holds(user)) {
            return Err(MintError::not_allowed(
                "the user id has characters outside `user_id_chars`",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_user_id_is_measured_in_characters() {
        let ids = UserIds { chars: None, longest: 3 };
        let check = |id: &str| ids.check(&Identity::assumed(id.to_owned(), Value::Null, None));
        assert!(check("åäö").is_ok());
        assert!(check("abcd").is_err());
    }
}
