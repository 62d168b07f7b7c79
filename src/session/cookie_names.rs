//! Which cookies a format reads, and how it finds its value in them.

use std::borrow::Cow;

use super::cookie::{Cookies, Duplicate, Encoding};
use super::passing::fold;
use super::{Reason, Rejected};

/// How one framework names, splits and escapes its cookie.
#[derive(Clone, Copy)]
pub(crate) struct Habits {
    /// Names looked for when `cookie` is not set, in order of preference.
    pub names: &'static [&'static str],
    pub duplicate: Duplicate,
    pub encoding: Encoding,
    /// What stands between the name and the number of a chunk.
    pub chunks: Option<&'static str>,
    /// Whether the framework reads every cookie whose name begins like its own.
    pub reads_prefix: bool,
}

impl Habits {
    /// The npm package `cookie` and those that follow it: first of several,
    /// percent-decoded, in one piece.
    pub(crate) const NODE: Self = Self {
        names: &[],
        duplicate: Duplicate::First,
        encoding: Encoding::Percent,
        chunks: None,
        reads_prefix: false,
    };
}

/// The cookies of one compiled source. Never without a name.
pub(crate) struct Jar {
    names: Vec<String>,
    habits: Habits,
}

/// A cookie that was sent: under which name, with what value.
pub(crate) struct Found<'j, 'c> {
    pub name: &'j str,
    pub value: Cow<'c, [u8]>,
}

impl Found<'_, '_> {
    /// The value as text; every format but one is plain ASCII.
    pub(crate) fn text(&self) -> Result<&str, Rejected> {
        std::str::from_utf8(&self.value)
            .map_err(|_| Rejected::malformed(format!("cookie `{}` is not text", self.name)))
    }
}

/// With `_` for what PHP's variables cannot hold.
fn php(name: &[u8]) -> Vec<u8> {
    let letter = |&b: &u8| if matches!(b, b'.' | b' ' | b'+' | b'[') { b'_' } else { b };
    name.iter().map(letter).collect()
}

impl Jar {
    pub(crate) fn new(names: Vec<String>, habits: Habits) -> Self {
        Self { names, habits }
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The name for messages.
    pub(crate) fn name(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    /// What stands between the name and the number of a part.
    pub(crate) fn separator(&self) -> Option<&'static str> {
        self.habits.chunks
    }

    /// The same jar with other names.
    pub(crate) fn renamed(self, names: Vec<String>) -> Self {
        Self { names, ..self }
    }

    /// The first of the names that was sent.
    pub(crate) fn find<'c>(&self, cookies: Cookies<'c>) -> Result<Found<'_, 'c>, Rejected> {
        self.find_optional(cookies)?.ok_or_else(|| self.missing())
    }

    pub(crate) fn find_optional<'c>(
        &self,
        cookies: Cookies<'c>,
    ) -> Result<Option<Found<'_, 'c>>, Rejected> {
        for name in &self.names {
            if let Some(value) = self.value(name, cookies)? {
                return Ok(Some(Found { name, value }));
            }
        }
        Ok(None)
    }

    /// The value under one name, whole or from chunks, decoded.
    pub(crate) fn value<'c>(
        &self,
        name: &str,
        cookies: Cookies<'c>,
    ) -> Result<Option<Cow<'c, [u8]>>, Rejected> {
        let Habits { duplicate, encoding, chunks, .. } = self.habits;
        let found = match chunks {
            Some(separator) => cookies.get_chunked(name.as_bytes(), separator, duplicate)?,
            None => cookies.get(name.as_bytes(), duplicate)?.map(Cow::Borrowed),
        };
        Ok(found.map(|value| encoding.decode(value)))
    }

    /// The names under which `find` finds its value: one, or those of its chunks.
    pub(crate) fn picked(&self, cookies: Cookies<'_>) -> Vec<String> {
        let Ok(Some(found)) = self.find_optional(cookies) else { return Vec::new() };
        let Habits { duplicate, chunks, .. } = self.habits;
        match (chunks, cookies.get(found.name.as_bytes(), duplicate)) {
            (Some(separator), Ok(None)) => {
                cookies.chunk_names(found.name, separator, duplicate).collect()
            }
            _ => vec![found.name.to_owned()],
        }
    }

    /// The value under one name, as it came.
    pub(crate) fn raw<'c>(&self, name: &str, cookies: Cookies<'c>) -> Option<&'c [u8]> {
        cookies.get(name.as_bytes(), self.habits.duplicate).ok().flatten()
    }

    /// Whether the framework takes the last of several cookies of one name.
    pub(crate) fn takes_the_last(&self) -> bool {
        self.habits.duplicate == Duplicate::Last
    }

    /// Whether a name, folded, could be taken for one of the jar's.
    pub(crate) fn resembles(&self, folded: &[u8]) -> bool {
        self.names.iter().any(|own| {
            let Some((start, rest)) = folded.split_at_checked(own.len()) else { return false };
            if php(start) != php(&fold(own.as_bytes())) {
                return false;
            }
            let number = self.habits.chunks.and_then(|it| rest.strip_prefix(it.as_bytes()));
            rest.is_empty()
                || self.habits.reads_prefix
                || number.and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit)
        })
    }

    pub(crate) fn missing(&self) -> Rejected {
        let names: Vec<_> = self.names.iter().map(|name| format!("`{name}`")).collect();
        Rejected::new(Reason::Missing, format!("no cookie {}", names.join(" or ")))
    }

    /// Whether a cookie of this name can change what `find` returns.
    pub(crate) fn looks_at(&self, name: &[u8]) -> bool {
        self.names.iter().any(|own| {
            let Some(rest) = name.strip_prefix(own.as_bytes()) else { return false };
            let Some(separator) = self.habits.chunks else { return rest.is_empty() };
            rest.is_empty()
                || rest.strip_prefix(separator.as_bytes()).is_some_and(|number| {
                    !number.is_empty() && number.iter().all(u8::is_ascii_digit)
                })
        })
    }
}
