//! The names of the cookies a source reads, and its value among them.

use std::borrow::Cow;

use super::cookie::{Cookies, Duplicate, Encoding, MAX_CHUNKS, fold};
use super::cookie_pattern::CookiePattern;
use super::header::HeaderPlace;
use super::rejected::{Reason, Rejected};

/// A framework's way of naming, splitting and escaping its cookie.
#[derive(Clone, Copy)]
pub(crate) struct CookieConventions {
    /// Names looked for when `cookie` is not set, in order of preference.
    pub names: &'static [&'static str],
    pub duplicate: Duplicate,
    pub encoding: Encoding,
    /// The text between the name and the number of a chunk.
    pub chunks: Option<&'static str>,
    /// Whether the framework reads every cookie whose name begins like its own.
    pub reads_prefix: bool,
}

impl CookieConventions {
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

/// The cookies one compiled source reads, or the header. Never without a name.
pub(crate) struct CookieNames {
    names: Vec<String>,
    conventions: CookieConventions,
    companions: Vec<Companion>,
    header: Option<HeaderPlace>,
}

/// A cookie other than the session's own that can change what is read.
enum Companion {
    /// A cookie of this name, whole or in numbered chunks.
    Named { name: String, chunks: Option<&'static str> },
    /// Every cookie of this pattern.
    Patterned(CookiePattern),
    /// Every cookie whose name has this form.
    Shaped(fn(&[u8]) -> bool),
}

/// A cookie that was sent: its name and value.
pub(crate) struct FoundCookie<'r> {
    pub name: &'r str,
    pub value: Cow<'r, [u8]>,
}

/// A request's cookies as one jar reads them.
#[derive(Clone, Copy)]
pub(crate) struct SentCookies<'r> {
    pub jar: &'r CookieNames,
    pub cookies: Cookies<'r>,
}

impl FoundCookie<'_> {
    /// The value as text; every format but one is plain ASCII.
    pub(crate) fn text(&self) -> Result<&str, Rejected> {
        std::str::from_utf8(&self.value)
            .map_err(|_| Rejected::malformed(format!("`{}` is not text", self.name)))
    }
}

impl CookieNames {
    pub(crate) fn new(names: Vec<String>, conventions: CookieConventions) -> Self {
        Self { names, conventions, companions: Vec::new(), header: None }
    }

    /// For a source that reads a header instead of a cookie.
    pub(crate) fn of_header(header: HeaderPlace) -> Self {
        let conventions = CookieConventions { encoding: Encoding::Raw, ..CookieConventions::NODE };
        Self { header: Some(header), ..Self::new(Vec::new(), conventions) }
    }

    /// The header, if the source reads one.
    pub(crate) fn header(&self) -> Option<&HeaderPlace> {
        self.header.as_ref()
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The name for messages.
    pub(crate) fn name(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    /// A cookie's value, decoded as the session's own is.
    pub(crate) fn decoded<'v>(&self, value: &'v [u8]) -> Cow<'v, [u8]> {
        self.conventions.encoding.decode(Cow::Borrowed(value))
    }

