//! The command line: arguments in, exit codes out.
//!
//! 0 is success, 1 a refusal (`session`, `token`) or a finding (`selftest`), 2 a configuration that does
//! not hold. What a command prints for programs goes to standard output,
//! everything else to standard error.

mod arguments;
mod check;
mod demo;
mod explain;
mod explain_fronts;
mod file;
mod init;
mod manual;
mod online;
mod online_shared;
mod output;
mod presets;
mod run;
mod schema;
mod selftest;
mod session;
mod token;
mod writable;

pub use arguments::main;
