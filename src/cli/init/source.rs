//! Values in an app's source that can be read without running it: the text after a marker,
//! in JavaScript, Python, Ruby, PHP and Elixir alike.

use std::cmp::Reverse;

/// Longest expression that is looked at.
const LONGEST: usize = 400;

/// Whether the text has the marker. Blanks around signs and the kind of quotes do not matter.
pub(super) fn mentions(text: &str, marker: &str) -> bool {
    matches(text, marker).next().is_some()
}

/// The texts behind a marker that is a separate word, outside comments.
pub(super) fn behind<'t>(text: &'t str, marker: &str) -> impl Iterator<Item = &'t str> {
    let is_own = |at: usize| {
        let before = text.get(..at).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default().trim_start();
        let is_comment = ["#", "//", "/*", "* "].iter().any(|sign| line.starts_with(sign));
        let continues = before.ends_with(is_word) && marker.starts_with(is_word);
        !is_comment && !continues
    };
    matches(text, marker).filter(move |(at, _)| is_own(*at)).map(|(_, rest)| rest)
}

/// Where a text stands that is not part of a longer word.
pub(super) fn places<'t>(text: &'t str, wanted: &'t str) -> impl Iterator<Item = usize> + 't {
    let is_own = move |at: &usize| {
        let (before, after) = (text.get(..*at), text.get(at + wanted.len()..));
        let goes_on = wanted.ends_with(is_word) && after.is_some_and(|it| it.starts_with(is_word));
        !before.is_some_and(|it| it.ends_with(is_word)) && !goes_on
    };
    text.match_indices(wanted).map(|(at, _)| at).filter(is_own)
}

fn matches<'t>(text: &'t str, marker: &str) -> impl Iterator<Item = (usize, &'t str)> {
    let end = marker.find(|c| !is_word(c)).unwrap_or(marker.len());
    let first = marker.chars().next().map_or(0, char::len_utf8);
    let start = marker.get(..end.max(first)).unwrap_or(marker);
    let found = text.match_indices(start);
    found.filter_map(move |(at, _)| Some((at, rest_of(text.get(at..)?, marker)?)))
}

/// The rest of a text that begins with the marker.
fn rest_of<'t>(text: &'t str, marker: &str) -> Option<&'t str> {
    let (mut rest, mut before) = (text, None);
    let mut marks = marker.chars().peekable();
    while let Some(mark) = marks.next() {
        let unspaced = rest.trim_start_matches([' ', '\t']);
        if mark == ' ' {
            let parts_words =
                before.is_some_and(is_word) && marks.peek().is_none_or(|c| is_word(*c));
            if parts_words && unspaced.len() == rest.len() {
                return None;
            }
            rest = if parts_words { unspaced } else { rest };
            continue;
        }
        if before.is_some_and(|before| !(is_word(before) && is_word(mark))) {
            rest = unspaced;
        }
        let mut letters = rest.chars();
        let found = letters.next()?;
        if found != mark && !(is_quote(found) && is_quote(mark)) {
            return None;
        }
        (rest, before) = (letters.as_str(), Some(mark));
    }
    Some(rest)
}

/// The arguments, or the statement, that follow each `start`: to the bracket that closes them.
pub(super) fn scopes<'t>(text: &'t str, start: &str) -> Vec<&'t str> {
    if start.is_empty() {
        return vec![text];
    }
    let open = start.matches(['(', '[', '{']).count();
    behind(text, start).map(|rest| enclosed(rest, open)).collect()
}

/// The text until the innermost bracket that is open before it closes; until the statement
/// ends where none is.
fn enclosed(text: &str, open: usize) -> &str {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return text.get(..at).unwrap_or(text),
            ')' | ']' | '}' => depth -= 1,
            ';' if depth == 0 && open == 0 => return text.get(..at).unwrap_or(text),
            '\n' if depth == 0 && open == 0 && ends_statement(text, at) => {
                return text.get(..at).unwrap_or(text);
            }
            _ => {}
        }
    }
    text
}

