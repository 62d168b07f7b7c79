//! Token routes that the app's authors wrote by hand: which file makes the token, and
//! under which path the browser asks for it.

use super::knowledge::Rule;
use super::mounts::{Mounted, around, mounted};
use super::project::{Project, Source};
use super::source::{behind, places, quoted};
use super::vendor_calls::VendorCalls;

/// A route the gateway will answer in the app's place.
pub(super) struct HandWritten {
    pub(super) file: String,
    pub(super) path: Option<String>,
    /// Whether the path stands behind every prefix that a router of the app has.
    pub(super) is_sure: bool,
    /// Whether the file is only this route.
    pub(super) is_all: bool,
}

/// The route that makes a vendor's token: the first one of the most specific call whose path
/// no other vendor has; else the file that makes it, at a path that was not found.
pub(super) fn hand_written(
    vendor: &Rule,
    taken: &[String],
    project: &Project,
) -> Option<HandWritten> {
    let calls = VendorCalls::new(vendor, project);
    let places = vendor.calls.iter().flat_map(|call| calls.of(call));
    let mut without_path = None;
    for (file, at) in places {
        let made = route_of(file, at, project);
        match &made.path {
            Some(path) if taken.contains(path) => {}
            Some(_) => return Some(made),
            None => without_path = without_path.or(Some(made)),
        }
    }
    without_path
}

/// The route in which a place of a file stands.
fn route_of(file: &Source, at: usize, project: &Project) -> HandWritten {
    let before = file.text.get(..at).unwrap_or_default();
    let of_file = of_place(&file.path, FileRoutes::of(project));
    let is_all = of_file.is_some();
    let of_route = || of_literal(before).or_else(|| of_decorator(before));
    let found = match of_file {
        Some(path) => Some(Mounted { path: below_base(&path, project), is_sure: true }),
        None => match of_route() {
            Some(path) => Some(mounted(&path, file, project)),
            None => of_table(file, before, project),
        },
    };
    let is_sure = found.as_ref().is_none_or(|found| found.is_sure);
    let path = found.map(|found| found.path).filter(|path| is_exact(path));
    HandWritten { file: file.path.clone(), path, is_sure, is_all }
}

/// Next.js serves everything below its `basePath`.
fn below_base(path: &str, project: &Project) -> String {
    let settings = project.files.iter().filter(|file| file.path.starts_with("next.config."));
    let base =
        settings.into_iter().find_map(|file| behind(&file.text, "basePath:").find_map(quoted));
    format!("{}{path}", base.unwrap_or_default().trim_end_matches('/'))
}

/// The frameworks whose files are their routes. In other apps the same folders hold code
/// that says its paths itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FileRoutes {
    Next,
    Nitro,
    ReactRouter,
    SvelteKit,
    Other,
}

impl FileRoutes {
    fn of(project: &Project) -> Self {
        const PACKAGES: [(&str, FileRoutes); 10] = [
            ("npm:nuxt", FileRoutes::Nitro),
            ("npm:nitropack", FileRoutes::Nitro),
            ("npm:nitro", FileRoutes::Nitro),
            ("npm:@sveltejs/kit", FileRoutes::SvelteKit),
            ("npm:@react-router/dev", FileRoutes::ReactRouter),
            ("npm:@react-router/node", FileRoutes::ReactRouter),
            ("npm:@remix-run/react", FileRoutes::ReactRouter),
            ("npm:@remix-run/node", FileRoutes::ReactRouter),
            ("npm:next", FileRoutes::Next),
            ("npm:astro", FileRoutes::Next),
        ];
        let found = PACKAGES.into_iter().find(|(package, _)| project.has(package));
        found.map_or(Self::Other, |(_, router)| router)
    }
}

/// The address of a file that is a route.
fn of_place(path: &str, router: FileRoutes) -> Option<String> {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let (stem, _) = path.rsplit_once('.')?;
    let route = match router {
        FileRoutes::Next => match stem.strip_prefix("pages/api/") {
            Some(rest) => format!("/api/{}", rest.strip_suffix("/index").unwrap_or(rest)),
            None => format!("/{}", visible(stem.strip_prefix("app/")?.strip_suffix("/route")?)),
        },
        FileRoutes::Nitro => match stem.strip_prefix("server/api/") {
            Some(rest) => format!("/api/{}", of_nitro(rest)),
            None => format!("/{}", of_nitro(stem.strip_prefix("server/routes/")?)),
        },
        FileRoutes::ReactRouter => {
            let rest = stem.strip_prefix("app/routes/")?;
            format!("/{}", of_flat_route(rest.strip_suffix("/route").unwrap_or(rest)))
        }
        FileRoutes::SvelteKit => {
            format!("/{}", visible(stem.strip_prefix("routes/")?.strip_suffix("/+server")?))
        }
        FileRoutes::Other => return None,
    };
    is_exact(&route).then_some(route)
}

/// Nuxt's server files, which may end with a method.
fn of_nitro(path: &str) -> &str {
    const METHODS: [&str; 7] = [".get", ".post", ".put", ".patch", ".delete", ".head", ".options"];
    let path = METHODS.iter().find_map(|method| path.strip_suffix(method)).unwrap_or(path);
    path.strip_suffix("/index").unwrap_or(path)
}

