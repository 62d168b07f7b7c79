//! Pomerium: the JWT assertion it sends to the apps behind it.

use super::signed::{self, GateToken};
use crate::document::OneOrMany;
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::claims::Expected;
use crate::session::codec::spelling;
use crate::session::format::kind::{Compiled, Hints, SessionKind};
use crate::session::format::risks::Risks;
use crate::session::settings::Settings;

pub(in crate::session::format) const KIND: SessionKind = SessionKind {
    name: "pomerium",
    is_as_written: spelling::token,
    read,
    hints: Hints { key: "key", ..Hints::NONE },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("pomerium.schema.json"),
};

/// Issuer and audience are the app's own domain, and the keys are published there.
fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let audience = signed::audience(settings, "the app's domain at the gate, \"app.example.com\"");
    let issuer = settings.get::<OneOrMany<String>>("issuer").map(|list| list.0);
    let domain = audience.as_ref().and_then(|list| list.first());
    let url = domain.map(|domain| format!("https://{domain}/.well-known/pomerium/jwks.json"));
    let keys = signed::keys(settings, url)?;
    let expected = Expected { issuer: issuer.or_else(|| audience.clone()), audience };
    expected.audience.as_ref()?;
    let shared = keys.clone();
    let token = GateToken { keys, algorithm: Algorithm::ES256, expected, claim: None };
    let compiled = Compiled::new(signed::jar("x-pomerium-jwt-assertion"), token);
    Some(compiled.with_user_id("/sub").with_keys(Some(shared)))
}
