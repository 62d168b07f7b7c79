//! `user_prefix`: equal ids of two sources are two users, everywhere.

use crate::support::{App, Process, SESSION_SECRET, Setup, folder, get, token_of};

const TOKEN: &str = "limit = \"1/hour\"\nparams.claims = { tags = [\"{session.user_id}\"] }";

/// A second source behind the usual one, with these prefixes.
fn setup(app: &App, first: &str, second: &str) -> Setup {
    let text = Setup::new(app).token(TOKEN).text();
    let start = text.find("[session]").unwrap();
    let end = text.find("[token.portive]").unwrap();
    let usual = text.get(start..end).unwrap().replacen("[session]", "[[session]]", 1);
    let prefixed = |prefix: &str| usual.replacen("kind", &format!("{prefix}\nkind"), 1);
    let other = prefixed(second).replace("cookie = \"session\"", "cookie = \"other\"");
    let sessions = format!("{}{other}", prefixed(first));
    Setup::new(app).replaced_by(format!(
        "{}{sessions}{}",
        text.get(..start).unwrap(),
        text.get(end..).unwrap()
    ))
}

fn cookies() -> [String; 2] {
    ["session", "other"].map(|name| format!("{name}={}", token_of("1")))
}

#[test]
fn with_a_prefix_each_source_has_separate_users() {
    let app = App::start();
    let setup = setup(&app, "user_prefix = \"web:\"", "user_prefix = \"staff:\"");
    let gateway = setup.start();
    let ask = |path: &str, cookie: &str| gateway.ask(&get(path).header("Cookie", cookie));
    let [web, staff] = cookies();
    for (cookie, user) in [(&web, "web:1"), (&staff, "staff:1")] {
        app.forget();
        assert_eq!(ask("/x", cookie).status, 200);
        assert_eq!(app.only().one("x-auth-user").as_deref(), Some(user));
    }
    let tokens = [&web, &staff].map(|cookie| ask("/api/get-auth-token", cookie));
    assert_eq!([tokens[0].status, tokens[1].status], [200, 200], "each has a limit of its own");
    assert_ne!(tokens[0].auth_token(), tokens[1].auth_token(), "and a token of its own");
    assert_eq!(ask("/api/get-auth-token", &web).status, 429);
    let both = format!("{web}; {staff}");
    assert_eq!(ask("/api/get-auth-token", &both).status, 401, "two users in one request");
}

#[test]
fn without_a_prefix_the_sources_have_the_same_users() {
    let app = App::start();
    let gateway = setup(&app, "", "").start();
    let [web, staff] = cookies();
    let ask =
        |cookie: &str| gateway.ask(&get("/api/get-auth-token").header("Cookie", cookie)).status;
    assert_eq!((ask(&web), ask(&staff)), (200, 429));
}

#[test]
fn no_prefix_may_be_the_start_of_another_one() {
    let app = App::start();
    for (first, second) in [
        ("", "user_prefix = \"staff:\""),
        ("user_prefix = \"a\"", "user_prefix = \"ab\""),
        ("user_prefix = \"ab\"", "user_prefix = \"a\""),
        ("user_prefix = \"a b\"", "user_prefix = \"c\""),
    ] {
        let text = setup(&app, first, second).text();
        let text = text.replace("PRTV_keyOne_canaryOfTheKey0123456789abcdef", "env:KEY");
        let text = text.replace(SESSION_SECRET, "env:SECRET");
        let file = folder().join("gateway.toml");
        std::fs::write(&file, text).unwrap();
        let arguments = ["check", "--config", file.to_str().unwrap()];
        let (code, _, said) = Process::finish(&arguments, &[("SECRET", SESSION_SECRET)]);
        assert_eq!(code, 2);
        assert!(said.contains("user_prefix"), "{first} {second}: {said}");
    }
}
