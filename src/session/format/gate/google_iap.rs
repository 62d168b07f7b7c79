//! Google's Identity-Aware Proxy: a token for each request, valid for ten minutes.

use super::signed::{self, GateToken};
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::claims::{self, Expected};
use crate::session::codec::spelling;
use crate::session::format::kind::{Compiled, Hints, SessionKind};
use crate::session::format::risks::Risks;
use crate::session::settings::Settings;
use crate::session::value_notation::{Look, Notation, Sample};

const ISSUER: &str = "https://cloud.google.com/iap";
const KEYS: &str = "https://www.gstatic.com/iap/verify/public_key-jwk";

pub(in crate::session::format) const KIND: SessionKind = SessionKind {
    name: "google-iap",
    is_as_written: spelling::token,
    read,
    hints: Hints { look, key: "key", ..Hints::NONE },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("google_iap.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let hint = "\"/projects/NUMBER/global/backendServices/ID\", as the console shows it";
    let audience = signed::audience(settings, hint);
    let keys = signed::keys(settings, Some(KEYS.to_owned()))?;
    let expected = Expected { issuer: Some(vec![ISSUER.to_owned()]), audience: Some(audience?) };
    let shared = keys.clone();
    let token = GateToken { keys, algorithm: Algorithm::ES256, expected, claim: None };
    let compiled = Compiled::new(signed::jar("x-goog-iap-jwt-assertion"), token);
    Some(compiled.with_user_id("/sub").with_keys(Some(shared)))
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    let Notation::Token(claims) = &sample.notation else { return None };
    if claims::text(claims, "iss") == Some(ISSUER) {
        return Look::sure("a token of Google's Identity-Aware Proxy");
    }
    None
}
