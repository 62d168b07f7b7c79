//! What a cookie looks like: which framework probably wrote it. For hints to an
//! operator only; nothing is decided by looks.

use serde_json::Value;

use super::codec::{base64, claims};

/// The kind whose cookies look like this value, and what it looks like.
pub(super) struct Shape {
    pub kind: &'static str,
    pub looks: &'static str,
}

/// Default names, without `__Secure-`, and the kind that reads them.
const NAMES: [(&str, &str); 14] = [
    ("appSession", "auth0"),
    ("auth_session", "lookup"),
    ("authjs.session-token", "authjs"),
    ("better-auth.session_token", "better-auth"),
    ("connect.sid", "express-session"),
    ("h3", "h3-session"),
    ("koa.sess", "koa-session"),
    ("laravel_session", "laravel"),
    ("next-auth.session-token", "next-auth"),
    ("nuxt-session", "h3-session"),
    ("payload-token", "jwt"),
    ("PHPSESSID", "lookup"),
    ("sessionid", "django"),
    ("wos-session", "iron-session"),
];

/// The kind a cookie of this name usually belongs to.
pub(super) fn kind_of_name(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix("__Secure-").unwrap_or(name);
    let own = |default: &str| {
        name.strip_prefix(default).is_some_and(|rest| {
            rest.is_empty()
                || rest.strip_prefix('.').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
        })
    };
    let known = NAMES.iter().find(|(default, _)| own(default)).map(|&(_, kind)| kind);
    known
        .or_else(|| (name.starts_with("sb-") && name.contains("-auth-token")).then_some("supabase"))
}

/// What the (decoded) value looks like.
pub(super) fn of_value(value: &[u8]) -> Option<Shape> {
    let text = std::str::from_utf8(value).ok()?;
    let shape = |kind, looks| Some(Shape { kind, looks });
    match text {
        _ if text.starts_with("base64-") => shape("supabase", "a Supabase session"),
        _ if text.starts_with("eyJpdiI6") => shape("laravel", "a value encrypted by Laravel"),
        _ if text.starts_with("Fe26.2**") => shape("h3-session", "an iron seal of h3 or yar"),
        _ if text.starts_with("Fe26.2*") => shape("iron-session", "an iron-session seal"),
        _ if text.starts_with("s:") && text.contains('.') => {
            shape("express-session", "a signed express-session id")
        }
        _ if text.starts_with("SFM") || text.starts_with("XCP.") => {
            shape("plug", "a Phoenix (Plug) session")
        }
        _ if text.matches("--").count() == 2 => shape("rails", "an encrypted Rails cookie"),
        _ if text.starts_with("eyJ") && text.contains(';') => None,
        _ => of_token(text),
    }
}

/// Tokens of dotted parts, told apart by their header.
fn of_token(text: &str) -> Option<Shape> {
    let parts: Vec<_> = text.split('.').collect();
    let header = parts.first().and_then(base64::url_decode);
    let header: Option<Value> = header.and_then(|header| serde_json::from_slice(&header).ok());
    let member = |name| header.as_ref().and_then(|header| claims::text(header, name));
    let (kind, looks) = match (parts.len(), member("alg"), member("enc")) {
        (5, Some("dir"), Some("A256GCM")) => ("next-auth", "an encrypted token of next-auth 4"),
        (5, Some("dir"), Some("A256CBC-HS512")) => ("authjs", "an encrypted token of Auth.js 5"),
        (3, Some(_), None) => ("jwt", "a signed token (JWT)"),
        (3 | 4, None, None) if parts.last()?.len() == 27 => {
            ("flask", "a value signed by itsdangerous (Flask, Starlette)")
        }
        _ => return None,
    };
    Some(Shape { kind, looks })
}
