//! Compressed payloads, inflated up to a limit.

use std::io::Read;

use crate::session::rejected::{Reason, Rejected};

/// Largest inflated payload: more than any session in a cookie, less than a bomb.
const MAX_INFLATED: u64 = 256 * 1024;

pub(crate) fn inflate(compressed: &[u8]) -> Result<Vec<u8>, Rejected> {
    bounded(flate2::read::ZlibDecoder::new(compressed))
}

/// All that a decompressor returns, up to the limit.
pub(super) fn bounded(reader: impl Read) -> Result<Vec<u8>, Rejected> {
    let mut inflated = Vec::new();
    let mut reader = reader.take(MAX_INFLATED + 1);
    reader.read_to_end(&mut inflated).map_err(|_| damaged())?;
    if inflated.len() as u64 > MAX_INFLATED {
        let detail = "the compressed payload is larger than 256 KB when decompressed";
        return Err(Rejected::new(Reason::Oversized, detail));
    }
    Ok(inflated)
}

pub(super) fn damaged() -> Rejected {
    Rejected::malformed("the compressed payload is damaged")
}
