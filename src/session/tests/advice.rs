//! Hints where only acting on them can work: bare ids, forms that several kinds share, and
//! settings whose cure is another key.

use serde_json::json;

use super::*;
use vectors::{compile, cookie_header, vectors};

const SECRET: &str = "an-example-password-of-at-least-32-characters!!";
const UUID: &str = "6f1d1f6e-9a52-4d2c-8f0e-3f4a5b6c7d8e";

/// The refusal of a cookie, and the hints on it.
fn said(config: &Json, header: &str) -> String {
    let source = compile(config).unwrap_or_else(|problems| panic!("{problems:?}"));
    let cookies = Cookies::new(header.as_bytes());
    let rejected = source.check(cookies, 1_800_000_000).unwrap_err();
    format!("{}; {}", rejected.detail, source.hints(cookies, &rejected).join("; "))
}

/// The problems of settings.
fn problems(config: &Json) -> String {
    let problems = compile(config).err().unwrap();
    problems.iter().map(|problem| format!("{problem:?}")).collect::<Vec<_>>().join("\n")
}

fn config_of(kind: &str, cookie: &str) -> Json {
    json!({ "kind": kind, "cookie": cookie, "secret": SECRET, "user_id": "/sub" })
}

#[test]
fn a_bare_id_is_distinguished_from_a_damaged_session() {
    let kinds = ["jwt", "iron-session", "auth0", "starlette", "h3-session", "hono-session", "yar"];
    for kind in kinds {
        for id in [UUID, "MmYwZTk1ZGQ2Yjk4NDY2YjhlZjI", "node0abcdefghij123456.node0"] {
            let found = said(&config_of(kind, "sid"), &format!("sid={id}"));
            assert!(found.contains("is only an id"), "{kind}: {found}");
            assert!(found.contains("kind = \"lookup\""), "{kind}: {found}");
            assert!(found.contains("kind = \"introspect\", cookie = \"sid\""), "{kind}: {found}");
            assert!(!found.contains(id), "{kind}: {found}");
        }
    }
    for kind in ["next-auth", "authjs"] {
        let name = format!("{kind}.session-token");
        let found = said(&config_of(kind, &name), &format!("{name}={UUID}"));
        let database = "id_column = \"sessionToken\", user_column = \"userId\"";
        assert!(found.contains("database strategy") && found.contains(database), "{found}");
    }
    let java = said(&config_of("jwt", "JSESSIONID"), "JSESSIONID=0A1B2C3D4E5F60718293A4B5C6D7E8F9");
    assert!(java.contains("kind = \"introspect\"") && !java.contains("lookup"), "{java}");
    let value = format!("CfDJ8{}", "Nk3x_aQ-".repeat(60));
    let name = ".AspNetCore.Cookies";
    let found = said(&config_of("jwt", name), &format!("{name}={value}"));
    assert!(found.contains("data protection") && found.contains("introspect"), "{found}");
    for cut in ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0", "x", "a.b.c", "{\"a\":1}"] {
        let found = said(&config_of("jwt", "sid"), &format!("sid={cut}"));
        assert!(!found.contains("is only an id"), "{cut}: {found}");
    }
}

/// The refusal of a vector's cookie under another kind.
fn mistaken(id: &str, kind: &str, more: &Json) -> String {
    let file = id.split('/').next().unwrap();
    let vector = vectors(file).into_iter().find(|it| it["id"] == id).unwrap();
    let header = String::from_utf8(cookie_header(&vector)).unwrap();
    // The other cookies are short.
    let own = header.split("; ").max_by_key(|cookie| cookie.len()).unwrap();
    let mut config = config_of(kind, own.split('=').next().unwrap());
    more.as_object().unwrap().iter().for_each(|(key, value)| config[key] = value.clone());
    said(&config, &header)
}

