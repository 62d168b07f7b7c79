//! One key, resolved: the secret that signs, other secrets, and public members.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::base::digest::Digest;
use crate::base::secret::Secret;
use crate::document::{At, Value};

/// One key, resolved.
#[derive(Default)]
pub(in crate::mint) struct KeyTable {
    pub(super) members: Vec<(String, Member)>,
    pub(super) signing: Option<(String, Secret)>,
    /// Members that something reads, or that may be given unused.
    used: RefCell<BTreeSet<String>>,
    /// The settings have no key at all, which has been reported.
    is_absent: bool,
    /// Whether this key asks to be published, if it says so itself.
    pub(in crate::mint) publish: Option<bool>,
}

/// The value of a member of a key.
pub(in crate::mint) enum Member {
    Public(String),
    Secret(Secret),
}

impl KeyTable {
    /// Replaces a key whose absence has been reported: its members are then not reported
    /// missing.
    pub(super) fn absent() -> Self {
        Self { is_absent: true, ..Self::default() }
    }

    pub(in crate::mint) fn is_absent(&self) -> bool {
        self.is_absent
    }

    /// The member `name`, noting that a template asked for it.
    pub(in crate::mint) fn member(&self, name: &str) -> Option<&Member> {
        self.used.borrow_mut().insert(name.to_owned());
        self.members.iter().find(|(member, _)| member == name).map(|(_, held)| held)
    }

    /// The text of a public member.
    pub(in crate::mint) fn public(&self, name: &str) -> Option<&str> {
        match self.member(name)? {
            Member::Public(text) => Some(text),
            Member::Secret(_) => None,
        }
    }

    /// A secret member.
    pub(in crate::mint) fn secret(&self, name: &str) -> Option<&Secret> {
        match self.member(name)? {
            Member::Public(_) => None,
            Member::Secret(secret) => Some(secret),
        }
    }

    /// The name and value of the member that signs.
    pub(in crate::mint) fn signing(&self) -> Option<(&str, &Secret)> {
        self.signing.as_ref().map(|(name, secret)| (name.as_str(), secret))
    }

    /// The name tokens and key sets call this key by.
    pub(in crate::mint) fn kid(&self) -> Option<&str> {
        let named = |wanted: &str| match self.members.iter().find(|(name, _)| name == wanted)? {
            (_, Member::Public(text)) => Some(text.as_str()),
            (_, Member::Secret(_)) => None,
        };
        named("kid").or_else(|| named("key_id"))
    }

    /// Gives a name to a key that has none.
    pub(in crate::mint) fn set_kid(&mut self, kid: &str) {
        self.members.push(("kid".to_owned(), Member::Public(kid.to_owned())));
    }

    /// Every secret of this key.
    pub(in crate::mint) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let signing = self.signing.iter().map(|(_, secret)| secret);
        signing.chain(self.members.iter().filter_map(|(_, held)| match held {
            Member::Public(_) => None,
            Member::Secret(secret) => Some(secret),
        }))
    }

    /// Digests of all members, for the fingerprint.
    pub(in crate::mint) fn digests(&self) -> impl Iterator<Item = Digest> {
        let signing = self.signing.iter().map(|(_, secret)| secret.digest());
        signing.chain(self.members.iter().map(|(_, held)| match held {
            Member::Public(text) => Digest::new(text.as_bytes()),
            Member::Secret(secret) => secret.digest(),
        }))
    }

    /// Reports members of `key` that nothing uses. Of several keys one is read for
    /// signing; the others have the same members.
    pub(in crate::mint) fn report_unused(&self, at: &At<'_>) {
        let tables = at.items().into_iter().filter(|at| matches!(at.node.value, Value::Table(_)));
        let used = self.used.borrow();
        for (key, at) in tables.flat_map(|at| at.members()) {
            if !used.contains(&key.name) {
                let known: Vec<_> = used.iter().map(|name| format!("`{name}`")).collect();
                let text = format!("unknown member, this preset uses {}", known.join(", "));
                at.problems.add(key.span.start, &at.path, text);
            }
        }
    }

    /// Marks a member as known although no template reads it.
    pub(in crate::mint) fn mark_used(&self, name: &str) {
        self.used.borrow_mut().insert(name.to_owned());
    }
}
