//! `portcullis init`: a first `gateway.toml` for the app in a folder.
//!
//! `project` reads the folder through `text_file`, `env` its env files, `port` and `version`
//! two things in them; `knowledge` says what frameworks and vendors look like (all of it data,
//! in `knowledge.toml`), `find` the settings in the app's source with `source` and without its
//! `comments`, `vendor_calls` the calls that make a token, `routes` the routes they stand in
//! and `mounts` the prefixes before them, `gallery` the guide's block of a preset; `draft`
//! puts the file and the report together, `next` the commands that follow.

mod command;
mod comments;
mod draft;
mod env;
mod find;
mod gallery;
mod knowledge;
mod mounts;
mod next;
mod port;
mod project;
mod routes;
mod source;
mod text_file;
mod vendor_calls;
mod version;

pub(super) use command::{Options, init};
