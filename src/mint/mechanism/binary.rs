//! Shared by the binary formats: random numbers, zlib, and texts that must be there.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::mint::error::MintError;

/// Random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], MintError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| MintError::Unavailable("no random bytes are available".into()))?;
    Ok(bytes)
}

/// The bytes as a zlib stream (RFC 1950).
pub(super) fn zlib(bytes: &[u8]) -> Result<Vec<u8>, MintError> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.map_err(|_| MintError::Unavailable("compressing the token failed".into()))
}
