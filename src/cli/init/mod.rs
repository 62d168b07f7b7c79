//! `portcullis init`: a first `gateway.toml` for the app in a folder.
//!
//! `project` reads the folder, `knowledge` what frameworks and vendors look like (all of
//! it data, in `knowledge.toml`), `find` the settings in the app's source, `routes` the
//! token routes written by hand; `draft` puts the file and the report together.

mod command;
mod draft;
mod find;
mod knowledge;
mod project;
mod routes;

pub(super) use command::{Options, init};
