//! Signed tokens (JWS compact, RFC 7515): signature first, then the claims.

use serde_json::Value;

use super::algorithm::Algorithm;
use super::token_types::TokenTypes;
use super::verifying_keys::KeySet;
use crate::document::{At, FromNode, OneOrMany};
use crate::session::codec::{base64, claims};
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};

/// A token whose signature was verified.
pub(crate) struct SignedToken {
    pub header: Value,
    pub claims: Value,
}

impl SignedToken {
    /// The claims as a session, within their times.
    pub(crate) fn session(self, now: u64) -> Result<OpenedSession, Rejected> {
        let expires_at = claims::expires_at(&self.claims, now)?;
        claims::begun(&self.claims, "nbf", now)?;
        Ok(OpenedSession { session: self.claims, expires_at })
    }
}

/// Verifies `token` with the keys, under one of the allowed algorithms, as one of the
/// types.
pub(crate) fn verify(
    token: &[u8],
    keys: &KeySet,
    allowed: &[Algorithm],
    types: &TokenTypes,
) -> Result<SignedToken, Rejected> {
    verify_parts(token, keys, (allowed, types), Padding::Refused)
}

/// As `verify`, for tokens whose parts may be padded; the padding is signed along.
pub(crate) fn verify_padded(
    token: &[u8],
    keys: &KeySet,
    allowed: &[Algorithm],
    types: &TokenTypes,
) -> Result<SignedToken, Rejected> {
    verify_parts(token, keys, (allowed, types), Padding::Allowed)
}

/// The rule for `=` at the end of a part. A token never has it (RFC 7515 section 2), but
/// some signers leave it there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    Allowed,
    Refused,
}

impl Padding {
    fn strip(self, part: &[u8]) -> &[u8] {
        let is_padded = self == Self::Allowed && part.len().is_multiple_of(4);
        let once = |part: &'_ [u8]| part.len() - usize::from(part.ends_with(b"="));
        let (one, two) = (once(part), once(part.get(..once(part)).unwrap_or_default()));
        let length = if is_padded { one.min(two) } else { part.len() };
        part.get(..length).unwrap_or_default()
    }

    fn decode(self, part: &[u8]) -> Option<Vec<u8>> {
        base64::url_decode(self.strip(part))
    }
}

fn verify_parts(
    token: &[u8],
    keys: &KeySet,
    (allowed, types): (&[Algorithm], &TokenTypes),
    padding: Padding,
) -> Result<SignedToken, Rejected> {
    let parts: Vec<_> = token.split(|&b| b == b'.').collect();
    let &[protected, payload, signature] = parts.as_slice() else {
        let found = parts.len();
        return Err(Rejected::malformed(format!(
            "a signed token has 3 parts, but this one has {found}"
        )));
    };
    let header = padding
        .decode(protected)
        .ok_or_else(|| Rejected::malformed("the token's header is not base64url"))?;
    let header = claims::object(&header)?;
    let algorithm = check_header(&header, allowed)?;
    // A `kid` that is not a string matches no key.
    let id = header.get("kid").map(|id| id.as_str().unwrap_or_default());
    let candidates = keys.candidates(algorithm, id)?;
    let signature = std::str::from_utf8(padding.strip(signature))
        .map_err(|_| Rejected::malformed("the signature is not text"))?;
    let message = [protected, b".", payload].concat();
    if !candidates.iter().any(|key| key.verifies(&message, signature, algorithm)) {
        let tried = candidates.len();
        return Err(match algorithm.is_symmetric() {
            true => Rejected::bad_signature(tried),
            false => Rejected::not_of_public_key(tried),
        });
    }
    types.check(&header)?;
    let payload = padding
        .decode(payload)
        .ok_or_else(|| Rejected::malformed("the token's payload is not base64url"))?;
    Ok(SignedToken { header, claims: claims::object(&payload)? })
}

/// The claims of a token that something else vouches for: the encryption around it.
pub(crate) fn sealed_claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    claims::object(&base64::url_decode(payload)?).ok()
}

/// The algorithm a token names; nothing is verified.
pub(crate) fn unverified_algorithm(token: &[u8]) -> Option<Algorithm> {
    let header = base64::url_decode(token.split(|&b| b == b'.').next()?)?;
    Algorithm::named(claims::text(&claims::object(&header).ok()?, "alg")?)
}

/// A token's header; nothing is verified.
pub(crate) fn unverified_header(token: &[u8], padding: Padding) -> Option<Value> {
    let header = padding.decode(token.split(|&b| b == b'.').next()?)?;
    claims::object(&header).ok()
}

/// A time a token claims; nothing is verified.
pub(crate) fn unverified_seconds(token: &[u8], name: &str) -> Option<u64> {
    let payload = base64::url_decode(token.split(|&b| b == b'.').nth(1)?)?;
    claims::seconds(&claims::object(&payload).ok()?, name).ok()?
}

/// The algorithm, if it is allowed. Keys the header itself brings along (`jwk`,
/// `jku`, `x5c`, `x5u`) are ignored.
fn check_header(header: &Value, allowed: &[Algorithm]) -> Result<Algorithm, Rejected> {
    let algorithm = claims::text(header, "alg").and_then(Algorithm::named);
    let algorithm = algorithm.filter(|algorithm| allowed.contains(algorithm)).ok_or_else(|| {
        let allowed: Vec<_> = allowed.iter().map(|algorithm| format!("{algorithm:?}")).collect();
        // Named only where it is the name of one.
        let found = claims::text(header, "alg").and_then(Algorithm::named);
        let found = found.map_or_else(
            || "the token's algorithm is not".to_owned(),
            |found| format!("the token is signed with {found:?}, not"),
        );
        let detail = format!("{found} one of {}", allowed.join(", "));
        Rejected::new(Reason::AlgNotAllowed, detail)
    })?;
    if header.get("crit").is_some() {
        let detail = "the token requires an extension (`crit`) that the gateway does not know";
        return Err(Rejected::new(Reason::UnknownCrit, detail));
    }
    Ok(algorithm)
}

/// The setting `algorithms`.
pub(crate) struct Algorithms(pub Vec<Algorithm>);

impl FromNode for Algorithms {
    fn read(at: &At<'_>) -> Option<Self> {
        let names: OneOrMany<AlgorithmName> = at.read()?;
        if names.0.is_empty() {
            at.problem("found an empty list, expected at least one algorithm");
            return None;
        }
        Some(Self(names.0.into_iter().map(|name| name.0).collect()))
    }
}

struct AlgorithmName(Algorithm);

impl FromNode for AlgorithmName {
    fn read(at: &At<'_>) -> Option<Self> {
        let algorithm = Algorithm::named(at.text(Algorithm::NAMES)?);
        if algorithm.is_none() {
            at.wrong(Algorithm::NAMES);
        }
        algorithm.map(Self)
    }
}
