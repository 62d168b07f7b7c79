//! The prefixes under which an app serves a router's routes: written in the router itself,
//! around the route's line, or where another file mounts the router.

use super::project::{Project, Source};
use super::source::{behind, is_word, mentions, quoted, scopes, value};

/// Most routers of routers.
const DEEPEST: usize = 4;

/// A path, and whether every prefix before it was found.
pub(super) struct Mounted {
    pub(super) path: String,
    pub(super) is_sure: bool,
}

/// The address at which the app serves `path` of `file`.
pub(super) fn mounted(path: &str, file: &Source, project: &Project) -> Mounted {
    let (mut path, mut file, mut is_sure) = (path.to_owned(), file, true);
    for _ in 0..DEEPEST {
        path = joined(own_prefix(file), &path);
        let Some((prefix, above)) = mount(file, project) else {
            is_sure = !is_mounted_somewhere(file);
            break;
        };
        path = joined(prefix, &path);
        file = above;
    }
    let global = project
        .files
        .iter()
        .find_map(|file| behind(&file.text, "setGlobalPrefix(").find_map(quoted));
    Mounted { path: joined(global, &path), is_sure }
}

fn joined(prefix: Option<String>, path: &str) -> String {
    let prefix = prefix.unwrap_or_default();
    match prefix.trim_matches('/') {
        "" => path.to_owned(),
        prefix if path == "/" => format!("/{prefix}"),
        prefix => format!("/{prefix}/{}", path.trim_start_matches('/')),
    }
}

/// The prefix a router gives itself: Hono, koa-router, FastAPI, Flask, Nest.
fn own_prefix(file: &Source) -> Option<String> {
    const MADE: [(&str, &str); 4] = [
        ("APIRouter(", "prefix ="),
        ("Blueprint(", "url_prefix ="),
        ("new Router(", "prefix:"),
        ("new KoaRouter(", "prefix:"),
    ];
    let text = &file.text;
    let within = |(start, marker): (&str, &str)| {
        scopes(text, start).into_iter().find_map(|scope| behind(scope, marker).find_map(quoted))
    };
    MADE.into_iter()
        .find_map(within)
        .or_else(|| behind(text, "basePath(").find_map(quoted))
        .or_else(|| behind(text, "@Controller(").find_map(quoted))
}

/// Whether such a file serves nothing until another one mounts it.
fn is_mounted_somewhere(file: &Source) -> bool {
    let text = &file.text;
    let is_router = ["Router(", "APIRouter(", "Blueprint("].iter().any(|it| text.contains(it));
    let is_app = [".listen(", "FastAPI(", "Flask(", "include_router("].iter();
    (is_router && !is_app.clone().any(|it| text.contains(it)))
        || (file.path.ends_with("urls.py") && file.path.matches('/').count() > 0 && {
            !mentions(text, "admin.site.urls")
        })
}

/// The prefix with which another file mounts this one, and that file.
fn mount<'p>(file: &Source, project: &'p Project) -> Option<(Option<String>, &'p Source)> {
    let others = project.files.iter().filter(|other| other.path != file.path);
    others.into_iter().find_map(|other| Some((mount_in(file, other)?, other)))
}

fn mount_in(file: &Source, other: &Source) -> Option<Option<String>> {
    let text = &other.text;
    if file.path.ends_with(".py") {
        return match other.path.ends_with(".py") {
            true => python_mount(file, text),
            false => None,
        };
    }
    let names = imported(file, other);
    let is_named = |arguments: &str| names.iter().any(|name| has_word(arguments, name));
    // `app.use("/api", tokens)` and Hono's `app.route("/api", tokens)`.
    let before = [".use(", ".route("].iter().flat_map(|call| scopes(text, call));
    let before = before.into_iter().find(|it| is_named(it)).map(quoted);
    // Fastify's `app.register(tokens, { prefix: "/api" })`.
    let named = || {
        let found = scopes(text, ".register(").into_iter().find(|it| is_named(it))?;
        Some(behind(found, "prefix:").find_map(quoted))
    };
    before.or_else(named)
}

/// The names by which `other` knows a file, and how JavaScript writes its place.
pub(super) fn imported(file: &Source, other: &Source) -> Vec<String> {
    let stem = module(&file.path);
    match (file.path.ends_with(".py"), other.path.ends_with(".py")) {
        (true, true) => return imported_in_python(stem, &other.text),
        (true, false) | (false, true) => return Vec::new(),
        (false, false) => {}
    }
    let mut names = Vec::new();
    const OF_THE_LANGUAGE: [&str; 7] = ["import", "const", "let", "var", "as", "type", "default"];
    for statement in other.text.split(['\n', ';']) {
        let places = statement.split(['"', '\'']).skip(1).step_by(2);
        let Some(place) = places.into_iter().find(|place| resolves(place, &other.path, stem))
        else {
            continue;
        };
        names.push(place.to_owned());
        let required = || statement.split_once("require(")?.0.trim_end().strip_suffix('=');
        let before = statement.split_once(" from ").map(|(before, _)| before).or_else(required);
        let words = before.unwrap_or_default().split(|c| !is_word(c));
        let is_name = |it: &&str| !it.is_empty() && !OF_THE_LANGUAGE.contains(it);
        names.extend(words.filter(is_name).map(str::to_owned));
    }
    names
}

