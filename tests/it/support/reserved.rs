//! An address where nobody listens, and nobody else can begin to.

use tokio::net::TcpSocket;

/// Bound and not listened on: the system refuses whoever connects, and gives the port to
/// nobody. Somebody who asks for this very address may listen there.
pub(crate) struct Reserved {
    pub(crate) address: String,
    _socket: TcpSocket,
}

impl Reserved {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Without it nobody could listen there as long as this one is kept.
        socket.set_reuseaddr(true).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self { address: socket.local_addr().unwrap().to_string(), _socket: socket }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