/// React Router's file names: dots part segments, `_auth` is a layout without an address,
/// `name_` leaves one, `($lang)` may be absent, and `[.]` is a dot.
fn of_flat_route(path: &str) -> String {
    const DOT: &str = "\u{0}";
    let path = path.replace("[.]", DOT);
    let is_shown = |part: &&str| !part.starts_with(['_', '(']);
    let parts: Vec<_> = path.split(['.', '/']).filter(is_shown).collect();
    let parts: Vec<_> = parts.iter().map(|part| part.trim_end_matches('_')).collect();
    parts.join("/").replace(DOT, ".")
}

/// Without route groups, which are not part of the address, and what may be absent.
fn visible(path: &str) -> String {
    let is_shown = |part: &&str| !part.starts_with('(') && !part.starts_with("[[");
    path.split('/').filter(is_shown).collect::<Vec<_>>().join("/")
}

/// `app.get("/api/token", …)` in Express, Fastify, Koa, Laravel, Sinatra: the last one above.
fn of_literal(before: &str) -> Option<String> {
    const CALLS: [&str; 9] =
        [".get(", ".post(", ".all(", ".route(", "::get(", "::post(", "get '", "post '", "path: "];
    let paths = CALLS.iter().flat_map(|call| {
        let start = call.trim_end_matches('\'').len();
        before
            .match_indices(call)
            .filter_map(move |(at, _)| Some((at, literal(before.get(at + start..)?.trim_start())?)))
    });
    paths.max().map(|(_, path)| path)
}

/// `@app.route("/api/token")` above a function, in Flask and FastAPI.
fn of_decorator(before: &str) -> Option<String> {
    let line = before.lines().rev().find(|line| line.trim_start().starts_with('@'))?;
    literal(line.split_once('(')?.1)
}

/// Rails, Laravel, Phoenix and Django list their routes in a separate file: the line that
/// names the controller or the function.
fn of_table(file: &Source, before: &str, project: &Project) -> Option<Mounted> {
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
    let mut files = project.files.iter().filter(|f| tables.iter().any(|end| f.path.ends_with(end)));
    let named_at = |line: &str| names.iter().find_map(|name| places(line, name).next());
    let (table, lines, at, named) = files.find_map(|table| {
        let lines: Vec<&str> = table.text.lines().collect();
        let (at, named) =
            lines.iter().enumerate().find_map(|(at, line)| Some((at, named_at(line)?)))?;
        Some((table, lines, at, named))
    })?;
    let line = lines.get(at)?;
    // Django may have several routes in a line; Laravel may name a middleware before the path.
    let verbs = ["get(", "post(", "any(", "match("].iter();
    let verb = line.get(..named)?.rfind("path(");
    let verb = verb.or_else(|| verbs.filter_map(|verb| line.find(verb)).min());
    let written = line.get(verb.unwrap_or_default()..)?.split(['"', '\'']).nth(1)?;
    let around = around(&lines, at);
    let path = format!("{}{around}/{}", scope(table), written.trim_start_matches('/'));
    is_exact(&path).then(|| mounted(&path, table, project))
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
    // A router's own root is the prefix it is mounted under.
    (is_exact(path) || path == "/").then(|| path.to_owned())
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
        use FileRoutes::{Next, Nitro, Other, ReactRouter, SvelteKit};
        for (router, file, path) in [
            (Next, "pages/api/get-auth-token.ts", Some("/api/get-auth-token")),
            (Next, "src/pages/api/token/index.js", Some("/api/token")),
            (Next, "app/api/livekit/route.ts", Some("/api/livekit")),
            (Next, "src/app/(shop)/api/token/route.js", Some("/api/token")),
            (Next, "app/api/[room]/route.ts", None),
            (Next, "lib/tokens.ts", None),
            (Nitro, "server/api/token.post.ts", Some("/api/token")),
            (Nitro, "server/routes/chat/token.post.ts", Some("/chat/token")),
            (SvelteKit, "src/routes/api/token/+server.ts", Some("/api/token")),
            (SvelteKit, "src/routes/(app)/api/[[lang]]/token/+server.ts", Some("/api/token")),
            (ReactRouter, "app/routes/api.token.tsx", Some("/api/token")),
            (ReactRouter, "app/routes/_auth.api.token.ts", Some("/api/token")),
            (ReactRouter, "app/routes/_auth.team_.token/route.ts", Some("/team/token")),
            (ReactRouter, "app/routes/($lang).token[.]json.ts", Some("/token.json")),
            (ReactRouter, "app/routes/api.$room.ts", None),
            (Other, "server/api/tokens.js", None),
            (Other, "server/routes/tokens.js", None),
            (Other, "app/routes/tokens.py", None),
        ] {
            assert_eq!(of_place(file, router).as_deref(), path, "{file}");
        }
    }

    #[test]
    fn a_table_has_the_route_of_exactly_this_function() {
        let urls = "urlpatterns = [path('login', views.token_login), path('a', reviews.token), \
                    path('rt/auth', views.token)]\n";
        let rails = "post '/a', to: 'old_video#create'\npost '/b', to: 'video#create'\n";
        for (table, text, file, before, path) in [
            ("shop/urls.py", urls, "rt/views.py", "def token(request):\n", "/rt/auth"),
            ("config/routes.rb", rails, "app/video_controller.rb", "def create\n", "/b"),
        ] {
            let mut project = Project::manifests(std::path::Path::new("/nowhere"));
            project.files = vec![Source { path: table.to_owned(), text: text.to_owned() }];
            let file = Source { path: file.to_owned(), text: before.to_owned() };
            let found = of_table(&file, before, &project).map(|found| found.path);
            assert_eq!(found.as_deref(), Some(path), "{text}");
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
