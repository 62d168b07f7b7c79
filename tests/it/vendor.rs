//! A vendor's API behind the gateway: the key goes there and nowhere else, and
//! nothing of the app goes along.

use crate::support::{App, Gateway, Raw, Request, Setup, cookie_of, get, post};

const KEY: &str = "sk-canary-0123456789";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nX-App: 1\r\nContent-Type: application/json\r\n\
    Content-Length: 2\r\nConnection: close\r\n\r\n{}";

/// The settings of a vendor at `url`, and of the route to it.
fn tables(url: &str, route: &str) -> String {
    format!(
        r#"[upstream.openai]
servers = ["{url}"]
keys = {{ openai = "{KEY}" }}
[[route]]
path = "/v1/**"
upstream = "openai"
set_headers = {{ authorization = "Bearer {{key.openai}}" }}
{route}
"#
    )
}

/// The app's table as one of several.
fn setup(app: &App, tables: &str) -> Setup {
    let text = Setup::new(app).with(tables).text().replace("[upstream]\n", "[upstream.app]\n");
    Setup::new(app).replaced_by(text)
}

fn start(app: &App, vendor: &Raw, route: &str) -> Gateway {
    setup(app, &tables(&vendor.url, route)).start()
}

/// The problems of these settings.
#[track_caller]
fn wrong(text: &str) -> String {
    let read = portcullis::testing::Config::read(text, &portcullis::testing::Secrets::Literal);
    let problems = read.err().expect("a problem");
    problems.iter().map(|p| format!("{}: {}\n", p.path, p.text)).collect()
}

#[test]
fn the_vendor_gets_the_key_and_nothing_of_the_app() {
    let (app, vendor) = (App::start(), Raw::start(&[ANSWER]));
    let gateway = start(&app, &vendor, "");
    let request = post("/v1/chat", b"{}")
        .user("ada")
        .header("Authorization", "Bearer of-the-browser")
        .header("X-Auth-User", "root")
        .header("Origin", "http://app.test")
        .header("Referer", "http://app.test/secret-page")
        .header("X-CSRF-Token", "t")
        .header("X-Forwarded-For", "6.6.6.6")
        .header("Content-Type", "application/json");
    assert_eq!(gateway.ask(&request).status, 200);
    let head = vendor.head();
    assert!(head.starts_with("post /v1/chat http/1.1\r\n"), "{head}");
    assert_eq!(head.matches("authorization:").count(), 1, "{head}");
    assert!(head.contains(&format!("authorization: bearer {KEY}\r\n")), "{head}");
    let host = vendor.url.strip_prefix("http://").unwrap();
    assert!(head.contains(&format!("host: {host}\r\n")), "by its own name: {head}");
    assert!(head.contains("content-type: application/json\r\n"));
    for foreign in [
        "cookie",
        "x-auth-user",
        "origin",
        "referer",
        "csrf",
        "x-forwarded",
        "x-real-ip",
        "app.test",
    ] {
        assert!(!head.contains(foreign), "{foreign}: {head}");
    }
    assert!(app.seen().is_empty());
}

#[test]
fn the_app_never_gets_the_key_and_the_vendor_never_the_rest() {
    let (app, vendor) = (App::start(), Raw::start(&[ANSWER]));
    // The vendor stands first in the file, where the app's table is one of several.
    let text = Setup::new(&app).text().replace("[upstream]\n", "[upstream.app]\n");
    let gateway = Setup::new(&app).replaced_by(tables(&vendor.url, "") + &text).start();
    for path in ["/", "/v1x", "/api/other"] {
        assert!(gateway.ask(&get(path).user("ada")).is_from_app(), "{path}");
    }
    assert!(vendor.heads().is_empty());
    assert!(app.seen().iter().all(|seen| seen.one("authorization").is_none()));
}

#[test]
fn only_signed_in_users_within_the_limit_spend_the_key() {
    let (app, vendor) = (App::start(), Raw::start(&[ANSWER]));
    let gateway = start(&app, &vendor, "limit = \"2/hour\"");
    gateway.ask(&get("/v1/models")).assert_refused(401, "not_signed_in");
    let foreign = get("/v1/models").user("ada").header("Origin", "https://evil.example");
    gateway.ask(&foreign).assert_refused(403, "cross_site");
    let foreign = get("/v1/models").user("ada").header("Sec-Fetch-Site", "cross-site");
    gateway.ask(&foreign).assert_refused(403, "cross_site");
    let ask = |user: &str| gateway.ask(&get("/v1/models").user(user)).status;
    assert_eq!([ask("ada"), ask("ada"), ask("ada"), ask("eve")], [200, 200, 429, 200]);
    assert_eq!(vendor.heads().len(), 3);
}

