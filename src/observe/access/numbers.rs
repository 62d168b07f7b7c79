//! Numbers as every format writes them.

use std::time::Duration;

use crate::base::clock::milliseconds;
use crate::base::text;

/// Milliseconds, with microseconds as the fraction.
pub(super) fn push_milliseconds(out: &mut String, took: Duration) {
    text::push(out, milliseconds(took));
    out.push('.');
    text::push_below(out, took.subsec_micros().into(), 1000);
}
