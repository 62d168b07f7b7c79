//! Published keys, as `/readyz` and the commands see them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::app::readiness;
use crate::support::{App, SESSION_SECRET, Setup, cookie_of, eventually, get};

#[test]
fn the_gateway_serves_while_keys_are_missing_and_says_so() {
    // Accepts connections and answers once somebody says it may.
    let provider = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = provider.local_addr().unwrap().port();
    let app = App::start();
    let setup = Setup::new(&app).token("");
    let fixed = format!("secret = \"{SESSION_SECRET}\"");
    let remote = format!("algorithms = [\"HS256\"]\njwks_url = \"http://127.0.0.1:{port}/keys\"");
    let text = setup.text().replace(&fixed, &remote);
    let gateway = setup.replaced_by(text).start();
    let (mut asked, _) = provider.accept().unwrap();
    assert_eq!(gateway.ask(&get("/page")).status, 200);
    let (status, text) = readiness(&gateway);
    assert_eq!((status, text.as_str()), (503, "session jwt: published keys: not fetched yet\n"));
    let waited = gateway.ask(&get(crate::app::PATH).header("Cookie", &cookie_of("ada")));
    assert_eq!((waited.status, waited.code().as_str()), (503, "unavailable"));
    let _ = asked.read(&mut [0; 4096]).unwrap();
    let key = base64::Engine::encode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        SESSION_SECRET.as_bytes(),
    );
    let body = format!(r#"{{"keys":[{{"kty":"oct","k":"{key}"}}]}}"#);
    let length = body.len();
    write!(asked, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    eventually("the keys are there", || readiness(&gateway).0 == 200);
    let known = gateway.ask(&get(crate::app::PATH).header("Cookie", &cookie_of("ada")));
    assert_eq!(known.status, 200);
}
