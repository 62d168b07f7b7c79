//! Where keys and cookies may go: no token is signed with a key of the app's sessions, and
//! secrets travel encrypted.

use std::sync::Arc;

use super::session::SessionSource;
use super::token::TokenRoute;
use crate::base::url::Url;
use crate::document::{At, Located, Table, Value};
use crate::upstream::{Address, Upstream};

/// Notes every token whose key is one of a session's: a user who gets such a token could
/// hand it in as a session, with content that may come from the browser.
pub(super) fn check_secrets(
    top: &Table<'_>,
    sources: &[SessionSource],
    tokens: &[Arc<TokenRoute>],
) {
    let tables = top.peek("token").and_then(|at| at.table());
    for token in tokens {
        let Some(at) = tables.as_ref().and_then(|tables| tables.peek(&token.name)) else {
            continue;
        };
        let shared = sources.iter().find(|source| shares(source, token) && !is_meant(source, &at));
        let Some(source) = shared else { continue };
        let key = at.table().and_then(|table| table.peek("key")).unwrap_or(at);
        key.problem(format!(
            "the app's sessions ({}) use this key too, so a token could pass for a session; give \
             each its own key",
            source.label
        ));
    }
}

fn shares(source: &SessionSource, token: &TokenRoute) -> bool {
    const MESSAGE: &[u8] = b"portcullis: whose key is this?";
    let is_believed =
        |(algorithm, signature): (String, String)| source.believes(MESSAGE, &signature, &algorithm);
    token.minter.secrets().iter().any(|secret| source.shares(secret))
        || token.minter.proof(MESSAGE).is_some_and(is_believed)
}

/// Supabase has one key for both by design. The preset's claims are the session's own, so
/// a token of it says nothing that the session does not say.
fn is_meant(source: &SessionSource, token: &At<'_>) -> bool {
    const CHANGE_WHAT_IT_SAYS: [&str; 4] = ["alg", "claims", "header", "kind"];
    let Some(table) = token.table() else { return false };
    let preset = table.peek("preset");
    let is_preset = preset
        .is_some_and(|at| matches!(&at.node.value, Value::Text(name) if name == "supabase-hs256"));
    is_preset
        && source.kind() == "supabase"
        && CHANGE_WHAT_IT_SAYS.iter().all(|member| table.peek(member).is_none())
}

/// Notes addresses at which the app is asked in the clear, with its users' cookies. Its own
/// servers get those in the clear anyway, if `[upstream]` says `http://`.
pub(super) fn check_addresses(
    top: &Table<'_>,
    sources: &[SessionSource],
    tokens: &[Arc<TokenRoute>],
    upstreams: &[Arc<Upstream>],
) {
    let hooks = tokens.iter().filter_map(|token| token.minter.grant()?.readable());
    let asked = sources.iter().filter_map(|source| source.readable.as_ref()).chain(hooks);
    for Located { value, offset, path } in asked {
        if upstreams.iter().flat_map(|upstream| upstream.servers()).any(|own| is_at(own, value)) {
            continue;
        }
        let problem = "the users' cookies would be sent unencrypted to another machine; write \
                       https://, or the address of a server of [upstream]";
        top.at().problems.add(*offset, path, problem);
    }
}

fn is_at(server: &Address, url: &Url) -> bool {
    match server {
        Address::Tcp { host, port, tls: false } => host == url.host() && *port == url.port(),
        Address::Tcp { tls: true, .. } | Address::Unix(_) => false,
    }
}
