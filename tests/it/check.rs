//! `portcullis check`: all that is wrong, each with its place, no secret shown.

use crate::support::{Process, assert_no_secret, folder};

const GOOD: &str = r#"[server]
listen = "127.0.0.1:8080"

[upstream]
servers = ["http://127.0.0.1:3000"]

[session]
kind = "next-auth"
secret = "env:NEXTAUTH_SECRET"

[token.portive]
path = "/api/get-auth-token"
preset = "portive"
key = "env:PORTIVE_API_KEY"
ttl = "1m"
limit = "30/minute"
"#;

const ENVIRONMENT: [(&str, &str); 3] = [
    ("NEXTAUTH_SECRET", "canary-of-the-session-0123456789abcdef"),
    ("PORTIVE_API_KEY", "PRTV_keyOne_canaryOfTheKey0123456789abcdef"),
    ("WRONG_KEY", "canary-that-is-no-key"),
];

/// Exit code and everything that was printed.
fn check(text: &str) -> (i32, String) {
    let file = folder().join("gateway.toml");
    std::fs::write(&file, text).unwrap();
    let (code, output, errors) =
        Process::finish(&["check", "--config", file.to_str().unwrap()], &ENVIRONMENT);
    let said = format!("{output}{errors}");
    assert_no_secret("the report", said.as_bytes());
    (code, said)
}

#[test]
fn the_ten_lines_are_fine() {
    let (code, said) = check(GOOD);
    assert_eq!((code, said.trim()), (0, "ok"));
}

/// A replacement in the good file, and where the problem is then:
/// line, column, setting.
const CASES: [(&str, &str, &str, &str); 38] = [
    ("127.0.0.1:8080", "here", ":2:", "server.listen"),
    ("listen = \"127.0.0.1:8080\"", "listen = 8080", ":2:10:", "server.listen"),
    ("listen =", "lisen =", ":2:1:", "server.lisen"),
    ("http://127.0.0.1:3000", "127.0.0.1:3000", ":5:", "upstream.servers"),
    ("http://127.0.0.1:3000", "http://127.0.0.1:3000/path", ":5:", "upstream.servers"),
    ("[\"http://127.0.0.1:3000\"]", "[]", ":4:", "upstream"),
    ("next-auth", "nextauth", ":8:8:", "session.kind"),
    ("\"next-auth\"", "7", ":8:8:", "session.kind"),
    ("env:NEXTAUTH_SECRET", "env:NOT_SET", ":9:10:", "session.secret"),
    ("env:NEXTAUTH_SECRET", "canary-pasted-into-the-file", ":9:10:", "session.secret"),
    ("env:NEXTAUTH_SECRET", "file:does-not-exist", ":9:10:", "session.secret"),
    ("env:NEXTAUTH_SECRET", "credential:none", ":9:10:", "session.secret"),
    ("secret = \"env:NEXTAUTH_SECRET\"", "", ":7:", "session"),
    ("secret =", "secrte =", ":7:", "session"),
    ("secret =", "secrte =", ":9:1:", "session.secrte: unknown key, did you mean `secret`?"),
    ("key =", "kye =", ":14:1:", "token.portive.kye: unknown key, did you mean `key`?"),
    ("/api/get-auth-token", "api/get-auth-token", ":12:8:", "token.portive.path"),
    ("/api/get-auth-token", "/api/**", ":12:8:", "token.portive.path"),
    ("/api/get-auth-token", "/api/../token", ":12:8:", "token.portive.path"),
    ("\"30/minute\"", "\"30\"", ":16:9:", "token.portive.limit"),
    ("\"30/minute\"", "\"0/minute\"", ":16:9:", "token.portive.limit"),
    ("\"30/minute\"", "30", ":16:9:", "token.portive.limit"),
    ("\"30/minute\"", "[]", ":16:9:", "token.portive.limit"),
    ("\"1m\"", "60", ":15:7:", "token.portive.ttl"),
    ("\"1m\"", "\"60\"", ":15:7:", "token.portive.ttl"),
    ("\"1m\"", "\"1 fortnight\"", ":15:7:", "token.portive.ttl"),
    ("limit =", "limits =", ":16:1:", "token.portive.limits"),
    ("[upstream]", "[upstraem]", ":4:", "upstraem"),
    ("[upstream]", "[upstraem]", ":1:1: upstream: ", "`upstream` is missing; write [upstream]"),
    ("[session]", "[sessoin]", ":1:1: session: ", "`session` is missing, but token.portive"),
    ("[server]", "[server]\nmax_header = \"0KiB\"", ":1:", "server"),
    ("[server]", "[server]\nheader_timeout = \"0s\"", ":2:18:", "server.header_timeout"),
    ("[server]", "[server]\nidle_timeout = \"0ms\"", ":2:16:", "server.idle_timeout"),
    ("[server]", "[server]\nbody_timeout = \"0s\"", ":2:16:", "server.body_timeout"),
    ("[upstream]", "[upstream]\nread_timeout = \"0s\"", ":5:16:", "upstream.read_timeout"),
    ("[upstream]", "[upstream]\nconnect_timeout = \"0s\"", ":5:19:", "upstream.connect_timeout"),
    ("ttl = \"1m\"", "ttl = \"1m", ":15:", ""),
    ("[session]", "[session", ":7:", ""),
];

