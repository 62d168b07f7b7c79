//! The `key` of a token: which members are secret, and how a combined key is cut.
//!
//! A secret member is read from a reference and is never available to templates
//! except in what goes to its issuer. Public members (`kid`, `alg`, an account's
//! id) may stand in the file. Several keys mean rotation: the first one signs.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::build::Kind;
use super::key_text;
use super::layered_table::Members;
use super::template::parse::references;
use crate::base::digest::Digest;
use crate::base::secret::Secret;
use crate::document::{At, OneOrMany, Value};

/// What a preset says about its key.
pub(super) struct KeyShape {
    /// Names for the member that signs; the first one present is used.
    signing: Vec<String>,
    /// Members that only the issuer may see.
    shown_to_issuer: BTreeSet<String>,
    split: Option<Split>,
    /// Members that are UUIDs.
    uuids: Vec<String>,
    kind: Kind,
}

/// How a combined key is cut: `PRTV_{kid}_{secret}`.
struct Split {
    pattern: String,
    from: String,
    /// Literal, name, literal, name …, and the last literal.
    parts: Vec<(String, String)>,
    end: String,
}

/// One key, resolved.
#[derive(Default)]
pub(super) struct KeyTable {
    members: Vec<(String, Held)>,
    signing: Option<(String, Secret)>,
    used: RefCell<BTreeSet<String>>,
    /// What this key says about being published, if it does.
    pub(super) publish: Option<bool>,
}

pub(super) enum Held {
    Public(String),
    Secret(Secret),
}

impl KeyShape {
    pub(super) fn read(members: &mut Members<'_, '_, '_>, kind: Kind) -> Self {
        let from: Option<String> = members.get("key_from");
        let split = members.take("key_split").and_then(|at| Split::read(&at, from));
        let signing = members.get::<OneOrMany<String>>("secret").map(|names| names.0);
        let uuids = members.get("uuids").unwrap_or_default();
        let mut shown_to_issuer = BTreeSet::new();
        let sent: &[&'static str] = match kind {
            Kind::Exchange => &["headers", "query", "body"],
            Kind::Hmac | Kind::Jwt => &[],
        };
        for &member in sent {
            let references = members.take(member).map(|at| references(at.node)).unwrap_or_default();
            let key = references.iter().filter(|reference| reference.root() == "key");
            shown_to_issuer.extend(key.filter_map(|reference| reference.rest().first().cloned()));
        }
        Self { signing: signing.unwrap_or_default(), shown_to_issuer, split, uuids, kind }
    }

    /// The one member a bare reference stands for, if there is just one.
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
    pub(super) fn resolve(&self, members: &mut Members<'_, '_, '_>) -> Vec<KeyTable> {
        let Some(at) = members.own("key") else {
            if self.sole().is_some() {
                members.token().problem(format!("`key` is missing; write {}", self.expected()));
            }
            return vec![KeyTable::default()];
        };
        let read: Vec<_> = at.items().iter().map(|at| self.table(at)).collect();
        read.into_iter().collect::<Option<_>>().unwrap_or_default()
    }

    fn table(&self, at: &At<'_>) -> Option<KeyTable> {
        let mut table = KeyTable::default();
        if let Value::Table(_) = &at.node.value {
            for (key, at) in at.members() {
                if key.name == "publish" && self.kind == Kind::Jwt {
                    table.publish = at.read();
                    continue;
                }
                let held = if self.is_secret(&key.name) {
                    Held::Secret(at.secret()?)
                } else {
                    Held::Public(self.public(&key.name, &at)?)
                };
                table.members.push((key.name.clone(), held));
            }
        } else if let Some(name) = self.sole() {
            table.members.push((name.to_owned(), Held::Secret(at.secret()?)));
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
                "found no UUID (the value is not repeated here); copy the key's `uid`, such as \
                 76cf8b87-fd12-4688-ad34-260d930ca4f4",
            );
            return None;
        }
        Some(text)
    }

    /// Cuts combined keys and takes what a key file says about itself.
    fn complete(&self, table: &mut KeyTable, at: &At<'_>) -> Option<()> {
        if let Some(split) = &self.split {
            let Some(Held::Secret(combined)) = table.member(&split.from) else {
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
                    table.members.push((name, Held::Public(value)));
                }
            }
            return Some(());
        }
        let found = self.signing.iter().find_map(|name| match table.member(name) {
            Some(Held::Secret(secret)) => Some((name.clone(), secret.clone())),
            Some(Held::Public(_)) | None => None,
        });
        if let (None, Some(first)) = (&found, self.signing.first()) {
            at.problem(format!("`{first}` is missing; write {}", self.expected()));
            return None;
        }
        if let Some((name, secret)) = found {
            for (member, value) in key_text::described(&secret) {
                if table.member(&member).is_none() {
                    table.members.push((member, Held::Public(value)));
                }
            }
            table.used.borrow_mut().insert(name.clone());
            table.signing = Some((name, secret));
        }
        Some(())
    }
}

