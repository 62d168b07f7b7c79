//! The gateway's own connection types below the framework: the socket, and its wrappers
//! for HTTP/1.1 and HTTP/2.

mod field_table;
pub(super) mod http1;
pub(super) mod http2;
mod huffman;
pub(super) mod passthrough;
pub(super) mod socket;
mod trailers;
pub(super) mod write_buffer;