#[test]
fn a_seal_is_recognised_by_what_only_one_library_writes() {
    for kind in ["h3-session", "yar"] {
        let found = mistaken("iron-session/basic", kind, &json!({}));
        assert!(found.contains("an iron-session seal: kind = \"iron-session\""), "{kind}: {found}");
        assert!(!found.contains("damaged"), "{kind}: {found}");
    }
    let secret = |id: &str| {
        let file = id.split('/').next().unwrap();
        let vector = vectors(file).into_iter().find(|it| it["id"] == id).unwrap();
        let config = &vector["config"];
        config.get("secret").cloned().unwrap_or_else(|| config["secrets"][0].clone())
    };
    let found = mistaken("yar/basic", "h3-session", &json!({ "secret": secret("yar/basic") }));
    assert!(found.contains("write kind = \"yar\""), "{found}");
    let h3 = json!({ "secret": secret("h3-session/basic") });
    let found = mistaken("h3-session/basic", "yar", &h3);
    assert!(found.contains("write kind = \"h3-session\""), "{found}");
    for (id, sealed) in
        [("h3-session/basic", &h3), ("yar/basic", &json!({ "secret": secret("yar/basic") }))]
    {
        let found = mistaken(id, "iron-session", sealed);
        let kind = id.split('/').next().unwrap();
        assert!(found.contains(&format!("write kind = \"{kind}\"")), "{id}: {found}");
        assert!(!found.contains("perhaps user_id") && !found.contains("the secret"), "{found}");
    }
    for id in ["hapi/state", "hapi/other-object"] {
        for kind in ["h3-session", "yar"] {
            let found = mistaken(id, kind, &json!({ "secret": secret(id) }));
            assert!(found.contains("write kind = \"iron-session\""), "{kind} {id}: {found}");
            assert!(!found.contains("damaged"), "{kind} {id}: {found}");
        }
        let found = mistaken(id, "iron-session", &json!({}));
        assert!(found.contains("is probably not the one the app uses"), "{found}");
        assert!(!found.contains("looks like"), "{found}");
    }
}

#[test]
fn every_kind_that_an_encrypted_token_may_be_of_is_named() {
    for kind in ["jwt", "starlette", "iron-session", "flask", "h3-session"] {
        let found = mistaken("auth0/basic", kind, &json!({}));
        for own in ["\"next-auth\"", "\"auth0\"", "\"hono-session\""] {
            assert!(found.contains(own), "{kind}: {found}");
        }
    }
}

#[test]
fn an_id_of_flask_session_names_its_own_kind() {
    let id = "wG-hkxUDeu1RH75lkKC2UVEIf54ioCRI85aXq7_srUA";
    let plain = said(&config_of("flask", "session"), &format!("session={id}"));
    assert!(
        plain.contains("kind = \"flask-session\"") && plain.contains("leave out `secret`"),
        "{plain}"
    );
    let mac = "kO17bmbCFzzyn4py38HkRKlGAQn";
    let signed = said(&config_of("flask", "session"), &format!("session={id}.{mac}"));
    assert!(
        signed.contains("kind = \"flask-session\"") && signed.contains("keep `secret`"),
        "{signed}"
    );
}

#[test]
fn a_cookie_of_amplify_is_named_for_every_user() {
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
    let name = "CognitoIdentityServiceProvider.3n4b5urk1ft4fl3mg5e62d9ado.ada.idToken";
    let found = said(&config_of("jwt", "session"), &format!("{name}={token}"));
    let cure =
        "write cookie = \"CognitoIdentityServiceProvider.3n4b5urk1ft4fl3mg5e62d9ado.*.idToken\"";
    assert!(found.contains(cure), "{found}");
    assert!(!found.contains(".ada.") && !found.contains("not repeated here"), "{found}");
}

