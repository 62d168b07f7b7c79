//! A target as the framework's peer, every timeout set.

use std::sync::Arc;
use std::time::Duration;

use pingora::prelude::{HttpPeer, Result};

use super::dial::UpgradeDial;
use crate::upstream::{Target, Upstream, Verify};

/// Given up if the app takes none of the request for this long.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections dialled for upgrades are pooled apart from ordinary ones.
const UPGRADE_GROUP: u64 = 1;

/// The peer for one attempt. Names were resolved before: the framework would
/// resolve them blocking, and panic if it cannot.
pub(super) fn build(upstream: &Upstream, target: &Target, upgrade: bool) -> Result<HttpPeer> {
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
    let verify = upstream.verify == Verify::Certificate;
    options.verify_cert = verify;
    options.verify_hostname = verify;
    if upgrade {
        options.read_timeout = None;
        options.write_timeout = None;
        options.custom_l4 = Some(Arc::new(UpgradeDial { timeout: timeouts.connect }));
        peer.group_key = UPGRADE_GROUP;
    }
    Ok(peer)
}
