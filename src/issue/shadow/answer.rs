//! The two answers that are compared.

use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::difference::Skipped;
use crate::mint::Token;
use crate::request::code::Code;

/// Longest body that is compared, in octets, decoded or not. Tokens are much shorter.
const LONGEST: usize = 64 * 1024;

/// The app's answer, as it was forwarded.
pub(crate) struct AppAnswer {
    pub(super) status: StatusCode,
    pub(super) content_type: Option<HeaderValue>,
    pub(super) cookies: Vec<HeaderValue>,
    /// Whether a page of another origin may read it.
    pub(super) allows_origin: bool,
    coding: Vec<u8>,
    body: Vec<u8>,
    is_too_long: bool,
}

/// The gateway's answer.
pub(crate) enum GatewayAnswer {
    Issued {
        minted: Minted,
        /// Whether a page of another origin could read it.
        allows_origin: bool,
    },
    Refused {
        status: StatusCode,
        code: Code,
    },
}

/// A token, and the same token as a later request would get it: what differs between the two
/// is time or chance, and may differ from the app's as well.
pub(crate) struct Minted {
    pub(crate) token: Arc<Token>,
    pub(crate) again: Option<Token>,
}

impl AppAnswer {
    pub(crate) fn begin(status: StatusCode, headers: &HeaderMap) -> Self {
        let codings = headers.get_all(header::CONTENT_ENCODING).iter();
        let coding = codings.map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b","[..]);
        Self {
            status,
            content_type: headers.get(header::CONTENT_TYPE).cloned(),
            cookies: headers.get_all(header::SET_COOKIE).iter().cloned().collect(),
            allows_origin: headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN),
            coding: coding.trim_ascii().to_ascii_lowercase(),
            body: Vec::new(),
            is_too_long: false,
        }
    }

    /// Keeps a piece of the body, which passes to the client unchanged.
    pub(crate) fn piece(&mut self, piece: &Bytes) {
        if self.body.len().saturating_add(piece.len()) > LONGEST {
            self.is_too_long = true;
            self.body = Vec::new();
        } else if !self.is_too_long {
            self.body.extend_from_slice(piece);
        }
    }

    /// The body, decoded.
    pub(super) fn decoded(&self) -> Result<Vec<u8>, Skipped> {
        if self.is_too_long {
            return Err(Skipped::TooLong);
        }
        let most = LONGEST as u64 + 1;
        let mut decoded = Vec::new();
        let read = match &*self.coding {
            b"" | b"identity" => return Ok(self.body.clone()),
            b"gzip" | b"x-gzip" => {
                MultiGzDecoder::new(&*self.body).take(most).read_to_end(&mut decoded)
            }
            b"deflate" => ZlibDecoder::new(&*self.body).take(most).read_to_end(&mut decoded),
            _ => return Err(Skipped::Encoded),
        };
        match read {
            Ok(length) if length > LONGEST => Err(Skipped::TooLong),
            Ok(_) => Ok(decoded),
            Err(_) => Err(Skipped::Encoded),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn answer(coding: &'static str, body: Vec<u8>) -> AppAnswer {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        let mut answer = AppAnswer::begin(StatusCode::OK, &headers);
        answer.piece(&body.into());
        answer
    }

    #[test]
    fn a_body_is_read_as_a_browser_would_or_not_at_all() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"{}").unwrap();
        assert_eq!(answer("gzip", gzip.finish().unwrap()).decoded().unwrap(), b"{}");
        assert_eq!(answer("identity", b"{}".to_vec()).decoded().unwrap(), b"{}");
        assert_eq!(answer("br", b"{}".to_vec()).decoded(), Err(Skipped::Encoded));
        assert_eq!(answer("gzip", b"{}".to_vec()).decoded(), Err(Skipped::Encoded));
    }

    #[test]
    fn a_long_body_takes_no_memory_however_it_is_packed() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![0; 10 * LONGEST]).unwrap();
        assert_eq!(answer("gzip", gzip.finish().unwrap()).decoded(), Err(Skipped::TooLong));
        let mut long = answer("identity", vec![b'x'; LONGEST]);
        long.piece(&Bytes::from_static(b"x"));
        long.piece(&Bytes::from_static(b"x"));
        assert_eq!((long.decoded(), long.body.len()), (Err(Skipped::TooLong), 0));
    }
}