/// Whether the line's end is that of the statement: neither side asks for more.
fn ends_statement(text: &str, at: usize) -> bool {
    let is_whole = |c: char| is_word(c) || is_quote(c) || ")]}".contains(c);
    let begins = |c: char| is_word(c) || is_quote(c) || c == '@';
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let (before, after) = (before.trim_end(), after.trim_start());
    (before.is_empty() || before.ends_with(is_whole))
        && (after.is_empty() || after.starts_with(begins))
}

/// The expression at the beginning of a text.
pub(super) fn value(text: &str) -> &str {
    let text = text.trim_start();
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        let is_over = match c {
            '(' | '[' | '{' => {
                depth += 1;
                false
            }
            ')' | ']' | '}' if depth == 0 => true,
            ')' | ']' | '}' => {
                depth -= 1;
                false
            }
            ',' | ';' | '\n' => depth == 0,
            _ => false,
        };
        if is_over || at > LONGEST {
            return text.get(..at).unwrap_or(text);
        }
    }
    text
}

/// The items of a list, or the single value.
pub(super) fn items(value: &str) -> Vec<&str> {
    let Some(mut rest) = value.strip_prefix(['[', '{']) else { return vec![value] };
    let mut items = Vec::new();
    loop {
        let item = self::value(rest);
        if !item.is_empty() {
            items.push(item);
        }
        let behind = rest.trim_start().get(item.len()..).unwrap_or_default();
        match behind.strip_prefix([',', '\n']) {
            Some(more) => rest = more,
            None => return items,
        }
    }
}

/// The expression that a name stands for, if the file says so: `const K1 = …`.
pub(super) fn meant<'t>(name: &str, text: &'t str) -> Option<&'t str> {
    let name = name.trim();
    if name.is_empty() || !name.chars().all(is_word) {
        return None;
    }
    let marker = format!("{name} =");
    let at =
        matches(text, &marker).map(|(_, rest)| rest).find(|rest| !rest.starts_with(['=', '>']));
    Some(value(at?))
}

/// The quoted text at the beginning, such as the name of a cookie.
pub(super) fn quoted(text: &str) -> Option<String> {
    let text = text.trim_start();
    let quote = text.chars().next().filter(|c| is_quote(*c))?;
    let value = text.get(1..)?.split(quote).next()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._+/=:".contains(c);
    (!value.is_empty() && value.len() <= 100 && value.chars().all(is_plain))
        .then(|| value.to_owned())
}

/// The word at the beginning, such as a module's name in Ruby.
pub(super) fn word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let mut snake = String::new();
    for c in text.get(..end)?.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    (!snake.is_empty()).then_some(snake)
}

/// The environment variable that an expression reads; not the one that names the environment.
pub(super) fn variable(expression: &str) -> Option<String> {
    const READS: [&str; 13] = [
        "process.env.",
        "process.env[",
        "import.meta.env.",
        "os.environ[",
        "os.environ.get(",
        "os.getenv(",
        "ENV[",
        "ENV.fetch(",
        "env(",
        "env.",
        "env.str(",
        "config(",
        "System.fetch_env!(",
    ];
    const OF_THE_ENVIRONMENT: [&str; 4] = ["NODE_ENV", "VERCEL_ENV", "RAILS_ENV", "FLASK_ENV"];
    let mut rest = expression;
    loop {
        let found = READS.iter().filter_map(|read| {
            let at = rest.match_indices(read).map(|(at, _)| at);
            let stands_alone =
                |at: &usize| !rest.get(..*at).is_some_and(|it| it.ends_with(is_word));
            Some(({ at }.find(stands_alone)?, Reverse(read.len())))
        });
        let (at, Reverse(length)) = found.min()?;
        rest = rest.get(at + length..)?.trim_start_matches(['"', '\'']);
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let name = rest.get(..end)?;
        let is_name = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
        if is_name && !OF_THE_ENVIRONMENT.contains(&name) {
            return Some(name.to_owned());
        }
    }
}

/// A variable taken out of `process.env` by its own name: `const { K1, K2 } = process.env`.
pub(super) fn unpacked(name: &str, text: &str) -> Option<String> {
    let name = name.trim();
    let of = |end: &str| {
        let names = text.split_once(end)?.0.rsplit('{').next()?;
        names.split(',').any(|it| it.trim() == name).then(|| name.to_owned())
    };
    ["} = process.env", "} = import.meta.env"].into_iter().find_map(of)
}

