//! The forms of a gateway: in front of the app, tokens only, or answering another proxy
//! that asks about each request.
//!
//! A setting that needs another form than the file's is refused, with the table that would
//! make it that form.

use crate::document::{At, Table, Value};

/// Where the file puts the gateway. It may be in front of the app and beside another proxy
/// at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    ReverseProxy,
    TokensOnly,
    ForwardAuth,
    Both,
}

const AN_APP: &str = "[upstream] with servers = [\"http://127.0.0.1:3000\"]";

impl Form {
    pub(super) const fn of(forwards: bool, has_front: bool) -> Self {
        match (forwards, has_front) {
            (true, false) => Self::ReverseProxy,
            (false, false) => Self::TokensOnly,
            (false, true) => Self::ForwardAuth,
            (true, true) => Self::Both,
        }
    }

    /// One line for `portcullis check`.
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::ReverseProxy => "reverse proxy in front of the app",
            Self::TokensOnly => "tokens only: without [upstream], every other path is 404",
            Self::ForwardAuth => "forward auth: another proxy asks at [auth] about each request",
            Self::Both => "reverse proxy, and forward auth for another proxy that asks at [auth]",
        }
    }
}

/// Notes the settings that need `[upstream]` or `[auth]`, where the file has neither.
pub(super) fn check(top: &Table<'_>, has_front: bool) {
    if top.peek("upstream").is_some() {
        return;
    }
    if top.has_misspelt("upstream") || (!has_front && top.peek("token").is_none()) {
        top.missing("upstream", &format!("; write {AN_APP}"));
    }
    check_shadows(top);
    let routes = top.peek("route").map(|at| at.items()).unwrap_or_default();
    if has_front {
        routes.iter().filter_map(|route| route.find(&["placeholders"])).for_each(|at| {
            at.problem(
                "placeholders are replaced in pages that the gateway forwards, and there is no \
                 [upstream]; write set_headers = { X-Token = \"{token.NAME}\" }",
            );
        });
        return;
    }
    let forwarded = routes.into_iter().chain(top.peek("identity"));
    let sessions = top.peek("session").map(|at| at.items()).unwrap_or_default();
    let seen = sessions.iter().filter_map(|session| session.find(&["logout_paths"]));
    forwarded.chain(seen).for_each(|at| needs_app(&at));
    for (_, token) in top.peek("token").filter(At::is_table).iter().flat_map(At::members) {
        if token.is_table() && token.find(&["path"]).is_none() {
            token.problem(
                "`path` is missing: without [upstream] or [auth], a token can be fetched only at \
                 its own path; write path = \"/api/get-auth-token\"",
            );
        }
    }
}

/// Shadow mode compares with an answer of the app.
fn check_shadows(top: &Table<'_>) {
    for (_, token) in top.peek("token").filter(At::is_table).iter().flat_map(At::members) {
        let shadow = token.is_table().then(|| token.find(&["shadow"])).flatten();
        if let Some(at) = shadow.filter(|at| matches!(at.node.value, Value::Boolean(true))) {
            at.problem(format!(
                "`shadow` compares the app's answer with the gateway's, but no app stands behind \
                 this gateway; write {AN_APP}, or remove `shadow`"
            ));
        }
    }
}

fn needs_app(at: &At<'_>) {
    at.problem(format!(
        "this setting applies to requests for the app, and this gateway gets none; write {AN_APP}, \
         or [auth] with listen = \"127.0.0.1:9191\" where another proxy asks about each request"
    ));
}
