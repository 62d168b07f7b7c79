//! Published keys, as `/readyz` and the commands see them.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::app::readiness;
use crate::support::{App, PATIENCE, SESSION_SECRET, Setup, cookie_of, eventually, get};

/// Answers one question with the key of the test's sessions, as soon as it may.
fn provide(mut stream: TcpStream, asked: &Sender<()>, may_answer: &AtomicBool) {
    let _ = stream.read(&mut [0; 4096]);
    let _ = asked.send(());
    while !may_answer.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let key = URL_SAFE_NO_PAD.encode(SESSION_SECRET);
    let body = format!(r#"{{"keys":[{{"kty":"oct","k":"{key}"}}]}}"#);
    let length = body.len();
    // Whoever asked may have given up.
    let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
}

#[test]
fn the_gateway_serves_while_keys_are_missing_and_says_so() {
    // Answers whoever asks, once the test says that it may.
    let provider = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = provider.local_addr().unwrap().port();
    let (asked, begins) = std::sync::mpsc::channel();
    let may_answer = Arc::new(AtomicBool::new(false));
    let may = may_answer.clone();
    std::thread::spawn(move || {
        for stream in provider.incoming().flatten() {
            let (asked, may) = (asked.clone(), may.clone());
            std::thread::spawn(move || provide(stream, &asked, &may));
        }
    });
    let app = App::start();
    let setup = Setup::new(&app).token("");
    let fixed = format!("secret = \"{SESSION_SECRET}\"");
    let remote = format!("algorithms = [\"HS256\"]\njwks_url = \"http://127.0.0.1:{port}/keys\"");
    let text = setup.text().replace(&fixed, &remote);
    let gateway = setup.replaced_by(text).start();
    begins.recv_timeout(PATIENCE).unwrap();
    assert_eq!(gateway.ask(&get("/page")).status, 200);
    let (status, text) = readiness(&gateway);
    assert_eq!((status, text.as_str()), (503, "session jwt: published keys: not fetched yet\n"));
    let waited = gateway.ask(&get(crate::app::PATH).header("Cookie", &cookie_of("ada")));
    assert_eq!((waited.status, waited.code().as_str()), (503, "unavailable"));
    may_answer.store(true, Ordering::SeqCst);
    eventually("the keys are there", || readiness(&gateway).0 == 200);
    let known = gateway.ask(&get(crate::app::PATH).header("Cookie", &cookie_of("ada")));
    assert_eq!(known.status, 200);
}
