//! The user ids a vendor accepts.

use serde_json::Value;

use super::charset::CharSet;
use super::error::MintError;
use super::layered_table::LayeredTable;
use super::template::Filter;
use crate::session::Identity;

/// The vendor's rule for user ids.
pub(super) struct UserIds {
    chars: Option<CharSet>,
    /// In characters.
    longest: usize,
    /// The filter that templates write the id with, which the length is counted after.
    filter: Option<Filter>,
}

impl UserIds {
    pub(super) const KEYS: [&str; 3] = ["user_id_chars", "user_id_filter", "user_id_max"];

    pub(super) fn from_members(members: &mut LayeredTable<'_, '_, '_>) -> Self {
        Self {
            chars: members.get("user_id_chars"),
            longest: members.get("user_id_max").unwrap_or(usize::MAX),
            filter: members.get("user_id_filter"),
        }
    }

    /// Whether no user id can break out of an expression.
    pub(super) fn are_safe(&self) -> bool {
        self.chars.as_ref().is_some_and(CharSet::is_safe)
    }

    /// Refuses a user id that the vendor refuses or reads as a wildcard.
    pub(super) fn check(&self, identity: &Identity) -> Result<(), MintError> {
        let user = identity.user_id();
        let length = match self.filter {
            Some(filter) => written(filter, user)?,
            None => user.chars().count(),
        };
        if length > self.longest {
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

/// Characters of the id behind the filter.
fn written(filter: Filter, user: &str) -> Result<usize, MintError> {
    let filtered = filter.apply(&Value::from(user))?;
    Ok(filtered.as_str().map_or(0, |text| text.chars().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_id_is_measured_in_characters() {
        let ids = UserIds { chars: None, longest: 3, filter: None };
        let check = |id: &str| ids.check(&Identity::assumed(id.to_owned(), Value::Null, None));
        assert!(check("åäö").is_ok());
        assert!(check("abcd").is_err());
    }

    #[test]
    fn a_uuid_is_measured_as_it_is_written() {
        let ids = UserIds { chars: None, longest: 35, filter: Some(Filter::Uuid) };
        let check = |id: &str| ids.check(&Identity::assumed(id.to_owned(), Value::Null, None));
        assert!(check("550e8400-e29b-41d4-a716-446655440000").is_ok());
        assert!(check("550e8400e29b41d4a716446655440000").is_err(), "another user's UUID");
        assert!(check(&"x".repeat(36)).is_err() && check(&"x".repeat(35)).is_ok());
    }
}
