//! The same over HTTP/2 and TLS.

use std::io;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::runtime::{Builder, Runtime};

use super::pages::page;
use super::tokens::{PATH, is_token};
use super::{Page, Turn, user};
use crate::app::{receipt, text};
use crate::soak::Soak;
use crate::support::{Response, cookie_of, get, http2};
use crate::wire::Wire;
use crate::world::Met;

const PIECES: [&[u8]; 3] = [b"one ", b"two ", b""];

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn answer(answer: Result<Response, h2::Error>) -> io::Result<Response> {
    answer.map_err(io::Error::other)
}

/// A page, an upload and a token at once, over one connection.
async fn three(soak: &Soak, number: u64, client: &SendRequest<Bytes>) -> Result<(), Met> {
    let user = user(number);
    let cookie = cookie_of(&user);
    let request = |method, path: &str| http2::request(method, path).header("cookie", &cookie);
    let wanted = Page::new(soak, number, Some(&user));
    let (page, upload, token) = tokio::join!(
        http2::ask(client, request("GET", &format!("/page/{number}/5000")), &[]),
        http2::ask(client, request("POST", &format!("/upload/{number}")), &PIECES),
        http2::ask(client, request("GET", PATH), &[]),
    );
    is_token(&answer(token)?, &user)?;
    wanted.is(soak, &answer(page)?, &text(number, 5000))?;
    wanted.is(soak, &answer(upload)?, receipt(number, &PIECES.concat()).as_bytes())
}

/// With prior knowledge; three requests a turn, a new connection for every
/// hundredth.
pub(super) fn http2(soak: &Soak) -> Turn<'_> {
    let runtime = runtime();
    let mut kept = None;
    Turn::new(move |number| {
        runtime.block_on(async {
            if number.is_multiple_of(100) {
                kept = None;
            }
            let client = match kept.take() {
                Some(client) => client,
                None => http2::open(&soak.plain).await,
            };
            three(soak, number, &client).await?;
            kept = Some(client);
            Ok(())
        })
    })
}

/// A handshake, and three requests.
pub(super) fn tls(soak: &Soak) -> Turn<'_> {
    let client = soak.authority.client();
    Turn::new(move |number| {
        let mut wire = Wire::over(client.try_open(&soak.secure, "app.test")?);
        page(soak, number, 1024, |request| wire.ask(&request.bytes()))?;
        let user = user(number);
        is_token(&wire.ask(&get(PATH).user(&user).bytes())?, &user)?;
        page(soak, number + 1, 20_000, |request| wire.ask(&request.bytes()))
    })
}

/// A handshake, and three requests.
pub(super) fn tls_http2(soak: &Soak) -> Turn<'_> {
    let runtime = runtime();
    let config = soak.authority.client().offering(&["h2"]).0;
    Turn::new(move |number| {
        runtime.block_on(async {
            let client = http2::open_tls(&soak.secure, config.clone()).await;
            three(soak, number, &client).await
        })
    })
}