#[test]
fn nothing_the_vendor_says_tells_the_key_or_acts_on_our_site() {
    let app = App::start();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nX-App: 1\r\nContent-Length: 2\r\nConnection: close\r\n\
         Set-Cookie: session=evil; Path=/\r\nSet-Cookie: b=2\r\nAuthorization: Bearer x\r\n\
         X-Echo: got Bearer {KEY} from you\r\nStrict-Transport-Security: max-age=1\r\n\
         Clear-Site-Data: \"*\"\r\nWWW-Authenticate: Basic\r\nAlt-Svc: h3=\":443\"\r\n\
         Access-Control-Allow-Origin: *\r\nX-Request-Cost: 3\r\nContent-Type: text/html\r\n\r\n{{}}"
    );
    let vendor = Raw::start(&[answer.as_bytes()]);
    let gateway = start(&app, &vendor, "");
    let answer = gateway.ask(&get("/v1/models").user("ada"));
    assert_eq!((answer.status, answer.header("x-request-cost")), (200, Some("3")));
    for gone in [
        "set-cookie",
        "authorization",
        "x-echo",
        "strict-transport-security",
        "clear-site-data",
        "www-authenticate",
        "alt-svc",
        "access-control-allow-origin",
    ] {
        assert_eq!(answer.header(gone), None);
    }
    assert!(!format!("{answer:?}").contains("canary"));
    assert_eq!(answer.header("content-security-policy"), Some("sandbox; default-src 'none'"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn a_vendors_answer_to_a_signed_in_user_is_kept_by_no_shared_cache() {
    let app = App::start();
    for (said, kept) in [
        ("", "private"),
        ("Cache-Control: public, max-age=60, s-maxage=600\r\n", "private, max-age=60"),
        ("Cache-Control: no-store\r\n", "private, no-store"),
        ("CDN-Cache-Control: max-age=60\r\n", "private"),
    ] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nX-App: 1\r\n{said}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
        );
        let vendor = Raw::start(&[answer.as_bytes()]);
        let answer = start(&app, &vendor, "").ask(&get("/v1/models").user("ada"));
        assert_eq!(answer.header("cache-control"), Some(kept));
        assert_eq!(
            (answer.header("vary"), answer.header("cdn-cache-control")),
            (Some("Cookie"), None)
        );
    }
}

#[test]
fn a_vendor_open_to_everyone_must_be_declared() {
    let (app, vendor) = (App::start(), Raw::start(&[ANSWER]));
    for session in ["off", "optional"] {
        let route = format!("session = \"{session}\"");
        let text = setup(&app, &tables(&vendor.url, &route)).text();
        assert!(wrong(&text).contains("anyone could use the keys"), "{session}");
        let gateway = start(&app, &vendor, &format!("{route}\npublic = true"));
        assert_eq!(gateway.ask(&get("/v1/models")).status, 200);
        let with = gateway.ask(&Request::new("GET", "/v1/x").header("Cookie", &cookie_of("ada")));
        assert_eq!(with.status, 200);
        assert!(!vendor.head().contains("cookie"));
    }
}

#[test]
fn a_key_has_one_way_and_that_is_private() {
    let app = App::start();
    let wrong_for = |tables: &str| wrong(&setup(&app, tables).text());
    let text = wrong_for(&tables("http://api.vendor.example", ""));
    assert!(text.contains("unencrypted"), "{text}");
    let text = wrong_for(
        &tables("https://api.vendor.example", "")
            .replace("keys =", "tls = { verify = false }\nkeys ="),
    );
    assert!(text.contains("any server that answers"), "{text}");
    let elsewhere =
        "[[route]]\npath = \"/x\"\nset_headers = { authorization = \"{key.openai}\" }\n";
    let text = wrong_for(&(tables("https://api.vendor.example", "") + elsewhere));
    assert!(text.contains("only be sent to the upstream it belongs to"), "{text}");
    let other = tables("https://api.vendor.example", "").replace("{key.openai}", "{key.other}");
    assert!(wrong_for(&other).contains("expected one of `openai`"));
    let two = tables("https://a.example\", \"https://b.example", "");
    assert!(wrong_for(&two).contains("different names"));
    for text in [two, other] {
        assert!(!wrong_for(&text).contains("canary"));
    }
    let text = setup(&app, "").text().replace("[upstream.app]", "[upstream]\nkeys = { a = \"x\" }");
    assert!(wrong(&text).contains("this is the app"));
}
