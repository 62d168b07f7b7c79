//! An endpoint as the framework's peer, every timeout set.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pingora::prelude::{HttpPeer, Result};
use pingora::protocols::tls::CaType;
use pingora::utils::tls::{WrappedX509, parse_x509};

use super::purpose::{Purpose, WRITE_TIMEOUT};
use super::upgrade_connector::Dial;
use crate::base::digest::{Digest, DigestBuildHasher};
use crate::upstream::{Target, Upstream, Verify, Version};

/// Connections dialled for upgrades are pooled apart from ordinary ones.
const UPGRADE_GROUP: u64 = 1;
/// Requests that share an HTTP/2 connection to the app.
const STREAMS: usize = 100;
/// Settings whose derived values a thread keeps; beyond this number, those of earlier
/// reloads are dropped.
const MOST_DERIVED: usize = 1024;
/// Bytes of one answer that may wait for a client that does not read. By default one
/// such client would use up the window of the whole connection and stop all other
/// answers.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The streams' own windows are the limit. Half of this is also the budget for
/// queued frames, beyond which the connection is closed with all its streams.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

thread_local! {
    /// Connections are pooled per thread: on another thread, waiting for one would wake
    /// the thread that made it. Even, like groups.
    static THREAD: u64 = {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        NEXT.fetch_add(2, Ordering::Relaxed)
    };
    /// By `Upstream::key`, so that a reload that changes nothing parses nothing.
    static DERIVED: RefCell<HashMap<Digest, Rc<Derived>, DigestBuildHasher>> =
        RefCell::default();
}

/// An upstream's settings in the framework's form.
struct Derived {
    authorities: Option<Arc<CaType>>,
    dial: Arc<Dial>,
    dial_upgrade: Arc<Dial>,
}

impl Derived {
    fn new(upstream: &Upstream) -> Self {
        let certificates = &upstream.tls.ca;
        // Parsed before, when the settings were read: this panics if it cannot.
        let parsed = certificates.iter().map(|der| WrappedX509::new(der.clone(), parse_x509));
        let authorities = (!certificates.is_empty()).then(|| parsed.collect());
        let dial = |purpose| {
            let timeouts = upstream.timeouts;
            let shortest = timeouts.read.min(timeouts.idle);
            Arc::new(Dial { connect: timeouts.connect, shortest, purpose })
        };
        Self { authorities, dial: dial(Purpose::Request), dial_upgrade: dial(Purpose::Upgrade) }
    }

    /// This thread's copy for these settings, made on first use.
    fn find(upstream: &Upstream) -> Rc<Self> {
        DERIVED.with_borrow_mut(|known| {
            if known.len() >= MOST_DERIVED && !known.contains_key(&upstream.key) {
                known.clear();
            }
            known.entry(upstream.key).or_insert_with(|| Rc::new(Self::new(upstream))).clone()
        })
    }
}

/// Makes the peer one that no kept connection belongs to. Its own is not found again either,
/// and ends after the idle time.
pub(super) fn dial_anew(peer: &mut HttpPeer) {
    // Far from the numbers of threads.
    const FIRST: u64 = 1 << 32;
    static NEXT: AtomicU64 = AtomicU64::new(FIRST);
    peer.group_key = peer.group_key.wrapping_add(NEXT.fetch_add(FIRST, Ordering::Relaxed));
}

/// The peer for one attempt. Names were resolved before: the framework would
/// resolve them blocking, and panic if it cannot.
pub(super) fn build(
    upstream: &Upstream,
    target: &Target,
    purpose: Purpose,
    read_timeout: Option<Duration>,
) -> Result<HttpPeer> {
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
    options.read_timeout = read_timeout;
    options.write_timeout = Some(WRITE_TIMEOUT);
    let verify = upstream.tls.verify == Verify::Certificate;
    options.verify_cert = verify;
    options.verify_hostname = verify;
    let derived = Derived::find(upstream);
    options.ca.clone_from(&derived.authorities);
    // The framework's pool tells connections apart by neither authorities nor version, so
    // one made under other settings would be used.
    let group = upstream.key.head() & !UPGRADE_GROUP;
    peer.group_key = group.wrapping_add(THREAD.with(|thread| *thread));
    match (purpose, upstream.version) {
        (Purpose::Request, Version::Http1) => {
            peer.options.custom_l4 = Some(derived.dial.clone());
        }
        (Purpose::Request, Version::Http2) => {
            // With HTTP/1 the `AppDeadline` is the limit, also while the client pauses.
            peer.options.idle_timeout = Some(timeouts.idle);
            peer.options.read_timeout = Some(timeouts.read);
            peer.options.set_http_version(2, 2);
            peer.options.max_h2_streams = STREAMS;
            peer.options.h2_stream_window_size = Some(STREAM_WINDOW);
            peer.options.h2_connection_window_size = Some(CONNECTION_WINDOW);
        }
        (Purpose::Upgrade, Version::Http1 | Version::Http2) => {
            // Nothing could lift it once there is a tunnel; until then the `AppDeadline` is
            // the limit.
            peer.options.write_timeout = None;
            peer.options.custom_l4 = Some(derived.dial_upgrade.clone());
            peer.group_key |= UPGRADE_GROUP;
        }
    }
    Ok(peer)
}
