//! The gateway's own connection types under the framework's: the socket, and what is
//! laid around it for HTTP/1.1 and HTTP/2.

pub(super) mod http1;
pub(super) mod http2;
pub(super) mod passthrough;
pub(super) mod socket;
pub(super) mod write_buffer;
