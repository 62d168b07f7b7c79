//! Pages and uploads over HTTP/1.1.

use super::{Kept, Page, Turn, user};
use crate::app::{receipt, text};
use crate::soak::Soak;
use crate::support::{Request, get};
use crate::wire::Wire;
use crate::world::Met;

/// A page, for every third time a stranger.
pub(super) fn page(
    soak: &Soak,
    number: u64,
    size: usize,
    ask: impl FnOnce(&Request) -> std::io::Result<crate::support::Response>,
) -> Result<(), Met> {
    let user = (!number.is_multiple_of(3)).then(|| user(number));
    let page = Page::new(soak, number, user.as_deref());
    let request = get(&format!("/page/{number}/{size}"));
    // Of which the gateway lets none pass.
    let request = request.header("X-Auth-User", "root").header("X_Auth_User", "root");
    let answer = ask(&match &user {
        Some(user) => request.user(user),
        None => request,
    })?;
    page.is(soak, &answer, &text(number, size))
}

pub(super) fn small(soak: &Soak) -> Turn<'_> {
    let mut kept = Kept::new(soak);
    Turn::new(move |number| page(soak, number, 1024, |request| kept.ask(request)))
}

pub(super) fn large(soak: &Soak) -> Turn<'_> {
    let mut kept = Kept::new(soak);
    Turn::new(move |number| page(soak, number, 100 * 1024, |request| kept.ask(request)))
}

/// Half of the clients say that it is their last request.
pub(super) fn unkept(soak: &Soak) -> Turn<'_> {
    Turn::new(move |number| {
        page(soak, number, 1024, |request| {
            let mut request = request.clone();
            if number.is_multiple_of(2) {
                request = request.header("Connection", "close");
            }
            Wire::open(&soak.plain)?.ask(&request.bytes())
        })
    })
}

/// Of all sizes up to 300 KB, half of them in chunks.
pub(super) fn upload(soak: &Soak) -> Turn<'_> {
    let mut kept = Kept::new(soak);
    Turn::new(move |number| {
        let size = usize::try_from(number.wrapping_mul(7919) % 300_000).unwrap_or_default();
        let (body, user) = (text(number, size), user(number));
        let page = Page::new(soak, number, Some(&user));
        let request = Request::new("POST", &format!("/upload/{number}")).user(&user);
        let request = if number.is_multiple_of(2) {
            request.header("Content-Length", &size.to_string()).raw_body(&body)
        } else {
            request.header("Transfer-Encoding", "chunked").raw_body(&chunked(&body))
        };
        page.is(soak, &kept.ask(&request)?, receipt(number, &body).as_bytes())
    })
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let chunk = |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
    let mut chunks: Vec<u8> = body.chunks(10_000).flat_map(chunk).collect();
    chunks.extend_from_slice(b"0\r\n\r\n");
    chunks
}
