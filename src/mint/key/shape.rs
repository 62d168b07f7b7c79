//! The `key` of a token: which of its members are secret, and how it is resolved.
//!
//! A secret member is read from a reference and is never available to templates,
//! except to those that go to its issuer. Public members (`kid`, `alg`, the id of an
//! account) may be written in the file. Several keys mean rotation: the first one signs.

use std::collections::BTreeSet;

use super::copied;
use super::split::Split;
use super::table::{KeyTable, Member};
use super::text::described;
use crate::base::secret::Secret;
use crate::document::template_syntax::references;
use crate::document::{At, OneOrMany, Value};
use crate::mint::layered_table::LayeredTable;

/// The key a preset asks for.
pub(in crate::mint) struct KeyShape {
    /// Names for the member that signs; the first one present is used.
    signing: Vec<String>,
    /// Members that only the issuer may see.
    shown_to_issuer: BTreeSet<String>,
    /// Further secret members.
    others: Vec<String>,
    split: Option<Split>,
    /// Members that are UUIDs.
    uuids: Vec<String>,
    publishing: Publishing,
}

/// The use a mechanism makes of its key.
#[derive(Clone, Copy)]
pub(in crate::mint) struct KeyUse {
    /// Members of a preset that go only to the issuer, with a dot before a nested member
    /// or item. A member of the key that they name is a secret.
    pub sent_to_issuer: &'static [&'static str],
    pub publishing: Publishing,
}

/// Whether a key may ask for its public half to be published.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::mint) enum Publishing {
    Allowed,
    Never,
}

impl KeyShape {
    pub(in crate::mint) const KEYS: [&str; 6] =
        ["key", "key_from", "key_split", "secret", "secrets", "uuids"];

    pub(in crate::mint) fn from_members(
        members: &mut LayeredTable<'_, '_, '_>,
        key_use: KeyUse,
    ) -> Self {
        let from: Option<String> = members.get("key_from");
        let split = members.take("key_split").and_then(|at| Split::from_node(&at, from));
        let signing = members.get::<OneOrMany<String>>("secret").map(|names| names.0);
        let uuids = members.get("uuids").unwrap_or_default();
        let mut shown_to_issuer = BTreeSet::new();
        for &member in key_use.sent_to_issuer {
            let references = place(members, member).map(|at| references(at.node));
            let references = references.unwrap_or_default();
            let key = references.iter().filter(|reference| reference.root() == "key");
            shown_to_issuer.extend(key.filter_map(|reference| reference.rest().first().cloned()));
        }
        let publishing = key_use.publishing;
        let others = members.get("secrets").unwrap_or_default();
        let signing = signing.unwrap_or_default();
        Self { signing, shown_to_issuer, others, split, uuids, publishing }
    }

    /// The member that `key = "env:NAME"` gives, if there is just one.
    fn sole(&self) -> Option<&str> {
        match (&self.split, self.signing.as_slice()) {
            (Some(split), _) => Some(&split.from),
            (None, [first, ..]) => Some(first),
            (None, []) if self.shown_to_issuer.len() == 1 => {
                self.shown_to_issuer.first().map(String::as_str)
            }
            (None, []) => None,
        }
    }

    fn is_secret(&self, name: &str) -> bool {
        self.shown_to_issuer.contains(name)
            || self.others.iter().any(|other| other == name)
            || self.signing.iter().any(|signing| signing == name)
            || self.split.as_ref().is_some_and(|split| split.from == name)
    }

    fn expected(&self) -> String {
        match self.sole() {
            Some(name) => format!("key = \"env:NAME\" or key = {{ {name} = \"env:NAME\", … }}"),
            None => "key = { NAME = \"env:NAME\", … }".to_owned(),
        }
    }

    /// Every key, the signing one first; empty if a problem was noted.
    pub(in crate::mint) fn resolve(&self, members: &mut LayeredTable<'_, '_, '_>) -> Vec<KeyTable> {
        let Some(at) = members.own("key") else {
            if self.sole().is_none() {
                return vec![KeyTable::default()];
            }
            members.token().problem(format!("`key` is missing; write {}", self.expected()));
            return vec![KeyTable::absent()];
        };
        let read: Vec<_> = at.items().iter().map(|at| self.table(at)).collect();
        read.into_iter().collect::<Option<_>>().unwrap_or_default()
    }

