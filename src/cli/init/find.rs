//! The settings of a block, looked for in the app's source and its env files.

use super::knowledge::{Find, Word};
use super::project::{Project, Source};
use super::source::{
    behind, items, meant, mentions, quoted, scopes, unpacked, value, variable, word,
};

/// The texts for a placeholder: several where the app has a list of secrets, none where
/// the setting is best left out.
#[derive(Default)]
pub(super) struct Found {
    pub(super) texts: Vec<String>,
    /// Where to look when nothing was found, or not all of it could be read.
    pub(super) guess: Option<String>,
}

/// A place in the source where the value stands.
struct Spot<'p> {
    file: &'p Source,
    marker: &'p str,
    rest: &'p str,
}

pub(super) fn find(wanted: &Find, project: &Project) -> Found {
    let has = |text: &String| project.source_has(text);
    let is_absent = !wanted.when.is_empty() && !wanted.when.iter().any(has);
    if is_absent || wanted.setting.as_ref().is_some_and(|setting| !setting.holds(project)) {
        return Found::default();
    }
    let spots = |markers| spots(wanted, markers, project);
    if let Some(found) = spots(&wanted.variable_after).iter().find_map(secrets) {
        return found;
    }
    if let Some(text) = spots(&wanted.after).iter().find_map(text) {
        let form = if wanted.r#as.is_empty() { "%" } else { &wanted.r#as };
        return Found { texts: vec![form.replace('%', &text)], guess: None };
    }
    let unread = [&wanted.variable_after, &wanted.after].into_iter().find_map(|markers| {
        let spots = spots(markers);
        let Spot { file, marker, .. } = spots.first()?;
        Some(format!("`{}` in {}, which could not be read", marker.trim(), file.path))
    });
    let meaning = || {
        let mut meanings = wanted.contains.iter();
        meanings.find(|(text, _)| project.source_has(text)).map(|(_, meaning)| meaning.clone())
    };
    let word = wanted.word.as_ref().and_then(|word| made_of(word, project));
    if let Some(text) = word.or_else(meaning) {
        return Found { texts: vec![text], guess: unread };
    }
    let unread = unread.or_else(|| {
        let is_elsewhere = !wanted.beside.is_empty() && !project.source_has(&wanted.beside);
        let says = !wanted.default.is_empty();
        (is_elsewhere && says).then(|| format!("`{}`, which was not found", wanted.beside))
    });
    match of_variables(wanted, project) {
        Some(text) => Found { texts: vec![text], guess: unread },
        None => {
            let guess = Some(wanted.guess.clone()).filter(|guess| !guess.is_empty());
            let texts = Some(wanted.default.clone()).filter(|default| !default.is_empty());
            Found { texts: texts.into_iter().collect(), guess: unread.or(guess) }
        }
    }
}

fn made_of(wanted: &Word, project: &Project) -> Option<String> {
    let mut files = project.files.iter().filter(|file| file.path.ends_with(&wanted.r#in));
    let word = files.find_map(|file| behind(&file.text, &wanted.after).find_map(word))?;
    Some(wanted.r#as.replace('%', &word))
}

fn spots<'p>(wanted: &'p Find, markers: &'p [String], project: &'p Project) -> Vec<Spot<'p>> {
    let is_meant = |file: &&Source| {
        let has = |text: &String| mentions(&file.text, text);
        file.path.ends_with(&wanted.r#in) && (wanted.with.is_empty() || wanted.with.iter().any(has))
    };
    let mut spots = Vec::new();
    for file in project.files.iter().filter(is_meant) {
        for scope in scopes(&file.text, &wanted.beside) {
            for marker in markers {
                spots.extend(behind(scope, marker).map(|rest| Spot { file, marker, rest }));
            }
        }
    }
    spots
}

/// The variables of a secret, or of a list of them. A name stands for what the same file
/// gives it.
fn secrets(spot: &Spot<'_>) -> Option<Found> {
    let text = &spot.file.text;
    let written = value(spot.rest);
    let written = meant(written, text).filter(|it| it.starts_with('[')).unwrap_or(written);
    let items = items(written);
    let read = |item: &&str| {
        let named = || meant(item, text).and_then(variable);
        variable(item).or_else(named).or_else(|| unpacked(item, text))
    };
    let texts: Vec<String> = items.iter().filter_map(read).collect();
    let is_all = texts.len() == items.len();
    let guess = (!is_all)
        .then(|| format!("`{}` in {} has {}", spot.marker.trim(), spot.file.path, items.len()));
    (!texts.is_empty()).then_some(Found { texts, guess })
}

fn text(spot: &Spot<'_>) -> Option<String> {
    quoted(spot.rest).or_else(|| quoted(meant(value(spot.rest), &spot.file.text)?))
}

fn of_variables(wanted: &Find, project: &Project) -> Option<String> {
    let name = wanted.variables.iter().find(|name| project.variable(name).is_some())?;
    let Some((before, after)) = &wanted.value else { return Some(name.clone()) };
    let value = project.variable(name)?.strip_prefix(before.as_str())?;
    let value = if after.is_empty() { value } else { value.split_once(after.as_str())?.0 };
    // It goes into the file as it is, so it must be a plain public text.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:/".contains(c);
    (!value.is_empty() && value.len() <= 200 && value.chars().all(is_plain))
        .then(|| value.to_owned())
}
