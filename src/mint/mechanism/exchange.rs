//! Tokens a remote issuer makes with one HTTP call, or with two. The calls are
//! described and their responses read here; the shell makes them.

use bytes::Bytes;
use http::StatusCode;

use super::first_call::FirstCall;
use super::mac::Mac;
use super::outgoing::RequestTemplate;
use super::take::{IssuedToken, TokenPlaces};
use crate::base::secret::Secret;
use crate::document::At;
use crate::mint::error::MintError;
use crate::mint::key::{KeyUse, Publishing};
use crate::mint::layered_table::LayeredTable;
use crate::mint::response::Response;
use crate::mint::template::{self, Names, Scope, SecretUse, Text};
use crate::mint::token::Call;

pub(in crate::mint) struct Exchange {
    /// A call whose answer the request needs.
    pub(in crate::mint) first: Option<FirstCall>,
    request: RequestTemplate,
    take: TokenPlaces,
    pub(in crate::mint) response: Response,
}

impl Exchange {
    pub(in crate::mint) const KEYS: [&[&str]; 3] =
        [&["first", "response", "sign"], &RequestTemplate::KEYS, &TokenPlaces::KEYS];
    pub(super) const KEY_USE: KeyUse = KeyUse {
        sent_to_issuer: &[
            "basic.1",
            "body",
            "first.basic.1",
            "first.body",
            "first.form",
            "first.headers",
            "first.query",
            "form",
            "headers",
            "query",
        ],
        publishing: Publishing::Never,
    };

    pub(super) fn from_members(
        members: &mut LayeredTable<'_, '_, '_>,
        names: &Names<'_>,
    ) -> Option<Self> {
        let first = match members.take("first") {
            Some(at) => Some(FirstCall::from_node(&at, names)?),
            None => None,
        };
        let (answer, take) = (members.take("answer"), members.take("take"));
        let take = TokenPlaces::from_nodes(answer.as_ref(), take.as_ref());
        let made: &[&str] = if first.is_some() { &["first"] } else { &[] };
        let shown = Names { secrets: SecretUse::Allowed, made, ..*names };
        let sign = sign(members, &shown)?;
        let accept = take.as_ref().map_or("*/*", TokenPlaces::accept);
        let request =
            RequestTemplate::from_members(&mut |key| members.take(key), sign, accept, &shown);
        let take = take?;
        let made: &[&str] = if take.is_text() { &["token"] } else { &["answer", "token"] };
        let has_ttl = names.has_ttl || take.has_end();
        let response = Response::from_members(members, &Names { made, has_ttl, ..*names });
        Some(Self { first, request: request?, take, response: response? })
    }

    pub(super) fn signs_with_rsa(&self) -> bool {
        self.request.signs_with_rsa()
    }

    /// The request to make; `scope` has the first call's token, if there is a first call.
    pub(in crate::mint) fn call(&self, scope: &Scope<'_>) -> Result<Call, MintError> {
        self.request.call(scope)
    }

    /// Reads the issuer's response.
    pub(in crate::mint) fn answer(
        &self,
        response: (StatusCode, &Bytes),
        secrets: &[Secret],
        now: u64,
    ) -> Result<IssuedToken, MintError> {
        self.take.read(response, secrets, now)
    }
}

/// `sign = "{now}{call.method}{call.path}{call.body}"`: the text that is signed with the
/// secret, for headers to use as `{sig}`.
fn sign(members: &mut LayeredTable<'_, '_, '_>, names: &Names<'_>) -> Option<Option<(Mac, Text)>> {
    let Some(at): Option<At<'_>> = members.take("sign") else { return Some(None) };
    let mut made = names.made.to_vec();
    made.push("call");
    // A secret in the signed text would be a secret in the signature's message only, but
    // no vendor asks for it.
    let signed = Names { made: &made, secrets: SecretUse::Forbidden, ..*names };
    let mac = Mac::from_members(members, names);
    Some(Some((mac?, template::text(&at, &signed)?)))
}
