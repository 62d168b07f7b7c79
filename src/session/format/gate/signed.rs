//! The token that a gate signs for each request, as all such gates do it.

use std::sync::Arc;

use http::HeaderName;
use serde_json::Value;

use crate::document::OneOrMany;
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::claims::{self, Expected};
use crate::session::codec::jws;
use crate::session::codec::token_types::TokenTypes;
use crate::session::codec::verifying_keys::{KeySet, Keys, RemoteKeys};
use crate::session::cookie_names::{CookieNames, SentCookies};
use crate::session::format::kind::Verify;
use crate::session::header::{Believed, HeaderPlace};
use crate::session::identity::OpenedSession;
use crate::session::key_settings;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::Check;

/// A gate's token, and the claims it must have.
pub(super) struct GateToken {
    pub keys: Keys,
    pub algorithm: Algorithm,
    pub expected: Expected,
    /// A claim that tells the gate's session token from its other tokens.
    pub claim: Option<(&'static str, &'static str)>,
}

impl Verify for GateToken {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let keys = self.keys.current()?;
        let token = jws::verify(&found.value, &keys, &[self.algorithm], &TokenTypes::default())?;
        let opened = token.session(now)?;
        if opened.expires_at.is_none() {
            return Err(Rejected::new(Reason::MissingExp, "the token has no `exp`"));
        }
        claims::begun(&opened.session, "iat", now)?;
        self.expected.check(&opened.session)?;
        if let Some((name, wanted)) = self.claim
            && claims::text(&opened.session, name) != Some(wanted)
        {
            let detail = format!("the token's `{name}` is not {wanted:?}");
            return Err(Rejected::new(Reason::WrongPurpose, detail));
        }
        Ok(Check::Known(opened))
    }

    /// A gate signs a new token every few minutes, so its times tell no sign-in.
    fn signed_in_at(&self, _session: &Value) -> Option<u64> {
        None
    }
}

/// The jar of a gate's signed header.
pub(super) fn jar(name: &'static str) -> CookieNames {
    CookieNames::of_header(HeaderPlace::of_gate(
        HeaderName::from_static(name),
        Believed::FromAnyone,
    ))
}

/// `audience`: without it, a token for any other app behind the same gate would do.
pub(super) fn audience(settings: &mut Settings<'_, '_>, hint: &str) -> Option<Vec<String>> {
    let at = settings.table().take_needed("audience", hint)?;
    let audience = at.read::<OneOrMany<String>>()?.0;
    if audience.is_empty() || audience.iter().any(String::is_empty) {
        at.problem(format!("found no audience; write {hint}"));
        return None;
    }
    Some(audience)
}

/// The keys in the settings, or those that the gate publishes at its own address.
pub(super) fn keys(settings: &mut Settings<'_, '_>, published: Option<String>) -> Option<Keys> {
    let ways = ["public_key", "jwks", "jwks_url"];
    let written = ways.map(|way| settings.table().take(way).is_some());
    if written.contains(&true) {
        return key_settings::public(settings);
    }
    let keys = RemoteKeys::new(published?, KeySet::from_jwks);
    Some(Keys::Remote(Arc::new(keys)))
}
