//! `portcullis check` names what is allowed although it is unsafe, and what to write.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::{Process, eventually, folder};

const SAFE: &str = r#"[server]
listen = "127.0.0.1:0"

[upstream]
servers = ["http://127.0.0.1:3000"]

[session]
kind = "jwt"
cookie = "sid"
secret = "env:LONG"
audience = "app"

[preset.lab]
kind = "jwt"
alg = "HS256"
secret = "secret"
claims = { sub = "{session.user_id}", exp = "{exp}" }
ttl = "1m"
cache = "user"
response = { token = "{token}" }

[token.lab]
path = "/token"
preset = "lab"
key = "env:OTHER"
limit = "10/minute"

[identity]
headers = { X-User = "{session.user_id}" }
"#;

const ENVIRONMENT: [(&str, &str); 8] = [
    ("LONG", "0123456789abcdefghijklmnopqrstuv"),
    ("OTHER", "9876543210ABCDEFGHIJKLMNOPQRSTUV"),
    ("ONE", "x"),
    ("SHORT", "0123456789abcdefghijklmnopqrstu"),
    ("SAME", "ababababababababababababababababababab"),
    ("REDIS", "redis://cache.example/0"),
    ("SQL", "postgres://app:canary-word@db.example/app"),
    ("SQL_TLS", "postgres://app:canary-word@db.example/app?sslmode=verify-full"),
];

fn check(text: &str, options: &[&str]) -> (i32, String, String) {
    check_in(&folder(), text, options)
}

fn check_in(folder: &Path, text: &str, options: &[&str]) -> (i32, String, String) {
    let file = folder.join("gateway.toml");
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    Process::finish(&[&["check", "--config", path], options].concat(), &ENVIRONMENT)
}

