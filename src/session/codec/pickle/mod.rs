//! Python pickles, read as data and never executed.

mod machine;
mod parse;

pub(crate) use parse::parse;
