//! Internals for the tests, the benchmark and the fuzzer. Not an interface:
//! it changes with them.

pub use http;

pub use crate::base::clock::{Clock, ManualClock, Now};
pub use crate::base::hardening::allow_many_connections;
pub use crate::base::lock::Lock;
pub use crate::base::secret::Secrets;
pub use crate::base::text::percent_decode;
pub use crate::base::units::duration;
pub use crate::config::{Config, Format};
pub use crate::document::{At, Node, Problem, Problems};
pub use crate::identify::cache::Sessions;
pub use crate::identify::resolve::Servers;
pub use crate::identify::revocation::Revoked;
pub use crate::mint::{Minter, Minting, Presets, Subject};
pub use crate::observe::{AccessLog, AuditLog, Sink, forward_libraries};
pub use crate::policy::Policy;
pub use crate::request::client::{Client, Scheme};
pub use crate::request::view::{Head, RequestLimits, RequestView, admit};
pub use crate::server::{Listeners, Shutdown, SignalHandlers, Stop, serve};
pub use crate::session::cookie::Duplicate;
pub use crate::session::{
    Cell, Check, Cookies, Engine, Fields, Identity, Query, Question, Reason, Refused, Rejected,
    Row, SentHeaders, SessionReader, StoreAnswer, StoreRank, Unanswered, Verdict,
};
pub use crate::state::State;
