//! next-auth 4: an encrypted token under a key derived from the secret alone.

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::Risks;
use crate::session::codec::{claims, crypto, jwe, spelling};
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::rejected::Rejected;
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::value_notation::{Fit, Look, Sample};

const CONVENTIONS: CookieConventions = CookieConventions {
    names: &["__Secure-next-auth.session-token", "next-auth.session-token"],
    chunks: Some("."),
    reads_prefix: true,
    ..CookieConventions::NODE
};

/// With a salt, as for its CSRF and state tokens, the library appends it here:
/// those tokens open under another key and never as a session.
const INFO: &[u8] = b"NextAuth.js Generated Encryption Key";

struct NextAuth {
    keys: Vec<jwe::Key>,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "next-auth",
    is_as_written: spelling::token,
    read,
    hints: Hints {
        names: &["next-auth.session-token"],
        companions: &[
            "next-auth.callback-url",
            "next-auth.csrf-token",
            "next-auth.nonce",
            "next-auth.pkce.code_verifier",
            "next-auth.state",
        ],
        look,
        also_check: "; kind = \"auth0\" and kind = \"hono-session\" have the same form",
        ..Hints::ADAPTER
    },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("next_auth.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let secrets = settings.secrets()?;
    let encryption = jwe::Encryption::A256Gcm;
    let keys = secrets.iter().filter_map(|secret| {
        let secret = crypto::hkdf(secret, b"", INFO, encryption.key_length())?;
        Some(jwe::Key { encryption, secret })
    });
    Some(Compiled::new(jar?, NextAuth { keys: keys.collect() }).with_user_id("/sub"))
}

impl Verify for NextAuth {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let token = jwe::open(&found.value, self.keys.iter())?;
        claims::session(&token.plaintext, now).map(Check::Known)
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    let text = "an encrypted token, as next-auth 4, Auth0 and @hono/session write them";
    sample.is_encrypted_with("A256GCM").then_some(Look::new(Fit::Likely, text))
}
