//! Tokens only: the app's host rewrites the tokens' paths to the gateway, which has no app
//! behind it.

use crate::support::{App, Gateway, Process, Request, SESSION_SECRET, Setup, folder, get, post};

const PATH: &str = "/api/get-auth-token";

/// A whole file without `[upstream]`.
pub(crate) fn settings(server: &str, rest: &str) -> String {
    format!(
        r#"[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
{server}
[session]
kind = "jwt"
cookie = "session"
secret = "{SESSION_SECRET}"
[token.portive]
path = "/api/get-auth-token"
preset = "portive"
key = "PRTV_keyOne_canaryOfTheKey0123456789abcdef"
ttl = "1m"
limit = "30/minute"
{rest}"#
    )
}

fn start(server: &str, rest: &str) -> Gateway {
    Setup::towards("").replaced_by(settings(server, rest)).start()
}

const PUBLIC: &str = r#"public_origin = "https://app.example.com""#;

/// As Next.js sends it on: the browser's fields, and a host of its own.
fn rewritten(request: Request) -> Request {
    request.host("gateway.internal:8080").header("X-Forwarded-Host", "app.example.com")
}

#[test]
fn a_rewritten_request_of_the_app_s_own_page_gets_its_token() {
    let gateway = start(PUBLIC, "");
    for request in [get(PATH), post(PATH, b"")] {
        let request = rewritten(request.user("ada"))
            .header("Origin", "https://app.example.com")
            .header("Sec-Fetch-Site", "same-origin");
        let answer = gateway.ask(&request);
        answer.auth_token();
        assert_eq!(answer.header("vary"), Some("Cookie"));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    // A plain GET of the same origin has no Origin.
    gateway
        .ask(&rewritten(get(PATH).user("ada")).header("Sec-Fetch-Site", "same-origin"))
        .auth_token();
}

#[test]
fn everything_else_is_not_found_and_says_so_to_scripts() {
    let gateway = start(PUBLIC, "");
    for path in
        ["/", "/api/get-auth-token/", "/api", "/account?x=/api/get-auth-token", "/auth/forward"]
    {
        for request in [get(path).navigation(), post(path, b"x"), Request::new("OPTIONS", path)] {
            gateway.ask(&request.user("ada")).assert_refused(404, "not_found");
        }
        let preflight = Request::new("OPTIONS", path)
            .header("Origin", "https://app.example.com")
            .header("Access-Control-Request-Method", "GET");
        gateway.ask(&preflight).assert_refused(404, "not_found");
    }
    assert_eq!(gateway.metric("portcullis_refusals_total{code=\"not_found\"}"), 20);
}

#[test]
fn published_documents_are_found_and_name_the_issuer_of_the_public_origin() {
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tokens/keys/ec-p256-pkcs8.pem");
    let key = std::fs::read_to_string(key).unwrap();
    let token = |name: &str, host: &str| {
        format!(
            "[preset.{name}]\nheader = {{ kid = \"{{key.kid}}\" }}\nkind = \"jwt\"\nalg = \"ES256\"\nsecret = \"secret\"\npublish = true\n\
             claims = {{ iss = \"https://{host}\", sub = \"{{session.user_id}}\", exp = \"{{exp}}\" }}\n\
             ttl = \"1m\"\nresponse = {{ token = \"{{token}}\" }}\n\
             [token.{name}]\npath = \"/{name}\"\npreset = \"{name}\"\nkey = '''{key}'''\n"
        )
    };
    let rest = format!("{}{}", token("other", "other.example"), token("own", "app.example.com"));
    let gateway = start(PUBLIC, &rest);
    let keys = gateway.ask(&rewritten(get("/.well-known/jwks.json")));
    assert_eq!(keys.status, 200, "{keys:?}");
    let document = gateway.ask(&rewritten(get("/.well-known/openid-configuration")));
    assert_eq!(document.json()["issuer"], "https://app.example.com");
}

#[test]
fn another_site_gets_none_whatever_the_host_says() {
    let gateway = start(PUBLIC, "");
    for (origin, site) in [
        ("https://evil.example", "same-origin"),
        ("https://evil.example", "cross-site"),
        ("http://app.example.com", "same-origin"),
        ("https://app.example.com:8443", "same-origin"),
        ("https://app.example.com.evil.example", "same-origin"),
        ("http://gateway.internal:8080", "same-origin"),
        ("null", "same-origin"),
        ("", "same-origin"),
    ] {
        let request = rewritten(get(PATH).user("ada")).header("Origin", origin);
        let answer = gateway.ask(&request.header("Sec-Fetch-Site", site));
        answer.assert_refused(403, "cross_site");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
    let request = rewritten(get(PATH).user("ada")).header("Sec-Fetch-Site", "cross-site");
    gateway.ask(&request).assert_refused(403, "cross_site");
    // Nobody says what the app's origin is but the settings.
    let request = get(PATH)
        .user("ada")
        .host("evil.example")
        .header("X-Forwarded-Host", "evil.example")
        .header("Forwarded", "host=evil.example")
        .header("Origin", "https://evil.example");
    gateway.ask(&request).assert_refused(403, "cross_site");
}

#[test]
fn without_a_session_the_answer_names_the_cookie_and_is_never_a_page() {
    let gateway = start(PUBLIC, "");
    let answer = gateway.ask(&rewritten(get(PATH)).navigation());
    answer.assert_refused(401, "not_signed_in");
    assert_eq!(answer.header("www-authenticate"), Some("Cookie cookie-name=\"session\""));
}

#[test]
fn a_page_of_the_app_may_also_ask_the_gateway_s_own_host() {
    let gateway = start(PUBLIC, "");
    let origin = "https://app.example.com";
    let direct = |method: &str| {
        Request::new(method, PATH).host("tokens.example.com").header("Origin", origin)
    };
    let preflight = direct("OPTIONS").header("Access-Control-Request-Method", "POST");
    let answer = gateway.ask(&preflight);
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
    for request in [direct("GET").user("ada"), direct("GET")] {
        let answer = gateway.ask(&request.header("Sec-Fetch-Site", "same-site"));
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.header("vary"), Some("Cookie, Origin"));
    }
}

#[test]
fn several_public_origins_are_all_the_app_s_own() {
    let gateway =
        start(r#"public_origin = ["https://app.example.com", "https://www.example.com"]"#, "");
    for origin in ["https://app.example.com", "https://www.example.com"] {
        gateway.ask(&rewritten(get(PATH).user("ada")).header("Origin", origin)).auth_token();
    }
}

#[test]
fn an_origin_is_compared_as_browsers_write_it() {
    for (written, sent) in [
        ("HTTPS://App.Example.com:0443", "https://app.example.com"),
        ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
        ("http://[2001:DB8::0:1]:80", "http://[2001:db8::1]"),
        ("http://[::ffff:192.0.2.7]:3000", "http://[::ffff:c000:207]:3000"),
    ] {
        let gateway = start(&format!("public_origin = {written:?}"), "");
        gateway.ask(&rewritten(get(PATH).user("ada")).header("Origin", sent)).auth_token();
    }
}

#[test]
fn an_app_may_have_a_public_origin_too() {
    let app = App::start();
    let gateway = Setup::new(&app).server(PUBLIC).start();
    let request = get(PATH).user("ada").header("Origin", "https://app.example.com");
    gateway.ask(&request).auth_token();
    let request = get(PATH).user("ada").header("Origin", "http://app.test");
    gateway.ask(&request).assert_refused(403, "cross_site");
}

/// Exit code and everything that was printed.
fn check(text: &str, arguments: &[&str]) -> (i32, String) {
    let file = folder().join("gateway.toml");
    let text = text.replace(SESSION_SECRET, "env:SECRET");
    let text = text.replace("PRTV_keyOne_canaryOfTheKey0123456789abcdef", "env:KEY");
    std::fs::write(&file, text).unwrap();
    let environment =
        [("SECRET", SESSION_SECRET), ("KEY", "PRTV_keyOne_canaryOfTheKey0123456789abcdef")];
    let arguments = [&["check", "--config", file.to_str().unwrap()], arguments].concat();
    let (code, output, errors) = Process::finish(&arguments, &environment);
    (code, format!("{output}{errors}"))
}

#[test]
fn check_says_which_form_a_file_is() {
    let warned = |said: &str| said.contains("warning: server.public_origin: ");
    let (code, said) = check(&settings(PUBLIC, ""), &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("form: tokens only") && said.contains("\nok\n"), "{said}");
    assert!(!warned(&said), "{said}");
    let (code, said) = check(&settings("", ""), &[]);
    assert!(code == 0 && warned(&said), "{said}");
    let (code, said) = check(&settings("", "[auth]"), &[]);
    assert!(code == 0 && said.starts_with("form: forward auth"), "{said}");
    assert!(!warned(&said), "{said}");
}

#[test]
fn check_explains_the_configuration_of_the_apps_side() {
    let (code, said) = check(&settings("", ""), &["--explain"]);
    assert_eq!(code, 0, "{said}");
    for line in [
        "form: tokens only",
        "{ source: \"/api/get-auth-token\", destination: \"http://127.0.0.1:0/api/get-auth-token\" },",
        "{ \"source\": \"/api/get-auth-token\", \"destination\": \"https://gateway.example.com/api/get-auth-token\" }",
        "location = /api/get-auth-token { proxy_pass http://127.0.0.1:0;",
        "public_origin = \"https://app.example.com\"",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    let rest = "[auth]\n[identity]\nheaders = { \"X-Auth-User\" = \"{session.user_id}\" }";
    let (code, said) = check(&settings("", rest), &["--explain"]);
    assert_eq!(code, 0, "{said}");
    for line in [
        "proxy_pass http://127.0.0.1:9191/auth/nginx;",
        "auth_request_set $told_x_auth_user $upstream_http_x_auth_user; proxy_set_header x-auth-user",
        "copy_headers x-auth-user cookie",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
}

#[test]
fn a_setting_that_needs_an_app_says_what_to_write() {
    let route = "[[route]]\npath = \"/admin/**\"\nsession = \"required\"";
    let identity = "[identity]\nheaders = { \"X-Auth-User\" = \"{session.user_id}\" }";
    for (rest, setting) in [(route, "route[0]: "), (identity, "identity: ")] {
        let (code, said) = check(&settings(PUBLIC, rest), &[]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(setting) && said.contains("write [upstream] with servers"), "{said}");
        let (code, said) = check(&settings(PUBLIC, &format!("[auth]\n{rest}")), &[]);
        assert_eq!(code, 0, "{said}");
    }
    let logout = settings(PUBLIC, "")
        .replace("kind = \"jwt\"", "kind = \"jwt\"\nlogout_paths = [\"/logout\"]");
    let (code, said) = check(&logout, &[]);
    assert!(code == 2 && said.contains("session.logout_paths: "), "{said}");
    let (code, said) = check("[server]\nlisten = \"127.0.0.1:0\"", &[]);
    assert!(code == 2 && said.contains("`upstream` is missing; write [upstream]"), "{said}");
    for wrong in ["app.example.com", "https://app.example.com/x", "capacitor://localhost", "*"] {
        let (code, said) = check(&settings(&format!("public_origin = {wrong:?}"), ""), &[]);
        assert!(code == 2 && said.contains(":4:17: server.public_origin: found "), "{said}");
    }
    for (auth, setting) in [
        ("listen = \"https://127.0.0.1:1\"", "auth.listen: "),
        ("listen = []", "auth.listen: "),
        ("trusted = [\"proxy\"]", "auth.trusted[0]: "),
        ("listn = \"127.0.0.1:1\"", "auth.listn: unknown key, did you mean `listen`?"),
    ] {
        let (code, said) = check(&settings(PUBLIC, &format!("[auth]\n{auth}")), &[]);
        assert!(code == 2 && said.contains(setting), "{said}");
    }
}
