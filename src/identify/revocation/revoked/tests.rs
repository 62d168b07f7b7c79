//! Revocation of signed tokens, which could not be withdrawn otherwise.

use std::time::Duration;

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::super::renewal::{Answered, CameWith};
use super::*;
use crate::base::secret::Secrets;
use crate::config::Config;
use crate::policy::Policy;

const NOW: Now = Now::at(1_790_000_000);
/// When the answers come that set cookies.
const LATER: Now = Now::at(1_790_000_060);

const KEY: &[u8] = b"a secret of 32 bytes for a test.";

fn policy(session: &str) -> Policy {
    let text = format!("[upstream]\nservers = [\"http://127.0.0.1:1\"]\n[session]\n{session}");
    Config::read(&text, &Secrets::Literal).unwrap().policy
}

fn tokens() -> Policy {
    policy(
        "kind = \"jwt\"\ncookie = \"t\"\nsecret = \"a secret of 32 bytes for a test.\"\n\
         require_exp = false\n",
    )
}

fn cookie(claims: &Value) -> String {
    format!(
        "t={}",
        encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(KEY)).unwrap()
    )
}

/// A React Router cookie: the same whenever the same user signs in.
fn undated(user: &str) -> String {
    let text = STANDARD.encode(json!({ "userId": user }).to_string());
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY), text.as_bytes());
    format!("__session={text}.{}", STANDARD_NO_PAD.encode(signature).replace('+', "%2B"))
}

fn undated_sessions() -> Policy {
    policy(
        "kind = \"react-router\"\nsecret = \"a secret of 32 bytes for a test.\"\n\
         user_id = \"/userId\"\n",
    )
}

fn check_in(policy: &Policy, revoked: &Revoked, cookie: &str) -> Result<(), Reason> {
    let cookies = Cookies::new(cookie.as_bytes());
    let identity = policy.sources[0].check(cookies, NOW.unix()).unwrap();
    revoked.check(&policy.sources[0], cookies, &identity, NOW).map_err(|rejected| rejected.reason)
}

fn check(revoked: &Revoked, cookie: &str) -> Result<(), Reason> {
    check_in(&tokens(), revoked, cookie)
}

fn end(policy: &Policy, revoked: &Revoked, cookie: &str, by: RevokedBy) {
    let cookies = Cookies::new(cookie.as_bytes());
    let identity = policy.sources[0].check(cookies, NOW.unix()).unwrap();
    revoked.end_session(&policy.sources[0], cookies, &identity, by, NOW);
}

/// The app answers at the second time to a request of the first one, and sets cookies.
fn answer(
    policy: &Policy,
    revoked: &Revoked,
    sent: &str,
    set: &[&str],
    came: CameWith,
    (began, now): (Now, Now),
) {
    let set: Vec<_> = set.iter().map(|set| set.as_bytes()).collect();
    let cookies = Cookies::new(sent.as_bytes());
    let sources = policy.sources.iter().map(|source| (&**source, came));
    revoked.answered(sources, &Answered { cookies, set: &set, began, now });
}

fn reissue(policy: &Policy, revoked: &Revoked, sent: &str, set: &[&str]) {
    answer(policy, revoked, sent, set, CameWith::NoDoubt, (LATER, LATER));
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
    revoked.pardon_user("u1", NOW);
    assert_eq!(check(&revoked, &undated), Ok(()));
}

#[test]
fn a_signed_out_session_stays_out_in_every_spelling_of_its_cookie() {
    let revoked = Revoked::default();
    let claims = json!({ "sub": "u1", "jti": "1" });
    let sent = cookie(&claims);
    end(&tokens(), &revoked, &sent, RevokedBy::App);
    assert_eq!(check(&revoked, &sent), Err(Reason::SignedOut));
    assert_eq!(check(&revoked, &sent.replace('.', "%2E")), Err(Reason::SignedOut));
    assert_eq!(check(&revoked, &format!("{sent}; t=x")), Err(Reason::SignedOut));
    assert_eq!(check(&revoked, &cookie(&json!({ "sub": "u1", "jti": "2" }))), Ok(()));
}

