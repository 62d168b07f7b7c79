//! An endpoint as the framework's peer, every timeout set.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pingora::prelude::{HttpPeer, Result};
use pingora::protocols::tls::CaType;
use pingora::utils::tls::{WrappedX509, parse_x509};

use super::purpose::{Purpose, WRITE_TIMEOUT};
use super::upgrade_connector::Dial;
use crate::upstream::{Target, Upstream, Verify, Version};

/// Connections dialled for upgrades are pooled apart from ordinary ones.
const UPGRADE_GROUP: u64 = 1;
/// Requests that share an HTTP/2 connection to the app.
const STREAMS: usize = 100;
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
}

/// An upstream's settings in the framework's form, made once.
struct Derived {
    ca: Option<Arc<CaType>>,
    /// The framework's pool tells connections apart neither by authorities nor by
    /// version; without this it would reuse one made under other settings.
    group: u64,
    dial: Arc<Dial>,
    dial_upgrade: Arc<Dial>,
}

impl Derived {
    fn of(upstream: &Upstream) -> Self {
        let certificates = &upstream.tls.ca;
        // Parsed before, when the settings were read: this panics if it cannot.
        let parsed = certificates.iter().map(|der| WrappedX509::new(der.clone(), parse_x509));
        let ca = (!certificates.is_empty()).then(|| parsed.collect());
        let mut hasher = DefaultHasher::new();
        (certificates, upstream.version == Version::Http2).hash(&mut hasher);
        let dial = |purpose| {
            let timeouts = upstream.timeouts;
            Arc::new(Dial { connect: timeouts.connect, read: timeouts.read, purpose })
        };
        Self {
            ca,
            group: hasher.finish() & !UPGRADE_GROUP,
            dial: dial(Purpose::Request),
            dial_upgrade: dial(Purpose::Upgrade),
        }
    }
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
    let derived = upstream.derived.get_or_init(|| Arc::new(Derived::of(upstream)));
    let derived = derived.downcast_ref::<Derived>();
    if let Some(derived) = derived {
        options.ca.clone_from(&derived.ca);
        peer.group_key = derived.group.wrapping_add(THREAD.with(|thread| *thread));
    }
    match (purpose, upstream.version) {
        (Purpose::Request, Version::Http1) => {
            peer.options.custom_l4 = derived.map(|derived| derived.dial.clone() as _);
        }
        (Purpose::Request, Version::Http2) => {
            peer.options.set_http_version(2, 2);
            peer.options.max_h2_streams = STREAMS;
            peer.options.h2_stream_window_size = Some(STREAM_WINDOW);
            peer.options.h2_connection_window_size = Some(CONNECTION_WINDOW);
        }
        (Purpose::Upgrade, Version::Http1 | Version::Http2) => {
            // Nothing could lift these once there is a tunnel; until then the
            // `AppDeadline` is the limit.
            peer.options.read_timeout = None;
            peer.options.write_timeout = None;
            peer.options.custom_l4 = derived.map(|derived| derived.dial_upgrade.clone() as _);
            peer.group_key |= UPGRADE_GROUP;
        }
    }
    Ok(peer)
}