/// A replacement in the safe file, and where the warning is then: line,
/// column and setting.
const CASES: [(&str, &str, &str); 38] = [
    ("\"env:LONG\"", "\"env:ONE\"", ":10:10: warning: session.secret: found a secret of 1 bytes"),
    ("\"env:LONG\"", "\"env:SHORT\"", ":10:10: warning: session.secret: found a secret of 31"),
    ("\"env:LONG\"", "\"env:SAME\"", ":10:10: warning: session.secret: found"),
    (
        "secret = \"env:LONG\"",
        "secrets = [\"env:LONG\", \"env:ONE\"]",
        ":10:24: warning: session.secrets[1]:",
    ),
    (
        "audience =",
        "algorithms = [\"HS512\"]\naudience =",
        "warning: session.secret: found a secret of 32 bytes",
    ),
    ("audience = \"app\"", "", ":7:1: warning: session.audience: found none"),
    ("audience =", "require_exp = false\naudience =", ":11:15: warning: session.require_exp:"),
    ("secret = \"env:LONG\"", "jwks_url = \"https://idp.example/k\"", "warning: session.issuer:"),
    (
        "\"env:OTHER\"",
        "\"env:ONE\"",
        ":25:7: warning: token.lab.key: found a shared secret of 1 bytes",
    ),
    ("\"env:OTHER\"", "\"env:SAME\"", ":25:7: warning: token.lab.key: found"),
    ("alg = \"HS256\"", "alg = \"HS384\"", ":25:7: warning: token.lab.key:"),
    ("limit = \"10/minute\"", "", "warning: token.lab.limit: found none"),
    ("[server]", "[server]\nadmin = \"0.0.0.0:9090\"", ":2:9: warning: server.admin:"),
    ("[server]", "[server]\nadmin = \"[::]:9090\"", ":2:9: warning: server.admin:"),
    ("[server]", "[server]\nadmin = \"10.1.2.3:9090\"", ":2:9: warning: server.admin:"),
    (
        "[server]",
        "[server]\ntrusted_proxies = [\"0.0.0.0/0\"]",
        ":2:20: warning: server.trusted_proxies[0]:",
    ),
    (
        "[server]",
        "[server]\ntrusted_proxies = [\"127.0.0.1\", \"::/0\"]",
        "warning: server.trusted_proxies[1]:",
    ),
    (
        "[server]",
        "[server]\ntrusted_proxies = [\"0.0.0.0/1\", \"128.0.0.0/1\"]",
        "warning: server.trusted_proxies[1]:",
    ),
    (
        "[server]",
        "[server]\ntrusted_proxies = [\"::ffff:0.0.0.0/96\"]",
        "warning: server.trusted_proxies[0]:",
    ),
    (
        "[server]",
        "[server]\nproxy_protocol = [\"0.0.0.0/0\"]",
        "warning: server.proxy_protocol[0]:",
    ),
    ("http://127.0.0.1:3000", "http://10.0.0.7:3000", ":5:12: warning: upstream.servers[0]:"),
    ("http://127.0.0.1:3000", "http://app:3000", ":5:12: warning: upstream.servers[0]:"),
    ("[upstream]", "[upstream.web]", ""),
    ("kind = \"jwt\"\ncookie", "kind = \"cookie-session\"\ncookie", ":8:8: warning: session.kind:"),
    ("kind = \"jwt\"\ncookie", "kind = \"react-router\"\ncookie", ":8:8: warning: session.kind:"),
    (
        "[session]",
        "[[session]]\nkind = \"next-auth\"\nsecret = \"env:LONG\"\n\n[[session]]",
        "warning: session[0].user_prefix:",
    ),
    (
        "\"env:LONG\"",
        "\"file:secret-0644\"",
        ":10:10: warning: session.secret: found a file of mode 0644",
    ),
    (
        "\"env:OTHER\"",
        "\"file:secret-0644\"",
        ":25:7: warning: token.lab.key: found a file of mode 0644",
    ),
    ("\"env:LONG\"", "\"file:secret-0602\"", "warning: session.secret: found a file of mode 0602"),
    ("\"env:LONG\"", "\"file:secret-0640\"", ""),
    ("\"env:LONG\"", "{ \"1\" = \"env:LONG\", \"2\" = \"env:ONE\" }", "warning: session.secret.2:"),
    ("[server]", "[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"fc00::/7\", \"unix\"]", ""),
    (
        "[identity]",
        "[[route]]\npath = \"/a/**\"\nmethods = [\"GET\", \"HEAD\"]\nsession = \"required\"\n\
         [[route]]\npath = \"/**\"\n[identity]",
        ":30:11: warning: route[0].methods: found a guard for some methods only: POST /a/** falls \
         under the later rule \"/**\"",
    ),
    (
        "[identity]",
        "[[route]]\npath = \"/a/b\"\nmethods = \"POST\"\nsession = \"required\"\n\
         [[route]]\npath = \"/a/**\"\nsession = \"off\"\nmethods = \"PUT\"\n[identity]",
        "warning: route[0].methods: found a guard for some methods only: PUT /a/b",
    ),
    (
        "[identity]",
        "[[route]]\npath = \"/a\"\nmethods = \"GET\"\nsession = \"required\"\n\
         [[route]]\npath = \"/a\"\n[identity]",
        "warning: route[0].methods: found a guard for some methods only: HEAD /a",
    ),
    (
        "[identity]",
        "[[route]]\npath = \"/a/**\"\nmethods = \"GET\"\nsession = \"required\"\n\
         [[route]]\npath = \"/b/**\"\n[identity]",
        "",
    ),
    (
        "[identity]",
        "[[route]]\npath = \"/a/**\"\nmethods = \"GET\"\nsession = \"required\"\n\
         [[route]]\npath = \"/a/**\"\nsession = \"required\"\n[[route]]\npath = \"/**\"\n[identity]",
        "",
    ),
    (
        "[identity]",
        "[[route]]\npath = \"/a/**\"\nmethods = \"OPTIONS\"\nsession = \"off\"\n\
         [[route]]\npath = \"/a/**\"\nsession = \"required\"\n[[route]]\npath = \"/**\"\n[identity]",
        "",
    ),
];

