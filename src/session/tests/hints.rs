//! What an operator is told about near misses.

use serde_json::json;

use super::*;

fn hints(config: &Json, header: &str) -> String {
    let source = compile(config).ok().unwrap();
    let cookies = Cookies::new(header.as_bytes());
    let rejected = source.check(cookies, 1_800_000_000).unwrap_err();
    source.hints(cookies, &rejected).join("\n")
}

#[test]
fn names_that_nearly_match_are_pointed_out() {
    let config = json!({ "kind": "jwt", "cookie": "token", "secret": "s" });
    for (header, hint) in [
        ("TOKEN=x", "differs in upper and lower case only"),
        ("__Secure-token=x", "differs in its prefix only"),
        ("__Host-token=x", "write cookie = \"__Host-token\""),
        ("tokne=x", "did you mean cookie `tokne`?"),
        ("theme=dark", "cookies that were sent: \"theme\""),
        ("", "no cookies at all"),
        ("connect.sid=s%3Aabc.def", "is what kind = \"express-session\" reads"),
        ("auth=SFMyNTY.g3QAAAAA.abc", "looks like a Phoenix (Plug) session"),
    ] {
        let found = hints(&config, header);
        assert!(found.contains(hint), "{header}: {found}");
    }
}

#[test]
fn a_session_without_a_user_names_its_members() {
    let vectors = vectors("cookie-session");
    let vector = vectors.iter().find(|v| v["id"] == "cookie-session/logged-out").unwrap();
    let source = compile(&vector["config"]).ok().unwrap();
    let header = cookie_header(vector);
    let refused = source.check(Cookies::new(&header), 0).unwrap_err();
    assert_eq!(
        refused.detail,
        "the session is valid, but has no user at `/userId`; it has \"views\""
    );
}

#[test]
fn a_missing_first_chunk_is_told_apart_from_a_missing_cookie() {
    let config = json!({ "kind": "next-auth", "secret": "s" });
    let found = hints(&config, "next-auth.session-token.1=abc");
    assert!(found.contains("the first part (0) is missing"), "{found}");
}

#[test]
fn a_token_of_the_neighbouring_version_is_recognised() {
    let vector = &vectors("authjs")[0];
    let header = String::from_utf8(cookie_header(vector)).unwrap();
    let header = header.replace("authjs.", "next-auth.");
    let found = hints(&json!({ "kind": "next-auth", "secret": "s" }), &header);
    assert!(found.contains("an encrypted token of Auth.js 5: kind = \"authjs\""), "{found}");
}

#[test]
fn a_wrong_secret_and_a_cookie_sent_twice_are_said() {
    let vector = &vectors("next-auth")[0];
    let header = String::from_utf8(cookie_header(vector)).unwrap();
    let found = hints(&json!({ "kind": "next-auth", "secret": "s" }), &header);
    assert!(found.contains("the secret is probably not the one the app uses"), "{found}");
    let twice = format!("{header}; next-auth.session-token=x");
    let found = hints(&json!({ "kind": "next-auth", "secret": "s" }), &twice);
    assert!(found.contains("was sent more than once"), "{found}");
}
