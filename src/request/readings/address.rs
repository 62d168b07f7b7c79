//! Habits of frameworks: the further addresses under which they serve a page.
//!
//! Each step reads one kind of address back: from the address of a page's data to the
//! page. They apply to every app, whatever it is written in; the settings must name an
//! app's prefixes.

use std::borrow::Cow;

use memchr::{memmem, memrchr};

use super::step::Step;
use crate::upstream::Prefixes;

pub(super) const STEPS: [Step; 12] = [
    without_format,
    without_name_of_folder,
    next_data_at_root,
    next_data_in_folder,
    next_segments,
    data_of_sveltekit,
    gatsby_at_root,
    gatsby_in_folder,
    nuxt_image,
    front_controller_at_root,
    front_controller_in_folder,
    front_controller_alone,
];

/// `/x.json` as `/x`: format suffixes (Rails, `.rsc` and `.prefetch.rsc` of Next.js, `.data` of
/// React Router, `.html` of static sites).
fn without_format(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    let start = memrchr(b'/', path)? + 1;
    let dot = start + memrchr(b'.', path.get(start..)?)?;
    let (name, format) = (path.get(start..dot)?, path.get(dot + 1..)?);
    let is_format = !format.is_empty() && format.iter().all(|b| b.is_ascii_graphic());
    let is_name = name.iter().any(|&b| b != b'.');
    path.get(..dot).filter(|_| is_format && is_name).map(Cow::Borrowed)
}

/// Last segments that stand for the folder they are in: `index`, `_root` and `_` (React Router),
/// and the data of a page in a folder of its name (Nuxt, SvelteKit, Qwik), format cut off.
fn without_name_of_folder(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    const NAMES: [&[u8]; 8] =
        [b"index", b"_index", b"_root", b"_", b"_payload", b"__data", b"__route", b"q-data"];
    let slash = memrchr(b'/', path)?;
    let name = path.get(slash + 1..)?;
    let is_one = NAMES.iter().any(|known| name.eq_ignore_ascii_case(known));
    is_one.then(|| Cow::Borrowed(path.get(..slash.max(1)).unwrap_or(b"/")))
}

/// SvelteKit's data of `/x.html`: `/x.html__data.json`.
fn data_of_sveltekit(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    let at = memmem::rfind(path, b".html__")?;
    path.get(..at + b".html".len()).map(Cow::Borrowed)
}

/// `/_next/data/BUILD/x.json` as `/x` (Next.js).
fn next_data_at_root(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (_, page) = next_data(path)?;
    Some(Cow::Borrowed(page))
}

/// `/shop/_next/data/BUILD/x.json` as `/shop/x`.
fn next_data_in_folder(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (folder, page) = next_data(path)?;
    (!folder.is_empty()).then(|| Cow::Owned([folder, page].concat()))
}

fn next_data(path: &[u8]) -> Option<(&[u8], &[u8])> {
    const MARK: &[u8] = b"/_next/data/";
    let at = find_folded(path, MARK)?;
    let build = path.get(at + MARK.len()..)?;
    let page = build.get(build.iter().position(|&b| b == b'/')?..)?;
    let (page, format) = page.split_at_checked(page.len().checked_sub(b".json".len())?)?;
    format.eq_ignore_ascii_case(b".json").then_some((path.get(..at)?, without_index(page)))
}

/// `/index` as `/`, and `/index/x` as `/x`: how Next.js and Gatsby name what would have no name.
fn without_index(page: &[u8]) -> &[u8] {
    match page.strip_prefix(b"/index") {
        Some(b"") => b"/",
        Some(rest) if rest.starts_with(b"/") => rest,
        Some(_) | None => page,
    }
}

/// `/x.segments/_tree.segment.rsc` as `/x` (Next.js).
fn next_segments(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    path.get(..find_folded(path, b".segments/")?).map(Cow::Borrowed)
}

/// `/page-data/x/page-data.json` as `/x`.
fn gatsby_at_root(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (_, page) = gatsby(path)?;
    Some(Cow::Borrowed(page))
}

