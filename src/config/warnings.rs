//! Settings that are allowed although they are unsafe: each with its place, and what to
//! write instead.
//!
//! A pure pass over a file that has no errors. Some of these settings are right behind a
//! firewall, or for an old app; `check --strict` refuses them all. The risks of one session
//! kind stand in its row; a secret that is too weak for a preset is noted by `mint`, which
//! knows the algorithm.

use std::net::SocketAddr;

use ipnet::IpNet;

use super::{route_warnings, shared_warnings};
use crate::base::host::is_loopback;
use crate::base::secret::{Secret, Secrets};
use crate::base::store_url::StoreUrl;
use crate::document::{At, Value};
use crate::session::risks;

/// Notes every unsafe setting of a whole file.
pub(super) fn note(top: &At<'_>) {
    if let Some(server) = top.find(&["server"]) {
        note_listeners(&server);
    }
    note_form(top);
    let sessions = top.find(&["session"]).map(|at| at.items()).unwrap_or_default();
    sessions.iter().for_each(note_session);
    note_shared_namespace(&sessions);
    for token in members(top.find(&["token"])) {
        note_token(&token);
    }
    for upstream in upstreams(top) {
        note_upstream(top, &upstream);
    }
    if let Some(shared) = top.find(&["shared"]) {
        shared_warnings::note(&shared);
    }
    route_warnings::note(&top.find(&["route"]).map(|at| at.items()).unwrap_or_default());
    note_addresses(top, "");
    note_secret_files(top, "");
}

fn note_listeners(server: &At<'_>) {
    if let Some(at) = server.find(&["admin"])
        && let Some(text) = text(&at)
        && let Ok(address) = text.trim_start_matches("http://").parse::<SocketAddr>()
        && !address.ip().to_canonical().is_loopback()
    {
        at.warn(format!(
            "found {text:?}, which lets other machines read metrics and request revocations, \
             expected an address of this machine; write \"127.0.0.1:{}\" or \"unix:/PATH\"",
            address.port()
        ));
    }
    for key in ["trusted_proxies", "proxy_protocol"] {
        let networks = server.find(&[key]).map(|at| at.items()).unwrap_or_default();
        note_networks(&networks, "choose the client address that limits and logs see");
    }
}

fn note_networks(items: &[At<'_>], may: &str) {
    for at in items {
        let network = text(at).and_then(|text| text.parse::<IpNet>().ok());
        if let Some(network) = network.filter(|network| is_everybody(*network)) {
            at.warn(format!(
                "found {network}, which lets nearly anyone {may}, expected the addresses of \
                 your proxies; write \"10.0.0.0/8\" or the network they are in"
            ));
        }
    }
}

/// Settings for a gateway behind another host, or another proxy.
fn note_form(top: &At<'_>) {
    if let Some(trusted) = top.find(&["auth", "trusted"]) {
        note_networks(&trusted.items(), "have the gateway mint tokens for any request they name");
    }
    let has = |path: &[&str]| top.find(path).is_some();
    if !has(&["upstream"]) && !has(&["auth"]) && !has(&["server", "public_origin"]) {
        let at = top.find(&["server"]);
        let key = if at.is_some() { "public_origin" } else { "server.public_origin" };
        at.unwrap_or_else(|| top.clone()).warn_of_missing(
            key,
            "found none, and no [upstream]: a POST that the app's host rewrites to this gateway \
             counts as cross-site, expected the origin in the browser's address bar; write \
             public_origin = \"https://app.example.com\"",
        );
    }
}

/// Networks larger than one operator has, except the private ones of IPv6.
fn is_everybody(network: IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() < 8,
        IpNet::V6(network) => {
            let is_private = network.prefix_len() >= 7 && network.addr().is_unique_local();
            let is_mapped = network.addr().to_ipv4_mapped().is_some();
            let shortest = if is_mapped { 96 + 8 } else { 16 };
            !is_private && network.prefix_len() < shortest
        }
    }
}

