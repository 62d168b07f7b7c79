//! The settings of TLS listeners: what is wrong with them, and what a reload
//! changes while connections go on.

use std::fs;
use std::path::Path;

use crate::support::running::{ENVIRONMENT, Running, file_of};
use crate::support::tls::{Authority, certificate};
use crate::support::{
    App, Conn, Process, Setup, assert_no_secret, eventually, folder, get, replace,
};

fn check(server: &str) -> (i32, String) {
    let text = format!(
        "[server]\n{server}\n[upstream]\nservers = [\"http://127.0.0.1:3000\"]\n\
         [session]\nkind = \"jwt\"\ncookie = \"s\"\nsecret = \"env:SESSION_SECRET\"\n"
    );
    let file = folder().join("gateway.toml");
    fs::write(&file, text).unwrap();
    let (code, output, errors) =
        Process::finish(&["check", "--config", file.to_str().unwrap()], &ENVIRONMENT);
    // The test's files are open to all, of which `warnings` has tests.
    let problems: String =
        errors.split_inclusive('\n').filter(|line| !line.contains(": warning: ")).collect();
    (code, format!("{output}{problems}"))
}

#[test]
fn everything_that_browsers_would_refuse_is_reported_with_its_place() {
    let authority = Authority::new();
    let good = authority.issue(&["app.test"]);
    let other = authority.issue(&["other.test"]);
    let expired = authority.issue_until(&["old.test"], (2020, 1, 1));
    let nameless = authority.issue(&[]);
    let text = authority.folder.join("text.pem");
    fs::write(&text, "canary: not PEM at all").unwrap();
    let garbled = authority.folder.join("garbled.pem");
    fs::write(&garbled, "-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n")
        .unwrap();
    let pair = |cert: &Path, key: &Path| format!("{{ cert = {cert:?}, key = {key:?} }}");
    let pasted = fs::read_to_string(&good.key).unwrap();
    let missing = authority.folder.join("none.pem");
    let cases = [
        (pair(&good.cert, &other.key), "server.tls[0].key", "does not belong to the certificate"),
        (expired.item(), "server.tls[0].cert", "expired"),
        (pair(&missing, &good.key), "server.tls[0].cert", "does not exist"),
        (pair(&good.cert, &missing), "server.tls[0].key", "does not exist"),
        (pair(&good.key, &good.key), "server.tls[0].cert", "no certificate"),
        (pair(&good.cert, &good.cert), "server.tls[0].key", "no private key"),
        (pair(&text, &text), "server.tls[0].cert", "no certificate"),
        (pair(&garbled, &good.key), "server.tls[0].cert", "cannot be read"),
        (nameless.item(), "server.tls[0].cert", "names no host"),
        (format!("{{ cert = {:?} }}", good.cert), "server.tls[0]", "`key` is missing"),
        (format!("{{ key = {:?} }}", good.key), "server.tls[0]", "`cert` is missing"),
        (
            format!("{{ cert = {:?}, key = '''{pasted}''' }}", good.cert),
            "server.tls[0].key",
            "not a reference",
        ),
        (
            good.item().replace(" }", ", names = [\"a/b\"] }"),
            "server.tls[0].names[0]",
            "a host name",
        ),
        (good.item().replace(" }", ", names = [] }"), "server.tls[0].names", "empty"),
        (good.item().replace(" }", ", name = \"x\" }"), "server.tls[0].name", "`names`"),
        (
            format!("{}, {}", good.item(), pair(&other.cert, &good.key)),
            "server.tls[1].key",
            "does not belong",
        ),
    ];
    for (item, setting, what) in cases {
        let (code, said) = check(&format!("listen = \"127.0.0.1:0\"\ntls = [{item}]"));
        assert_eq!(code, 2, "{item}: {said}");
        let line = said.lines().find(|line| line.contains(setting)).unwrap_or_default();
        assert!(line.contains("gateway.toml:3:") && line.contains(what), "{item}: {said}");
        assert!(!said.contains("PRIVATE KEY-----\n"), "{said}");
        assert_no_secret("the report", said.as_bytes());
    }
    let (code, said) = check(&format!("listen = \"127.0.0.1:0\"\ntls = [{}]", good.item()));
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("certificate app.test: ") && said.ends_with("ok\n"), "{said}");
}

