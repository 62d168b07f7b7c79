//! `gateway.toml` as located values, and cursors that report every problem.
//!
//! This is the file-format half of configuration: a tree of values that know where they
//! stand. `Table` walks it; the owner of a table asks for its keys by name and type. A
//! wrong value is noted and reading continues, so one run lists every problem; a key that
//! was not asked for is an unknown key.
//!
//! Values are repeated in messages only where they cannot be a secret.

mod node;
mod problem;
mod read;
mod table;
pub(crate) mod template_syntax;

pub use node::Node;
pub(crate) use node::{Key, Value, shown};
pub use problem::{Problem, Problems};
pub(crate) use read::{Located, OneOrMany, Wait};
pub use table::At;
pub(crate) use table::{FromNode, Table, near, nearest, one_of};
