//! What stands for `{nonce}` in the texts of one page.

use crate::base::text::hex;

/// What nobody who wrote something into a page earlier can know.
pub(super) fn draw_nonce() -> String {
    let mut bytes = [0; 16];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => hex(&bytes),
        Err(_) => String::new(),
    }
}