fn note_session(at: &At<'_>) {
    let kind = at.find(&["kind"]).and_then(|at| text(&at)).unwrap_or_default();
    let Some(risks) = risks(kind) else { return };
    for key in ["secret", "secrets"] {
        let secrets = at.find(&[key]).map(|at| leaves(&at)).unwrap_or_default();
        for secret in secrets {
            note_secret(&secret, shortest(risks.secret_bytes, at));
        }
    }
    let has = |keys: &[&str]| keys.iter().any(|key| at.find(&[key]).is_some());
    if let Some(exp) = at.find(&["require_exp"])
        && matches!(exp.node.value, Value::Boolean(false))
        && !has(&["max_age", "expires_at"])
    {
        exp.warn(
            "found false, so a token without `exp` is a session that never ends, expected true; \
             let the app set `exp` and write require_exp = true",
        );
    }
    (risks.note)(at);
    if (risks.never_ends)(at) && !has(&["max_age", "expires_at", "idle"]) {
        at.find(&["kind"]).unwrap_or_else(|| at.clone()).warn(format!(
            "found {kind:?}, whose cookies do not expire, so a stolen one works until its key is \
             replaced, expected sessions that end; write `secrets` as a list and put a new secret \
             in front once per session lifetime"
        ));
    }
    if let Some(url) = at.find(&["store", "url"]) {
        note_store(&url);
    }
    if let Some(url) = at.find(&["store", "fallback", "url"]) {
        note_store(&url);
    }
}

/// The bytes a shared secret of this session should have: more for the longer hashes
/// (RFC 7518 section 3.2).
fn shortest(of_kind: usize, at: &At<'_>) -> usize {
    let algorithms = at.find(&["algorithms"]).map(|at| leaves(&at)).unwrap_or_default();
    let has = |name: &str| algorithms.iter().any(|at| text(at) == Some(name));
    if has("HS512") {
        64
    } else if has("HS384") {
        48
    } else {
        of_kind
    }
}

/// Notes a secret that can be guessed. Says only how long it is.
fn note_secret(at: &At<'_>, shortest: usize) {
    let Some(secret) = resolved(at) else { return };
    let length = secret.bytes().len();
    // A key in PEM or JSON form has its own rules.
    if secret.text().is_some_and(|text| text.contains("-----BEGIN")) {
        return;
    }
    let found = if length < shortest {
        format!("found a secret of {length} bytes")
    } else if secret.is_monotonous() {
        "found a secret with very few distinct characters".to_owned()
    } else if secret.bytes().starts_with(b"django-insecure-") {
        "found the development key that `startproject` generates".to_owned()
    } else {
        return;
    };
    at.warn(format!(
        "{found}, which can be guessed from one cookie, expected {shortest} random bytes or \
         more; write the output of `openssl rand -base64 {}` into it, here and in the app",
        shortest.next_multiple_of(16)
    ));
}

fn note_shared_namespace(sessions: &[At<'_>]) {
    let without: Vec<_> =
        sessions.iter().filter(|at| at.find(&["user_prefix"]).is_none()).collect();
    if let (true, Some(first)) = (sessions.len() > 1, without.first()) {
        first.warn_of_missing(
            "user_prefix",
            format!(
                "found none, so user 1 here is user 1 of the other sources: one limit, one \
                 token, one revocation, expected a prefix in each of the {} sources; write \
                 user_prefix = \"staff:\", or user_prefix = \"\" if they have the same users",
                sessions.len()
            ),
        );
    }
}

fn note_store(at: &At<'_>) {
    let Some(secret) = resolved(at) else { return };
    if StoreUrl::parse(&secret).is_ok_and(|url| url.is_exposed()) {
        at.warn(
            "found a store on another machine without TLS, so anyone on the network path can read \
             sessions and make some, expected an encrypted connection; write rediss://, \
             ?sslmode=verify-full (PostgreSQL) or ?ssl-mode=VERIFY_IDENTITY (MySQL)",
        );
    }
}

fn note_token(at: &At<'_>) {
    if at.find(&["path"]).is_some() && at.find(&["limit"]).is_none() {
        at.warn_of_missing(
            "limit",
            "found none, so one user can ask for any number of tokens, expected a rate; write \
             limit = \"30/minute\"",
        );
    }
}

/// `[upstream]`, or each `[upstream.NAME]`.
fn upstreams<'a>(top: &At<'a>) -> Vec<At<'a>> {
    let Some(at) = top.find(&["upstream"]) else { return Vec::new() };
    if at.find(&["servers"]).is_some() { vec![at] } else { members(Some(at)) }
}

