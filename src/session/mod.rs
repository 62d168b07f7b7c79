//! The user behind a request: the app's own session cookie, verified at the edge.
//!
//! A `SessionReader` is one `[session]` table, compiled. Nothing here does I/O: cookies and a time
//! go in, an `Identity` or a `Rejected` comes out, or a `Question` for the store.

mod asking;
mod codec;
mod content;
pub(crate) mod cookie;
mod cookie_names;
mod cookie_pattern;
mod diagnose;
mod earlier;
mod ends;
mod fallback;
mod format;
mod header;
mod identity;
mod key_settings;
mod notes;
mod passing;
mod passing_headers;
mod place_settings;
mod pointer;
mod rejected;
mod remember;
mod required_claims;
mod respelled;
mod row_rules;
mod seconds;
mod set_cookies;
mod settings;
mod sniff;
mod source;
mod source_user;
mod store;
mod store_names;
mod store_settings;
mod store_table;
#[cfg(test)]
mod tests;
mod value_notation;
mod verdict;

pub use cookie::Cookies;
pub(crate) use cookie::OwnedCookies;
pub(crate) use format::{risks, schemas};
pub(crate) use header::HeaderPlace;
pub use header::SentHeaders;
pub use identity::Identity;
pub(crate) use passing::{Passing, passing};
pub(crate) use passing_headers::PassingHeaders;
pub(crate) use pointer::Pointer;
pub use rejected::{Reason, Rejected};
pub(crate) use required_claims::Claims;
pub use source::SessionReader;
pub use store::{Cell, Check, Engine, Fields, Query, Question, Row, StoreAnswer, StoreRank};
pub(crate) use store_settings::{NaiveTimes, StoreSettings};
pub(crate) use verdict::{Accepted, Credential, Judged, Standings, VerdictBuilder, none_asked};
pub use verdict::{Refused, Unanswered, Verdict};
