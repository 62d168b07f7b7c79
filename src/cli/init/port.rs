//! The port that the app is told to listen on: in an env file, in a script, in its source.

use super::project::Project;
use super::source::{behind, is_word, meant, scopes, value};

/// Variables of frameworks, the general one first.
const VARIABLES: [&str; 5] = ["PORT", "FLASK_RUN_PORT", "NUXT_PORT", "NITRO_PORT", "SERVER_PORT"];
/// Options of the servers that scripts and a Procfile start.
const OPTIONS: [&str; 5] = ["--port", " -p ", "PORT=", "--bind", " -b "];
/// Texts before the number in a source file.
const BEFORE: [&str; 8] = [
    ".listen(",
    "PORT ||",
    "PORT ??",
    "PORT) ||",
    "PORT) ??",
    "PORT\") ||",
    "PORT\",",
    "PORT\") {",
];
/// A call or a table, the name of the port in it, and the end of the files it counts in.
const WITHIN: [(&str, &str, &str); 6] = [
    (".listen({", "port:", ""),
    ("serve({", "port:", ""),
    ("devServer: {", "port:", ""),
    ("server: {", "port:", "vite.config.ts"),
    ("server: {", "port:", "vite.config.js"),
    ("run(", "port =", ".py"),
];

pub(super) fn port(project: &Project) -> Option<u16> {
    let told = || VARIABLES.iter().find_map(|name| number(project.variable(name)?));
    let scripted = || OPTIONS.iter().find_map(|option| after(&project.scripts, option));
    told().or_else(scripted).or_else(|| written(project))
}

fn written(project: &Project) -> Option<u16> {
    project.files.iter().find_map(|file| {
        let text = &file.text;
        let read = |rest: &str| number(rest).or_else(|| number(meant(value(rest), text)?));
        let within = || {
            WITHIN.iter().filter(|(.., end)| file.path.ends_with(end)).find_map(
                |(start, name, _)| {
                    let scopes = scopes(text, start);
                    scopes.into_iter().find_map(|scope| behind(scope, name).find_map(read))
                },
            )
        };
        let plain = BEFORE.iter().find_map(|marker| behind(text, marker).find_map(read));
        plain.or_else(within)
    })
}

/// The number behind an option; behind the address if it has one.
fn after(text: &str, option: &str) -> Option<u16> {
    text.split(option).skip(1).find_map(|rest| {
        let rest = rest.trim_start_matches([' ', '=']);
        let word = rest.split([' ', '"', '\n']).next().unwrap_or_default();
        number(word.rsplit(':').next().unwrap_or(word))
    })
}

fn number(text: &str) -> Option<u16> {
    let text = text.trim_start_matches([' ', '"', '\'', '`', '(', '{']);
    let end = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
    text.get(..end)?.parse().ok().filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::init::project::Source;

    #[test]
    fn a_port_is_read_where_frameworks_have_it() {
        for (path, text, port) in [
            ("a.js", "app.listen(4001)", Some(4001)),
            ("a.js", "const port = 4002;\napp.listen(port, () => {})", Some(4002)),
            ("a.ts", "const p = Number(process.env.PORT) || 4003; app.listen(p)", Some(4003)),
            ("a.ts", "app.listen(process.env.PORT ?? '4004')", Some(4004)),
            ("a.ts", "await app.listen({ host: '0.0.0.0', port: 4005 })", Some(4005)),
            ("a.ts", "serve({ fetch: app.fetch, port: 4006 })", Some(4006)),
            ("nuxt.config.ts", "defineNuxtConfig({ devServer: { port: 4007 } })", Some(4007)),
            ("vite.config.ts", "export default { server: { port: 4008 } }", Some(4008)),
            ("main.py", "uvicorn.run(\"main:app\", host=\"0.0.0.0\", port=4009)", Some(4009)),
            ("app.py", "app.run(debug=True, port=int(os.environ.get(\"PORT\", 4010)))", Some(4010)),
            ("config/puma.rb", "port ENV.fetch(\"PORT\", 4011)", Some(4011)),
            ("config/puma.rb", "port ENV.fetch('PORT') { 4012 }", Some(4012)),
            ("runtime.exs", "String.to_integer(System.get_env(\"PORT\") || \"4013\")", Some(4013)),
            ("a.js", "app.listen(process.env.PORT)", None),
            ("a.js", "redis.connect(6379); app.listen(70000)", None),
            ("db.js", "new Pool({ port: 5432 })", None),
        ] {
            let mut project = Project::manifests(std::path::Path::new("/nowhere"));
            project.files = vec![Source { path: path.to_owned(), text: text.to_owned() }];
            assert_eq!(super::port(&project), port, "{text}");
        }
        for (script, port) in [
            ("\"dev\": \"next dev -p 4001\"", Some(4001)),
            ("\"dev\": \"vite --port=4002\"", Some(4002)),
            ("web: gunicorn app:app -b 0.0.0.0:4003\n", Some(4003)),
            ("web: gunicorn app:app --bind 127.0.0.1:4004", Some(4004)),
            ("\"start\": \"PORT=4005 node .\"", Some(4005)),
            ("web: bin/rails server -p $PORT", None),
            ("\"x\": \"mkdir -p dist\"", None),
        ] {
            let mut project = Project::manifests(std::path::Path::new("/nowhere"));
            project.scripts = script.to_owned();
            assert_eq!(super::port(&project), port, "{script}");
        }
    }
}
