//! Clients that go away in the middle, and requests that are none.

use super::{Turn, tokens};
use crate::soak::Soak;
use crate::support::{Request, get};
use crate::wire::Wire;
use crate::world::Met;

/// Sends part of what it should, or reads part of what it gets.
pub(super) fn vanish(soak: &Soak) -> Turn<'_> {
    Turn::new(move |number| {
        let upload = Request::new("POST", &format!("/upload/{number}"));
        let token = Request::new("POST", tokens::PATH).user("vanishing");
        let cases = [
            Vec::new(),
            b"GET /page/1/1 HT".to_vec(),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
            get(&format!("/page/{number}/5000000")).bytes(),
            get(&format!("/events/{number}")).bytes(),
            upload.clone().header("Content-Length", "100000").raw_body(&[b'x'; 5000]).bytes(),
            upload.header("Transfer-Encoding", "chunked").raw_body(b"5\r\nhello\r\n").bytes(),
            get(tokens::PATH).user("vanishing").bytes(),
            token.header("Content-Length", "9").bytes(),
        ];
        let case = usize::try_from(number).unwrap_or_default() % cases.len();
        let mut wire = Wire::open(&soak.plain)?;
        wire.write(&cases[case])?;
        if number.is_multiple_of(2) {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Ok(())
    })
}

/// Refused, whatever is up, and no page of the app.
pub(super) fn malformed(soak: &Soak) -> Turn<'_> {
    const CASES: [&[u8]; 10] = [
        b"GET /page/1/1 HTTP/1.1\r\n\r\n",
        b"GET /page/1/1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /page/%00/1 HTTP/1.1\r\nHost: app.test\r\n\r\n",
        b"GET /page/%00 HTTP/1.1\r\nHost: app.test\r\n\r\n",
        b"GET page HTTP/1.1\r\nHost: app.test\r\n\r\n",
        b"GET /page/1/1 HTTP/1.2\r\nHost: app.test\r\n\r\n",
        b"CONNECT app.test:443 HTTP/1.1\r\nHost: app.test\r\n\r\n",
        b"TRACE /page/1/1 HTTP/1.1\r\nHost: app.test\r\n\r\n",
        b"POST /upload/1 HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1\r\n\
          Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ];
    Turn::new(move |number| {
        let case = usize::try_from(number).unwrap_or_default() % CASES.len();
        let mut wire = Wire::open(&soak.plain)?;
        wire.write(CASES[case])?;
        let head = wire.head()?;
        let refused = matches!(head.status, 400 | 405) && !head.is_from_app();
        if refused { Ok(()) } else { Err(Met::Wrong(format!("case {case}: {head:?}"))) }
    })
}
