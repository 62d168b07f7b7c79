//! `portcullis session` and `portcullis token`: one JSON object, one exit code.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Claims, Process, SESSION_SECRET, START, cookie_of, folder};

const KEY: &str = "PRTV_keyOne_secretOfTheKey0123456789abcdef";

const FILE: &str = r#"
[server]
listen = "127.0.0.1:8080"
[upstream]
servers = ["http://127.0.0.1:3000"]
[session]
kind = "jwt"
cookie = "session"
algorithms = ["HS256"]
secret = "env:SECRET"
[token.portive]
path = "/api/get-auth-token"
preset = "portive"
key = "env:KEY"
ttl = "1m"
"#;

/// Exit code and what was printed as JSON, `Null` if that was none.
fn run(command: &str, arguments: &[&str]) -> (i32, Value) {
    let file = folder().join("gateway.toml");
    std::fs::write(&file, FILE).unwrap();
    let now = START.to_string();
    let all = [&[command, "--config", file.to_str().unwrap(), "--json", "--now", &now], arguments];
    let environment = [("SECRET", SESSION_SECRET), ("KEY", KEY)];
    let (code, output, _) = Process::finish(&all.concat(), &environment);
    (code, serde_json::from_str(&output).unwrap_or(Value::Null))
}

fn members(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_session_is_accepted_with_these_members_and_no_others() {
    let cookie = cookie_of("ada");
    for header in [cookie.clone(), format!("a=1; {cookie}"), format!("Cookie: {cookie}")] {
        let (code, said) = run("session", &["--cookie", &header]);
        assert_eq!(
            (code, &said["outcome"], &said["user_id"]),
            (0, &"accept".into(), &"ada".into())
        );
        assert!(said["expires_at"].is_u64() && said["session"]["sub"] == "ada", "{said}");
        assert_eq!(members(&said), BTreeSet::from(["outcome", "user_id", "expires_at", "session"]));
    }
}

#[test]
fn a_session_is_refused_with_its_reason() {
    let claims = |name: &str, value: Value| Claims::of("ada").with(name, value).cookie();
    let good = cookie_of("ada");
    let touched = format!("{}AAAA", good.get(..good.len() - 4).unwrap());
    for (cookie, reason) in [
        (String::new(), "missing"),
        ("sessions=x".to_owned(), "missing"),
        ("session=x".to_owned(), "malformed"),
        (touched, "bad_signature"),
        (claims("exp", (START - 240).into()), "expired"),
        (claims("nbf", (START + 600).into()), "not_yet_valid"),
        (claims("sub", Value::Null), "no_user"),
    ] {
        let (code, said) = run("session", &["--cookie", &cookie]);
        assert_eq!((code, &said["outcome"]), (1, &"reject".into()), "{said}");
        assert_eq!(said["reason"], reason, "{said}");
        assert_eq!(members(&said), BTreeSet::from(["outcome", "reason", "detail"]));
    }
}

#[test]
fn a_file_of_cookies_has_a_header_line_per_line_and_any_bytes() {
    let file = folder().join("cookies");
    let cookie = cookie_of("ada");
    for (text, code) in [
        (format!("{cookie}\n").into_bytes(), 0),
        (format!("a=1\r\n{cookie}\r\n").into_bytes(), 0),
        (format!("cookie: a=1\nCOOKIE:{cookie}").into_bytes(), 0),
        ([b"a=\xff\xfe\n", cookie.as_bytes()].concat(), 0),
        (b"session=\xff\xfe".to_vec(), 1),
        (Vec::new(), 1),
    ] {
        std::fs::write(&file, &text).unwrap();
        let (found, said) = run("session", &["--cookie-file", file.to_str().unwrap()]);
        assert_eq!(found, code, "{:?}: {said}", String::from_utf8_lossy(&text));
    }
    assert_eq!(run("session", &["--cookie-file", "/nowhere/cookies"]).0, 2);
}

#[test]
fn a_session_in_another_header_is_seen_as_the_gateway_sees_it() {
    let folder = folder();
    let file = folder.join("gateway.toml");
    let app = "[upstream]\nservers = [\"http://127.0.0.1:1\"]\n";
    let jwt = "[[session]]\nkind = \"jwt\"\nheader = \"authorization\"\nsecret = \"env:SECRET\"\n";
    let gate = "[[session]]\nkind = \"trusted-header\"\nheader = \"x-user\"\n";
    let cookie = cookie_of("ada");
    let token = cookie.strip_prefix("session=").unwrap();
    let seen = |table: &str, headers: &[&str]| {
        std::fs::write(&file, format!("{app}{table}")).unwrap();
        let now = START.to_string();
        let mut arguments = vec!["session", "--json", "--now", &now, "--config"];
        arguments.push(file.to_str().unwrap());
        arguments.extend(headers.iter().flat_map(|header| ["--header", *header]));
        let (code, output, errors) = Process::finish(&arguments, &[("SECRET", SESSION_SECRET)]);
        let said: Value = serde_json::from_str(&output).unwrap_or_else(|_| panic!("{errors}"));
        (code, said["user_id"].as_str().unwrap_or_default().to_owned(), said["reason"].clone())
    };
    let user = |code, user: &str| (code, user.to_owned(), Value::Null);
    let bearer = format!("Authorization: Bearer {token}");
    assert_eq!(seen(jwt, &[&bearer]), user(0, "ada"));
    assert_eq!(seen(jwt, &[&bearer.to_uppercase()]).2, "malformed");
    assert_eq!(seen(jwt, &[&bearer, &bearer]).2, "ambiguous");
    assert_eq!(seen(jwt, &["X-Other: 1"]).2, "missing");
    assert_eq!(seen(gate, &["x-user:ada"]), user(0, "ada"));
}

#[test]
fn a_token_is_minted_as_the_endpoint_would() {
    let (code, said) = run("token", &["portive", "--session", r#"{"user_id":"ada"}"#]);
    assert_eq!((code, &said["outcome"]), (0, &"minted".into()), "{said}");
    assert_eq!(
        members(&said),
        BTreeSet::from(["outcome", "token", "expires_at", "content_type", "body"])
    );
    assert_eq!(said["expires_at"], START + 60);
    let body: Value = serde_json::from_str(said["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["authToken"], said["token"]);
}

#[test]
fn malformed_arguments_are_exit_code_2() {
    for arguments in [
        &["token", "none", "--session", r#"{"user_id":"ada"}"#][..],
        &["token", "portive", "--session", "{user"],
        &["token", "portive", "--session", "[]"],
        &["token", "portive", "--session", "{}"],
        &["token", "portive"],
        &["session"],
        &["session", "--cookie", "a=b", "--cookie-file", "x"],
        &["session", "--cookie", "a=b", "--bogus"],
        &["session", "--header", "no colon"],
        &["session", "--header", "a b: c"],
        &["session", "--header", "Cookie: a=b"],
        &["presets", "none"],
        &["bogus"],
    ] {
        let (command, rest) = arguments.split_first().unwrap();
        assert_eq!(run(command, rest).0, 2, "{arguments:?}");
    }
}

#[test]
fn the_version_names_commit_features_and_build() {
    let (code, said, _) = Process::finish(&["--version"], &[]);
    assert_eq!(code, 0);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], format!("portcullis {}", env!("CARGO_PKG_VERSION")));
    let names: Vec<&str> = lines[1..].iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(names, ["commit", "features", "build"], "{said}");
    assert_eq!(Process::finish(&["-V"], &[]).1.lines().collect::<Vec<_>>(), [lines[0]]);
}

#[test]
fn shells_and_the_manual_know_every_command() {
    let commands = ["check", "demo", "presets", "run", "schema", "session", "token"];
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, said, _) = Process::finish(&["completions", shell], &[]);
        assert_eq!(code, 0);
        assert!(commands.iter().all(|command| said.contains(command)), "{shell}");
    }
    let (code, page, _) = Process::finish(&["man"], &[]);
    assert!(code == 0 && page.contains(".TH portcullis 1"), "{page}");
    for command in commands {
        assert!(page.contains(&format!("portcullis\\-{command}(1)")), "{command} in {page}");
        let (code, page, _) = Process::finish(&["man", command], &[]);
        assert!(code == 0 && page.contains(".SH OPTIONS"), "{page}");
    }
    assert_eq!(Process::finish(&["man", "nothing"], &[]).0, 2);
    let (_, _, said) = Process::finish(&["presets", "stream"], &[]);
    assert!(said.contains("did you mean \"stream-chat\" or"), "{said}");
}

/// The commands that read the configuration, and those that do not.
const CONFIGURED: [&str; 6] = ["check", "init", "run", "selftest", "session", "token"];
const UNCONFIGURED: [&str; 5] = ["completions", "demo", "man", "presets", "schema"];

#[test]
fn help_and_man_describe_every_argument_and_only_what_the_command_uses() {
    for command in CONFIGURED.iter().chain(&UNCONFIGURED) {
        let (code, help, _) = Process::finish(&[command, "--help"], &[]);
        assert_eq!(code, 0, "{command}");
        let listed: Vec<&str> = help.lines().skip_while(|line| *line != "Arguments:").collect();
        for pair in listed.windows(2) {
            // An argument's line has its text, or the next one has.
            let argument = pair[0].trim_start();
            let is_argument = pair[0].starts_with("  ") && argument.starts_with(['[', '<', '-']);
            let described = argument.contains("  ") || pair[1].starts_with("          ");
            assert!(!is_argument || described, "{command}: {}", pair[0]);
        }
        let (_, page, _) = Process::finish(&["man", command], &[]);
        let reads = CONFIGURED.contains(command);
        assert_eq!(help.contains("--config"), reads, "{command}: {help}");
        assert_eq!(page.contains(r"\-\-config"), reads, "{command}: {page}");
        assert_eq!(help.contains("--env-file"), reads && *command != "init", "{command}: {help}");
    }
}

#[test]
fn the_file_is_named_before_the_command_or_behind_it() {
    let file = folder().join("gateway.toml");
    std::fs::write(&file, FILE).unwrap();
    let (file, env) = (file.to_str().unwrap(), [("SECRET", SESSION_SECRET), ("KEY", KEY)]);
    for arguments in [
        ["--config", file, "check", "--env-file", "/dev/null"],
        ["check", "--config", file, "--env-file", "/dev/null"],
        ["check", "--env-file", "/dev/null", "-c", file],
        ["--env-file", "/dev/null", "-c", file, "check"],
    ] {
        let (code, _, problems) = Process::finish(&arguments, &env);
        assert_eq!(code, 0, "{arguments:?}: {problems}");
    }
    for command in ["presets", "schema"] {
        assert_eq!(Process::finish(&["--config", file, command], &[]).0, 0, "{command}");
        assert_eq!(Process::finish(&[command, "--config", file], &[]).0, 0, "{command}");
    }
    for arguments in [["--config", "/nowhere", "run"], ["run", "--config", "/nowhere"]] {
        let (code, _, problems) = Process::finish(&arguments, &[]);
        assert!(code == 2 && problems.contains("/nowhere"), "{arguments:?}: {problems}");
    }
}