fn note_upstream(top: &At<'_>, upstream: &At<'_>) {
    if let Some(verify) = upstream.find(&["tls", "verify"])
        && matches!(verify.node.value, Value::Boolean(false))
        && let Some(tls) = upstream.find(&["tls"])
    {
        tls.warn(
            "verify = false: anyone between gateway and app can read and change everything; \
             give `ca` instead",
        );
    }
    // A vendor's API gets no identity headers.
    if !says_who(top) || upstream.find(&["keys"]).is_some() {
        return;
    }
    let servers = upstream.find(&["servers"]).map(|at| at.items()).unwrap_or_default();
    for server in servers {
        if let Some(url) = text(&server).filter(|url| is_in_the_clear(url)) {
            server.warn(format!(
                "found {url:?}, so identity headers travel to another machine in the clear and \
                 anyone on the network path can write them, expected TLS; write \"https://…\""
            ));
        }
    }
}

/// Whether headers tell the app who is signed in.
fn says_who(top: &At<'_>) -> bool {
    let routes = top.find(&["route"]).map(|at| at.items()).unwrap_or_default();
    top.find(&["identity"]).is_some()
        || routes.iter().any(|route| route.find(&["set_headers"]).is_some())
}

/// Notes every address that something secret, or something believed, is fetched from.
fn note_addresses(at: &At<'_>, key: &str) {
    const ADDRESSES: [&str; 5] = ["certs_url", "grant", "jwks_url", "otlp", "url"];
    if ADDRESSES.contains(&key) && text(at).is_some_and(is_in_the_clear) {
        at.warn(
            "found http:// to another machine, so anyone on the network path can read the request \
             and forge the answer, expected TLS; write \"https://…\"",
        );
    }
    each_below(at, key, &mut |at, key| note_addresses(at, key));
}

fn is_in_the_clear(url: &str) -> bool {
    const SCHEME: &str = "http://";
    let starts = |scheme: &str| scheme.eq_ignore_ascii_case(SCHEME);
    let Some(rest) =
        url.get(SCHEME.len()..).filter(|_| url.get(..SCHEME.len()).is_some_and(starts))
    else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let host = match authority.split_once(']') {
        Some((address, _)) => format!("{address}]"),
        None => authority.split(':').next().unwrap_or_default().to_owned(),
    };
    !is_loopback(&host)
}

/// Notes every file of secrets that other users of this machine can read or write.
fn note_secret_files(at: &At<'_>, key: &str) {
    const PUBLIC: [&str; 8] =
        ["ca", "cert", "certs", "client_ca", "jwks", "kid", "public_key", "publishable_key"];
    if PUBLIC.contains(&key) {
        return;
    }
    if let Some(text) = text(at) {
        let is_tls_key = key == "key" && at.path.starts_with("server.tls");
        let has_scheme = ["credential:", "env:"].iter().any(|scheme| text.starts_with(scheme));
        let path = text.strip_prefix("file:");
        if let Some(path) = path.or_else(|| Some(text).filter(|_| is_tls_key && !has_scheme)) {
            note_mode(at, path);
        }
    }
    each_below(at, key, &mut |at, key| note_secret_files(at, key));
}

fn note_mode(at: &At<'_>, path: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    const OTHERS: u32 = 0o007;
    let Secrets::Process { folder, .. } = at.secrets else { return };
    let Ok(metadata) = std::fs::metadata(folder.join(path)) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & OTHERS != 0 {
        at.warn(format!(
            "found a file of mode {mode:04o}, which every user of this machine can open, \
             expected 0600 or 0640; run chmod 600 on it"
        ));
    }
}

/// Calls `visit` with everything one level below; items of a list keep its key.
fn each_below(at: &At<'_>, key: &str, visit: &mut impl FnMut(&At<'_>, &str)) {
    match &at.node.value {
        Value::Array(_) => at.items().iter().for_each(|item| visit(item, key)),
        Value::Table(_) => at.members().iter().for_each(|(key, at)| visit(at, &key.name)),
        Value::Boolean(_)
        | Value::Datetime
        | Value::Float(_)
        | Value::Integer(_)
        | Value::Text(_) => {}
    }
}

fn members<'a>(at: Option<At<'a>>) -> Vec<At<'a>> {
    let is_table = |at: &At<'a>| matches!(at.node.value, Value::Table(_));
    let members = at.filter(is_table).map(|at| at.members()).unwrap_or_default();
    members.into_iter().map(|(_, at)| at).collect()
}

/// The one value, those of a list, or those of a table.
fn leaves<'a>(at: &At<'a>) -> Vec<At<'a>> {
    match &at.node.value {
        Value::Table(_) => members(Some(at.clone())),
        _ => at.items(),
    }
}

fn text<'a>(at: &At<'a>) -> Option<&'a str> {
    match &at.node.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn resolved(at: &At<'_>) -> Option<Secret> {
    at.secrets.resolve(text(at)?).ok()
}