#[test]
fn another_session_of_the_same_user_is_not_taken_for_the_one_signed_out() {
    let flask = policy("kind = \"flask\"\nsecret = \"k\"\n");
    // The same content, signed in two seconds.
    let session = |at: u64| {
        let sign = |key: &[u8], text: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
            hmac::sign(&key, text).as_ref().to_vec()
        };
        let url = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let at = at.to_be_bytes();
        let text = format!("{}.{}", url(br#"{"_user_id":"17"}"#), url(&at[4..]));
        let signature = sign(&sign(b"k", b"cookie-session"), text.as_bytes());
        format!("session={text}.{}", url(&signature))
    };
    let revoked = Revoked::default();
    let (first, second) = (session(NOW.unix() - 60), session(NOW.unix()));
    end(&flask, &revoked, &first, RevokedBy::App);
    assert_eq!(check_in(&flask, &revoked, &first), Err(Reason::SignedOut));
    assert_eq!(check_in(&flask, &revoked, &second), Ok(()));
}

#[test]
fn the_very_cookie_that_was_signed_out_is_good_again_once_the_app_sets_it() {
    let (sessions, revoked) = (undated_sessions(), Revoked::default());
    let (ada, bob) = (undated("17"), undated("18"));
    end(&sessions, &revoked, &ada, RevokedBy::App);
    end(&sessions, &revoked, &bob, RevokedBy::App);
    let other = ["__session=; Max-Age=0", "theme=dark", "x__session=1", "__session=x"];
    reissue(&sessions, &revoked, &ada, &other);
    assert_eq!(check_in(&sessions, &revoked, &ada), Err(Reason::SignedOut), "she only sent it");
    reissue(&sessions, &revoked, &ada, &[&format!("{ada}; Path=/; HttpOnly")]);
    assert_eq!(check_in(&sessions, &revoked, &ada), Err(Reason::SignedOut), "sent and set again");
    reissue(&sessions, &revoked, "", &["theme=dark", &format!("{ada}; Path=/; HttpOnly")]);
    assert_eq!(check_in(&sessions, &revoked, &ada), Ok(()));
    assert_eq!(check_in(&sessions, &revoked, &bob), Err(Reason::SignedOut));
}

#[test]
fn an_answer_on_its_way_when_the_session_ended_brings_nothing_back() {
    let (sessions, revoked) = (undated_sessions(), Revoked::default());
    let ada = undated("17");
    end(&sessions, &revoked, &ada, RevokedBy::App);
    answer(&sessions, &revoked, "", &[&ada], CameWith::NoDoubt, (NOW, LATER));
    assert_eq!(check_in(&sessions, &revoked, &ada), Err(Reason::SignedOut));
    let sent = cookie(&json!({ "sub": "u1", "iat": NOW.unix() - 9 }));
    let renewed = cookie(&json!({ "sub": "u1", "iat": NOW.unix() + 3 }));
    let another = cookie(&json!({ "sub": "u2", "iat": NOW.unix() + 3 }));
    revoked.end_user("u1", NOW);
    reissue(&tokens(), &revoked, &sent, &[&another]);
    assert_eq!(check(&revoked, &renewed), Ok(()), "signed in later");
    reissue(&tokens(), &revoked, &sent, &[&renewed]);
    assert_eq!(check(&revoked, &renewed), Err(Reason::SignedOut));
    assert_eq!(check(&revoked, &another), Ok(()));
}

#[test]
fn a_late_answer_is_read_by_the_clock_of_its_own_time() {
    // Their sessions are dated, and none may begin much later than now.
    let flask = policy("kind = \"flask\"\nsecret = \"k\"\n");
    let later = LATER.unix();
    let token =
        |iat, nbf| cookie(&json!({ "sub": "17", "iat": iat, "nbf": nbf, "exp": iat + 900 }));
    for (policy, old, new) in [
        (tokens(), token(NOW.unix() - 9, NOW.unix() - 9), token(later, later)),
        // The app's clock is two minutes ahead of this one.
        (tokens(), token(NOW.unix() - 9, NOW.unix() - 9), token(later + 120, later + 120)),
        (flask, flask_session(NOW.unix() - 9), flask_session(later)),
    ] {
        for by_user in [true, false] {
            let revoked = Revoked::default();
            if by_user {
                revoked.end_user("17", NOW.plus(Duration::from_secs(2)));
            } else {
                end(&policy, &revoked, &old, RevokedBy::App);
            }
            answer(&policy, &revoked, &old, &[&new], CameWith::NoDoubt, (NOW, LATER));
            let much_later = LATER.plus(Duration::from_secs(300));
            let refused = check_at(&policy, &revoked, &new, much_later);
            assert_eq!(refused, Err(Reason::SignedOut), "{by_user}: {new}");
        }
    }
}

#[test]
fn a_renewal_is_one_whatever_else_the_answer_sets_or_deletes() {
    let sent = cookie(&json!({ "sub": "u1", "iat": NOW.unix() - 9 }));
    let renewed = cookie(&json!({ "sub": "u1", "iat": LATER.unix() }));
    let other = cookie(&json!({ "sub": "u2", "iat": LATER.unix() }));
    let path = format!("{renewed}; Path=/");
    for set in [
        vec![&*path],
        vec!["t=; Path=/old; Max-Age=0", &*path],
        vec!["t=deleted; Max-Age=0", &*path],
        vec!["t=deleted; Expires=Thu, 01 Jan 1970 00:00:00 GMT", &*path],
        vec![&*path, "t=; Path=/old; Max-Age=0"],
        vec![&*other, &*path],
        vec![&*path, "t=junk; Path=/old"],
    ] {
        let revoked = Revoked::default();
        revoked.end_user("u1", NOW);
        reissue(&tokens(), &revoked, &sent, &set);
        let refused = check_at(&tokens(), &revoked, &renewed, LATER);
        assert_eq!(refused, Err(Reason::SignedOut), "{set:?}");
        assert_eq!(check_at(&tokens(), &revoked, &other, LATER), Ok(()), "{set:?}");
    }
}

#[test]
fn a_session_that_has_ended_is_not_renewed_under_the_name_of_another_source() {
    let two = "kind = \"jwt\"\ncookie = \"t\"\nsecret = \"a secret of 32 bytes for a test.\"\n\
               require_exp = false\n";
    let text = format!("{two}[[session]]\n{}", two.replace("\"t\"", "\"u\""));
    let text = format!("[upstream]\nservers = [\"http://127.0.0.1:1\"]\n[[session]]\n{text}");
    let policy = Config::read(&text, &Secrets::Literal).unwrap().policy;
    let under = |name: &str, user: &str, iat: u64| {
        cookie(&json!({ "sub": user, "iat": iat })).replacen('t', name, 1)
    };
    let (sent, later) = (under("t", "u1", NOW.unix() - 9), LATER.unix());
    let check_second = |revoked: &Revoked, cookie: &str| {
        let cookies = Cookies::new(cookie.as_bytes());
        let identity = policy.sources[1].check(cookies, later).unwrap();
        revoked.check(&policy.sources[1], cookies, &identity, LATER).map_err(|why| why.reason)
    };
    for by_user in [true, false] {
        let revoked = Revoked::default();
        if by_user {
            revoked.end_user("u1", NOW);
        } else {
            end(&policy, &revoked, &sent, RevokedBy::App);
        }
        let (same, other) = (under("u", "u1", later), under("u", "u2", later));
        reissue(&policy, &revoked, &sent, &[&same]);
        reissue(&policy, &revoked, &sent, &[&other]);
        assert_eq!(check_second(&revoked, &same), Err(Reason::SignedOut), "{by_user}");
        assert_eq!(check_second(&revoked, &other), Ok(()), "another user signs in");
    }
}

#[test]
fn what_an_app_makes_of_a_value_nobody_else_understands_is_no_sign_in() {
    let sessions = tokens();
    let made = cookie(&json!({ "sub": "u1", "iat": LATER.unix() }));
    for (sent, came, expected) in [
        ("", CameWith::NoDoubt, Ok(())),
        ("t=withheld", CameWith::Doubt, Ok(())),
        ("t=unread", CameWith::Unread, Err(Reason::SignedOut)),
        // Sent before anything was over, and so not judged then.
        ("t=unread", CameWith::NoDoubt, Err(Reason::SignedOut)),
    ] {
        let revoked = Revoked::default();
        revoked.end_user("u1", NOW);
        set_by_app(&sessions, &revoked, sent, &made, came);
        assert_eq!(check_at(&sessions, &revoked, &made, LATER), expected, "{sent} {came:?}");
    }
    let (sessions, revoked, ada) = (undated_sessions(), Revoked::default(), undated("17"));
    end(&sessions, &revoked, &ada, RevokedBy::App);
    set_by_app(&sessions, &revoked, "__session=unread", &ada, CameWith::Unread);
    assert_eq!(check_in(&sessions, &revoked, &ada), Err(Reason::SignedOut));
}

#[test]
fn no_part_of_a_cached_session_lifts_its_sign_out() {
    let vectors = include_str!("../../../../tests/fixtures/sessions/better-auth.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let vector = &vectors["vectors"][0];
    let secret = &vector["config"]["secrets"][0];
    let sessions = policy(&format!(
        "kind = \"better-auth\"\nsecret = {secret}\nsecure_prefix = false\n\
         [session.cookie_cache]\n[session.store]\nengine = \"redis\"\n"
    ));
    let both = vector["cookie_header"].as_str().unwrap();
    let token = both.split("; ").find(|part| part.contains("session_token=")).unwrap();
    let revoked = Revoked::default();
    end(&sessions, &revoked, both, RevokedBy::App);
    for sent in [token, both, &format!("{both}; {token}")] {
        let over = revoked.check_id(&sessions.sources[0], Cookies::new(sent.as_bytes()), NOW);
        assert_eq!(over.unwrap_err().reason, Reason::SignedOut, "{sent}");
        reissue(&sessions, &revoked, sent, &[both]);
    }
    let other = Revoked::default();
    other.end_user(vector["expect"]["user_id"].as_str().unwrap(), NOW);
    let over = check_in(&sessions, &other, both);
    assert_eq!(over, Err(Reason::SignedOut), "signed in, in 2044, some day");
}

#[test]
fn a_renewed_token_says_when_its_user_signed_in_and_not_when_it_was_renewed() {
    let revoked = Revoked::default();
    revoked.end_user("u1", NOW);
    let renewed = json!({ "sub": "u1", "iat": NOW.unix() + 3, "auth_time": NOW.unix() - 60 });
    assert_eq!(check(&revoked, &cookie(&renewed)), Err(Reason::SignedOut));
    let anew = json!({ "sub": "u1", "iat": NOW.unix() + 3, "auth_time": NOW.unix() + 3 });
    assert_eq!(check(&revoked, &cookie(&anew)), Ok(()));
}

#[test]
fn a_revocation_by_the_operator_holds_whatever_the_app_sets() {
    let (sessions, revoked) = (undated_sessions(), Revoked::default());
    let ada = undated("17");
    end(&sessions, &revoked, &ada, RevokedBy::Operator);
    reissue(&sessions, &revoked, "", &[&ada]);
    assert_eq!(check_in(&sessions, &revoked, &ada), Err(Reason::SignedOut));
}

/// A Flask session of user 17, signed at this time.
fn flask_session(at: u64) -> String {
    let sign = |key: &[u8], text: &[u8]| {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
        hmac::sign(&key, text).as_ref().to_vec()
    };
    let url = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let at = at.to_be_bytes();
    let text = format!("{}.{}", url(br#"{"_user_id":"17"}"#), url(&at[4..]));
    let signature = sign(&sign(b"k", b"cookie-session"), text.as_bytes());
    format!("session={text}.{}", url(&signature))
}

fn set_by_app(policy: &Policy, revoked: &Revoked, sent: &str, set: &str, came: CameWith) {
    answer(policy, revoked, sent, &[set], came, (LATER, LATER));
}

fn check_later(policy: &Policy, revoked: &Revoked, cookie: &str) -> Result<(), Reason> {
    check_at(policy, revoked, cookie, LATER)
}

fn check_at(policy: &Policy, revoked: &Revoked, cookie: &str, now: Now) -> Result<(), Reason> {
    let cookies = Cookies::new(cookie.as_bytes());
    let identity = policy.sources[0].check(cookies, now.unix()).unwrap();
    let checked = revoked.check(&policy.sources[0], cookies, &identity, now);
    checked.map_err(|rejected| rejected.reason)
}

#[test]
fn a_revocation_ends_at_a_sign_in_the_app_is_seen_to_make_and_not_at_a_new_cookie() {
    let flask = policy("kind = \"flask\"\nsecret = \"k\"\n");
    let revoked = Revoked::default();
    revoked.end_user("17", NOW);
    let (old, new) = (flask_session(NOW.unix() - 60), flask_session(LATER.unix()));
    let renewed = flask_session(LATER.unix() + 1);
    assert_eq!(check_later(&flask, &revoked, &new), Err(Reason::SignedOut), "it merely came");
    set_by_app(&flask, &revoked, "", &new, CameWith::Doubt);
    assert_eq!(check_later(&flask, &revoked, &new), Err(Reason::SignedOut), "what came with it?");
    set_by_app(&flask, &revoked, &old, &new, CameWith::NoDoubt);
    assert_eq!(check_later(&flask, &revoked, &new), Err(Reason::SignedOut), "renewed");
    let revoked = Revoked::default();
    revoked.end_user("17", NOW);
    set_by_app(&flask, &revoked, "", &new, CameWith::NoDoubt);
    assert_eq!(check_later(&flask, &revoked, &new), Ok(()));
    assert_eq!(check_later(&flask, &revoked, &old), Err(Reason::SignedOut));
    set_by_app(&flask, &revoked, &new, &renewed, CameWith::NoDoubt);
    assert_eq!(check_later(&flask, &revoked, &renewed), Ok(()), "renewed from there");
    revoked.end_user("17", LATER);
    assert_eq!(check_later(&flask, &revoked, &new), Err(Reason::SignedOut), "revoked again");
}

#[test]
fn a_cookie_that_every_sign_in_makes_again_never_ends_a_revocation() {
    let (sessions, revoked) = (undated_sessions(), Revoked::default());
    revoked.end_user("17", NOW);
    let ada = undated("17");
    set_by_app(&sessions, &revoked, "", &ada, CameWith::NoDoubt);
    assert_eq!(check_later(&sessions, &revoked, &ada), Err(Reason::SignedOut));
    revoked.pardon_user("17", LATER);
    assert_eq!(check_later(&sessions, &revoked, &ada), Ok(()));
}

/// An iron seal under a key that is not derived.
fn sealed(content: &Value) -> String {
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, KEY).unwrap());
    let (mut text, iv) = (content.to_string().into_bytes(), [7; 16]);
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    let _ = key.unwrap().less_safe_encrypt(&mut text, context).unwrap();
    let url = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let seal = format!("Fe26.2***{}*{}*", url(&iv), url(&text));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY), seal.as_bytes());
    format!("{seal}**{}", url(mac.as_ref()))
}

