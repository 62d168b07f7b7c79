//! The compressors of django-redis, each read up to the same limit, in bounded memory.

use lz4_flex::block;
use lz4_flex::frame::FrameDecoder;
use lzma_rust2::{LzmaReader, XzReader};

use super::zlib::{bounded, damaged, inflate};
use crate::session::rejected::Rejected;

/// Most memory for a dictionary: that of the strongest preset of LZMA, and some more.
const MAX_DICTIONARY_KIB: u32 = 70 * 1024;
/// The same for Zstandard, as a power of two: no session needs more than a megabyte.
const MAX_WINDOW_LOG: u32 = 23;

#[derive(Clone, Copy)]
pub(crate) enum Compression {
    Gzip,
    /// A frame, or a block behind its length.
    Lz4,
    /// An xz container, or the older `.lzma`.
    Lzma,
    Zlib,
    Zstd,
}

impl Compression {
    /// The content, or `Reason::Malformed` where it is not compressed like this.
    pub(crate) fn decompress(self, compressed: &[u8]) -> Result<Vec<u8>, Rejected> {
        match self {
            Self::Gzip => bounded(flate2::read::MultiGzDecoder::new(compressed)),
            Self::Lz4 if compressed.starts_with(b"\x04\x22\x4d\x18") => {
                bounded(FrameDecoder::new(compressed))
            }
            Self::Lz4 => lz4_block(compressed),
            Self::Lzma if compressed.starts_with(b"\x5d\0\0") => {
                let reader = LzmaReader::new_mem_limit(compressed, MAX_DICTIONARY_KIB, None);
                bounded(reader.map_err(|_| damaged())?)
            }
            Self::Lzma => bounded(XzReader::new_mem_limit(compressed, true, MAX_DICTIONARY_KIB)),
            Self::Zlib => inflate(compressed),
            Self::Zstd => zstd(compressed),
        }
    }
}

/// Four bytes of length, the lowest first, and a block.
fn lz4_block(compressed: &[u8]) -> Result<Vec<u8>, Rejected> {
    /// A longer one is not a session: other content would be read as any length.
    const MOST: usize = 256 * 1024;
    let (length, block) = compressed.split_first_chunk::<4>().ok_or_else(damaged)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| damaged())?;
    if length > MOST {
        return Err(damaged());
    }
    let content = block::decompress(block, length).map_err(|_| damaged())?;
    if content.len() == length { Ok(content) } else { Err(damaged()) }
}

fn zstd(compressed: &[u8]) -> Result<Vec<u8>, Rejected> {
    let mut reader = zstd::Decoder::with_buffer(compressed).map_err(|_| damaged())?;
    reader.window_log_max(MAX_WINDOW_LOG).map_err(|_| damaged())?;
    bounded(reader)
}
