//! nextjs-auth0: an encrypted token. Version 4 keeps its times in the payload,
//! version 3 and express-openid-connect in the header.
//!
//! express-openid-connect keeps no user: to the app, the claims of the ID token are the
//! user. The token was verified at the sign-in, and the encryption vouches for it since.

use serde_json::Value;

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::Risks;
use crate::session::codec::{claims, crypto, json, jwe, jws, spelling};
use crate::session::cookie::Duplicate;
use crate::session::cookie_names::{CookieConventions, CookieNames, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::rejected::Rejected;
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::value_notation::{Fit, Look, Sample};

/// Next.js picks the last of several cookies.
const CONVENTIONS: CookieConventions = CookieConventions {
    names: &["__session"],
    chunks: Some("__"),
    duplicate: Duplicate::Last,
    ..CookieConventions::NODE
};
/// The layout of version 3.
const OLDER: CookieConventions =
    CookieConventions { names: &["appSession"], chunks: Some("."), ..CONVENTIONS };

/// Seconds by which express-openid-connect ends a session before the ceiling that the
/// provider sets (`session_expiry`).
const CEILING_LEEWAY: u64 = 30;

struct Auth0 {
    older: CookieNames,
    keys: Vec<jwe::Key>,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "auth0",
    is_as_written: spelling::token,
    read,
    hints: Hints {
        names: &["appSession"],
        companions: &[
            "__FC_*",
            "__txn_*",
            "a0:state",
            "auth_verification",
            "code_verifier",
            "nonce",
            "skipSilentLogin",
            "state",
        ],
        look,
        also_check: "; kind = \"hono-session\" and kind = \"next-auth\" have the same form",
        ..Hints::NONE
    },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("auth0.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let (jar, older) = (settings.jar(CONVENTIONS), settings.jar(OLDER));
    let secrets = settings.secrets()?;
    let encryption = jwe::Encryption::A256Gcm;
    let keys = secrets.iter().filter_map(|secret| {
        let secret = crypto::hkdf(secret, b"", b"JWE CEK", encryption.key_length())?;
        Some(jwe::Key { encryption, secret })
    });
    let (jar, older) = (jar?, older?);
    let jar = jar.with_companions(older.names().to_vec(), OLDER.chunks);
    Some(Compiled::new(jar, Auth0 { keys: keys.collect(), older }).with_user_id("/user/sub"))
}

impl Verify for Auth0 {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = match sent.find_optional()? {
            Some(found) => found,
            None => {
                let older = sent.with_jar(&self.older).find_optional()?;
                older.ok_or_else(|| sent.missing())?
            }
        };
        let token = jwe::open(&found.value, self.keys.iter())?;
        let mut session = json::parse(&token.plaintext)?;
        let ceiling = session.get("sessionExpiresAt").and_then(Value::as_u64);
        let ends = [
            claims::expires_at(&token.header, now)?,
            claims::expires_at(&session, now)?,
            ceiling.map(|end| end.saturating_sub(CEILING_LEEWAY)),
        ];
        read_id_token(&mut session);
        let expires_at = ends.into_iter().flatten().min();
        Ok(Check::Known(OpenedSession { session, expires_at }))
    }

    fn picked(&self, sent: SentCookies<'_>) -> Vec<String> {
        let picked = sent.picked();
        if picked.is_empty() { sent.with_jar(&self.older).picked() } else { picked }
    }

    /// The session's id, or else what tells one ID token from the next: both cookies are
    /// written again with each answer.
    fn renewed_id<'s>(&self, session: &'s Value) -> Option<&'s str> {
        let places = ["/internal/sid", "/sid", "/user/sid", "/id_token/nonce"];
        places.iter().find_map(|at| session.pointer(at)?.as_str().filter(|id| !id.is_empty()))
    }

    fn is_judged(&self, jar: &CookieNames, name: &[u8]) -> bool {
        jar.reads_cookie(name)
    }
}

/// Replaces the text of the ID token by its claims, and adds them as the user if the
/// session has none.
fn read_id_token(session: &mut Value) {
    let Some(members) = session.as_object_mut() else { return };
    let claims = members.get("id_token").and_then(Value::as_str).and_then(jws::sealed_claims);
    let Some(claims) = claims else { return };
    if !members.contains_key("user") {
        members.insert("user".to_owned(), claims.clone());
    }
    members.insert("id_token".to_owned(), claims);
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    let text = "an encrypted token, as next-auth 4, Auth0 and @hono/session write them";
    sample.is_encrypted_with("A256GCM").then_some(Look::new(Fit::Possible, text))
}
