//! `[auth]`: the listener where another proxy asks about each request.

use std::net::{Ipv4Addr, SocketAddr};

use super::listen::{Listen, ListenText, Protocol};
use crate::document::{At, OneOrMany};
use crate::policy::Front;

/// Where the proxy in front asks, and what it may say.
pub(super) struct AuthTable {
    pub(super) listen: Vec<Listen>,
    pub(super) front: Front,
}

const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9191);

impl AuthTable {
    pub(super) fn read(at: &At<'_>) -> Option<Self> {
        let mut table = at.table()?;
        let mut listen = vec![Listen::Tcp(DEFAULT)];
        if let Some(at) = table.take("listen") {
            let written = at.read::<OneOrMany<ListenText>>().map(|many| many.0);
            if let Some(written) = written {
                listen = written.into_iter().map(|text| text.listen(Protocol::Plain)).collect();
            }
            if listen.is_empty() {
                at.problem("found an empty list; write listen = \"127.0.0.1:9191\"");
            }
            if listen.iter().any(Listen::is_tls) {
                at.problem(
                    "found https://, but questions are asked on one machine or in a private \
                     network; write the address without it",
                );
            }
        }
        let front = Front::from_table(&mut table);
        table.finish();
        Some(Self { listen, front })
    }
}
