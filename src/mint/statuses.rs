//! The status of a refusal, where a vendor's client acts on it: some give up for
//! good on one and try again on another.

use http::StatusCode;

use super::layered_table::LayeredTable;
use crate::document::At;
use crate::request::code::Code;

/// `statuses` of a preset or a token: codes of refusals that get another status.
#[derive(Default)]
pub struct Statuses(Vec<(Code, StatusCode)>);

/// Codes whose status may be chosen. The others are about HTTP itself.
const CODES: [Code; 9] = [
    Code::BadRequest,
    Code::CrossSite,
    Code::IssuerFailed,
    Code::NotAllowed,
    Code::NotSignedIn,
    Code::SessionExpired,
    Code::Timeout,
    Code::TooManyRequests,
    Code::Unavailable,
];

impl Statuses {
    pub(super) const KEYS: [&str; 1] = ["statuses"];

    pub(super) fn from_members(members: &mut LayeredTable<'_, '_, '_>) -> Self {
        let Some(at) = members.take("statuses") else { return Self::default() };
        Self(at.members().iter().filter_map(|(key, at)| one(&key.name, at)).collect())
    }

    pub fn of(&self, code: Code) -> Option<StatusCode> {
        self.0.iter().find(|(known, _)| *known == code).map(|&(_, status)| status)
    }
}

fn one(name: &str, at: &At<'_>) -> Option<(Code, StatusCode)> {
    let Some(code) = CODES.into_iter().find(|code| code.as_str() == name) else {
        at.problem(format!("unknown code, expected one of {}", CODES.map(Code::as_str).join(", ")));
        return None;
    };
    let number = at.read::<u64>()?;
    let status = u16::try_from(number).ok().and_then(|number| StatusCode::from_u16(number).ok());
    let status = status.filter(|status| status.is_client_error() || status.is_server_error());
    if status.is_none() {
        at.wrong("a status from 400 to 599, such as 403");
    }
    Some((code, status?))
}
