//! `portcullis init` on projects of many frameworks: what it recognises, that `check`
//! accepts what it writes, and that it writes over nothing.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::testing::{Node, Problems};
use serde_json::Value;

use crate::support::{Process, folder};

/// A sample project, and what must be found in it.
struct Sample {
    name: &'static str,
    server: &'static str,
    /// Of `[session]`: settings as JSON.
    session: &'static str,
    /// Of each token: its name, preset and path.
    tokens: &'static [(&'static str, &'static str, &'static str)],
    /// Files whose work the gateway takes over.
    delete: &'static [&'static str],
}

const fn sample(name: &'static str, server: &'static str, session: &'static str) -> Sample {
    Sample { name, server, session, tokens: &[], delete: &[] }
}

impl Sample {
    const fn token(
        mut self,
        tokens: &'static [(&'static str, &'static str, &'static str)],
        delete: &'static [&'static str],
    ) -> Self {
        (self.tokens, self.delete) = (tokens, delete);
        self
    }
}

const SAMPLES: [Sample; 37] = [
    sample("next-auth-4", "3000", r#"{"kind":"next-auth","secret":"env:NEXTAUTH_SECRET"}"#)
        .token(&[("portive", "portive", "/api/get-auth-token")], &["pages/api/get-auth-token.js"]),
    sample("next-auth-4-database", "3000", r#"{"kind":"lookup"}"#),
    sample("authjs-5-livekit", "3000", r#"{"kind":"authjs","secret":"env:AUTH_SECRET"}"#)
        .token(&[("livekit", "livekit", "/api/livekit")], &["app/api/livekit/route.ts"]),
    sample("better-auth-prisma", "3000", r#"{"kind":"better-auth","secret":"env:BETTER_AUTH_SECRET"}"#)
        .token(&[("stream-chat", "stream-chat", "/api/chat/token")], &["app/api/chat/token/route.ts"]),
    sample("better-auth-drizzle", "3000", r#"{"kind":"better-auth"}"#),
    sample("iron-session", "4100", r#"{"kind":"iron-session","cookie":"shop_session","secret":"env:IRON_PASSWORD","user_id":"/userId"}"#)
        .token(&[("pusher", "pusher-channel", "/api/pusher/auth")], &["pages/api/pusher/auth.ts"]),
    sample("nuxt", "3000", r#"{"kind":"h3-session","cookie":"nuxt-session","secret":"env:NUXT_SESSION_PASSWORD","user_id":"/user/login"}"#)
        .token(&[("ably", "ably-token-request", "/api/ably-token")], &["server/api/ably-token.get.ts"]),
    sample("sveltekit", "5180", r#"{"kind":"authjs","secret":"env:AUTH_SECRET"}"#)
        .token(&[("liveblocks", "liveblocks-authorize", "/api/liveblocks-auth")], &["src/routes/api/liveblocks-auth/+server.ts"]),
    sample("react-router", "3000", r#"{"kind":"react-router","cookie":"shop","secret":"env:SESSION_SECRET","user_id":"/userId"}"#)
        .token(&[("knock", "knock", "/api/knock-token")], &["app/routes/api.knock-token.ts"]),
    sample("express-redis", "5001", r#"{"kind":"express-session","cookie":"shop.sid","secret":"env:SESSION_SECRET","user_id":"/passport/user"}"#)
        .token(&[("portive", "portive", "/api/upload-token")], &["server.js"]),
    sample("express-pg", "8081", r#"{"kind":"express-session","cookie":"connect.sid","secret":"env:COOKIE_SECRET","user_id":"/userId"}"#),
    sample("fastify", "3333", r#"{"kind":"fastify-secure-session","cookie":"shop","user_id":"/userId"}"#)
        .token(&[("openai", "openai-realtime", "/api/realtime")], &["server.mjs"]),
    sample("flask", "5000", r#"{"kind":"flask","secret":"env:SECRET_KEY"}"#)
        .token(&[("livekit", "livekit", "/api/video-token")], &["app.py"]),
    sample("flask-plain", "5000", r#"{"kind":"flask","cookie":"shop","secret":"env:SHOP_SECRET","user_id":"/user_id"}"#),
    sample("django", "8000", r#"{"kind":"django","cookie":"shop_sessionid","secret":"env:DJANGO_SECRET_KEY"}"#)
        .token(&[("stream-chat", "stream-chat", "/api/chat-token")], &["shop/views.py"]),
    sample("django-redis", "8000", r#"{"kind":"django","backend":"cache"}"#),
    sample("fastapi", "8000", r#"{"kind":"starlette","cookie":"shop","secret":"env:SESSION_SECRET","user_id":"/user/sub"}"#)
        .token(&[("pusher", "pusher-channel", "/realtime/auth")], &["main.py"]),
    sample("rails", "3000", r#"{"kind":"rails","cookie":"_shop_front_session","user_id":"/warden.user.user.key/0/0"}"#)
        .token(&[("livekit", "livekit", "/video/token")], &["app/controllers/video_tokens_controller.rb"]),
    sample("rails-8", "3000", r#"{"kind":"rails","cookie":"session_id","jar":"signed"}"#),
    sample("laravel", "8000", r#"{"kind":"laravel","cookie":"shop_session","secret":"env:APP_KEY","lifetime_minutes":90}"#)
        .token(&[("pusher", "pusher-channel", "/pusher/token")], &["app/Http/Controllers/PusherTokenController.php"]),
    sample("phoenix", "4000", r#"{"kind":"plug","cookie":"_shop_key","signing_salt":"Xy12abCD"}"#),
    sample("clerk", "3000", r#"{"kind":"clerk","publishable_key":"env:NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY"}"#)
        .token(&[("algolia", "algolia", "/api/search-key")], &["app/api/search-key/route.ts"]),
    sample("supabase", "3000", r#"{"kind":"supabase","project_ref":"abcdefghijklmnopqrst"}"#),
    sample("next-auth-4-names", "3000", r#"{"kind":"next-auth","cookie":"shop.session","secret":"env:MY_SECRET"}"#),
    sample("authjs-5-names", "3000", r#"{"kind":"authjs","secret":"env:SHOP_AUTH_SECRET"}"#),
    sample("cookie-session", "4400", r#"{"kind":"cookie-session","cookie":"shop","secrets":["env:KEY_ONE","env:KEY_TWO","env:KEY_THREE"],"user_id":"/userId"}"#),
    sample("express-memory", "4500", r#"{"kind":"introspect","cookie":"shop"}"#),
    sample("express-signed", "3000", r#"{"kind":"signed-cookie","cookie":"auth","secret":"env:SIGNING_SECRET"}"#),
    sample("fastify-session", "3600", r#"{"kind":"express-session","cookie":"sid","cookie_prefix":"","user_id":"/user/id"}"#),
    sample("hono-session", "3000", r#"{"kind":"hono-session","secret":"env:AUTH_SECRET","user_id":"/userId"}"#),
    sample("hono-signed", "3000", r#"{"kind":"signed-cookie","format":"hono","cookie":"auth"}"#),
    sample("firebase", "3000", r#"{"kind":"firebase","cookie":"fb","project_id":"demo-project"}"#),
    sample("flask-session", "5000", r#"{"kind":"flask-session","cookie":"fs","secret":"env:SHOP_SECRET","user_id":"/user_id","store":{"engine":"redis","url":"env:REDIS_URL","prefix":"shop:"}}"#),
    sample("flask-session-files", "5000", r#"{"kind":"introspect","cookie":"session"}"#),
    sample("django-bare", "8000", r#"{"kind":"django","cookie":"djs","secret":"env:SHOP_KEY"}"#),
    sample("unknown-go", "3000", r#"{"kind":"introspect"}"#),
    sample("unknown-empty", "3000", r#"{"kind":"introspect"}"#),
];

fn project(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/projects").join(name)
}

/// Values of the shapes that `check` wants, for what the samples leave out.
fn variables(said: &str) -> String {
    let mut lines = String::new();
    let wanted = said.lines().filter(|line| line.ends_with(": set it)"));
    for name in wanted.filter_map(|line| line.split_whitespace().next()) {
        let value = match name {
            "APP_KEY" => format!("base64:{}", STANDARD.encode([b'0'; 32])),
            "CLERK_JWT_KEY" => include_str!("../fixtures/tokens/keys/rsa-public.pem").to_owned(),
            "DATABASE_URL" => "postgres://app@127.0.0.1:1/app".to_owned(),
            "REDIS_URL" => "redis://127.0.0.1:1".to_owned(),
            "KNOCK_SIGNING_KEY" => include_str!("../fixtures/tokens/keys/rsa-pkcs8.pem").to_owned(),
            name => format!("only-for-this-test-0123456789abcdef-{name}"),
        };
        let _ = writeln!(lines, "{name}=\"{value}\"");
    }
    lines
}

pub(super) fn read(text: &str) -> Value {
    let problems = Problems::default();
    let read = Node::parse(text, &problems).to_json();
    assert!(problems.is_empty(), "{text}");
    read
}

#[test]
fn every_sample_project_gets_a_file_that_check_accepts() {
    for sample in &SAMPLES {
        let (app, own) = (project(sample.name), folder());
        let (file, missing) = (own.join("gateway.toml"), own.join("missing.env"));
        let place = file.to_str().unwrap();
        let (code, said, problems) =
            Process::finish(&["init", app.to_str().unwrap(), "--config", place], &[]);
        assert_eq!((code, problems.as_str()), (0, ""), "{}: {said}", sample.name);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&missing, variables(&said)).unwrap();
        let mut check = vec!["check", "--config", place, "--env-file", missing.to_str().unwrap()];
        let env_file = [".env.local", ".env"].map(|name| app.join(name));
        let env_file = env_file.iter().find(|file| file.exists());
        if let Some(env_file) = env_file {
            let env_file = env_file.to_str().unwrap();
            let next = format!("Next: portcullis check --config {place} --env-file {env_file}\n");
            assert!(said.contains(&next), "{said}");
            check.extend(["--env-file", env_file]);
        }
        let (code, _, problems) = Process::finish(&check, &[]);
        assert_eq!(code, 0, "{}: {problems}{text}", sample.name);
        holds(sample, &read(&text), &text);
        for file in sample.delete {
            let line = said.lines().find(|line| line.starts_with(&format!("  {file}: ")));
            assert!(line.is_some_and(|line| line.contains("the gateway answers ")), "{said}");
        }
        assert_eq!(said.contains("To delete"), !sample.delete.is_empty(), "{said}");
        for line in fs::read_to_string(env_file.unwrap_or(&missing)).unwrap().lines() {
            let secret = line.split_once('=').map(|(_, value)| value.trim_matches('"'));
            let secret =
                secret.filter(|value| value.contains("example-") || value.contains("PRTV_"));
            assert!(secret.is_none_or(|secret| !(said.clone() + &text).contains(secret)), "{line}");
        }
    }
}

fn holds(sample: &Sample, read: &Value, text: &str) {
    let servers = format!("http://127.0.0.1:{}", sample.server);
    assert_eq!(read["upstream"]["servers"], servers, "{}", sample.name);
    let expected: Value = serde_json::from_str(sample.session).unwrap();
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(read["session"][key], *value, "{}: {key} in {text}", sample.name);
    }
    let tokens = read["token"].as_object().into_iter().flatten();
    let found: Vec<_> = tokens
        .map(|(name, it)| {
            (name.as_str(), it["preset"].as_str().unwrap(), it["path"].as_str().unwrap())
        })
        .collect();
    assert_eq!(found, sample.tokens, "{}", sample.name);
    assert!(text.contains("# guess: "), "{text}");
}

#[test]
fn a_file_that_is_there_stays_as_it_is() {
    let own = folder();
    let file = own.join("gateway.toml");
    fs::write(&file, "mine").unwrap();
    let init =
        |more: &[&str]| Process::finish(&[&["init", own.to_str().unwrap()], more].concat(), &[]);
    let (code, said, problems) = init(&[]);
    assert_eq!((code, said.as_str()), (2, ""));
    assert!(problems.contains("the file exists already"), "{problems}");
    let (code, printed, _) = init(&["--print"]);
    assert!(code == 0 && printed.starts_with("# Written by `portcullis init`"), "{printed}");
    std::os::unix::fs::symlink("elsewhere", own.join("link.toml")).unwrap();
    assert_eq!(init(&["--config", "link.toml"]).0, 2, "a link is not followed");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert!(!own.join("elsewhere").exists());
    assert_eq!(init(&["--config", "other.toml"]).0, 0);
    assert_eq!(Process::finish(&["init", "/nowhere"], &[]).0, 2);
}

/// What a shell says to a line, in a folder.
fn typed(line: &str, at: &Path) -> (i32, String) {
    let programs = Path::new(env!("CARGO_BIN_EXE_portcullis")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let mut shell = Command::new("/bin/sh");
    let done = shell.args(["-c", line]).current_dir(at).env("PATH", path).output().unwrap();
    let text = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    (done.status.code().unwrap(), text)
}

#[test]
fn the_next_step_runs_as_printed_from_the_current_folder() {
    for (number, (init, folder_name, file)) in [
        ("portcullis init shop", "shop", "shop/gateway.toml"),
        ("portcullis init shop --config other.toml", "shop", "shop/other.toml"),
        ("portcullis init 'my shop' -c 'the file.toml'", "my shop", "my shop/the file.toml"),
        ("cd shop && portcullis init && cd -", "shop", "shop/gateway.toml"),
        ("portcullis init", ".", "gateway.toml"),
        ("portcullis init . --config other.toml", ".", "other.toml"),
    ]
    .into_iter()
    .enumerate()
    {
        let at = folder();
        let app = at.join(folder_name);
        fs::create_dir_all(&app).unwrap();
        fs::write(app.join("package.json"), r#"{"dependencies":{"next-auth":"4.24.0"}}"#).unwrap();
        let secret = "NEXTAUTH_SECRET=only-for-this-test-0123456789abcdef\n";
        fs::write(app.join(".env.local"), secret).unwrap();
        let (code, said) = typed(init, &at);
        assert!(code == 0 && at.join(file).exists(), "{init}: {said}");
        let next = said.lines().find_map(|line| line.strip_prefix("Next: ")).unwrap();
        let stands = if number == 3 { &app } else { &at };
        assert_eq!(typed(next, stands).0, 0, "{next}");
    }
}

/// What `init` says in a folder with these files, and the file that it writes.
pub(super) fn in_project(files: &[(&str, &str)]) -> (PathBuf, String, String) {
    let at = folder();
    for (path, text) in files {
        let path = at.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let (code, said) = typed("portcullis init", &at);
    assert_eq!(code, 0, "{said}");
    let file = fs::read_to_string(at.join("gateway.toml")).unwrap();
    (at, said, file)
}

#[test]
fn the_next_step_names_every_env_file_that_the_file_needs() {
    let package = r#"{"dependencies":{"next":"15","next-auth":"4.24.0","@portive/auth":"2"}}"#;
    let (at, said, _) = in_project(&[
        ("package.json", package),
        (
            ".env",
            "NEXTAUTH_SECRET = \"only-for-this-test-0123456789abcdef\"\nPORTIVE_API_KEY=old\n",
        ),
        (".env.local", "export PORTIVE_API_KEY=PRTV_abcdefgh_0123456789abcdef0123456789abcdef\n"),
        (".env.example", "NEXTAUTH_SECRET=\nPORTIVE_API_KEY=\n"),
    ]);
    let next = said.lines().find_map(|line| line.strip_prefix("Next: ")).unwrap();
    assert_eq!(next, "portcullis check --env-file .env --env-file .env.local");
    let (code, checked) = typed(next, &at);
    assert_eq!(code, 0, "{checked}");
    for line in ["  NEXTAUTH_SECRET (in .env)\n", "  PORTIVE_API_KEY (in .env.local)\n"] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn a_variable_that_no_env_file_gives_is_to_be_set() {
    let (_, said, _) = in_project(&[
        ("package.json", r#"{"dependencies":{"next-auth":"4.24.0","@portive/auth":"2"}}"#),
        (".env.example", "NEXTAUTH_SECRET=write-one\n"),
        (".envrc", "source_up\nexport PORTIVE_API_KEY=PRTV_a_b\n"),
    ]);
    for line in [
        "  NEXTAUTH_SECRET (an example of it in .env.example: set it)\n",
        "  PORTIVE_API_KEY (in .envrc, which --env-file cannot read because of its line 1: set it)",
        "\nNext: portcullis check\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

/// The tokens of the file, by name, with their paths; `check` accepts the file.
pub(super) fn tokens(at: &Path, said: &str, file: &str) -> Vec<(String, String)> {
    fs::write(at.join("missing.env"), variables(said)).unwrap();
    let (code, checked) = typed("portcullis check --env-file missing.env", at);
    assert_eq!(code, 0, "{checked}{file}");
    let read = read(file);
    let tokens = read["token"].as_object().into_iter().flatten();
    tokens.map(|(name, it)| (name.clone(), it["path"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn a_pipe_or_an_endless_file_does_not_hold_the_command_up() {
    let package = ("package.json", r#"{"dependencies":{"next-auth":"latest"}}"#);
    for name in [".env", "Gemfile", "node_modules/next-auth/package.json", "pnpm-workspace.yaml"] {
        let (at, _, _) = in_project(&[package]);
        let path = at.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for make in ["mkfifo", "ln -s /dev/zero"] {
            let line = format!("{make} {name} && timeout 20 portcullis init --print");
            let (code, said) = typed(&line, &at);
            assert_eq!(code, 0, "{make} {name}: {said}");
            let is_noted =
                said.contains(&format!("cannot be read: {name}: it is not a plain file"));
            assert_eq!(is_noted, [".env", "Gemfile"].contains(&name), "{said}");
            fs::remove_file(&path).unwrap();
        }
    }
    let (at, _, _) = in_project(&[package]);
    fs::write(at.join(".env"), "A=b\n".repeat(100_000)).unwrap();
    let (_, said) = typed("portcullis init --print", &at);
    assert!(said.contains("cannot be read: .env: it has more than 256 KiB"), "{said}");
}

#[test]
fn a_version_that_is_a_tag_or_in_a_catalog_still_tells_the_library() {
    let asks = |version: &str| format!(r#"{{"dependencies":{{"next-auth":"{version}"}}}}"#);
    let installed = ("node_modules/next-auth/package.json", r#"{"version":"5.0.0-beta.25"}"#);
    let catalog = ("pnpm-workspace.yaml", "catalog:\n  next-auth: ^4.24.11\n");
    for (version, more, kind) in [
        ("beta", None, "authjs"),
        ("latest", None, "next-auth"),
        ("latest", Some(installed), "authjs"),
        ("catalog:", Some(catalog), "next-auth"),
        ("catalog:", Some(installed), "authjs"),
    ] {
        let package = asks(version);
        let files: Vec<_> = [("package.json", package.as_str())].into_iter().chain(more).collect();
        let (_, said, file) = in_project(&files);
        assert!(file.contains(&format!("kind = \"{kind}\"\n")), "{files:?}: {said}");
    }
    let pipfile = "[packages]\ndjango = \"*\"\n\n[requires]\npython_version = \"3.12\"\n";
    let (_, said, file) = in_project(&[("Pipfile", pipfile)]);
    assert!(file.contains("kind = \"django\"\n"), "{said}");
}

fn said_of(sample: &str) -> (String, String) {
    let file = folder().join("gateway.toml");
    let init = ["init", project(sample).to_str().unwrap(), "--config", file.to_str().unwrap()]
        .map(str::to_owned);
    let (code, said, _) = Process::finish(&[&init[0], &init[1], &init[2], &init[3]], &[]);
    assert_eq!(code, 0, "{said}");
    (said, fs::read_to_string(file).unwrap())
}

#[test]
fn a_library_that_is_known_is_named_although_its_store_cannot_be_read() {
    for (sample, library) in [
        ("express-memory", "express-session with a store that cannot be read (express-session 1."),
        ("flask-session-files", "Flask-Session with another store"),
    ] {
        let (said, _) = said_of(sample);
        assert!(said.contains(library) && said.contains("answers 200 with the user"), "{said}");
        assert!(!said.contains("no session library"), "{said}");
    }
}

#[test]
fn an_unreadable_file_is_reported_and_not_taken_for_absence() {
    let (said, _) = said_of("broken");
    assert!(said.contains("Cannot be read") && said.contains("package.json: "), "{said}");
    let printed = Process::finish(&["init", project("broken").to_str().unwrap(), "--print"], &[]);
    assert!(printed.2.contains("package.json: "), "{}", printed.2);
    let (said, file) = said_of("authjs-5-names");
    assert!(file.contains("# guess: `name` in auth.ts, which could not be read"), "{file}");
    assert!(said.contains("`name` in auth.ts"), "{said}");
}

#[test]
fn the_root_of_several_apps_names_the_command_for_each() {
    let (said, _) = said_of("monorepo");
    for (app, framework) in [("apps/web", "Next.js"), ("services/api", "FastAPI")] {
        let root = project("monorepo");
        let line = format!("  portcullis init {}/{app} # {framework}\n", root.display());
        assert!(said.contains(&line), "{said}");
    }
    assert!(!said.contains("packages/ui"), "{said}");
    let (code, said) = typed("portcullis init --print 2>&1 >/dev/null", &project("monorepo"));
    assert!(code == 0 && said.contains("portcullis init apps/web # Next.js"), "{said}");
}

#[test]
fn a_vendor_without_its_own_rule_is_recognised_by_its_package() {
    let (said, file) = said_of("cookie-session");
    assert!(said.contains("vendor twilio (twilio 5.3.0)"), "{said}");
    assert!(
        file.contains("# [token.twilio]\n") && file.contains("# preset = \"twilio\""),
        "{file}"
    );
    assert!(!said.contains("no vendor's SDK"), "{said}");
    let (said, _) = said_of("unknown-empty");
    assert!(said.contains("no vendor's SDK was recognised"), "{said}");
}
