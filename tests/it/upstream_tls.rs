//! Apps behind `https://`: the gateway makes sure whom it talks to.

use crate::support::tls::post_quantum;
use crate::support::{App, Gateway, Process, Setup, Signer, eventually, folder, get, post};

/// A gateway in front of `app`, told about TLS in the given words.
fn gateway(app: &App, tls: &str) -> Gateway {
    Setup::new(app).upstream(&format!("retries = 0\ntls = {{ {tls} }}")).start()
}

fn ca(signer: &Signer) -> String {
    format!("ca = {:?}", signer.pem())
}

#[test]
fn an_app_with_the_right_certificate_is_served() {
    let signer = Signer::new();
    let app = App::over_tls(signer.server("127.0.0.1", &[]));
    let gateway = gateway(&app, &ca(&signer));
    let (public, private) = (gateway.ask(&get("/x")), gateway.ask(&post("/x", b"abc").user("ada")));
    assert_eq!((public.status, private.status), (200, 200), "{public:?}");
    assert_eq!(app.seen()[1].one("x-auth-user").as_deref(), Some("ada"));
    assert_eq!(app.seen()[1].wire, b"abc");
}

#[test]
fn keys_are_agreed_on_that_no_quantum_computer_finds_out() {
    let signer = Signer::new();
    let app = App::over_tls(signer.server_made_of(post_quantum(), "127.0.0.1", &[]));
    assert_eq!(gateway(&app, &ca(&signer)).ask(&get("/x")).status, 200);
}

#[test]
fn the_name_to_ask_for_can_be_another() {
    let signer = Signer::new();
    let app = App::over_tls(signer.server("app.internal", &[]));
    let named = gateway(&app, &format!("{}, sni = \"app.internal\"", ca(&signer)));
    assert_eq!(named.ask(&get("/x")).status, 200);
    let unnamed = gateway(&app, &ca(&signer));
    unnamed.ask(&get("/x")).assert_refused(502, "upstream_failed");
    let misnamed = gateway(&app, &format!("{}, sni = \"other.internal\"", ca(&signer)));
    misnamed.ask(&get("/x")).assert_refused(502, "upstream_failed");
    assert_eq!(app.seen().len(), 1, "nothing is sent to somebody else");
}

#[test]
fn an_unknown_authority_is_refused() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let app = App::over_tls(stranger.server("127.0.0.1", &[]));
    let private = gateway(&app, &ca(&signer));
    private.ask(&get("/x")).assert_refused(502, "upstream_failed");
    let public = Setup::new(&app).start();
    public.ask(&get("/x")).assert_refused(502, "upstream_failed");
    let both = gateway(&app, &format!("ca = {:?}", signer.pem() + &stranger.pem()));
    assert_eq!(both.ask(&get("/x")).status, 200, "one of several may have signed it");
    assert_eq!(app.seen().len(), 1);
}

#[test]
fn a_plain_app_behind_https_gets_nothing() {
    let signer = Signer::new();
    let app = App::start();
    let url = app.url().replace("http://", "https://");
    let settings = format!("connect_timeout = \"100ms\"\ntls = {{ {} }}", ca(&signer));
    let gateway = Setup::towards(&url).upstream(&settings).start();
    gateway.ask(&post("/x", b"secret").user("ada")).assert_refused(504, "timeout");
    let text = app.seen().iter().any(|seen| seen.head.windows(4).any(|w| w == b"POST"));
    assert!(!text, "in the clear");
}

#[test]
fn a_connection_made_before_a_reload_is_not_trusted_after_it() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let app = App::over_tls(stranger.server("127.0.0.1", &[]));
    let setup = |tls: &str| Setup::new(&app).upstream(&format!("retries = 0\ntls = {{ {tls} }}"));
    let gateway = setup(&ca(&stranger)).start();
    assert_eq!(gateway.ask(&get("/x")).status, 200);
    gateway.reload(&setup(&ca(&signer)));
    gateway.ask(&get("/x")).assert_refused(502, "upstream_failed");
    gateway.reload(&setup("verify = false"));
    assert_eq!(gateway.ask(&get("/x")).status, 200);
    gateway.reload(&setup(&ca(&signer)));
    gateway.ask(&get("/x")).assert_refused(502, "upstream_failed");
}

#[test]
fn a_websocket_goes_over_tls_too() {
    let signer = Signer::new();
    let app = App::over_tls(signer.server("127.0.0.1", &[]));
    let gateway = gateway(&app, &ca(&signer));
    let upgrade = get("/do/websocket")
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    for _ in 0..5 {
        let mut conn = gateway.connect();
        assert_eq!(conn.ask(&upgrade).status, 101);
        conn.write(b"frame");
        assert_eq!(conn.exactly(5), b"frame");
    }
}

#[test]
fn probes_check_the_certificate_as_requests_do() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let app = App::over_tls(signer.server("127.0.0.1", &[]));
    let health = "health = { path = \"/\", every = \"1s\", timeout = \"1s\" }";
    let setup = |ca: &str| Setup::new(&app).upstream(&format!("{health}\ntls = {{ {ca} }}"));
    let gateway = setup(&ca(&signer)).start();
    let probes = |result: &str| {
        let labels = format!("{{result=\"{result}\",upstream=\"default\"}}");
        gateway.metric(&format!("portcullis_upstream_probes_total{labels}"))
    };
    eventually("a good probe", || probes("ok") > 0);
    gateway.reload(&setup(&ca(&stranger)));
    eventually("failed probes", || probes("failed") > 0);
}

#[test]
fn check_warns_of_a_certificate_that_is_not_verified() {
    let file = folder().join("gateway.toml");
    let path = file.to_str().unwrap();
    let check = |tls: &str| {
        let text = format!("[upstream]\nservers = [\"https://app.test\"]\ntls = {{ {tls} }}\n");
        std::fs::write(&file, text).unwrap();
        Process::finish(&["check", "--config", path], &[])
    };
    let (code, said, warned) = check("verify = false");
    assert_eq!((code, said.as_str()), (0, "ok\n"));
    assert!(warned.contains("warning: upstream.tls: verify = false"), "{warned}");
    let ca = format!("ca = \"file:{}\"", Signer::new().file().display());
    assert_eq!(check(&ca), (0, "ok\n".to_owned(), String::new()));
    let (code, _, said) = check("ca = \"file:/nowhere/ca.pem\"");
    assert!(code == 2 && said.contains("upstream.tls.ca"), "{said}");
}