#[test]
fn a_store_that_another_key_chooses_names_that_key() {
    let base = "base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    for (kind, key, chosen, engine, cure) in [
        ("laravel", "driver", None, "redis", "write driver = \"redis\""),
        ("laravel", "driver", None, "file", "write driver = \"file\""),
        ("laravel", "driver", Some("redis"), "sql", "write driver = \"database\""),
        ("django", "backend", None, "redis", "write backend = \"cache\""),
        ("django", "backend", Some("cache"), "sql", "write backend = \"db\""),
        ("django", "backend", Some("cached_db"), "sql", "write backend = \"db\""),
    ] {
        let mut config = json!({ "kind": kind, "secret": base, "store": { "engine": engine } });
        if let Some(chosen) = chosen {
            config[key] = json!(chosen);
        }
        let found = problems(&config);
        assert!(found.contains(&cure.replace('"', "\\\"")), "{kind} {engine}: {found}");
        assert!(!found.contains("unknown"), "{kind} {engine}: {found}");
    }
}

#[test]
fn a_gate_that_sets_a_header_names_the_kind_and_its_header() {
    for (gate, header) in [
        ("oauth2-proxy", "x-forwarded-user"),
        ("oauth2_proxy", "x-forwarded-user"),
        ("Authelia", "remote-user"),
        ("authentik", "x-authentik-uid"),
        ("vouch", "x-vouch-user"),
        ("vouch-proxy", "x-vouch-user"),
        ("tinyauth", "remote-user"),
        ("traefik-forward-auth", "x-forwarded-user"),
        ("tailscale", "tailscale-user-login"),
        ("easy-auth", "x-ms-client-principal-id"),
    ] {
        let found = problems(&json!({ "kind": gate })).replace('\\', "");
        let cure = format!("kind = \"trusted-header\" with header = \"{header}\"");
        assert!(found.contains(&cure) && found.contains("trusted_proxies"), "{gate}: {found}");
        let config = json!({ "kind": "trusted-header", "header": header });
        assert!(compile(&config).is_ok(), "{gate}");
    }
    for (name, kind) in
        [("cloudflare", "cloudflare-access"), ("iap", "google-iap"), ("alb", "aws-alb")]
    {
        let found = problems(&json!({ "kind": name })).replace('\\', "");
        assert!(found.contains(&format!("write kind = \"{kind}\"")), "{name}: {found}");
    }
    let other = problems(&json!({ "kind": "nextauth" })).replace('\\', "");
    assert!(other.contains("did you mean \"next-auth\""), "{other}");
}

#[test]
fn a_file_that_is_missed_is_looked_for_in_its_folder() {
    for (id, is_php) in [("laravel/file", false), ("stores/php-files", true)] {
        let file = id.split('/').next().unwrap();
        let vector = vectors(file).into_iter().find(|it| it["id"] == id).unwrap();
        let source = compile(&vector["config"]).unwrap();
        let header = cookie_header(&vector);
        let now = vector["now"].as_u64().unwrap();
        let cookies = Cookies::new(&header);
        let missed = vectors::verdict(&source, &json!([]), cookies, now).unwrap_err();
        let found = source.hints(cookies, &missed).join("; ");
        assert!(found.contains("compare `path` in [session.store]"), "{id}: {found}");
        assert!(!found.contains("database number"), "{id}: {found}");
        assert_eq!(found.contains("`session.save_path`"), is_php, "{id}: {found}");
    }
}

#[test]
fn an_answer_of_the_app_that_is_not_json_is_no_matter_of_a_store() {
    let config = json!({
        "kind": "introspect", "cookie": "auth", "url": "http://app/api/me", "user_id": "/id",
    });
    let source = compile(&config).unwrap();
    let cookies = Cookies::new(b"auth=x");
    let Ok(Check::Ask(question)) = source.look(cookies, 0) else { panic!("nothing is asked") };
    for body in [&b"\x1f\x8b\x08\0\0\0\0\0"[..], b"<html>", b"user-1"] {
        let answer = Some(StoreAnswer::App { body: body.to_vec() });
        let refused = source.answered(&question, answer, 0).err().unwrap();
        let found = source.hints(cookies, &refused).join("; ");
        assert!(found.contains("`url` must answer with JSON"), "{found}");
        assert!(!found.contains("serializer"), "{found}");
    }
}
