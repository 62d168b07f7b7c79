//! What a cookie looks like: which framework probably wrote it. For hints to an
//! operator only; nothing is decided by looks.

use serde_json::Value;

use super::codec::{base64, claims, json};

/// What a value looks like.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// The kinds that read such a value, the likeliest first.
    pub kinds: &'static [&'static str],
    pub looks: &'static str,
}

/// Default names, without `__Secure-`, and the kind that reads them.
const NAMES: [(&str, &str); 16] = [
    ("appSession", "auth0"),
    ("auth_session", "lookup"),
    ("authjs.session-token", "authjs"),
    ("better-auth.session_data", "better-auth"),
    ("better-auth.session_token", "better-auth"),
    ("connect.sid", "express-session"),
    ("fastapiusersauth", "jwt"),
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

/// Values that begin with a mark of their framework.
const MARKS: [(&str, Shape); 7] = [
    ("base64-", Shape { kinds: &["supabase"], looks: "a Supabase session" }),
    ("eyJpdiI6", Shape { kinds: &["laravel"], looks: "a value encrypted by Laravel" }),
    ("Fe26.2**", Shape { kinds: &["h3-session", "yar"], looks: "an iron seal of h3 or yar" }),
    (
        "Fe26.2*",
        Shape { kinds: &["iron-session", "yar", "h3-session"], looks: "an iron-session seal" },
    ),
    ("QTEyOEdDTQ.", Shape { kinds: &["plug"], looks: "a session encrypted by plug_crypto 1" }),
    ("SFM", Shape { kinds: &["plug"], looks: "a Phoenix (Plug) session" }),
    ("XCP.", Shape { kinds: &["plug"], looks: "an encrypted Phoenix (Plug) session" }),
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
    let marked = MARKS.into_iter().find(|(mark, _)| text.starts_with(mark));
    marked
        .map(|(_, shape)| shape)
        .or_else(|| of_token(text))
        .or_else(|| of_signed(text))
        .or_else(|| of_timed(text))
        .or_else(|| of_json(text))
}

const fn shape(kinds: &'static [&'static str], looks: &'static str) -> Option<Shape> {
    Some(Shape { kinds, looks })
}

/// Tokens of dotted parts, told apart by their header.
fn of_token(text: &str) -> Option<Shape> {
    let parts: Vec<_> = text.split('.').collect();
    let object = |part: Option<&&str>| claims::object(&base64::url_decode(part?)?).ok();
    let header = object(parts.first())?;
    match (parts.len(), claims::text(&header, "alg")?, claims::text(&header, "enc")) {
        (5, "dir", Some("A256GCM")) => {
            shape(&["next-auth", "auth0", "authjs"], "an encrypted token of next-auth 4 or Auth0")
        }
        (5, "dir", Some("A256CBC-HS512")) => {
            shape(&["authjs", "better-auth"], "an encrypted token of Auth.js 5")
        }
        (5, ..) => shape(&[], "an encrypted token that no kind reads"),
        (3, _, None) => Some(of_issuer(&object(parts.get(1)).unwrap_or_default())),
        _ => None,
    }
}

/// A signed token, by who says to have issued it.
fn of_issuer(payload: &Value) -> Shape {
    let issuer = claims::text(payload, "iss").unwrap_or_default();
    let (kinds, looks): (&[_], _) = match issuer {
        _ if issuer.starts_with("https://session.firebase.google.com/") => {
            (&["firebase"], "a Firebase session cookie")
        }
        _ if issuer.starts_with("https://securetoken.google.com/") => {
            (&["firebase"], "a Firebase ID token, which is no session cookie")
        }
        _ if issuer.ends_with("/auth/v1") => (&["jwt"], "an access token of Supabase"),
        _ if payload.get("sid").is_some() && payload.get("azp").is_some() => {
            (&["clerk", "jwt"], "a session token of Clerk")
        }
        _ => (&["jwt", "clerk", "firebase"], "a signed token (JWT)"),
    };
    Shape { kinds, looks }
}

/// A text and its MAC, told apart by what stands between them and how long the
/// MAC is.
fn of_signed(text: &str) -> Option<Shape> {
    let dashed: Vec<_> = text.split("--").collect();
    let is_hex =
        |text: &str| [40, 64].contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    match dashed.as_slice() {
        [_, _, _] => return shape(&["rails"], "an encrypted Rails cookie"),
        [_, mac] if is_hex(mac) => return shape(&["rails"], "a signed Rails cookie"),
        _ => {}
    }
    if let Some((_, nonce)) = text.split_once(';') {
        let boxed = nonce.len() == 32 && base64::decode(nonce).is_some();
        return boxed.then_some(Shape {
            kinds: &["fastify-secure-session"],
            looks: "a session of @fastify/secure-session",
        });
    }
    let (signed, mac) = text.rsplit_once('.')?;
    let sha256 = base64::decode(mac).is_some_and(|mac| mac.len() == 32);
    match (sha256, mac.len()) {
        (true, 43) if signed.starts_with("s:") => {
            shape(&["express-session"], "a signed express-session id")
        }
        (true, 43) if base64::decode(signed).is_some() => {
            shape(&["react-router"], "a session of React Router or Remix")
        }
        (true, 44) => shape(&["better-auth"], "a session token of better-auth"),
        _ => None,
    }
}

/// Payload, time and MAC: itsdangerous and Django.
fn of_timed(text: &str) -> Option<Shape> {
    let split = |separator| {
        let (signed, mac) = text.rsplit_once(separator)?;
        let (payload, time) = signed.rsplit_once(separator)?;
        let mac = base64::url_decode(mac)?.len();
        ((4..=8).contains(&time.len()) && !payload.is_empty()).then_some((payload, mac))
    };
    if let Some((_, 32)) = split(':') {
        return shape(&["django"], "a Django signed cookie");
    }
    let (payload, 20) = split('.')? else { return None };
    if payload.starts_with('.') || payload.len() % 4 != 0 {
        return shape(&["flask"], "a Flask session");
    }
    if payload.contains(['=', '+', '/']) {
        return shape(&["starlette"], "a session of Starlette (FastAPI)");
    }
    shape(&["flask", "starlette"], "a value signed by itsdangerous (Flask, Starlette)")
}

/// JSON in base64, whose MAC is in a cookie of its own.
fn of_json(text: &str) -> Option<Shape> {
    let whole = json::parse(&base64::decode(text)?).ok()?;
    let members = whole.as_object()?;
    if members.contains_key("_expire") || members.contains_key("_maxAge") {
        return shape(&["koa-session"], "a session of koa-session");
    }
    shape(&["cookie-session"], "JSON in base64, as cookie-session writes it")
}
