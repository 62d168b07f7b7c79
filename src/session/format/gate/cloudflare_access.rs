//! Cloudflare Access: the application token, in a header and in a cookie.

use super::signed::{self, GateToken};
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::claims::{self, Expected};
use crate::session::codec::spelling;
use crate::session::cookie_names::CookieConventions;
use crate::session::format::kind::{Compiled, Hints, SessionKind};
use crate::session::format::risks::Risks;
use crate::session::place_settings::Places;
use crate::session::settings::Settings;
use crate::session::value_notation::{Look, Notation, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { names: &["CF_Authorization"], ..CookieConventions::NODE };

const DOMAIN: &str = ".cloudflareaccess.com";

pub(in crate::session::format) const KIND: SessionKind = SessionKind {
    name: "cloudflare-access",
    is_as_written: spelling::token,
    read,
    hints: Hints {
        names: &["CF_Authorization"],
        companions: &["CF_AppSession", "CF_Binding", "CF_Session"],
        look,
        key: "key",
        ..Hints::NONE
    },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("cloudflare_access.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let cookie = settings.jar(CONVENTIONS);
    let team = read_team(settings);
    let audience = signed::audience(settings, "the app's Application Audience (AUD) tag");
    let url = |team: &String| format!("https://{team}{DOMAIN}/cdn-cgi/access/certs");
    let keys = signed::keys(settings, team.as_ref().map(url));
    let (team, keys) = (team?, keys?);
    let expected = Expected {
        issuer: Some(vec![format!("https://{team}{DOMAIN}")]),
        audience: Some(audience?),
    };
    let shared = keys.clone();
    let claim = Some(("type", "app"));
    let token = GateToken { keys, algorithm: Algorithm::RS256, expected, claim };
    // The cookie is not always passed on, and the header not to every upgrade.
    let first = signed::jar("cf-access-jwt-assertion");
    let compiled = Compiled::in_places(Places { first, second: Some(cookie?) }, token);
    Some(compiled.with_user_id("/sub").with_keys(Some(shared)))
}

/// `team`: the name before `.cloudflareaccess.com`.
fn read_team(settings: &mut Settings<'_, '_>) -> Option<String> {
    const EXPECTED: &str = r#"the team's name, such as "acme" for acme.cloudflareaccess.com"#;
    let at = settings.table().take_needed("team", EXPECTED)?;
    let team = at.text(EXPECTED)?;
    let team = team.strip_suffix(DOMAIN).unwrap_or(team);
    let is_label = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if team.is_empty() || team.len() > 63 || !team.bytes().all(is_label) {
        at.wrong(EXPECTED);
        return None;
    }
    Some(team.to_owned())
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    let Notation::Token(claims) = &sample.notation else { return None };
    let issuer = claims::text(claims, "iss").unwrap_or_default();
    if issuer.ends_with(DOMAIN) { Look::sure("a token of Cloudflare Access") } else { None }
}
