//! Python pickles, read as data and never executed.

mod clock;
mod item;
mod machine;
mod parse;

pub(crate) use parse::parse;
