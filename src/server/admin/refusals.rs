//! Refusals and their reasons: each reason in a sentence, with the command that explains one
//! case of it.

use serde_json::{Value, json};

use crate::observe::{ReasonCount, RouteCounts, Slot};
use crate::request::code::Code;
use crate::session::Reason;

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
const CHECK: &str = "portcullis check";
const ONLINE: &str = "portcullis check --online";
const MINT: &str = "portcullis token NAME --session '{\"user_id\":\"ID\"}' --request '{…}'";

/// The meaning of a reason, and what to run. The reasons of sessions stand first: they are
/// more precise than the code.
fn explained(code: &str, reason: &str) -> (&'static str, &'static str) {
    match (Reason::named(reason), Code::named(code)) {
        (Some(reason), _) => (of_session(reason), of_command(reason)),
        (None, Some(code)) => of_code(code),
        (None, None) => ("see the access log", CHECK),
    }
}

const fn of_session(reason: Reason) -> &'static str {
    match reason {
        Reason::AlgNotAllowed => {
            "the token is signed or encrypted with an algorithm that [session] does not allow"
        }
        Reason::Ambiguous => "the request carries several values where one session is expected",
        Reason::BadSignature => {
            "the session is signed with a secret that the gateway does not have"
        }
        Reason::Expired => "the session has expired",
        Reason::Malformed => "the cookie is not a session of the kind in [session]",
        Reason::Missing => "the request has no session cookie: another name, host or path",
        Reason::MissingExp => "the token never expires: it has no `exp`, which this kind requires",
        Reason::NoUser => "the session names no user where `user_id` points",
        Reason::NotYetValid => "the session begins in the future: compare the clocks",
        Reason::Oversized => "the session is larger than the gateway reads",
        Reason::SignedOut => "the session was revoked or signed out",
        Reason::StoreMiss => "the store, or the app, does not know the session",
        Reason::TokenMismatch => "the cached session belongs to another session token",
        Reason::Unavailable => "a store, a key server or the app could not be asked",
        Reason::UnknownCrit => {
            "the token's header requires an extension that the gateway does not know"
        }
        Reason::UnknownKid => "the token is signed with a key that is not published",
        Reason::UnsupportedSerializer => {
            "the app writes its sessions in a format that only its language reads"
        }
        Reason::WrongAudience => {
            "the token was issued for another app: compare `audience` with its `aud`"
        }
        Reason::WrongIssuer => {
            "the token comes from another issuer: compare `issuer` with its `iss`"
        }
        Reason::WrongPurpose => "the token was made for another purpose than a session",
        Reason::WrongVersion => "the session's version is not the one in [session]",
    }
}

const fn of_command(reason: Reason) -> &'static str {
    match reason {
        Reason::StoreMiss | Reason::Unavailable | Reason::UnknownKid => ONLINE,
        Reason::AlgNotAllowed
        | Reason::Ambiguous
        | Reason::BadSignature
        | Reason::Expired
        | Reason::Malformed
        | Reason::Missing
        | Reason::MissingExp
        | Reason::NoUser
        | Reason::NotYetValid
        | Reason::Oversized
        | Reason::SignedOut
        | Reason::TokenMismatch
        | Reason::UnknownCrit
        | Reason::UnsupportedSerializer
        | Reason::WrongAudience
        | Reason::WrongIssuer
        | Reason::WrongPurpose
        | Reason::WrongVersion => COOKIE,
    }
}

const fn of_code(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::BadRequest => ("the request lacks an input or is malformed", MINT),
        Code::CrossSite => ("a page of another site asked; `origins` can admit it", CHECK),
        Code::IssuerFailed => ("the vendor's answer is unusable", ONLINE),
        Code::MethodNotAllowed => ("the method is not one of `methods`", CHECK),
        Code::Misdirected => ("the Host is not one of `hosts`", CHECK),
        Code::NotAllowed => ("`allow` or the app's grant says no", MINT),
        Code::NotFound => ("no token and no rule has this path", CHECK),
        Code::NotSignedIn => ("there is no valid session, or the app no longer knows it", COOKIE),
        Code::SessionExpired => ("the session ends before a useful token would", COOKIE),
        Code::Timeout => ("the app did not answer within `read_timeout`", ONLINE),
        Code::TooLarge => {
            ("the request is over `max_header`, `max_uri` or `max_token_body`", CHECK)
        }
        Code::TooManyRequests => ("the user, or the address, has used up the limit", CHECK),
        Code::Unavailable => ("a store or the app could not be asked", ONLINE),
        Code::UpstreamFailed => ("the app's answer is unusable", ONLINE),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn every_reason_and_every_code_has_its_own_meaning() {
        let mut meanings = HashMap::new();
        for reason in Reason::ALL {
            let (meaning, command) = explained(Code::NotSignedIn.as_str(), reason.as_str());
            assert!(!command.is_empty());
            assert_eq!(meanings.insert(meaning, reason.as_str()), None, "{meaning}");
        }
        for code in Code::ALL {
            // As `Record::refuse` counts a refusal without a more precise reason; the reason
            // `unavailable` of a session has the same name as the code.
            let (meaning, _) = explained(code.as_str(), code.as_str());
            let before = meanings.insert(meaning, code.as_str());
            assert!(before.is_none_or(|name| name == code.as_str()), "{meaning}");
        }
        assert_eq!(
            explained("not_signed_in", "wrong_audience").0,
            of_session(Reason::WrongAudience)
        );
        assert_eq!(
            explained("not_signed_in", "signed_out").0,
            "the session was revoked or signed out"
        );
    }
}