#[test]
fn every_problem_has_its_place_and_its_setting() {
    for (good, bad, place, setting) in CASES {
        assert!(GOOD.contains(good), "{good}");
        let (code, said) = check(&GOOD.replacen(good, bad, 1));
        assert_eq!(code, 2, "{bad}: {said}");
        let line = said.lines().find(|line| line.contains(&format!("gateway.toml{place}")));
        let line = line.unwrap_or_else(|| panic!("{bad}: nothing at {place} in: {said}"));
        assert!(line.contains(setting), "{bad}: {line}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn the_path_of_a_token_is_one_path() {
    let path = |path: &str| check(&GOOD.replacen("/api/get-auth-token", path, 1));
    for wrong in ["token", "https://app.example/token", "/token?x=1", "/token/*", "/token/**"] {
        let (code, said) = path(wrong);
        let expected = "expected one exact path such as \"/api/get-auth-token\", without host";
        assert!(code == 2 && said.contains(expected), "{wrong}: {said}");
    }
    for parameter in ["/token/:id", "/token/[id]", "/token/{id}", "/token/$id/x"] {
        let (_, said) = path(parameter);
        assert!(said.contains("token.portive.path: found"), "{parameter}: {said}");
    }
    for fine in ["/token", "/token/a:b", "/t.json", "/token/"] {
        assert_eq!(path(fine), (0, "ok\n".to_owned()), "{fine}");
    }
}

#[test]
fn all_problems_are_reported_in_one_run() {
    let text = GOOD
        .replace("127.0.0.1:8080", "here")
        .replace("http://127.0.0.1:3000", "nowhere")
        .replace("env:NEXTAUTH_SECRET", "canary-pasted-into-the-file")
        .replace("\"1m\"", "60")
        .replace("30/minute", "often");
    let text = format!("{text}[[route]]\npath = \"x\"\nsession = \"maybe\"\n[unknown]\na = 1\n");
    let (code, said) = check(&text);
    assert_eq!(code, 2);
    for place in [":2:10:", ":5:12:", ":9:10:", ":16:9:", ":18:8:", ":19:11:", ":20:"] {
        assert!(said.contains(&format!("gateway.toml{place}")), "{place} in {said}");
    }
    let places: Vec<(usize, usize)> = said
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split("gateway.toml:").nth(1)?.split(':');
            Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
        })
        .collect();
    assert!(places.is_sorted(), "in the order of the file: {said}");
}

#[test]
fn settings_that_contradict_each_other_are_reported() {
    for (tables, setting) in [
        ("[[route]]\npath = \"/a\"\nallow = { \"/role\" = [\"x\"] }\n", "route"),
        ("[[route]]\npath = \"/a\"\nsign_in = \"/login\"\n", "route"),
        (
            "[[route]]\npath = \"/a\"\nsession = \"required\"\nsign_in = \"https://evil.test\"\n",
            "sign_in",
        ),
        (
            "[[route]]\npath = \"/a\"\nsession = \"required\"\nsign_in = \"//evil.test\"\n",
            "sign_in",
        ),
        ("[[route]]\npath = \"/a\"\nupstream = \"none\"\n", "upstream"),
        ("[[route]]\npath = \"/a\"\nmethods = [\"get\"]\n", "methods"),
        ("[[route]]\npath = \"/a\"\nset_headers = { \"X\" = \"{token.none}\" }\n", "set_headers"),
        ("[[route]]\npath = \"/a\"\nset_headers = { \"Host\" = \"x\" }\n", "set_headers"),
        ("[[route]]\npath = \"/a\"\nset_headers = { \"X_Y\" = \"x\" }\n", "set_headers"),
        (
            "[[route]]\npath = \"/a\"\nsession = \"off\"\nset_headers = { \"X\" = \"{session.user_id}\" }\n",
            "route",
        ),
        ("[identity]\nheaders = { \"X\" = \"{env.HOME}\" }\n", "identity.headers"),
        ("[identity]\nheaders = { \"a b\" = \"x\" }\n", "identity.headers"),
        (
            "[token.two]\npath = \"/api/get-auth-token\"\npreset = \"portive\"\nkey = \"env:PORTIVE_API_KEY\"\nttl = \"1m\"\n",
            "token.two",
        ),
        ("[log]\nlevel = \"loud\"\n", "log.level"),
    ] {
        let (code, said) = check(&format!("{GOOD}{tables}"));
        assert_eq!(code, 2, "{tables}: {said}");
        assert!(said.contains(setting), "{tables}: {said}");
    }
}

#[test]
fn a_key_of_the_wrong_shape_is_named_and_not_shown() {
    let (code, said) = check(&GOOD.replace("env:PORTIVE_API_KEY", "env:WRONG_KEY"));
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("gateway.toml:14:7: token.portive.key"), "{said}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    for (name, bytes) in [("binary.toml", &b"\xff\xfe\x00"[..]), ("nul.toml", b"a = \"\x00\"")] {
        let file = folder().join(name);
        std::fs::write(&file, bytes).unwrap();
        let (code, _, errors) =
            Process::finish(&["check", "--config", file.to_str().unwrap()], &ENVIRONMENT);
        assert_eq!(code, 2, "{name}");
        assert!(errors.contains(name), "{errors}");
    }
    let (code, _, errors) = Process::finish(&["check", "--config", "/nowhere/g.toml"], &[]);
    assert_eq!(code, 2);
    assert!(errors.contains("/nowhere/g.toml"), "{errors}");
    let (code, _, _) = Process::finish(&["check", "--confg", "x"], &[]);
    assert_eq!(code, 2, "an unknown option");
}
