//! Hints for a token in a header, where the settings look for it otherwise.

use serde_json::json;

use super::*;
use vectors::{compile, vectors};

/// The hints for a request with one header, under a source that reads a header.
fn hints(settings: &Json, name: &str, value: &str) -> (Rejected, String) {
    let mut config = json!({ "kind": "jwt", "secret": "s" });
    config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let source = compile(&config).unwrap();
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(value).unwrap();
    headers.append(HeaderName::try_from(name).unwrap(), value);
    let cookies = Cookies::new(b"").with_headers(SentHeaders::new(&headers, false));
    let refused = source.check(cookies, 1_800_000_000).unwrap_err();
    let hints = source.hints(cookies, &refused).join("; ");
    (refused, hints)
}

const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1In0.c2lnbmF0dXJl";

#[test]
fn a_token_behind_another_word_names_the_word() {
    let authorization = json!({ "header": "authorization" });
    for scheme in ["JWT", "Token", "DPoP"] {
        let (refused, said) = hints(&authorization, "authorization", &format!("{scheme} {TOKEN}"));
        assert_eq!(refused.reason, Reason::Missing);
        assert!(said.contains(&format!("write scheme = {scheme:?}")), "{said}");
    }
    let own = json!({ "header": "x-access-token" });
    let (_, said) = hints(&own, "x-access-token", &format!("Bearer {TOKEN}"));
    assert!(said.contains("write scheme = \"Bearer\"") && !said.contains("damaged"), "{said}");
}

#[test]
fn a_token_without_its_word_or_in_another_header_is_found() {
    let (_, said) = hints(&json!({ "header": "authorization" }), "authorization", TOKEN);
    assert!(said.contains("the client must send \"Bearer \" and the token"), "{said}");
    let own = json!({ "header": "x-access-token" });
    let (_, said) = hints(&own, "authorization", &format!("Bearer {TOKEN}"));
    assert!(said.contains("write header = \"authorization\""), "{said}");
}

#[test]
fn a_source_that_reads_a_header_says_nothing_of_cookies() {
    for value in ["Basic dTpw", "Bearer", "Bearer "] {
        let (_, said) = hints(&json!({ "header": "authorization" }), "authorization", value);
        assert!(!said.contains("cookie"), "{value}: {said}");
    }
}

#[test]
fn a_public_key_is_not_called_a_secret() {
    let vector = &vectors("jwt").into_iter().find(|it| it["id"] == "jwt/rs256-jwks").unwrap();
    let header = cookie_header(vector);
    let cut = |at: usize| {
        let mut header = header.clone();
        header[at] = if header[at] == b'A' { b'B' } else { b'A' };
        header
    };
    let header = cut(header.len() - 10);
    let source = compile(&vector["config"]).unwrap();
    let cookies = Cookies::new(&header);
    let refused = source.check(cookies, 1_800_000_000).unwrap_err();
    let said = format!("{}; {}", refused.detail, source.hints(cookies, &refused).join("; "));
    assert_eq!(refused.reason, Reason::BadSignature);
    assert!(said.contains("public key") && !said.contains("secret"), "{said}");
}
