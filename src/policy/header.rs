//! Headers set from verified values: `X-Auth-User = "{session.user_id}"`.
//!
//! A header whose value is missing is removed, never left as the client sent it. A
//! value put in is not scanned again, and one that a header cannot carry (line breaks,
//! control characters, blanks around it) counts as missing.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde_json::Value as Json;

use super::token::{TokenRoute, named};
use super::vendor_api::VendorApi;
use crate::base::json_path::JsonPath;
use crate::base::packed_json::PackedJson;
use crate::base::secret::Secret;
use crate::document::template_syntax::{Piece, Reference, StrayBrace, cut};
use crate::document::{At, FromNode as _};
use crate::mint::Filter;
use crate::request::headers;
use crate::session::Identity;

/// One configured header.
pub struct HeaderTemplate {
    pub name: HeaderName,
    pub value: HeaderValueTemplate,
}

/// Its value: literal text and placeholders.
pub struct HeaderValueTemplate(Vec<ValuePart>);

enum ValuePart {
    /// A key of the upstream the route leads to.
    Key(Secret),
    Literal(String),
    Session(JsonPath, Vec<Filter>),
    Token(Arc<TokenRoute>),
    UserId,
}

/// Hands out tokens for `{token.NAME}`, which the shell has prepared.
pub(crate) type PageToken<'a> = &'a dyn Fn(&str) -> Option<HeaderValue>;

impl HeaderValueTemplate {
    /// The tokens this value needs.
    pub fn tokens(&self) -> impl Iterator<Item = &Arc<TokenRoute>> {
        self.0.iter().filter_map(|piece| match piece {
            ValuePart::Token(token) => Some(token),
            ValuePart::Key(_)
            | ValuePart::Literal(_)
            | ValuePart::Session(..)
            | ValuePart::UserId => None,
        })
    }

    /// Whether the value depends on who is signed in.
    pub fn needs_session(&self) -> bool {
        !self.0.iter().all(|piece| matches!(piece, ValuePart::Key(_) | ValuePart::Literal(_)))
    }

    /// The value for this request; `None` if any part of it is missing.
    pub fn render(&self, identity: Option<&Identity>, token: PageToken<'_>) -> Option<HeaderValue> {
        let joined = match self.0.as_slice() {
            // The usual case, a single part, needs no joining.
            [part] => HeaderValue::from_bytes(&part.text(identity, token)?),
            parts => {
                let texts = parts.iter().map(|part| part.text(identity, token));
                HeaderValue::from_bytes(&texts.collect::<Option<Vec<_>>>()?.concat())
            }
        };
        let mut value = joined.ok().filter(|value| stands_as_it_is(value.as_bytes()))?;
        value.set_sensitive(self.0.iter().any(|piece| matches!(piece, ValuePart::Key(_))));
        Some(value)
    }
}

/// Whether the app reads the value as it is written: blanks around it are dropped
/// (RFC 9110 section 5.5), so the user ` admin` would arrive as `admin`.
fn stands_as_it_is(value: &[u8]) -> bool {
    !value.is_empty() && value.trim_ascii().len() == value.len()
}

impl ValuePart {
    /// The text of this part in this request.
    fn text<'a>(
        &'a self,
        identity: Option<&'a Identity>,
        token: PageToken<'_>,
    ) -> Option<Cow<'a, [u8]>> {
        Some(match self {
            Self::Key(key) => Cow::Borrowed(key.bytes()),
            Self::Literal(literal) => Cow::Borrowed(literal.as_bytes()),
            Self::Session(path, filters) => match path.find(identity?.packed())? {
                PackedJson::Text(text) if filters.is_empty() => text.as_bytes().into(),
                value => filtered(value.to_value(), filters)?,
            },
            Self::Token(route) => Cow::Owned(token(&route.name)?.as_bytes().to_vec()),
            Self::UserId => Cow::Borrowed(identity?.user_id().as_bytes()),
        })
    }
}

/// A text, number or truth value, as text.
fn scalar(value: Json) -> Option<Vec<u8>> {
    match value {
        Json::Bool(value) => Some(value.to_string().into_bytes()),
        Json::Number(value) => Some(value.to_string().into_bytes()),
        Json::String(value) => Some(value.into_bytes()),
        Json::Array(_) | Json::Null | Json::Object(_) => None,
    }
}

/// A value as its filters write it; one they refuse counts as missing.
fn filtered(value: Json, filters: &[Filter]) -> Option<Cow<'static, [u8]>> {
    let apply = |value: Json, filter: &Filter| filter.apply(&value).ok();
    let value = filters.iter().try_fold(value, apply)?;
    scalar(value).map(Cow::Owned)
}

/// Reads a table of headers.
pub(super) fn read_all(
    at: &At<'_>,
    tokens: &[Arc<TokenRoute>],
    vendor_api: Option<&VendorApi>,
) -> Vec<HeaderTemplate> {
    let names = HeaderNames { tokens, vendor_api };
    let mut all: Vec<HeaderTemplate> = Vec::new();
    for (key, at) in at.members() {
        let Some(header) = read(&key.name, &at, names) else { continue };
        if all.iter().any(|other| other.name == header.name) {
            at.problem("this header is set already, in another spelling; leave one of them out");
            continue;
        }
        all.push(header);
    }
    all
}

