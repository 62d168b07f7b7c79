//! The user a token is made for.

use serde_json::{Map, Value};

use crate::session::Identity;

/// The user and everything this request adds.
pub struct Subject<'a> {
    pub identity: &'a Identity,
    /// The declared request inputs, as `Inputs::collect` gives them.
    pub inputs: &'a Map<String, Value>,
    /// The app's answer to the grant hook; `Null` without one.
    pub grant: &'a Value,
}