    /// The text between the name and the number of a part.
    pub(crate) fn separator(&self) -> Option<&'static str> {
        self.conventions.chunks
    }

    /// The same jar with other names.
    pub(crate) fn renamed(self, names: Vec<String>) -> Self {
        Self { names, ..self }
    }

    /// The same jar, with cookies of these names in addition.
    pub(crate) fn with_companions(
        mut self,
        names: Vec<String>,
        chunks: Option<&'static str>,
    ) -> Self {
        self.companions = names.into_iter().map(|name| Companion::Named { name, chunks }).collect();
        self
    }

    /// The same jar, with the numbered parts of its own cookies beside them, whichever of
    /// these texts stands before the number.
    pub(crate) fn with_parts(mut self, separators: &[&'static str]) -> Self {
        for separator in separators {
            let part =
                |name: &String| Companion::Named { name: name.clone(), chunks: Some(*separator) };
            self.companions.extend(self.names.iter().map(part));
        }
        self
    }

    /// The same jar, with every cookie whose name has this form in addition.
    pub(crate) fn with_companions_shaped(mut self, has_form: fn(&[u8]) -> bool) -> Self {
        self.companions = vec![Companion::Shaped(has_form)];
        self
    }

    /// The same jar, with every cookie of this pattern beside its own, and the cookie that
    /// tells which of them counts.
    pub(crate) fn with_pattern(mut self, pattern: CookiePattern) -> Self {
        let last_user = pattern.last_user().map(str::to_owned);
        let last_user = last_user.map(|name| Companion::Named { name, chunks: None });
        self.companions = last_user.into_iter().chain([Companion::Patterned(pattern)]).collect();
        self
    }

    /// Whether the framework takes the last of several cookies of one name.
    pub(crate) fn takes_the_last(&self) -> bool {
        self.conventions.duplicate == Duplicate::Last
    }

    /// Whether a cookie of this name is the session's own or a part of it.
    pub(crate) fn is_own(&self, name: &[u8]) -> bool {
        self.names.iter().any(|own| is_named(name, own, self.conventions.chunks))
    }

    /// Whether a parser could take a folded name (`cookie::fold`) for that of a cookie
    /// the source reads.
    pub(crate) fn resembles(&self, folded: &[u8]) -> bool {
        let CookieConventions { chunks, reads_prefix, .. } = self.conventions;
        let rest = if reads_prefix { Rest::Any } else { Rest::Number(chunks) };
        let is_alike_companion = |companion: &Companion| match companion {
            Companion::Named { name, chunks } => is_alike(folded, name, Rest::Number(*chunks)),
            Companion::Patterned(_) | Companion::Shaped(_) => false,
        };
        self.names.iter().any(|own| is_alike(folded, own, rest))
            || self.companions.iter().any(is_alike_companion)
    }

    /// As `resembles`, for a plain name as sent, without allocating. True if it cannot
    /// tell.
    pub(crate) fn resembles_plainly(&self, name: &[u8]) -> bool {
        let CookieConventions { chunks, reads_prefix, .. } = self.conventions;
        let rest = if reads_prefix { Rest::Any } else { Rest::Number(chunks) };
        let is_alike_companion = |companion: &Companion| match companion {
            Companion::Named { name: own, chunks } => {
                is_plainly_alike(name, own, Rest::Number(*chunks))
            }
            Companion::Patterned(_) | Companion::Shaped(_) => false,
        };
        self.names.iter().any(|own| is_plainly_alike(name, own, rest))
            || self.companions.iter().any(is_alike_companion)
    }

    /// Whether `find` picks all cookies of these different names, where no others of its
    /// own were sent. False where it is not plain.
    pub(crate) fn picks_all<'n>(&self, sent: &(impl Iterator<Item = &'n [u8]> + Clone)) -> bool {
        let count = sent.clone().count();
        let is_whole = |own: &String| count == 1 && sent.clone().all(|name| name == own.as_bytes());
        let are_chunks = |own: &String| {
            let Some(separator) = self.conventions.chunks else { return false };
            let mut seen = 0_u32;
            let mut numbers = sent.clone().map(|name| chunk_number(name, own, separator));
            let are_in_range = numbers.all(|number| {
                let number = number.filter(|&number| number < count.min(MAX_CHUNKS));
                number.is_some_and(|number| {
                    seen |= 1 << number;
                    true
                })
            });
            are_in_range && seen.count_ones() as usize == count
        };
        count == 0 || self.names.iter().any(|own| is_whole(own) || are_chunks(own))
    }

    /// Whether a cookie of this name can change what the source reads.
    pub(crate) fn reads_cookie(&self, name: &[u8]) -> bool {
        self.is_own(name) || self.companions.iter().any(|companion| companion.is_named(name))
    }
}

/// With `_` for characters that PHP's variables cannot hold.
fn php(name: &[u8]) -> Vec<u8> {
    name.iter().map(|&letter| php_letter(letter)).collect()
}

fn php_letter(letter: u8) -> u8 {
    if matches!(letter, b'.' | b' ' | b'+' | b'[') { b'_' } else { letter }
}

/// Whether every parser reads this name unchanged.
pub(super) fn is_plain_name(name: &[u8]) -> bool {
    let is_plain = |&b: &u8| b.is_ascii_graphic() && !matches!(b, b'%' | b'"');
    !name.is_empty() && name.iter().all(is_plain)
}

/// As `is_alike`, of a plain name.
fn is_plainly_alike(name: &[u8], own: &str, allowed: Rest) -> bool {
    if !is_plain_name(own.as_bytes()) {
        return true;
    }
    let Some((start, rest)) = name.split_at_checked(own.len()) else { return false };
    let letter = |&b: &u8| php_letter(b.to_ascii_lowercase());
    start.iter().map(letter).eq(own.as_bytes().iter().map(letter)) && allowed.admits(rest)
}

