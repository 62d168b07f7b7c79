//! Advice to an operator whose cookie or header is refused, for `portcullis session`.

mod bare_value;
mod cookie_parts;
mod hints;
mod missing_header;

pub(super) use hints::{RefusedSession, hints};
