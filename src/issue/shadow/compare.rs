//! The whole comparison: status, headers, cookies, body.

use std::collections::BTreeMap;

use http::HeaderValue;
use serde_json::Value;

use super::answer::{AppAnswer, GatewayAnswer, Minted};
use super::difference::{Difference, DifferenceKind, Skipped, shown};
use super::members::Members;
use super::text;
use crate::base::clock::Now;
use crate::mint::Minter;

/// The differences between the app's answer and the gateway's, at the time of the app's.
pub(crate) fn compare(
    minter: &Minter,
    app: &AppAnswer,
    gateway: &GatewayAnswer,
    now: Now,
) -> Result<Vec<Difference>, Skipped> {
    let now = now.unix();
    let mut members = Members { minter, now, is_cut: false, found: Vec::new() };
    match gateway {
        GatewayAnswer::Refused { status, code } => {
            if app.status != *status {
                let ours = format!("{} {}", status.as_u16(), code.as_str());
                members.note(DifferenceKind::Status, "status", app.status.as_str(), ours);
            }
        }
        // The text of the app's refusal is for people.
        GatewayAnswer::Issued { .. } if app.status.as_u16() != 200 => {
            members.note(DifferenceKind::Status, "status", app.status.as_str(), "200");
        }
        GatewayAnswer::Issued { minted, allows_origin } => {
            if app.allows_origin && !allows_origin {
                let at = "access-control-allow-origin";
                members.note(DifferenceKind::Cors, at, "present", "absent: not in `origins`");
            }
            issued(&mut members, app, minted)?;
        }
    }
    Ok(members.found)
}

fn issued(members: &mut Members<'_>, app: &AppAnswer, minted: &Minted) -> Result<(), Skipped> {
    let (token, again) = (&minted.token, minted.again.as_ref());
    members.is_cut = token.uncut().is_some();
    let kind = media_type(app.content_type.as_ref());
    let own = media_type(Some(&token.content_type()));
    if kind != own {
        members.note(DifferenceKind::ContentType, "content-type", kind, own.clone());
    }
    let later = again.map(|again| again.set_cookies()).unwrap_or_default();
    cookies(members, &app.cookies, token.set_cookies(), later);
    let body = app.decoded()?;
    if own == "application/json" {
        let ours = serde_json::from_slice(&token.body).unwrap_or(Value::Null);
        let again = again.and_then(|again| serde_json::from_slice(&again.body).ok());
        match serde_json::from_slice::<Value>(&body) {
            Ok(document) => members.values("", (&document, &ours, again.as_ref()), 0),
            Err(_) => members.note(DifferenceKind::Form, "body", "not JSON", "JSON"),
        }
        return Ok(());
    }
    let again = again.and_then(|again| std::str::from_utf8(&again.body).ok());
    match (std::str::from_utf8(&body), std::str::from_utf8(&token.body)) {
        (Ok(body), Ok(ours)) => members.texts("body", (body, ours, again), 0),
        (Err(_), _) | (_, Err(_)) => {
            members.note(DifferenceKind::Form, "body", "not text", "text");
        }
    }
    Ok(())
}

/// A media type without its parameters, which clients of JSON do not read.
fn media_type(value: Option<&HeaderValue>) -> String {
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or("none");
    let name = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    shown(&name.replace('+', "-plus-")).replace("-plus-", "+")
}

/// A cookie of the app's session that is renewed here, and those that are the token.
fn cookies(
    members: &mut Members<'_>,
    app: &[HeaderValue],
    ours: &[HeaderValue],
    again: &[HeaderValue],
) {
    let (app, ours, again) = (by_name(app), by_name(ours), by_name(again));
    for (name, own) in &ours {
        let at = format!("cookie {}", shown(name));
        match app.get(name) {
            None => members.note(DifferenceKind::Cookies, &at, "absent", "set"),
            Some(value) => {
                let again = again.get(name).copied();
                members.texts(&at, (value, own, again), 0);
            }
        }
    }
    for (name, value) in app.iter().filter(|(name, _)| !ours.contains_key(*name)) {
        let at = format!("cookie {}", shown(name));
        let form = format!("set, {}", text::form(value));
        members.note(DifferenceKind::Cookies, &at, form, "absent");
    }
}

fn by_name(cookies: &[HeaderValue]) -> BTreeMap<&str, &str> {
    let pair = |cookie| {
        let text = std::str::from_utf8(HeaderValue::as_bytes(cookie)).ok()?;
        let (name, value) = text.split(';').next()?.split_once('=')?;
        Some((name.trim(), value.trim()))
    };
    cookies.iter().filter_map(pair).collect()
}