/// The number of a chunk, as frameworks write it.
fn chunk_number(name: &[u8], own: &str, separator: &str) -> Option<usize> {
    let number = name.strip_prefix(own.as_bytes())?.strip_prefix(separator.as_bytes())?;
    match number {
        [digit @ b'0'..=b'9'] => Some(usize::from(digit - b'0')),
        [ten @ b'1'..=b'9', one @ b'0'..=b'9'] => {
            Some(usize::from(ten - b'0') * 10 + usize::from(one - b'0'))
        }
        _ => None,
    }
}

/// Suffixes that make another name resemble this one.
#[derive(Clone, Copy)]
enum Rest {
    Any,
    Number(Option<&'static str>),
}

/// Whether a folded name could be taken for `own`, or for one of its chunks.
fn is_alike(folded: &[u8], own: &str, allowed: Rest) -> bool {
    let Some((start, rest)) = folded.split_at_checked(own.len()) else { return false };
    if php(start) != php(&fold(own.as_bytes())) {
        return false;
    }
    allowed.admits(rest)
}

impl Rest {
    fn admits(self, rest: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Number(chunks) => {
                let number = chunks.and_then(|it| rest.strip_prefix(it.as_bytes()));
                rest.is_empty() || number.and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit)
            }
        }
    }
}

impl Companion {
    fn is_named(&self, name: &[u8]) -> bool {
        match self {
            Self::Named { name: own, chunks } => is_named(name, own, *chunks),
            Self::Patterned(pattern) => pattern.is_named(name),
            Self::Shaped(has_form) => has_form(name),
        }
    }
}

/// Whether `name` is `own`, or that of one of its numbered chunks.
fn is_named(name: &[u8], own: &str, chunks: Option<&str>) -> bool {
    let Some(rest) = name.strip_prefix(own.as_bytes()) else { return false };
    let Some(separator) = chunks else { return rest.is_empty() };
    rest.is_empty()
        || rest
            .strip_prefix(separator.as_bytes())
            .is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
}

impl<'r> SentCookies<'r> {
    /// The same cookies as another jar reads them.
    pub(crate) fn with_jar(self, jar: &'r CookieNames) -> Self {
        Self { jar, ..self }
    }

    /// The first of the jar's names that was sent.
    pub(crate) fn find(self) -> Result<FoundCookie<'r>, Rejected> {
        self.find_optional()?.ok_or_else(|| self.missing())
    }

    pub(crate) fn find_optional(self) -> Result<Option<FoundCookie<'r>>, Rejected> {
        if let Some(header) = &self.jar.header {
            let found = |value| FoundCookie { name: header.name().as_str(), value };
            return Ok(header.find(self.cookies.headers())?.map(Cow::Borrowed).map(found));
        }
        for name in &self.jar.names {
            if let Some(value) = self.value(name)? {
                return Ok(Some(FoundCookie { name, value }));
            }
        }
        Ok(None)
    }

    /// The value under one name, whole or from chunks, decoded.
    pub(crate) fn value(self, name: &str) -> Result<Option<Cow<'r, [u8]>>, Rejected> {
        let CookieConventions { duplicate, encoding, chunks, .. } = self.jar.conventions;
        let found = match chunks {
            Some(separator) => self.cookies.get_chunked(name.as_bytes(), separator, duplicate)?,
            None => self.cookies.get(name.as_bytes(), duplicate)?.map(Cow::Borrowed),
        };
        Ok(found.map(|value| encoding.decode(value)))
    }

    /// The cookie names that `find` takes its value from: one, or those of its chunks.
    pub(crate) fn picked(self) -> Vec<String> {
        let Ok(Some(found)) = self.find_optional() else { return Vec::new() };
        let CookieConventions { duplicate, chunks, .. } = self.jar.conventions;
        match (chunks, self.cookies.get(found.name.as_bytes(), duplicate)) {
            (Some(separator), Ok(None)) => {
                self.cookies.chunk_names(found.name, separator, duplicate).collect()
            }
            _ => vec![found.name.to_owned()],
        }
    }

    /// The value under one name, as it came.
    pub(crate) fn raw(self, name: &str) -> Option<&'r [u8]> {
        self.cookies.get(name.as_bytes(), self.jar.conventions.duplicate).ok().flatten()
    }

    pub(crate) fn missing(self) -> Rejected {
        if let Some(header) = &self.jar.header {
            return header.missing();
        }
        let names: Vec<_> = self.jar.names.iter().map(|name| format!("`{name}`")).collect();
        Rejected::new(Reason::Missing, format!("no cookie {}", names.join(" or ")))
    }
}