fn read(name: &str, at: &At<'_>, names: HeaderNames<'_>) -> Option<HeaderTemplate> {
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
    let value = parse(&text, names).map_err(|problem| at.problem(problem)).ok()?;
    Some(HeaderTemplate { name: header, value })
}

/// The names placeholders of a header may use.
#[derive(Clone, Copy)]
struct HeaderNames<'n> {
    tokens: &'n [Arc<TokenRoute>],
    vendor_api: Option<&'n VendorApi>,
}

fn parse(text: &str, names: HeaderNames<'_>) -> Result<HeaderValueTemplate, String> {
    let mut parts = Vec::new();
    // A single `}` has always been literal in a header.
    for piece in cut(text, StrayBrace::Literal)? {
        parts.push(match piece {
            Piece::Literal(literal) if HeaderValue::from_str(&literal).is_ok() => {
                ValuePart::Literal(literal)
            }
            Piece::Literal(_) => return Err(NO_HEADER_TEXT.to_owned()),
            Piece::Reference(reference) => names.part(&reference)?,
        });
    }
    if parts.is_empty() {
        return Err(NO_HEADER_TEXT.to_owned());
    }
    Ok(HeaderValueTemplate(parts))
}

const NO_HEADER_TEXT: &str = "found a string that a header cannot carry";

impl HeaderNames<'_> {
    fn part(self, reference: &Reference) -> Result<ValuePart, String> {
        let name = || reference.rest().join(".");
        match (reference.root(), reference.rest()) {
            ("session", [field]) if field == "user_id" && reference.bare().is_some() => {
                Ok(ValuePart::UserId)
            }
            // Every value may be missing here, so a `?` adds nothing.
            ("session", path) if !path.is_empty() => {
                let filters = reference.filters.iter().map(|filter| Filter::parse(filter));
                let filters = filters.collect::<Result<_, _>>()?;
                Ok(ValuePart::Session(JsonPath::new(path.to_vec()), filters))
            }
            ("key", [_, ..]) if reference.bare().is_some() => self.key(&name()),
            ("token", [_, ..]) if reference.bare().is_some() => self.token(&name()),
            _ => Err("found an unknown placeholder, expected {session.user_id}, {session.PATH} \
                      or {token.NAME}"
                .to_owned()),
        }
    }

    fn key(self, name: &str) -> Result<ValuePart, String> {
        let vendor_api = self.vendor_api.ok_or(
            "a key can only be sent to the upstream it belongs to; write upstream = \"NAME\" in \
             this route and the key under `keys` of [upstream.NAME]",
        )?;
        vendor_api.key(name).cloned().map(ValuePart::Key).ok_or_else(|| {
            let known: Vec<_> = vendor_api.names().map(|name| format!("`{name}`")).collect();
            format!("there is no such key, expected one of {}", known.join(", "))
        })
    }

    fn token(self, name: &str) -> Result<ValuePart, String> {
        let token = named(self.tokens, name).ok_or_else(|| {
            let known: Vec<_> =
                self.tokens.iter().map(|token| format!("`{}`", token.name)).collect();
            format!("there is no such token, expected one of {}", known.join(", "))
        })?;
        endpoint_only(token)?;
        Ok(ValuePart::Token(token.clone()))
    }
}

/// Refuses a token that needs its own request.
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

    const NOTHING: HeaderNames<'static> = HeaderNames { tokens: &[], vendor_api: None };

    fn render(template: &str, user: &str) -> Option<String> {
        let session = json!({"role": "admin", "n": 3, "list": [1], "a": {"b": "{session.role}"}, "bad": "x\r\ny"});
        let identity = Identity::assumed(user.to_owned(), session, None);
        let value = parse(template, NOTHING).unwrap().render(Some(&identity), &|_| None)?;
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
    fn braces_filters_and_items_are_those_of_every_template() {
        for (template, text) in [
            ("{{{session.role}}}", "{admin}"),
            ("a}b", "a}b"),
            ("{session.list.0}", "1"),
            ("{session.list|json}", "[1]"),
            ("{session.role|first:2}", "ad"),
        ] {
            assert_eq!(render(template, "u1").as_deref(), Some(text), "{template}");
        }
        assert_eq!(render("{session.list|str}", "u1"), None, "a refused value is a missing one");
        assert_eq!(render("{session.bad|str}", "u1"), None);
        assert!(parse("{session.role|shout}", NOTHING).is_err());
    }

    #[test]
    fn a_value_that_is_missing_or_unfit_for_a_header_sets_nothing() {
        for template in ["{session.x}", "a{session.list}", "{session.bad}", "{session.a}"] {
            assert_eq!(render(template, "u1"), None, "{template}");
        }
        for user in ["u\n1", " u1", "u1 ", "u1\t", " "] {
            assert_eq!(render("{session.user_id}", user), None, "{user:?}");
        }
        let template = parse("{session.user_id}", NOTHING).unwrap();
        assert_eq!(template.render(None, &|_| None), None);
    }

    #[test]
    fn unknown_placeholders_are_errors() {
        for template in
            ["{x}", "{session.}", "{token.nope}", "{session.a", "{env.HOME}", "", "a\nb"]
        {
            assert!(parse(template, NOTHING).is_err(), "{template}");
        }
    }
}
