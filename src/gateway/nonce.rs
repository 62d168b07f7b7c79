//! The text for `{nonce}` on one page.

use crate::base::text::hex;

/// A value that no earlier author of page content can know.
pub(super) fn draw_nonce() -> String {
    let mut bytes = [0; 16];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => hex(&bytes),
        Err(_) => String::new(),
    }
}