#[test]
fn settings_that_do_not_fit_together_are_reported() {
    let authority = Authority::new();
    let good = authority.issue(&["app.test"]).item();
    let tls = format!("tls = [{good}]\n");
    for (lines, what) in [
        ("listen = \"https://127.0.0.1:0\"".to_owned(), "needs `tls`"),
        (tls.clone(), "`tls` needs `listen`"),
        ("listen = \"127.0.0.1:0\"\ntls = []".to_owned(), "the list is empty"),
        (format!("listen = \"unix:/tmp/x.sock\"\n{tls}"), "no address in `listen` speaks TLS"),
        (format!("listen = \"http://127.0.0.1:0\"\n{tls}"), "no address in `listen` speaks TLS"),
        ("redirect = \"127.0.0.1:0\"".to_owned(), "no TLS listener"),
        (
            format!("listen = \"127.0.0.1:0\"\n{tls}redirect = \"https://127.0.0.1:0\""),
            "plain HTTP",
        ),
        (format!("listen = \"127.0.0.1:0\"\n{tls}redirect_port = 443"), "belongs to `redirect`"),
        (
            format!("listen = \"127.0.0.1:0\"\n{tls}redirect = \"127.0.0.1:0\"\nredirect_port = 0"),
            "a port",
        ),
        (format!("listen = \"127.0.0.1:0\"\n{tls}client_ca = \"/nowhere.pem\""), "does not exist"),
        ("client_ca = \"ca.pem\"".to_owned(), "client_ca"),
        ("max_connections = 0".to_owned(), "one or more"),
        ("max_connections_per_address = 0".to_owned(), "one or more"),
        ("max_streams = 0".to_owned(), "one or more"),
        ("proxy_protocol = [\"everybody\"]".to_owned(), "a network such as"),
        ("watch = 5".to_owned(), "5s"),
    ] {
        let (code, said) = check(&lines);
        assert_eq!(code, 2, "{lines}: {said}");
        assert!(said.contains(what), "{lines}: {said}");
    }
}

#[test]
fn a_reload_changes_certificates_and_no_connection_notices() {
    let (app, authority) = (App::start(), Authority::new());
    let (files, renewed) = (authority.issue(&["app.test"]), authority.issue(&["app.test"]));
    let old = certificate(&files.cert);
    let client = authority.client();
    let setup = |items: &str| Setup::new(&app).server(&format!("watch = false\ntls = [{items}]"));
    let running = Running::start(&setup(&files.item()));
    let address = &running.address;
    let mut kept = client.open(address, "app.test");
    assert_eq!(kept.ask(&get("/x")).status, 200);
    assert_eq!(client.shown(address, "app.test"), old);
    // A key that does not belong to its certificate: half of a renewal.
    fs::copy(&renewed.cert, &files.cert).unwrap();
    running.signal("HUP");
    eventually("the refusal", || {
        running.process.errors().contains("does not belong to the certificate")
    });
    assert_eq!(client.shown(address, "app.test"), old);
    files.become_like(&renewed);
    let more = authority.issue(&["new.test"]);
    replace(&running.file, file_of(&setup(&format!("{}, {}", files.item(), more.item()))));
    running.signal("HUP");
    eventually("the new certificate", || {
        client.shown(address, "app.test") == certificate(&renewed.cert)
    });
    assert_eq!(client.shown(address, "new.test"), certificate(&more.cert));
    assert_eq!(kept.ask(&get("/x")).status, 200, "on the connection from before");
    let shown = "portcullis_certificate_expiry_seconds{name=\"new.test\"}";
    eventually(shown, || running.admin("/metrics").1.contains(shown));
    // Going back to plain HTTP is another matter.
    let plain = file_of(&Setup::new(&app).server("watch = false"));
    replace(&running.file, plain);
    running.signal("HUP");
    eventually("the refusal", || running.process.errors().contains("`server.listen` changed"));
    assert_eq!(kept.ask(&get("/x")).status, 200);
}

#[test]
fn plain_listeners_work_beside_tls_ones() {
    let (app, authority) = (App::start(), Authority::new());
    let socket = folder().join("gateway.sock");
    let listen = format!("127.0.0.1:0\", \"http://127.0.0.1:0\", \"unix:{}", socket.display());
    let tls = format!("tls = [{}]", authority.issue(&["app.test"]).item());
    let text = Setup::new(&app).server(&tls).text();
    let text = text.replace("listen = \"127.0.0.1:0\"", &format!("listen = [\"{listen}\"]"));
    let gateway = Setup::new(&app).replaced_by(text).start();
    let [secured, plain, unix] = gateway.addresses.as_slice() else { panic!("three listeners") };
    let client = authority.client();
    assert_eq!(client.open(secured, "app.test").ask(&get("/secured")).status, 200);
    assert_eq!(app.last().one("x-forwarded-proto").as_deref(), Some("https"));
    for address in [plain, unix] {
        assert_eq!(Conn::open(address).ask(&get("/plain")).status, 200, "{address}");
        assert_eq!(app.last().one("x-forwarded-proto").as_deref(), Some("http"));
    }
    assert_eq!(Path::new(unix), socket);
}
