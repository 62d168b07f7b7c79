//! Durations as the frameworks of sessions write them: in seconds.

use std::time::Duration;

use crate::document::{At, FromNode, Value};

/// A duration in seconds: `604800`, or a text such as `"7d"`. The formats'
/// own frameworks count these in seconds, so a bare number is clear here.
pub(crate) struct Seconds(pub u64);

impl FromNode for Seconds {
    fn read(at: &At<'_>) -> Option<Self> {
        if matches!(at.node.value, Value::Integer(_)) {
            return u64::read(at).map(Self);
        }
        Duration::read(at).map(|duration| Self(duration.as_secs()))
    }
}
