//! From a configuration to a serving process: listeners, services, shutdown.
//!
//! Sockets are bound before anything else: inside the framework a taken port is a
//! panic in a task, after which the process runs on without a listener.

mod accept;
mod acme_challenge;
mod admin;
mod connection;
mod handover;
mod handshake;
mod inheritance;
mod io;
mod keep_alive;
mod listen;
mod listeners;
mod plain_app;
mod redirect;
mod replacement;
mod resolver;
mod run;
mod shutdown;
mod signal_stream;
mod turns;

pub(crate) use handover::{Program, TAKE_OVER};
pub(crate) use listen::BindError;
pub use listeners::Listeners;
pub use run::serve;
pub(crate) use run::serve_alone;
pub use shutdown::{Shutdown, SignalHandlers, Stop};
