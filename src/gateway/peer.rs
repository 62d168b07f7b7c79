//! An endpoint as the framework's peer, every timeout set.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pingora::prelude::{HttpPeer, Result};
use pingora::protocols::tls::CaType;
use pingora::utils::tls::{WrappedX509, parse_x509};

use super::upgrade_connector::UpgradeDial;
use crate::base::digest::Digest;
use crate::upstream::{Target, Upstream, Verify, Version};

/// Given up if the app takes none of the request for this long.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections dialled for upgrades are pooled apart from ordinary ones.
const UPGRADE_GROUP: u64 = 1;
/// Requests that share an HTTP/2 connection to the app.
const STREAMS: usize = 100;
/// Sets of authorities a thread keeps parsed; more than apps of one gateway have.
const MOST_AUTHORITIES: usize = 64;
/// Octets of one answer that wait for a client who does not read. By default one
/// such client would use up what the whole connection may hold, and stop everybody
/// else's answers.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The streams' own windows are the limit. Half of this is also what the frames
/// that wait may weigh before the connection, with all its streams, is given up.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

thread_local! {
    /// Connections are kept for the thread that made them: only there are they waited
    /// for without another thread being woken. Even, like groups.
    static THREAD: u64 = {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        NEXT.fetch_add(2, Ordering::Relaxed)
    };
    /// Authorities parsed for the framework, by what identifies them; the last used
    /// settings only, so that reloads do not add up.
    static AUTHORITIES: RefCell<Vec<(Digest, Arc<CaType>)>> = const { RefCell::new(Vec::new()) };
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Request,
    /// A tunnel, which HTTP/2 has no room for.
    Upgrade,
}

/// The authorities of an upstream as the framework takes them, if it names any.
fn authorities(upstream: &Upstream) -> Option<Arc<CaType>> {
    let certificates = &upstream.tls.ca;
    if certificates.is_empty() {
        return None;
    }
    AUTHORITIES.with_borrow_mut(|known| {
        if let Some((_, found)) = known.iter().find(|(key, _)| *key == upstream.connections) {
            return Some(found.clone());
        }
        // Parsed before, when the settings were read: this panics if it cannot.
        let parsed = certificates.iter().map(|der| WrappedX509::new(der.clone(), parse_x509));
        let found: Arc<CaType> = parsed.collect();
        known.truncate(MOST_AUTHORITIES - 1);
        known.insert(0, (upstream.connections, found.clone()));
        Some(found)
    })
}

/// The peer for one attempt. Names were resolved before: the framework would
/// resolve them blocking, and panic if it cannot.
pub(super) fn build(upstream: &Upstream, target: &Target, purpose: Purpose) -> Result<HttpPeer> {
    let mut peer = match target {
        Target::Tcp { address, server_name } => {
            let name = server_name.clone().unwrap_or_default();
            HttpPeer::new(*address, server_name.is_some(), name)
        }
        Target::Unix(path) => {
            HttpPeer::new_uds(path.to_str().unwrap_or_default(), false, String::new())?
        }
    };
    let timeouts = upstream.timeouts;
    let options = &mut peer.options;
    options.connection_timeout = Some(timeouts.connect);
    options.total_connection_timeout = Some(timeouts.connect * 2);
    options.read_timeout = Some(timeouts.read);
    options.write_timeout = Some(WRITE_TIMEOUT);
    options.idle_timeout = Some(timeouts.idle);
    let verify = upstream.tls.verify == Verify::Certificate;
    options.verify_cert = verify;
    options.verify_hostname = verify;
    options.ca = authorities(upstream);
    // The framework's pool tells connections apart by neither authorities nor version, so
    // one made under other settings would be used.
    let group = upstream.connections.head() & !UPGRADE_GROUP;
    peer.group_key = group.wrapping_add(THREAD.with(|thread| *thread));
    match (purpose, upstream.version) {
        (Purpose::Request, Version::Http1) => {}
        (Purpose::Request, Version::Http2) => {
            peer.options.set_http_version(2, 2);
            peer.options.max_h2_streams = STREAMS;
            peer.options.h2_stream_window_size = Some(STREAM_WINDOW);
            peer.options.h2_connection_window_size = Some(CONNECTION_WINDOW);
        }
        (Purpose::Upgrade, Version::Http1 | Version::Http2) => {
            peer.options.read_timeout = None;
            peer.options.write_timeout = None;
            peer.options.custom_l4 = Some(Arc::new(UpgradeDial { timeout: timeouts.connect }));
            peer.group_key |= UPGRADE_GROUP;
        }
    }
    Ok(peer)
}