/// The safe file with the change, without what a kind does not take.
fn changed(from: &str, to: &str) -> String {
    assert!(SAFE.contains(from), "{from}");
    let text = SAFE.replacen(from, to, 1);
    if to.contains("cookie-session") || to.contains("react-router") {
        return text.replace("audience = \"app\"", "user_id = \"/id\"");
    }
    text
}

#[test]
fn each_unsafe_setting_has_its_place_and_says_what_to_write() {
    let folder = folder();
    for mode in [0o644, 0o602, 0o640] {
        let file = folder.join(format!("secret-{mode:04o}"));
        std::fs::write(&file, "ZYXWVUTSRQPONMLKJIHGFEDCBA987654").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    for (from, to, expected) in CASES {
        let (code, said, warned) = check_in(&folder, &changed(from, to), &[]);
        assert_eq!((code, said.as_str()), (0, "ok\n"), "{to}: {warned}");
        assert!(warned.contains(expected), "{to}: {warned}");
        assert_eq!(warned.is_empty(), expected.is_empty(), "{to}: {warned}");
        for line in warned.lines() {
            assert!(line.contains("gateway.toml:") && line.contains(": warning: "), "{line}");
            assert!(line.contains(", expected "), "{line}");
            assert!(line.contains("write ") || line.contains("run "), "{line}");
        }
    }
}

#[test]
fn a_safe_file_is_fine_strictly_too() {
    assert_eq!(check(SAFE, &["--strict"]), (0, "ok\n".to_owned(), String::new()));
}

/// Wherever the file is checked, it may run elsewhere: a warning.
#[test]
fn a_path_where_nothing_can_be_made_is_named_with_its_place() {
    let folder = folder();
    let at = |name: &str| folder.join(name).display().to_string();
    std::fs::write(at("file"), "").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let audit = |path: &str| format!("{SAFE}[log]\naudit = \"{path}\"\n");
    let listen = |path: &str| SAFE.replace("127.0.0.1:0", &format!("unix:{path}"));
    let admin = |path: &str| listen(path).replace("listen =", "listen = \"127.0.0.1:0\"\nadmin =");
    let required = format!("{SAFE}[log]\naudit = {{ to = {:?}, required = true }}\n", at("no/a"));
    for (text, place, why) in [
        (audit(&at("no/audit.jsonl")), "31:9: warning: log.audit: ", "whose folder does not exist"),
        (audit(&at("file/audit.jsonl")), "31:9: warning: log.audit: ", "whose folder is a file"),
        (audit("no/audit.jsonl"), "31:9: warning: log.audit: ", "whose folder does not exist"),
        (audit(&at("")), "31:9: warning: log.audit: ", "which is a folder"),
        (required, "31:16: warning: log.audit.to: ", "whose folder does not exist"),
        (
            listen(&at("no/http.sock")),
            "2:10: warning: server.listen",
            "whose folder does not exist",
        ),
        (listen(&at("file")), "2:10: warning: server.listen", "is not a socket"),
        (admin(&at("no/admin.sock")), "3:9: warning: server.admin", "whose folder does not exist"),
    ] {
        let (code, said, errors) = check_in(&folder, &text, &[]);
        assert_eq!((code, said.as_str()), (0, "ok\n"), "{text}: {errors}");
        let lines: Vec<_> = errors.lines().collect();
        let is_it = |line: &&str| line.contains(place) && line.contains(why);
        assert!(lines.len() == 1 && lines.iter().all(is_it), "{text}: {errors}");
        assert_eq!(check_in(&folder, &text, &["--strict"]).0, 2, "{text}");
    }
    for text in [
        audit(&at("audit.jsonl")),
        audit(&at("file")),
        audit("stdout"),
        audit("/dev/null"),
        listen(&at("http.sock")),
        listen(&at("socket")),
    ] {
        let (code, _, errors) = check_in(&folder, &text, &["--strict"]);
        assert_eq!((code, errors.as_str()), (0, ""), "{text}");
    }
    assert!(!folder.join("audit.jsonl").exists(), "checking makes no file");
}

#[test]
fn strictly_a_warning_is_an_error() {
    let text = SAFE.replace("limit = \"10/minute\"\n", "").replace("audience = \"app\"\n", "");
    let (code, said, errors) = check(&text, &["--strict"]);
    assert_eq!((code, said.as_str()), (2, ""));
    assert!(errors.contains("token.lab.limit") && errors.contains("session.audience"), "{errors}");
    assert!(errors.trim_end().ends_with("2 problems found"), "{errors}");
}

#[test]
fn a_store_elsewhere_without_tls_is_named_and_its_password_is_not() {
    let store = |url: &str, engine: &str| {
        let session = format!(
            "kind = \"lookup\"\ncookie = \"sid\"\nuser_id = \"/id\"\n[session.store]\nengine = \"{engine}\"\n\
             url = \"env:{url}\"\n"
        );
        let own = if engine == "redis" { "prefix = \"s:\"\n" } else { "" };
        let from = "kind = \"jwt\"\ncookie = \"sid\"\nsecret = \"env:LONG\"\naudience = \"app\"\n";
        check(&SAFE.replacen(from, &format!("{session}{own}"), 1), &[])
    };
    for (url, engine, exposed) in
        [("REDIS", "redis", true), ("SQL", "sql", true), ("SQL_TLS", "sql", false)]
    {
        let (code, _, warned) = store(url, engine);
        assert_eq!(code, 0, "{warned}");
        assert_eq!(warned.contains("warning: session.store.url"), exposed, "{url}: {warned}");
        assert!(!warned.contains("canary"), "{warned}");
    }
}

#[test]
fn a_shared_store_that_anyone_may_change_is_named_and_its_address_is_not() {
    const TLS: &str = "without TLS";
    const PASSWORD: &str = "without a password";
    for (address, said) in [
        ("redis://cache.example", &[TLS, PASSWORD][..]),
        ("redis://:canary-word@cache.example", &[TLS]),
        ("redis+sentinel://gate:canary-word@127.0.0.1,s2.example/main", &[TLS]),
        ("redis+cluster://10.0.0.1,10.0.0.2", &[TLS, PASSWORD]),
        ("rediss://cache.example", &[PASSWORD]),
        ("redis://gate@127.0.0.1", &[PASSWORD]),
        ("redis://[::1]:6380/2", &[PASSWORD]),
        ("rediss://gate:canary-word@cache.example", &[]),
        ("rediss+cluster://c1?cert=/c.pem&key=/k.pem", &[]),
        ("redis://:canary-word@localhost", &[]),
        ("unix:/run/redis/socket", &[]),
    ] {
        let folder = folder();
        let file = folder.join("address");
        std::fs::write(&file, address).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let shared = format!("{SAFE}\n[shared]\nredis = \"file:{}\"\n", file.display());
        let (code, _, warned) = check_in(&folder, &shared, &[]);
        assert_eq!(code, 0, "{warned}");
        let warnings: Vec<&str> =
            warned.lines().filter(|line| line.contains("warning: ")).collect();
        assert_eq!(warnings.len(), said.len(), "{address}: {warned}");
        for (warning, said) in warnings.iter().zip(said) {
            assert!(warning.contains(":32:9: warning: shared.redis: found"), "{warning}");
            assert!(warning.contains(said) && warning.contains("; write redis"), "{warning}");
        }
        assert!(!warned.contains("canary") && !warned.contains("example"), "{warned}");
    }
}

#[test]
fn the_running_gateway_logs_its_warnings_at_start_and_at_each_reload() {
    let file = folder().join("gateway.toml");
    let text = SAFE.replace("limit = \"10/minute\"\n", "");
    let text = text.replace("[server]", "[server]\nadmin = false\nwatch = false");
    let process = Process::run(&file, &text, &ENVIRONMENT);
    let warned = || process.errors().matches("warning: token.lab.limit: found none").count();
    eventually("the warning at start", || warned() == 1);
    eventually("the listener", || process.errors().contains("listening"));
    process.signal("HUP");
    eventually("the warning at the reload", || warned() == 2);
    for line in process.errors().lines().filter(|line| line.contains("warning: ")) {
        assert!(line.contains("\"WARN\"") && line.contains("gateway.toml:"), "{line}");
    }
}
