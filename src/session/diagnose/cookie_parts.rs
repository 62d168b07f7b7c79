//! Advice on a cookie that was split into numbered parts, of which some were not sent, and on
//! one that was sent twice.

use std::collections::BTreeSet;

use crate::session::cookie_names::SentCookies;

/// A numbered part of one of ours, whose first part was not sent.
pub(super) fn part_of(own: &str, sent: &str) -> Option<String> {
    let part = sent.strip_prefix(own).map(|rest| rest.trim_start_matches(['.', '_']));
    let is_later = |it: &str| !it.is_empty() && it != "0" && it.bytes().all(|b| b.is_ascii_digit());
    let is_part = part.is_some_and(is_later);
    let name = sent.escape_debug();
    is_part.then(|| format!("cookie `{name}` is one part of it, but the first part (0) is missing"))
}

/// The first part that was not sent, though a later one was.
pub(super) fn missing_part(sent: SentCookies<'_>) -> Option<String> {
    let SentCookies { jar, cookies } = sent;
    let separator = jar.separator()?;
    jar.names().iter().filter(|own| !cookies.iter().any(|(name, _)| name == own.as_bytes())).find_map(
        |own| {
            let parts: BTreeSet<usize> = cookies
                .iter()
                .filter_map(|(name, _)| std::str::from_utf8(name).ok())
                .filter_map(|name| name.strip_prefix(own.as_str())?.strip_prefix(separator))
                .filter_map(|number| number.parse().ok())
                .collect();
            let gap = (0..).find(|number| !parts.contains(number))?;
            (parts.last()? > &gap).then(|| {
                format!("cookie `{own}` came in parts, and part {gap} (`{own}{separator}{gap}`) is missing")
            })
        },
    )
}

/// A name under which more than one cookie was sent.
pub(super) fn sent_twice(sent: SentCookies<'_>) -> Option<String> {
    let SentCookies { jar, cookies } = sent;
    let twice = jar
        .names()
        .iter()
        .find(|own| cookies.iter().filter(|(name, _)| *name == own.as_bytes()).count() > 1)?;
    Some(format!(
        "cookie `{twice}` was sent more than once, usually set for several paths or domains; \
         `duplicate` decides which one counts"
    ))
}
