//! Refusals and their reasons: each reason in a sentence, with the command that explains one
//! case of it.

use serde_json::{Value, json};

use crate::observe::{ReasonCount, RouteCounts, Slot};

/// Most rows; the rarest are left out.
const MOST: usize = 50;

pub(super) fn rows(hour: &Slot) -> Vec<Value> {
    let of_route = |(route, counts): (&str, &RouteCounts)| {
        let route = route.to_owned();
        counts
            .reasons
            .clone()
            .into_iter()
            .map(move |reason| (route.clone(), reason))
            .collect::<Vec<_>>()
    };
    let mut rows: Vec<_> = hour.routes.iter().flat_map(of_route).collect();
    rows.sort_by(|(_, a), (_, b)| b.count.cmp(&a.count).then(b.last_ms.cmp(&a.last_ms)));
    rows.truncate(MOST);
    let row = |(route, reason): &(String, ReasonCount)| {
        let (meaning, command) = explained(reason.code, reason.reason);
        json!({
            "route": route,
            "code": reason.code,
            "reason": reason.reason,
            "count": reason.count,
            "last_at": reason.last_ms / 1000,
            "meaning": meaning,
            "command": command,
        })
    };
    rows.iter().map(row).collect()
}

const COOKIE: &str = "portcullis session --cookie 'the Cookie header of that request'";
const ONLINE: &str = "portcullis check --online";
const MINT: &str = "portcullis token NAME --session '{\"user_id\":\"ID\"}' --request '{…}'";

/// The meaning of a reason, and what to run. The reasons of sessions stand first: they are
/// more precise than the code.
fn explained(code: &str, reason: &str) -> (&'static str, &'static str) {
    match reason {
        "bad_signature" => {
            ("the session is signed with another secret than the gateway has", COOKIE)
        }
        "expired" => ("the session has expired", COOKIE),
        "malformed" => ("the cookie is not a session of the kind in [session]", COOKIE),
        "no_user" => ("the session names no user where `user_id` points", COOKIE),
        "not_yet_valid" => ("the session begins in the future: compare the clocks", COOKIE),
        "revoked" => ("the session was revoked or signed out", COOKIE),
        _ => of_code(code),
    }
}

fn of_code(code: &str) -> (&'static str, &'static str) {
    match code {
        "bad_request" => ("the request lacks an input or is malformed", MINT),
        "cross_site" => ("a page of another site asked; `origins` admits one", "portcullis check"),
        "issuer_failed" => ("the vendor gave no usable answer", ONLINE),
        "method_not_allowed" => ("the method is not one of `methods`", "portcullis check"),
        "misdirected" => ("the Host is not one of `hosts`", "portcullis check"),
        "not_allowed" => ("`allow` or the app's grant says no", MINT),
        "not_signed_in" => ("there is no session cookie, or none that counts", COOKIE),
        "session_expired" => ("the session has expired", COOKIE),
        "timeout" => ("the app did not answer within `read_timeout`", ONLINE),
        "too_large" => {
            ("the request is over `max_header`, `max_uri` or `max_token_body`", "portcullis check")
        }
        "too_many_requests" => {
            ("the user, or the address, has used up the limit", "portcullis check")
        }
        "unavailable" => ("a store or the app could not be asked", ONLINE),
        "upstream_failed" => ("the app gave no usable answer", ONLINE),
        _ => ("see the access log", "portcullis check"),
    }
}