/// A path without its extension, and without `index`.
fn module(path: &str) -> &str {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    stem.strip_suffix("/index").unwrap_or(stem)
}

/// Whether an import's place is the module: relative to its file, or behind an alias.
fn resolves(place: &str, from: &str, stem: &str) -> bool {
    let place = [".js", ".ts", ".mjs", ".cjs"]
        .iter()
        .find_map(|extension| place.strip_suffix(extension))
        .unwrap_or(place);
    let place = place.strip_suffix("/index").unwrap_or(place);
    if !place.starts_with('.') {
        let aliased = ["@/", "~/", "$"].iter().find_map(|alias| place.strip_prefix(alias));
        return aliased.is_some_and(|rest| stem == rest || stem.ends_with(&format!("/{rest}")));
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in place.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    parts.join("/") == stem
}

/// `include_router`, `register_blueprint`, and Django's `include`.
fn python_mount(file: &Source, text: &str) -> Option<Option<String>> {
    let stem = module(&file.path);
    let mut names = vec![python_module(stem).to_owned()];
    names.extend(imported_in_python(stem, text));
    for (call, marker) in [("include_router(", "prefix ="), ("register_blueprint(", "url_prefix =")]
    {
        let named = |it: &&str| names.iter().any(|name| has_word(value(it), name));
        if let Some(found) = scopes(text, call).into_iter().find(named) {
            return Some(behind(found, marker).find_map(quoted));
        }
    }
    let dotted = stem.replace('/', ".");
    let is_this = |arguments: &&str| {
        let included = behind(arguments, "include(").next();
        let included = included.and_then(|rest| quoted(rest.trim_start_matches(['(', ' '])));
        included.is_some_and(|it| dotted == it || dotted.ends_with(&format!(".{it}")))
    };
    scopes(text, "path(").into_iter().find(is_this).map(quoted)
}

/// The names that a file of Python imports from a module, or the module's own.
fn imported_in_python(stem: &str, text: &str) -> Vec<String> {
    let name = python_module(stem);
    let words = |what: &str| -> Vec<String> {
        let words = what.split(|c| !is_word(c));
        words.filter(|it| !["as", ""].contains(it)).map(str::to_owned).collect()
    };
    let mut names = Vec::new();
    for line in text.lines().map(str::trim_start) {
        let Some((from, what)) = line.split_once("import ") else { continue };
        let is_from = from.trim_end().rsplit(['.', ' ']).next() == Some(name);
        // Of `from . import a, b as c` only the module itself, and its other name.
        let items = what.split(',').filter(|item| is_from || has_word(item, name));
        names.extend(items.flat_map(words));
    }
    names
}

fn python_module(stem: &str) -> &str {
    let stem = stem.strip_suffix("/__init__").unwrap_or(stem);
    stem.rsplit('/').next().unwrap_or(stem)
}

pub(super) fn has_word(text: &str, word: &str) -> bool {
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            let (before, after) = (text.get(..at), text.get(at + word.len()..));
            !before.is_some_and(|it| it.ends_with(is_word))
                && !after.is_some_and(|it| it.starts_with(is_word))
        })
}

/// The prefixes of the blocks around a line of a table of routes: Rails' `namespace` and
/// `scope`, Phoenix' `scope`, Laravel's `prefix`.
pub(super) fn around(lines: &[&str], at: usize) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut path = String::new();
    let mut depth = lines.get(at).map_or(0, |line| indent(line));
    for (number, line) in lines.iter().enumerate().take(at).rev() {
        if line.trim().is_empty() || indent(line) >= depth {
            continue;
        }
        depth = indent(line);
        let mut block = (*line).to_owned();
        // A chain of calls over several lines is one statement.
        let mut above = lines.get(..number).unwrap_or_default().iter().rev();
        while block.trim_start().starts_with("->") {
            let Some(line) = above.next() else { break };
            block = format!("{}{}", line.trim_end(), block.trim_start());
            depth = depth.min(indent(line));
        }
        if let Some(prefix) = opened(block.trim()) {
            path = format!("/{}{path}", prefix.trim_matches('/'));
        }
    }
    path
}

/// The prefix a block opens.
fn opened(block: &str) -> Option<String> {
    let named = |rest: &str| {
        let rest = rest.trim_start();
        let word: String = rest.strip_prefix(':')?.chars().take_while(|c| is_word(*c)).collect();
        Some(word)
    };
    if block.contains("group(") {
        let chained = behind(block, "prefix(").find_map(quoted);
        return chained.or_else(|| behind(block, "prefix\" =>").find_map(quoted));
    }
    let rest = block.strip_prefix("namespace ").or_else(|| block.strip_prefix("scope "))?;
    let path = behind(rest, "path:").next();
    match path {
        Some(path) => quoted(path),
        None => quoted(rest).or_else(|| named(rest).filter(|it| !is_option(rest, it))),
    }
}

/// Whether the word is an option's name in the old spelling, `:module => "x"`.
fn is_option(rest: &str, word: &str) -> bool {
    rest.trim_start().get(word.len() + 1..).is_some_and(|it| it.trim_start().starts_with("=>"))
}

#[cfg(test)]
mod tests;
