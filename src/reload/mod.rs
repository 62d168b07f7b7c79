//! Reading the file again: on SIGHUP, and when it or a file it names has changed.

mod reloader;
mod watch;

pub(crate) use reloader::Reload;
pub(crate) use reloader::Reloader;
