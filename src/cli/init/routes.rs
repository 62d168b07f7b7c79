//! Token routes that the app's authors wrote by hand: which file makes the token, and
//! under which path the browser asks for it.

use super::project::{Project, Source};

/// A route the gateway will answer in the app's place.
pub(super) struct HandWritten {
    pub(super) file: String,
    pub(super) path: Option<String>,
    /// Whether the file is only this route.
    pub(super) is_all: bool,
}

/// The first source file that makes a token with one of `calls`.
pub(super) fn hand_written(calls: &[String], project: &Project) -> Option<HandWritten> {
    let made = |file: &&Source| calls.iter().find_map(|call| file.text.find(call.as_str()));
    let (file, at) = project.files.iter().find_map(|file| Some((file, made(&file)?)))?;
    let before = file.text.get(..at).unwrap_or_default();
    let of_file = of_place(&file.path);
    let is_all = of_file.is_some();
    let path = of_file
        .or_else(|| of_literal(before))
        .or_else(|| of_decorator(before))
        .or_else(|| of_table(file, before, project));
    Some(HandWritten { file: file.path.clone(), path, is_all })
}

/// Frameworks whose files are their routes: Next.js, Nuxt, SvelteKit, React Router.
fn of_place(path: &str) -> Option<String> {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let (stem, _) = path.rsplit_once('.')?;
    let route = if let Some(rest) = stem.strip_prefix("pages/api/") {
        format!("/api/{}", rest.strip_suffix("/index").unwrap_or(rest))
    } else if let Some(rest) = stem.strip_prefix("server/api/") {
        let methods = [".get", ".post", ".put", ".patch"];
        format!("/api/{}", methods.iter().find_map(|m| rest.strip_suffix(m)).unwrap_or(rest))
    } else if let Some(rest) = stem.strip_prefix("app/routes/") {
        format!("/{}", rest.replace('.', "/"))
    } else if let Some(rest) = stem.strip_prefix("app/").and_then(|s| s.strip_suffix("/route")) {
        format!("/{}", visible(rest))
    } else {
        let rest = stem.strip_prefix("routes/").and_then(|rest| rest.strip_suffix("/+server"))?;
        format!("/{}", visible(rest))
    };
    is_exact(&route).then_some(route)
}

/// Without route groups, which are not part of the address.
fn visible(path: &str) -> String {
    path.split('/').filter(|part| !part.starts_with('(')).collect::<Vec<_>>().join("/")
}

/// `app.get("/api/token", …)` in Express, Fastify, Koa, Laravel, Sinatra: the last one above.
fn of_literal(before: &str) -> Option<String> {
    const CALLS: [&str; 9] =
        [".get(", ".post(", ".all(", ".route(", "::get(", "::post(", "get '", "post '", "path: "];
    let nearest = CALLS.iter().filter_map(|call| Some((before.rfind(call)?, *call)));
    let calls = nearest.max()?;
    let rest = before.get(calls.0 + calls.1.trim_end_matches('\'').len()..)?.trim_start();
    literal(rest)
}

/// `@app.route("/api/token")` above a function, in Flask and FastAPI.
fn of_decorator(before: &str) -> Option<String> {
    let line = before.lines().rev().find(|line| line.trim_start().starts_with('@'))?;
    literal(line.split_once('(')?.1)
}

/// Rails, Laravel, Phoenix and Django list their routes in a separate file: the line that
/// names the controller or the function.
fn of_table(file: &Source, before: &str, project: &Project) -> Option<String> {
    let name = file.path.rsplit('/').next()?.split('.').next()?;
    let controller = name.strip_suffix("_controller").unwrap_or(name);
    let camel: String = controller.split('_').map(capitalized).collect();
    let mut names =
        vec![format!("{controller}#"), format!("{camel}Controller"), format!("{name}::class")];
    if let Some((_, function)) = before.rsplit_once("def ") {
        let function = function.split(['(', ' ', '\n', ':']).next().unwrap_or_default();
        names.extend([format!("views.{function}"), format!("{name}.{function}")]);
    }
    let tables = ["routes.rb", "routes/api.php", "routes/web.php", "router.ex", "urls.py"];
    let files = project.files.iter().filter(|f| tables.iter().any(|end| f.path.ends_with(end)));
    let lines = files.flat_map(|file| file.text.lines().map(|line| (scope(file), line)));
    let (scope, line) =
        lines.into_iter().find(|(_, line)| names.iter().any(|n| line.contains(n.as_str())))?;
    let quoted = line.split(['"', '\'']).nth(1)?;
    let path = format!("{scope}/{}", quoted.trim_start_matches('/'));
    is_exact(&path).then_some(path)
}

/// Laravel serves `routes/api.php` below /api.
fn scope(file: &Source) -> &'static str {
    if file.path.ends_with("routes/api.php") { "/api" } else { "" }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn literal(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| "\"'`".contains(*c))?;
    let path = text.get(1..)?.split(quote).next()?;
    is_exact(path).then(|| path.to_owned())
}

/// A path without parameters, as `path` of a token takes it.
fn is_exact(path: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    path.starts_with('/') && path.len() > 1 && path.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_route_says_where_it_is_served() {
        for (file, path) in [
            ("pages/api/get-auth-token.ts", Some("/api/get-auth-token")),
            ("src/pages/api/token/index.js", Some("/api/token")),
            ("app/api/livekit/route.ts", Some("/api/livekit")),
            ("src/app/(shop)/api/token/route.js", Some("/api/token")),
            ("server/api/token.post.ts", Some("/api/token")),
            ("src/routes/api/token/+server.ts", Some("/api/token")),
            ("app/routes/api.token.tsx", Some("/api/token")),
            ("app/api/[room]/route.ts", None),
            ("lib/tokens.ts", None),
        ] {
            assert_eq!(of_place(file).as_deref(), path, "{file}");
        }
    }

    #[test]
    fn the_route_above_the_call_is_the_one_that_makes_the_token() {
        let express = "app.get('/', home)\napp.post(\"/api/token\", (req, res) => {\n";
        assert_eq!(of_literal(express).as_deref(), Some("/api/token"));
        assert_eq!(of_literal("router.get(`/t/:id`, () => {"), None);
        assert_eq!(
            of_decorator("@app.post(\"/token\")\ndef token():\n").as_deref(),
            Some("/token")
        );
    }
}