impl Split {
    fn read(at: &At<'_>, from: Option<String>) -> Option<Self> {
        const EXPECTED: &str = r#"a pattern such as "PRTV_{kid}_{secret}""#;
        let pattern = at.text(EXPECTED)?;
        let mut parts = Vec::new();
        let mut rest = pattern;
        while let Some((literal, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                at.wrong(EXPECTED);
                return None;
            };
            parts.push((literal.to_owned(), name.to_owned()));
            rest = after;
        }
        let Some(from) = from else {
            at.problem("`key_split` needs `key_from`: the member of `key` it cuts");
            return None;
        };
        Some(Self { pattern: pattern.to_owned(), from, parts, end: rest.to_owned() })
    }

    /// The named parts. No part is empty or holds a separator, so there is one
    /// way to cut a key and a key with too many parts is refused.
    fn cut(&self, text: &str) -> Option<Vec<(String, String)>> {
        let separators: Vec<&str> =
            self.parts.iter().skip(1).map(|(literal, _)| literal.as_str()).collect();
        let mut rest = text.strip_prefix(self.parts.first()?.0.as_str())?;
        let mut found = Vec::new();
        for (index, (_, name)) in self.parts.iter().enumerate() {
            let value = match separators.get(index) {
                Some(separator) => {
                    let (value, after) = rest.split_once(separator)?;
                    rest = after;
                    value
                }
                None => rest.strip_suffix(self.end.as_str())?,
            };
            let clean = |c: char| c.is_ascii_graphic();
            if value.is_empty()
                || !value.chars().all(clean)
                || separators.iter().any(|separator| value.contains(separator))
            {
                return None;
            }
            found.push((name.clone(), value.to_owned()));
        }
        Some(found)
    }

    fn refusal(&self) -> String {
        format!(
            "the key does not have the shape {} (the value is not repeated here); copy it again \
             from the vendor's dashboard, whole and without quotes",
            self.pattern.replace('{', "<").replace('}', ">")
        )
    }
}

impl KeyTable {
    /// The member `name`, noting that a template asked for it.
    pub(super) fn member(&self, name: &str) -> Option<&Held> {
        self.used.borrow_mut().insert(name.to_owned());
        self.members.iter().find(|(member, _)| member == name).map(|(_, held)| held)
    }

    /// The text of a public member.
    pub(super) fn public(&self, name: &str) -> Option<&str> {
        match self.member(name)? {
            Held::Public(text) => Some(text),
            Held::Secret(_) => None,
        }
    }

    /// The name and value of the member that signs.
    pub(super) fn signing(&self) -> Option<(&str, &Secret)> {
        self.signing.as_ref().map(|(name, secret)| (name.as_str(), secret))
    }

    /// Its name, as its tokens and key sets give it.
    pub(super) fn kid(&self) -> Option<&str> {
        let named = |wanted: &str| match self.members.iter().find(|(name, _)| name == wanted)? {
            (_, Held::Public(text)) => Some(text.as_str()),
            (_, Held::Secret(_)) => None,
        };
        named("kid").or_else(|| named("key_id"))
    }

    /// Gives a name to a key that has none.
    pub(super) fn call(&mut self, kid: &str) {
        self.members.push(("kid".to_owned(), Held::Public(kid.to_owned())));
    }

    /// Digests of all secrets, for the fingerprint.
    pub(super) fn digests(&self) -> impl Iterator<Item = Digest> {
        let signing = self.signing.iter().map(|(_, secret)| secret.digest());
        signing.chain(self.members.iter().map(|(_, held)| match held {
            Held::Public(text) => Digest::new(text.as_bytes()),
            Held::Secret(secret) => secret.digest(),
        }))
    }

    /// Notes members of `key` that nothing uses. One table of a rotation is read
    /// for signing; the others look alike.
    pub(super) fn report_unused(&self, at: &At<'_>) {
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

    pub(super) fn tolerate(&self, name: &str) {
        self.used.borrow_mut().insert(name.to_owned());
    }
}

/// Eight, four, four, four and twelve hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// A public member: a reference, or the text itself.
fn public(at: &At<'_>) -> Option<String> {
    let text = at.text("a text in quotes")?;
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
