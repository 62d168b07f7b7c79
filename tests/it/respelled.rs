//! Sessions in another spelling of their value: the app's own library reads what does not
//! verify here, because it decodes leniently.

use serde_json::json;

use crate::support::{
    App, Claims, Gateway, Request, START, Setup, clock, cookie_of, get, seconds, token_of,
};

const SEALED_ELSEWHERE: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.\
                                AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn revoke(gateway: &Gateway, user: &str) {
    let body = json!({ "user": user }).to_string();
    let rest =
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let answer = gateway.admin("POST /revoke HTTP/1.1", &rest);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// The `Cookie`, `Authorization` and user that the app got from this request.
#[track_caller]
fn seen(gateway: &Gateway, app: &App, request: &Request) -> [Option<String>; 3] {
    app.forget();
    gateway.ask(request);
    let seen = app.only();
    ["cookie", "authorization", "x-auth-user"].map(|name| seen.one(name))
}

/// A token as lenient libraries read it too.
fn respelled(token: &str) -> Vec<String> {
    let (most, last) = token.split_at(token.len() - 1);
    let (start, end) = token.split_at(token.len() - 5);
    let next = char::from(last.as_bytes()[0] ^ 1);
    let other = if next.is_ascii_alphanumeric() { next } else { '-' };
    let mut spellings = vec![
        format!("{token}="),
        format!("{start}*{end}"),
        format!("{start}%0A{end}"),
        format!("{token}%20"),
        format!("{token} x"),
        format!("{most}{other}"),
        format!("\"\\145{}\"", token.get(1..).unwrap()),
        format!("%2565{}", token.get(1..).unwrap()),
        format!("*{token}"),
        token.replacen('.', "=.", 1),
        format!("{token}{}", "*".repeat(20_000)),
    ];
    let url = token.replace('-', "+").replace('_', "/");
    spellings.extend(Some(url).filter(|url| url != token));
    spellings
}

fn both(app: &App) -> Gateway {
    Setup::new(app).session("header = \"authorization\"").start()
}

#[test]
fn no_other_spelling_of_a_value_brings_a_revoked_session_to_the_app() {
    let app = App::start();
    let gateway = both(&app);
    let ada = token_of("ada");
    for other in respelled(&ada) {
        let sent = format!("session={other}");
        let [cookie, ..] = seen(&gateway, &app, &get("/page").header("Cookie", &sent));
        assert_eq!(cookie, Some(sent), "nothing is revoked");
    }
    revoke(&gateway, "ada");
    for other in respelled(&ada) {
        let sent = format!("theme=dark; session={other}");
        let [cookie, ..] = seen(&gateway, &app, &get("/page").header("Cookie", &sent));
        assert_eq!(cookie.as_deref(), Some("theme=dark"), "{other}");
        let bearer = format!("Bearer {other}");
        let [_, header, _] = seen(&gateway, &app, &get("/page").header("Authorization", &bearer));
        assert_eq!(header, None, "{bearer}");
    }
    for header in ["Bearer\t", "", "JWT ", "Bearer:", "Token token=", "bearer\t "] {
        let value = format!("{header}{ada}");
        let [_, header, _] = seen(&gateway, &app, &get("/page").header("Authorization", &value));
        assert_eq!(header, None, "{value}");
    }
}

#[test]
fn what_is_plainly_not_a_session_of_this_app_passes_although_one_is_revoked() {
    let app = App::start();
    let gateway = both(&app);
    revoke(&gateway, "ada");
    for value in [SEALED_ELSEWHERE, "2f1c77de-uuid", "sk_live_0123456789", "deleted"] {
        let sent = format!("session={value}");
        let [cookie, ..] = seen(&gateway, &app, &get("/page").header("Cookie", &sent));
        assert_eq!(cookie, Some(sent));
        let bearer = format!("Bearer {value}");
        let [_, header, _] = seen(&gateway, &app, &get("/page").header("Authorization", &bearer));
        assert_eq!(header, Some(bearer));
    }
    for value in ["Basic YWRhOnNlY3JldA==", "Negotiate oYG=", "Bearer"] {
        let [_, header, _] = seen(&gateway, &app, &get("/page").header("Authorization", value));
        assert_eq!(header.as_deref(), Some(value));
    }
    let bob = cookie_of("bob");
    let [cookie, _, user] = seen(&gateway, &app, &get("/page").header("Cookie", &bob));
    assert_eq!((cookie, user.as_deref()), (Some(bob), Some("bob")));
}

#[test]
fn beside_a_session_that_counts_the_app_reads_no_other_in_any_spelling() {
    let app = App::start();
    let gateway = both(&app);
    let (ada, bob) = (cookie_of("ada"), token_of("bob"));
    let mut values: Vec<String> = respelled(&bob);
    for value in &mut values {
        value.insert_str(0, "Bearer ");
    }
    for scheme in ["Bearer\t", "JWT ", "", "Bearer:"] {
        values.push(format!("{scheme}{bob}"));
    }
    for value in values {
        let request = get("/page").header("Cookie", &ada).header("Authorization", &value);
        let [cookie, header, user] = seen(&gateway, &app, &request);
        assert_eq!((cookie.as_deref(), header), (Some(&*ada), None), "{value}");
        assert_eq!(user.as_deref(), Some("ada"), "{value}");
    }
    let basic = "Basic YWRhOnNlY3JldA==";
    let request = get("/page").header("Cookie", &ada).header("Authorization", basic);
    let [cookie, header, _] = seen(&gateway, &app, &request);
    assert_eq!((cookie, header.as_deref()), (Some(ada), Some(basic)));
    for other in respelled(&bob) {
        let bearer = format!("Bearer {}", token_of("ada"));
        let sent = format!("session={other}");
        let request = get("/page").header("Cookie", &sent).header("Authorization", &bearer);
        let [cookie, header, user] = seen(&gateway, &app, &request);
        assert_eq!((cookie, header), (None, Some(bearer)), "{other}");
        assert_eq!(user.as_deref(), Some("ada"), "{other}");
    }
}

#[test]
fn what_the_app_makes_of_another_spelling_does_not_count_for_a_revoked_user() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).clock(&clock).start();
    revoke(&gateway, "ada");
    clock.advance(seconds(60));
    let later = Claims::of("ada").with("iat", START + 60);
    let renew = get(&format!("/do/renew?{}", later.cookie()));
    let stolen = format!("session={SEALED_ELSEWHERE}");
    assert_eq!(gateway.ask(&renew.header("Cookie", &stolen)).all("set-cookie").len(), 1);
    let token = get("/api/get-auth-token").header("Cookie", &later.cookie());
    gateway.ask(&token).assert_refused(401, "not_signed_in");
}