/// A kind whose cookies hold the session's id beside its content, and a cookie of it.
type Kind = (Policy, fn(&str, &Value) -> String);

fn kinds_with_an_id() -> [Kind; 2] {
    let policy = |kind| {
        policy(&format!(
            "kind = \"{kind}\"\ncookie = \"s\"\nuser_id = \"/user\"\n\
             secret = \"a secret of 32 bytes for a test.\"\n"
        ))
    };
    let h3 = |id: &str, data: &Value| format!("s={}", sealed(&json!({ "id": id, "data": data })));
    let yar =
        |id: &str, data: &Value| format!("s={}", sealed(&json!({ "id": id, "_store": data })));
    [(policy("h3-session"), h3), (policy("yar"), yar)]
}

#[test]
fn a_sign_out_ends_every_cookie_that_opens_to_the_id_of_the_session() {
    for (sessions, cookie) in kinds_with_an_id() {
        let revoked = Revoked::default();
        let older = cookie("s1", &json!({ "user": "u1" }));
        let newer = cookie("s1", &json!({ "user": "u1", "theme": "dark" }));
        let other = cookie("s2", &json!({ "user": "u1" }));
        for by in [RevokedBy::App, RevokedBy::Operator] {
            end(&sessions, &revoked, &newer, by);
            assert_eq!(check_in(&sessions, &revoked, &newer), Err(Reason::SignedOut));
            assert_eq!(check_in(&sessions, &revoked, &older), Err(Reason::SignedOut));
            assert_eq!(check_in(&sessions, &revoked, &other), Ok(()), "another sign-in");
        }
        // A request that was on its way has the session renewed.
        let renewed = cookie("s1", &json!({ "user": "u1", "seen": 2 }));
        reissue(&sessions, &revoked, &older, &[&renewed]);
        assert_eq!(check_in(&sessions, &revoked, &renewed), Err(Reason::SignedOut));
    }
}

