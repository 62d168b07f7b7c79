//! Revocation of signed tokens, which nobody could take back otherwise.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::policy::Policy;
use crate::secret::Secrets;

const NOW: Now = Now::at(1_790_000_000);

fn policy() -> Policy {
    let text = "[upstream]\nservers = [\"http://127.0.0.1:1\"]\n[session]\nkind = \"jwt\"\n\
                cookie = \"t\"\nsecret = \"a secret of 32 bytes for a test.\"\nrequire_exp = false\n";
    Config::read(text, &Secrets::Literal).unwrap().policy
}

fn cookie(claims: &Value) -> String {
    let key = EncodingKey::from_secret(b"a secret of 32 bytes for a test.");
    format!("t={}", encode(&Header::new(Algorithm::HS256), claims, &key).unwrap())
}

fn check(revoked: &Revoked, cookie: &str) -> Result<(), Reason> {
    let (policy, cookies) = (policy(), Cookies::new(cookie.as_bytes()));
    let identity = policy.sources[0].check(cookies, NOW.unix()).unwrap();
    revoked.check(&policy.sources[0], cookies, &identity).map_err(|rejected| rejected.reason)
}

#[test]
fn sessions_issued_before_the_revocation_are_refused_and_later_ones_are_not() {
    let revoked = Revoked::default();
    let before = cookie(&json!({ "sub": "u1", "iat": NOW.unix() }));
    let after = cookie(&json!({ "sub": "u1", "iat": NOW.unix() + 1 }));
    let undated = cookie(&json!({ "sub": "u1" }));
    let other = cookie(&json!({ "sub": "u2" }));
    assert_eq!(check(&revoked, &before), Ok(()));
    revoked.end_user("u1", NOW);
    assert_eq!(check(&revoked, &before), Err(Reason::SignedOut));
    assert_eq!(check(&revoked, &undated), Err(Reason::SignedOut));
    assert_eq!(check(&revoked, &after), Ok(()));
    assert_eq!(check(&revoked, &other), Ok(()));
    revoked.pardon_user("u1");
    assert_eq!(check(&revoked, &undated), Ok(()));
}

#[test]
fn a_signed_out_session_stays_out_in_every_spelling_of_its_cookie() {
    let revoked = Revoked::default();
    let claims = json!({ "sub": "u1", "jti": "1" });
    let sent = cookie(&claims);
    let policy = policy();
    let identity = policy.sources[0].check(Cookies::new(sent.as_bytes()), NOW.unix()).unwrap();
    revoked.end_session(&policy.sources[0], Cookies::new(sent.as_bytes()), &identity);
    assert_eq!(check(&revoked, &sent), Err(Reason::SignedOut));
    assert_eq!(check(&revoked, &sent.replace('.', "%2E")), Err(Reason::SignedOut));
    assert_eq!(check(&revoked, &format!("{sent}; t=x")), Err(Reason::SignedOut));
    assert_eq!(check(&revoked, &cookie(&json!({ "sub": "u1", "jti": "2" }))), Ok(()));
}
