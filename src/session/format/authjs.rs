//! Auth.js 5: an encrypted token under a key bound to the cookie's name.

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
    names: &["__Secure-authjs.session-token", "authjs.session-token"],
    chunks: Some("."),
    reads_prefix: true,
    ..CookieConventions::NODE
};

struct AuthJs {
    /// For each name of the jar, because the name is the salt: a `__Secure-`
    /// token does not open under the plain name.
    keys: Vec<(String, Vec<jwe::Key>)>,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "authjs",
    is_as_written: spelling::token,
    read,
    hints: Hints {
        names: &["authjs.session-token"],
        companions: &[
            "authjs.callback-url",
            "authjs.challenge",
            "authjs.csrf-token",
            "authjs.nonce",
            "authjs.pkce.code_verifier",
            "authjs.state",
        ],
        look,
        also_check: "; the key also depends on the name under which the app sets the cookie",
        ..Hints::ADAPTER
    },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("authjs.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let secrets = settings.secrets()?;
    let jar = jar?;
    let keys = |name: &String| {
        let info = format!("Auth.js Generated Encryption Key ({name})");
        // Betas up to 2024 wrote A256GCM.
        let encryptions = [jwe::Encryption::A256CbcHs512, jwe::Encryption::A256Gcm];
        let keys = secrets.iter().flat_map(|secret| {
            encryptions.into_iter().filter_map(|encryption| {
                let (salt, length) = (name.as_bytes(), encryption.key_length());
                let secret = crypto::hkdf(secret, salt, info.as_bytes(), length)?;
                Some(jwe::Key { encryption, secret })
            })
        });
        (name.clone(), keys.collect())
    };
    let keys = jar.names().iter().map(keys).collect();
    Some(Compiled::new(jar, AuthJs { keys }).with_user_id("/sub"))
}

impl Verify for AuthJs {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let keys = self.keys.iter().filter(|(name, _)| name == found.name);
        let token = jwe::open(&found.value, keys.flat_map(|(_, keys)| keys))?;
        claims::session(&token.plaintext, now).map(Check::Known)
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    if sample.is_encrypted_with("A256GCM") {
        let text = "an encrypted token, as next-auth 4, Auth0 and @hono/session write them";
        let also_check = "; of Auth.js 5 only early betas write this form: kind = \"next-auth\", kind = \
                          \"auth0\" and kind = \"hono-session\" do";
        return Some(Look { also_check: Some(also_check), ..Look::new(Fit::Possible, text) });
    }
    let text = "an encrypted token of Auth.js 5";
    sample.is_encrypted_with("A256CBC-HS512").then_some(Look::new(Fit::Likely, text))
}