#[test]
fn an_app_that_keeps_the_id_may_sign_its_user_in_again_after_a_sign_out() {
    for (sessions, cookie) in kinds_with_an_id() {
        let (revoked, revoked_by_operator) = (Revoked::default(), Revoked::default());
        let before = cookie("s1", &json!({ "user": "u1", "visit": 1 }));
        let nobody = cookie("s1", &json!({ "visit": 1 }));
        let after = cookie("s1", &json!({ "user": "u1", "visit": 2 }));
        end(&sessions, &revoked, &before, RevokedBy::App);
        end(&sessions, &revoked_by_operator, &before, RevokedBy::Operator);
        for revoked in [&revoked, &revoked_by_operator] {
            reissue(&sessions, revoked, &nobody, &[&after]);
        }
        assert_eq!(check_in(&sessions, &revoked, &after), Ok(()));
        assert_eq!(check_in(&sessions, &revoked, &before), Err(Reason::SignedOut), "that very one");
        assert_eq!(check_in(&sessions, &revoked_by_operator, &after), Err(Reason::SignedOut));
    }
}

#[test]
fn a_sign_out_from_before_there_were_ids_holds() {
    for (sessions, cookie) in kinds_with_an_id() {
        let (revoked, sent) = (Revoked::default(), cookie("s1", &json!({ "user": "u1" })));
        let (source, cookies) = (&sessions.sources[0], Cookies::new(sent.as_bytes()));
        let identity = source.check(cookies, NOW.unix()).unwrap();
        let mark = session_mark(source, &source.handle(cookies, &identity, NOW.unix()));
        let at_ms = NOW.unix_ms();
        revoked.learn(Entry { what: What::SessionSignedOut, mark, at_ms }, NOW);
        assert_eq!(check_in(&sessions, &revoked, &sent), Err(Reason::SignedOut));
    }
}
