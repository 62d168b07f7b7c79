//! Headers set from what was verified: `X-Auth-User = "{session.user_id}"`.
//!
//! A header whose value is missing is removed, never left as the client sent
//! it. Substituted text is not scanned again, and a value that cannot stand in a
//! header (line breaks, control characters, blanks around it) counts as missing.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde_json::Value as Json;

use crate::base::secret::Secret;
use crate::document::{At, FromNode as _};
use crate::policy::{TokenRoute, VendorApi};
use crate::request::headers;
use crate::session::Identity;

/// One configured header.
pub struct HeaderTemplate {
    pub name: HeaderName,
    pub value: HeaderValueTemplate,
}

/// Its value: literal text and placeholders.
pub struct HeaderValueTemplate(Vec<Piece>);

enum Piece {
    /// A key of the upstream the route leads to.
    Key(Secret),
    Literal(String),
    /// Path into the session; empty segments never occur.
    Session(Vec<String>),
    Token(Arc<TokenRoute>),
    UserId,
}

/// Hands out tokens for `{token.NAME}`; the shell has them ready.
pub type PageToken<'a> = &'a dyn Fn(&str) -> Option<HeaderValue>;

impl HeaderValueTemplate {
    /// The tokens this value needs.
    pub fn tokens(&self) -> impl Iterator<Item = &Arc<TokenRoute>> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Token(token) => Some(token),
            Piece::Key(_) | Piece::Literal(_) | Piece::Session(_) | Piece::UserId => None,
        })
    }

    /// Whether the value depends on who is signed in.
    pub fn needs_session(&self) -> bool {
        !self.0.iter().all(|piece| matches!(piece, Piece::Key(_) | Piece::Literal(_)))
    }

    /// The value for this request; `None` if any part of it is missing.
    pub fn render(&self, identity: Option<&Identity>, token: PageToken<'_>) -> Option<HeaderValue> {
        let value = match self.0.as_slice() {
            // The usual case, a single piece, needs no joining.
            [piece] => HeaderValue::from_bytes(&part(piece, identity, token)?),
            pieces => {
                let parts = pieces.iter().map(|piece| part(piece, identity, token));
                HeaderValue::from_bytes(&parts.collect::<Option<Vec<_>>>()?.concat())
            }
        };
        let mut value = value.ok().filter(|value| stands_as_it_is(value.as_bytes()))?;
        value.set_sensitive(self.0.iter().any(|piece| matches!(piece, Piece::Key(_))));
        Some(value)
    }
}

/// Whether the app reads what is written: blanks around a value are no part of it
/// (RFC 9110 section 5.5), so that the user ` admin` would arrive as `admin`.
fn stands_as_it_is(value: &[u8]) -> bool {
    !value.is_empty() && value.trim_ascii().len() == value.len()
}

/// What one piece stands for in this request.
fn part<'a>(
    piece: &'a Piece,
    identity: Option<&'a Identity>,
    token: PageToken<'_>,
) -> Option<Cow<'a, [u8]>> {
    Some(match piece {
        Piece::Key(key) => Cow::Borrowed(key.bytes()),
        Piece::Literal(literal) => Cow::Borrowed(literal.as_bytes()),
        Piece::Session(path) => scalar(identity?.session(), path)?,
        Piece::Token(route) => Cow::Owned(token(&route.name)?.as_bytes().to_vec()),
        Piece::UserId => Cow::Borrowed(identity?.user_id().as_bytes()),
    })
}

/// A text, number or truth value of the session, as text.
fn scalar<'s>(session: &'s Json, path: &[String]) -> Option<Cow<'s, [u8]>> {
    let value = path.iter().try_fold(session, |value, segment| value.get(segment.as_str()))?;
    match value {
        Json::Bool(value) => Some(Cow::Owned(value.to_string().into_bytes())),
        Json::Number(value) => Some(Cow::Owned(value.to_string().into_bytes())),
        Json::String(value) => Some(Cow::Borrowed(value.as_bytes())),
        Json::Array(_) | Json::Null | Json::Object(_) => None,
    }
}

/// Reads a table of headers.
pub(super) fn read_all(
    at: &At<'_>,
    tokens: &[Arc<TokenRoute>],
    vendor_api: Option<&VendorApi>,
) -> Vec<HeaderTemplate> {
    at.members().iter().filter_map(|(key, at)| read(&key.name, at, tokens, vendor_api)).collect()
}

fn read(
    name: &str,
    at: &At<'_>,
    tokens: &[Arc<TokenRoute>],
    vendor_api: Option<&VendorApi>,
) -> Option<HeaderTemplate> {
    let Ok(header) = HeaderName::try_from(name) else {
        at.problem("this is not a header name");
        return None;
    };
    if headers::is_reserved(&header) {
        at.problem(
            "this header cannot be set here: framing, routing or another spelling depends on it",
        );
        return None;
    }
    let text = String::read(at)?;
    let value = parse(&text, tokens, vendor_api).map_err(|problem| at.problem(problem)).ok()?;
    Some(HeaderTemplate { name: header, value })
}