pub(super) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_quote(c: char) -> bool {
    "\"'`".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_read_in_each_language() {
        for (expression, name) in [
            (" process.env.SESSION_PASSWORD as string,", Some("SESSION_PASSWORD")),
            (" os.environ[\"SECRET_KEY\"]\n", Some("SECRET_KEY")),
            (" os.environ.get('SECRET_KEY', 'dev')\n", Some("SECRET_KEY")),
            (" [process.env['APP_KEY']],", Some("APP_KEY")),
            ("env.AUTH_SECRET", Some("AUTH_SECRET")),
            ("c.env.AUTH_SECRET", Some("AUTH_SECRET")),
            ("env.str('DJANGO_KEY')", Some("DJANGO_KEY")),
            ("process.env.NODE_ENV === 'production' ? process.env.KEY : 'dev'", Some("KEY")),
            ("'literal'", None),
        ] {
            assert_eq!(variable(expression).as_deref(), name, "{expression}");
        }
        let options = " 'hunter2', resave: false, url: process.env.REDIS_URL";
        assert_eq!(variable(value(options)), None, "the value ends before");
        assert_eq!(variable(value(" \"hunter2\"; process.env.OTHER")), None);
    }

    #[test]
    fn blanks_and_quotes_around_a_marker_do_not_matter() {
        let found = |text: &str, marker: &str| behind(text, marker).find_map(quoted);
        for text in [
            "SESSION_COOKIE_NAME = \"djs\"",
            "SESSION_COOKIE_NAME=\"djs\"",
            "SESSION_COOKIE_NAME   ='djs'",
            "# SESSION_COOKIE_NAME = \"old\"\nSESSION_COOKIE_NAME\t= \"djs\"",
            "MY_SESSION_COOKIE_NAME = \"other\"\nSESSION_COOKIE_NAME = \"djs\"",
        ] {
            assert_eq!(found(text, "SESSION_COOKIE_NAME =").as_deref(), Some("djs"), "{text}");
        }
        let marker = "SESSION_COOKIE_NAME\"] =";
        assert_eq!(found("app.config['SESSION_COOKIE_NAME']='fs'", marker).as_deref(), Some("fs"));
        assert!(mentions("strategy:'database'", "strategy: \"database\""));
        assert!(!mentions("modules x", "module "), "the word goes on");
        assert_eq!(found("name: 'a b'", "name:"), None, "no cookie is called that");
        assert_eq!(word("ShopFront\n").unwrap(), "shop_front");
    }

    #[test]
    fn a_list_has_all_of_its_items() {
        assert_eq!(items(value(" [a, b,\n c],\n d")), ["a", "b", "c"]);
        assert_eq!(items(value(" [\n  f(a, b),\n  g,\n ]")), ["f(a, b)", "g"]);
        assert_eq!(items("one"), ["one"]);
        assert_eq!(meant("K1", "const K1 = process.env.KEY_1;\n"), Some("process.env.KEY_1"));
        assert_eq!(unpacked("B", "const { A, B } = process.env;").as_deref(), Some("B"));
        assert_eq!(
            scopes("session({ name: 'a', cookie: { name: 'b' } }); name: 'c'", "session({"),
            [" name: 'a', cookie: { name: 'b' } "]
        );
        for (text, scope) in [
            ("session_store :a, key: 'b'\nkey: 'c'", " :a, key: 'b'"),
            ("session_store :a,\n  key: 'b'\nkey: 'c'", " :a,\n  key: 'b'"),
            ("session_store(\n  :a, key: 'b'\n)\nkey: 'c'", "(\n  :a, key: 'b'\n)"),
            ("session_store<\n  A,\n  B\n>({\n key: 'b' })\nc", "<\n  A,\n  B\n>({\n key: 'b' })"),
            ("session_store\n@key = 'c'", ""),
        ] {
            assert_eq!(scopes(text, "session_store"), [scope], "{text}");
        }
    }
}
