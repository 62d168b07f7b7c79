//! The settings of a block, looked for in the app's source and its env files.

use super::knowledge::Find;
use super::project::{Project, Source};

/// The text for a placeholder.
pub(super) struct Found {
    pub(super) text: String,
    /// Where to look when nothing was found.
    pub(super) guess: Option<String>,
}

pub(super) fn find(wanted: &Find, project: &Project) -> Found {
    let files = || project.files.iter().filter(|file| file.path.ends_with(&wanted.r#in));
    let marked = |file: &Source, markers: &[String], take: fn(&str) -> Option<String>| {
        let text = match wanted.beside.as_str() {
            "" => file.text.as_str(),
            beside => file.text.split_once(beside)?.1,
        };
        markers.iter().find_map(|marker| text.split(marker.as_str()).skip(1).find_map(take))
    };
    let text = files()
        .find_map(|file| marked(file, &wanted.variable_after, variable))
        .or_else(|| files().find_map(|file| marked(file, &wanted.after, quoted)))
        .or_else(|| {
            let word = files().find_map(|file| marked(file, &wanted.word_after, word))?;
            Some(wanted.r#as.replace('%', &word))
        })
        .or_else(|| {
            let meant = wanted.contains.iter();
            let mut meant = meant.filter(|(text, _)| project.source_has(text));
            meant.next().map(|(_, meaning)| meaning.clone())
        })
        .or_else(|| of_variables(wanted, project));
    match text {
        Some(text) => Found { text, guess: None },
        None => {
            let guess = Some(wanted.guess.clone()).filter(|guess| !guess.is_empty());
            Found { text: wanted.default.clone(), guess }
        }
    }
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

/// The quoted text that follows, such as the name of a cookie.
fn quoted(after: &str) -> Option<String> {
    let after = after.trim_start();
    let quote = after.chars().next().filter(|c| "\"'`".contains(*c))?;
    let value = after.get(1..)?.split(quote).next()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._+/=".contains(c);
    (!value.is_empty() && value.len() <= 100 && value.chars().all(is_plain))
        .then(|| value.to_owned())
}

/// The word that follows, as Ruby writes a module's name in a file's.
fn word(after: &str) -> Option<String> {
    let end = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
    let mut snake = String::new();
    for c in after.get(..end)?.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    (!snake.is_empty()).then_some(snake)
}

/// The environment variable that is read in what follows, before the statement ends.
fn variable(after: &str) -> Option<String> {
    const READS: [&str; 9] = [
        "process.env.",
        "process.env[",
        "import.meta.env.",
        "os.environ[",
        "os.environ.get(",
        "os.getenv(",
        "ENV[",
        "ENV.fetch(",
        "env(",
    ];
    let near: String = after.chars().take(120).take_while(|c| *c != ';').collect();
    let found = READS.iter().filter_map(|read| Some((near.find(read)?, read.len())));
    let (at, length) = found.min()?;
    let name = near.get(at + length..)?.trim_start_matches(['"', '\'']);
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
    name.get(..end).filter(|name| !name.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_marker_is_read_in_each_language() {
        assert_eq!(
            variable(" process.env.SESSION_PASSWORD as string,").unwrap(),
            "SESSION_PASSWORD"
        );
        assert_eq!(variable(" os.environ[\"SECRET_KEY\"]\n").unwrap(), "SECRET_KEY");
        assert_eq!(variable(" os.environ.get('SECRET_KEY', 'dev')\n").unwrap(), "SECRET_KEY");
        assert_eq!(variable(" [process.env['APP_KEY']],").unwrap(), "APP_KEY");
        assert_eq!(variable(" \"hunter2\"; process.env.OTHER"), None);
        assert_eq!(quoted(" 'shop_session',").unwrap(), "shop_session");
        assert_eq!(quoted(" name,"), None);
        assert_eq!(quoted(" \"a b\""), None, "no cookie is called that");
        assert_eq!(word("ShopFront\n").unwrap(), "shop_front");
    }
}