fn parse(
    text: &str,
    tokens: &[Arc<TokenRoute>],
    vendor_api: Option<&VendorApi>,
) -> Result<HeaderValueTemplate, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        pieces.push(Piece::Literal(literal.to_owned()));
        let (path, after) = after.split_once('}').ok_or("found a `{` without its `}`")?;
        pieces.push(placeholder(path, tokens, vendor_api)?);
        rest = after;
    }
    pieces.push(Piece::Literal(rest.to_owned()));
    pieces.retain(|piece| !matches!(piece, Piece::Literal(literal) if literal.is_empty()));
    let literals_are_fine = pieces.iter().all(|piece| match piece {
        Piece::Literal(literal) => HeaderValue::from_str(literal).is_ok(),
        Piece::Key(_) | Piece::Session(_) | Piece::Token(_) | Piece::UserId => true,
    });
    if pieces.is_empty() || !literals_are_fine {
        return Err("found a text that cannot stand in a header".to_owned());
    }
    Ok(HeaderValueTemplate(pieces))
}

fn placeholder(
    path: &str,
    tokens: &[Arc<TokenRoute>],
    vendor_api: Option<&VendorApi>,
) -> Result<Piece, String> {
    if let Some(name) = path.strip_prefix("key.") {
        let vendor_api = vendor_api.ok_or(
            "a key can only be sent to the upstream it belongs to; write upstream = \"NAME\" in \
             this route and the key under `keys` of [upstream.NAME]",
        )?;
        return vendor_api.key(name).cloned().map(Piece::Key).ok_or_else(|| {
            let known: Vec<_> = vendor_api.names().map(|name| format!("`{name}`")).collect();
            format!("there is no such key, expected one of {}", known.join(", "))
        });
    }
    if path == "session.user_id" {
        return Ok(Piece::UserId);
    }
    if let Some(path) = path.strip_prefix("session.") {
        // Every value may be missing here, so the `?` of token templates says nothing new.
        let path = path.strip_suffix('?').unwrap_or(path);
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if !path.iter().any(String::is_empty) {
            return Ok(Piece::Session(path));
        }
    }
    if let Some(name) = path.strip_prefix("token.") {
        let token = tokens.iter().find(|token| token.name == name);
        let token = token.ok_or_else(|| {
            let known: Vec<_> = tokens.iter().map(|token| format!("`{}`", token.name)).collect();
            format!("there is no such token, expected one of {}", known.join(", "))
        })?;
        endpoint_only(token)?;
        return Ok(Piece::Token(token.clone()));
    }
    Err("found an unknown placeholder, expected {session.user_id}, {session.PATH} or {token.NAME}"
        .to_owned())
}

/// A token that needs to be asked for cannot be put anywhere unasked.
pub(super) fn endpoint_only(token: &TokenRoute) -> Result<(), &'static str> {
    if !token.minter.inputs().is_empty() || token.minter.grant().is_some() {
        return Err("this token has request inputs or a grant, so it can only be asked for at \
                    its own path");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(template: &str, user: &str) -> Option<String> {
        let session = json!({"role": "admin", "n": 3, "list": [1], "a": {"b": "{session.role}"}, "bad": "x\r\ny"});
        let identity = Identity::assumed(user.to_owned(), session, None);
        let value = parse(template, &[], None).unwrap().render(Some(&identity), &|_| None)?;
        Some(String::from_utf8(value.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn values_come_from_the_session_and_are_not_scanned_again() {
        assert_eq!(render("{session.user_id}", "u1").as_deref(), Some("u1"));
        assert_eq!(
            render("id={session.user_id}; role={session.role}", "u1").as_deref(),
            Some("id=u1; role=admin")
        );
        assert_eq!(render("{session.n}", "u1").as_deref(), Some("3"));
        assert_eq!(render("{session.n?}", "u1").as_deref(), Some("3"));
        assert_eq!(render("{session.a.b}", "u1").as_deref(), Some("{session.role}"));
        assert_eq!(
            render("{session.user_id}", "{session.role}").as_deref(),
            Some("{session.role}")
        );
    }

    #[test]
    fn what_is_missing_or_cannot_stand_in_a_header_sets_nothing() {
        for template in ["{session.x}", "a{session.list}", "{session.bad}", "{session.a}"] {
            assert_eq!(render(template, "u1"), None, "{template}");
        }
        for user in ["u\n1", " u1", "u1 ", "u1\t", " "] {
            assert_eq!(render("{session.user_id}", user), None, "{user:?}");
        }
        let template = parse("{session.user_id}", &[], None).unwrap();
        assert_eq!(template.render(None, &|_| None), None);
    }

    #[test]
    fn unknown_placeholders_are_errors() {
        for template in
            ["{x}", "{session.}", "{token.nope}", "{session.a", "{env.HOME}", "", "a\nb"]
        {
            assert!(parse(template, &[], None).is_err(), "{template}");
        }
    }
}