fn gatsby_in_folder(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (folder, page) = gatsby(path)?;
    (!folder.is_empty()).then(|| Cow::Owned([folder, page].concat()))
}

fn gatsby(path: &[u8]) -> Option<(&[u8], &[u8])> {
    const MARK: &[u8] = b"/page-data/";
    let at = find_folded(path, MARK)?;
    let page = path.get(at + MARK.len() - 1..)?;
    let end = find_folded(page, b"/page-data.json")?;
    Some((path.get(..at)?, without_index(page.get(..end)?)))
}

/// `/_ipx/w_200/x.png` as `/x.png` (Nuxt Image).
fn nuxt_image(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    const MARK: &[u8] = b"/_ipx/";
    let image = path.get(find_folded(path, MARK)? + MARK.len()..)?;
    image.get(image.iter().position(|&b| b == b'/')?..).map(Cow::Borrowed)
}

/// `/index.php/x` as `/x`.
fn front_controller_at_root(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (_, page) = front_controller(path)?;
    Some(Cow::Borrowed(page))
}

/// `/blog/index.php/x` as `/blog/x`.
fn front_controller_in_folder(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (folder, page) = front_controller(path)?;
    (!folder.is_empty()).then(|| Cow::Owned([folder, page].concat()))
}

fn front_controller(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let ends = [&b".php/"[..], b".cgi/", b".fcgi/"];
    let (at, end) = ends.iter().find_map(|end| Some((find_folded(path, end)?, end.len())))?;
    let folder = memrchr(b'/', path.get(..at)?)?;
    Some((path.get(..folder)?, path.get(at + end - 1..)?))
}

/// `/app.php` as `/` (Symfony); `/index.php` is read so by its name. Other scripts are pages
/// of their own.
fn front_controller_alone(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    const NAMES: [&[u8]; 3] = [b"app.php", b"app_dev.php", b"index_dev.php"];
    let slash = memrchr(b'/', path)?;
    let name = path.get(slash + 1..)?;
    let is_one = NAMES.iter().any(|known| name.eq_ignore_ascii_case(known));
    is_one.then(|| Cow::Borrowed(path.get(..slash.max(1)).unwrap_or(b"/")))
}

/// Whether the app's own prefixes stand at the start.
pub(super) fn has_prefix(path: &[u8], prefixes: &Prefixes) -> bool {
    let base = prefixes.base_path.as_bytes();
    (!base.is_empty() && below(path, base).is_some())
        || prefixes.locales.iter().any(|locale| below_segment(path, locale).is_some())
}

/// The path without the base path, without the locale, and with the base path but without
/// the locale behind it.
pub(super) fn without_prefix(path: &[u8], prefixes: &Prefixes) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let base = Some(prefixes.base_path.as_bytes()).filter(|base| !base.is_empty());
    let rest = base.and_then(|base| below(path, base));
    found.extend(rest.map(<[u8]>::to_vec));
    for locale in &prefixes.locales {
        found.extend(below_segment(path, locale).map(<[u8]>::to_vec));
        let behind = rest.and_then(|rest| below_segment(rest, locale));
        found.extend(behind.zip(base).map(|(behind, base)| [base, behind].concat()));
    }
    found
}

/// The rest of a path below a folder, with its slash; `/` for the folder itself.
fn below<'p>(path: &'p [u8], folder: &[u8]) -> Option<&'p [u8]> {
    let (start, rest) = path.split_at_checked(folder.len())?;
    match rest.first() {
        _ if !start.eq_ignore_ascii_case(folder) => None,
        None => Some(b"/"),
        Some(b'/') => Some(rest),
        Some(_) => None,
    }
}

fn below_segment<'p>(path: &'p [u8], segment: &str) -> Option<&'p [u8]> {
    let path = path.strip_prefix(b"/")?;
    // The data of a locale's start page: `/_next/data/BUILD/de.json`.
    below(path, segment.as_bytes())
}

pub(super) fn find_folded(path: &[u8], mark: &[u8]) -> Option<usize> {
    path.windows(mark.len()).position(|window| window.eq_ignore_ascii_case(mark))
}
