//! Rules that guard a page for some methods, and leave it open for the others.
//!
//! The first rule that fits path and method decides, so a method that a guarding rule does
//! not name is decided by a later one. Pure.

use crate::document::{At, Value};

/// Methods with which apps serve or change a page. A preflight passes anyway.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// The part of a `[[route]]` table that decides which requests it is for.
struct Rule<'a> {
    at: At<'a>,
    path: &'a str,
    /// Empty means any method.
    methods: Vec<&'a str>,
    is_guarded: bool,
}

/// Notes each guarding rule whose other methods a later rule lets pass.
pub(super) fn note(routes: &[At<'_>]) {
    let rules: Vec<Rule<'_>> = routes.iter().filter_map(Rule::read).collect();
    for (index, guarding) in rules.iter().enumerate() {
        if !guarding.is_guarded || guarding.methods.is_empty() {
            continue;
        }
        let open = METHODS.iter().find_map(|method| {
            let decides = |rule: &&Rule<'_>| rule.takes(method) && rule.includes(guarding.path);
            let first = rules.iter().position(|rule| decides(&rule))?;
            let rule = rules.get(first).filter(|rule| first > index && !rule.is_guarded)?;
            Some((method, rule))
        });
        if let Some((method, open)) = open {
            let at = guarding.at.find(&["methods"]).unwrap_or_else(|| guarding.at.clone());
            at.warn(format!(
                "found a guard for some methods only: {method} {} falls under the later rule {:?}, \
                 which needs no session, expected a guard for every method; leave `methods` out, \
                 or write a rule with session = \"required\" and the same path after this one",
                guarding.path, open.path
            ));
        }
    }
}

impl<'a> Rule<'a> {
    fn read(at: &At<'a>) -> Option<Self> {
        let text = |at: &At<'a>| match &at.node.value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        };
        let methods = at.find(&["methods"]).map(|at| at.items()).unwrap_or_default();
        let session = at.find(&["session"]).and_then(|at| text(&at));
        // A route to a vendor's API needs a session unless it says otherwise.
        let needs_session = session
            .map_or_else(|| at.find(&["upstream"]).is_some(), |session| session == "required");
        Some(Self {
            path: text(&at.find(&["path"])?)?,
            methods: methods.iter().filter_map(text).collect(),
            is_guarded: needs_session,
            at: at.clone(),
        })
    }

    fn takes(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.contains(&method)
    }

    /// Whether every path of the pattern `path` is one of this rule's.
    fn includes(&self, path: &str) -> bool {
        let below = self.path.strip_suffix("/**").and_then(|start| path.strip_prefix(start));
        self.path == path || below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}