    fn table(&self, at: &At<'_>) -> Option<KeyTable> {
        let mut table = KeyTable::default();
        if let Value::Table(_) = &at.node.value {
            for (key, at) in at.members() {
                if key.name == "publish" && self.publishing == Publishing::Allowed {
                    table.publish = at.read();
                    continue;
                }
                let held = if self.is_secret(&key.name) {
                    Member::Secret(copied::secret(&at)?)
                } else {
                    Member::Public(self.public(&key.name, &at)?)
                };
                table.members.push((key.name.clone(), held));
            }
        } else if let Some(name) = self.sole() {
            table.members.push((name.to_owned(), Member::Secret(copied::secret(at)?)));
        } else {
            at.problem(format!("this preset needs several members; write {}", self.expected()));
            return None;
        }
        self.complete(&mut table, at)?;
        Some(table)
    }

    fn public(&self, name: &str, at: &At<'_>) -> Option<String> {
        let text = public(at)?;
        if self.uuids.iter().any(|uuid| uuid == name) && !is_uuid(&text) {
            // It may be the key itself, put where its name belongs.
            at.problem(
                "found something other than a UUID (the value is not repeated here); copy the \
                 key's `uid`, such as 76cf8b87-fd12-4688-ad34-260d930ca4f4",
            );
            return None;
        }
        Some(text)
    }

    /// Cuts combined keys, and adds the public members of key files.
    fn complete(&self, table: &mut KeyTable, at: &At<'_>) -> Option<()> {
        if let Some(split) = &self.split {
            let Some(Member::Secret(combined)) = table.member(&split.from) else {
                at.problem(format!("`{}` is missing; write {}", split.from, self.expected()));
                return None;
            };
            let Some(found) = combined.text().and_then(|text| split.cut(text)) else {
                at.problem(split.refusal());
                return None;
            };
            for (name, value) in found {
                if name == "secret" {
                    table.signing = Some((name, Secret::new(value)));
                } else {
                    table.members.push((name, Member::Public(value)));
                }
            }
            return Some(());
        }
        let found = self.signing.iter().find_map(|name| match table.member(name) {
            Some(Member::Secret(secret)) => Some((name.clone(), secret.clone())),
            Some(Member::Public(_)) | None => None,
        });
        if let (None, Some(first)) = (&found, self.signing.first()) {
            at.problem(format!("`{first}` is missing; write {}", self.expected()));
            return None;
        }
        if let Some((name, secret)) = found {
            for (member, value) in described(&secret) {
                if table.member(&member).is_none() {
                    table.members.push((member, Member::Public(value)));
                }
            }
            table.mark_used(&name);
            table.signing = Some((name, secret));
        }
        Some(())
    }
}

/// The member at a dotted path: `headers`, `first.basic.1`.
fn place<'p>(members: &mut LayeredTable<'_, '_, 'p>, path: &'static str) -> Option<At<'p>> {
    let mut steps = path.split('.');
    let at = members.take(steps.next()?)?;
    steps.try_fold(at, |at, step| match (&at.node.value, step.parse::<usize>()) {
        (Value::Array(_), Ok(index)) => at.items().into_iter().nth(index),
        (Value::Table(_), _) => at.table()?.peek(step),
        _ => None,
    })
}

/// Eight, four, four, four and twelve hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// A public member: a reference, or the text itself.
fn public(at: &At<'_>) -> Option<String> {
    let text = at.text("a quoted string")?;
    let is_reference = ["env:", "file:", "credential:"].iter().any(|kind| text.starts_with(kind));
    if !is_reference {
        return Some(text.to_owned());
    }
    let value = at.secret()?;
    let text = value.text().map(str::to_owned);
    if text.is_none() {
        at.problem("the value is not text");
    }
    text
}
