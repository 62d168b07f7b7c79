//! A `[session]` table while it is compiled.
//!
//! Adds to `Table` what all formats share (secrets, cookie names, spans of time)
//! and keeps a fingerprint of every secret it hands out, so that a changed
//! secret never meets a result remembered under the old one.

#![expect(dead_code, reason = "the kinds that use the rest follow")]

use aws_lc_rs::digest;

use super::cookie::Duplicate;
use super::jar::{Habits, Jar};
use crate::document::{At, FromNode, Table, Value};
use crate::secret::Secret;

pub(crate) struct Settings<'s, 'a> {
    table: &'s mut Table<'a>,
    fingerprint: digest::Context,
}

/// A span of time in seconds: `604800`, or a text such as `"7d"`. The formats'
/// own frameworks count these in seconds, so here a bare number is no riddle.
pub(crate) struct Seconds(pub u64);

impl FromNode for Seconds {
    fn read(at: &At<'_>) -> Option<Self> {
        if matches!(at.node.value, Value::Integer(_)) {
            return u64::read(at).map(Self);
        }
        std::time::Duration::read(at).map(|duration| Self(duration.as_secs()))
    }
}

impl<'s, 'a> Settings<'s, 'a> {
    pub(crate) fn new(table: &'s mut Table<'a>) -> Self {
        let mut fingerprint = digest::Context::new(&digest::SHA256);
        let settings = table.at().node.to_json().to_string();
        fingerprint.update(&settings.len().to_be_bytes());
        fingerprint.update(settings.as_bytes());
        Self { table, fingerprint }
    }

    /// A digest over every setting and the content of every secret read.
    pub(crate) fn fingerprint(self) -> [u8; 32] {
        self.fingerprint.finish().as_ref().try_into().unwrap_or_default()
    }

    pub(crate) fn table(&mut self) -> &mut Table<'a> {
        self.table
    }

    pub(crate) fn get<T: FromNode>(&mut self, key: &'static str) -> Option<T> {
        self.table.get(key)
    }

    pub(crate) fn seconds(&mut self, key: &'static str) -> Option<u64> {
        self.get::<Seconds>(key).map(|seconds| seconds.0)
    }

    pub(crate) fn problem(&self, text: impl Into<String>) {
        self.table.at().problem(text);
    }

    /// One secret under `key`, if it is there.
    pub(crate) fn secret(&mut self, key: &'static str) -> Option<Secret> {
        let at = self.table.take(key)?;
        self.resolve(&at)
    }

    /// One secret, or several in a list or a table, each with its id.
    pub(crate) fn secrets_in(&mut self, at: &At<'a>) -> Option<Vec<(String, Secret)>> {
        let items = match at.node.value {
            Value::Table(_) => {
                at.members().into_iter().map(|(key, at)| (key.name.clone(), at)).collect()
            }
            _ => numbered(at.items()),
        };
        if items.is_empty() {
            at.problem("found no secret, expected at least one");
        }
        let read: Vec<_> =
            items.into_iter().map(|(id, at)| Some((id, self.resolve(&at)?))).collect();
        read.into_iter().collect::<Option<Vec<_>>>().filter(|secrets| !secrets.is_empty())
    }

    /// `secret` or `secrets`, if either is there; both at once is a problem.
    pub(crate) fn optional_secrets(&mut self) -> Option<Vec<(String, Secret)>> {
        let one = self.table.take("secret");
        let many = self.table.take("secrets");
        if one.is_some() && many.is_some() {
            self.problem("`secret` and `secrets` are both set; keep one of them");
            return None;
        }
        self.secrets_in(&one.or(many)?)
    }

    /// The secrets with their ids: what they are called in a table, their
    /// number from 1 in a list.
    pub(crate) fn secrets_by_id(&mut self) -> Option<Vec<(String, Secret)>> {
        if self.table.peek("secret").is_none() && self.table.peek("secrets").is_none() {
            self.table.take("secrets");
            self.table.take_needed("secret", "secret = \"env:NAME\"");
            return None;
        }
        self.optional_secrets()
    }

    pub(crate) fn secrets(&mut self) -> Option<Vec<Secret>> {
        let secrets = self.secrets_by_id()?;
        Some(secrets.into_iter().map(|(_, secret)| secret).collect())
    }

    /// The cookie by the framework's habits, as far as `cookie` and `duplicate`
    /// do not say otherwise.
    pub(crate) fn jar(&mut self, habits: Habits) -> Option<Jar> {
        let duplicate = self.get::<Duplicate>("duplicate").unwrap_or(habits.duplicate);
        let names = match self.table.take("cookie") {
            Some(at) => vec![cookie_name(&at)?],
            None if habits.names.is_empty() => {
                self.problem("`cookie` is missing; write the name of the app's session cookie");
                return None;
            }
            None => habits.names.iter().map(|&name| name.to_owned()).collect(),
        };
        Some(Jar::new(names, Habits { duplicate, ..habits }))
    }

    fn resolve(&mut self, at: &At<'_>) -> Option<Secret> {
        let secret = at.secret()?;
        self.fingerprint.update(&secret.digest());
        Some(secret)
    }
}

fn numbered(items: Vec<At<'_>>) -> Vec<(String, At<'_>)> {
    items.into_iter().enumerate().map(|(index, at)| ((index + 1).to_string(), at)).collect()
}

fn cookie_name(at: &At<'_>) -> Option<String> {
    const EXPECTED: &str = "the name of a cookie";
    let name = at.text(EXPECTED)?;
    let plain = |b: u8| b.is_ascii_graphic() && !b"=;,\"".contains(&b);
    if name.is_empty() || !name.bytes().all(plain) {
        at.wrong(EXPECTED);
        return None;
    }
    Some(name.to_owned())
}
