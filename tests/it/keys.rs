//! Keys and tokens go only where they are meant: what the settings refuse, and what no
//! client can bring about.

use std::collections::HashMap;

use crate::support::{App, Claims, Raw, SESSION_SECRET, Setup, cookie_of, get, post};
use portcullis::testing::{Config, Secrets};

/// Every problem of these settings; empty if there is none.
pub(crate) fn problems(text: &str) -> String {
    let read = Config::read(text, &Secrets::Literal);
    let problems = read.err().unwrap_or_default();
    problems.iter().map(|p| format!("{}: {}\n", p.path, p.text)).collect()
}

fn with(app: &App, tables: &str) -> String {
    problems(&Setup::new(app).with(tables).text())
}

/// A token of the file's own preset: HS256, made with `key`.
fn room(key: &str) -> String {
    format!(
        "[preset.room]\nkind = \"jwt\"\nalg = \"HS256\"\nsecret = \"secret\"\n\
         claims = {{ sub = \"{{request.room}}\", exp = \"{{exp}}\" }}\nttl = \"1m\"\n\
         response = {{ token = \"{{token}}\" }}\n\
         [token.room]\npath = \"/room\"\npreset = \"room\"\nkey = {{ secret = \"{key}\" }}\n\
         request.room = {{ from = \"query:room\", allow = [\"*\"] }}\n"
    )
}

#[test]
fn a_key_of_a_session_makes_no_token() {
    let app = App::start();
    assert_eq!(with(&app, &room("another-key-0123456789abcdef0123456789")), "");
    let text = with(&app, &room(SESSION_SECRET));
    assert!(text.contains("token.room.key: the app's sessions ("), "{text}");
    assert!(!text.contains(SESSION_SECRET));
    let old = Setup::new(&app).with(&room(SESSION_SECRET)).text().replace(
        &format!("secret = \"{SESSION_SECRET}\"\n"),
        &format!("secrets = [\"a-newer-one-0123456789abcdef0123456789\", \"{SESSION_SECRET}\"]\n"),
    );
    assert!(problems(&old).contains("use this key too"), "an old one verifies too");
    let text = with(&app, &room(SESSION_SECRET).replace(
        &format!("{{ secret = \"{SESSION_SECRET}\" }}"),
        &format!("[{{ secret = \"new-0123456789abcdef0123456789\" }}, {{ secret = \"{SESSION_SECRET}\" }}]"),
    ));
    assert!(text.contains("use this key too"), "so does an old key of a token: {text}");
}

#[test]
fn a_key_is_known_in_whatever_encoding_it_is_written() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let app = App::start();
    let hex: String = SESSION_SECRET.bytes().map(|b| format!("{b:02x}")).collect();
    for (encoding, key) in [
        ("base64", STANDARD.encode(SESSION_SECRET)),
        ("base64url", URL_SAFE_NO_PAD.encode(SESSION_SECRET)),
        ("hex", hex),
    ] {
        let encoded = format!("alg = \"HS256\"\nsecret_encoding = \"{encoding}\"\n");
        let text = with(&app, &room(&key).replace("alg = \"HS256\"\n", &encoded));
        assert!(text.contains("use this key too"), "{encoding}: {text}");
    }
}

#[test]
fn a_private_key_makes_no_token_that_its_public_half_takes_for_a_session() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tokens/keys/");
    let read = |name: &str| std::fs::read_to_string(format!("{folder}{name}")).unwrap();
    let (private, public) = (read("ec-p256-pkcs8.pem"), read("ec-p256-public.pem"));
    let app = App::start();
    let text = |public: &str| {
        let session = format!("public_key = '''{public}'''\n");
        let token = room("x").replace("\"x\"", &format!("'''{private}'''"));
        let token = token.replace("HS256", "ES256");
        let secret = format!("secret = \"{SESSION_SECRET}\"\n");
        problems(&Setup::new(&app).with(&token).text().replace(&secret, &session))
    };
    assert!(text(&public).contains("use this key too"), "{}", text(&public));
    assert_eq!(text(&read("ec-p384-public.pem")), "");
}

#[test]
fn only_supabase_has_one_key_for_both() {
    let app = App::start();
    let text = |kind: &str, token: &str| {
        let token = format!(
            "[token.s]\npath = \"/s\"\npreset = \"supabase-hs256\"\n\
             key = {{ jwt_secret = \"{SESSION_SECRET}\" }}\n{token}"
        );
        let session = format!("kind = \"{kind}\"\n");
        problems(&Setup::new(&app).with(&token).text().replace("kind = \"jwt\"\n", &session))
    };
    assert_eq!(text("supabase", ""), "");
    assert!(text("jwt", "").contains("use this key too"));
    let forged = "claims = { sub = \"{request.u}\", aud = \"authenticated\", exp = \"{exp}\" }\n\
                  request.u = { from = \"query:u\", allow = [\"*\"] }\n";
    assert!(text("supabase", forged).contains("use this key too"));
}

#[test]
fn a_session_holds_what_is_required_and_nothing_else_is_one() {
    let app = App::start();
    let gateway =
        Setup::new(&app).session("require = { \"/purpose\" = [\"session\", \"login\"] }").start();
    let token = |purpose: Option<&str>| {
        let claims = Claims::of("ada");
        purpose.map_or_else(|| Claims::of("ada"), |purpose| claims.with("purpose", purpose))
    };
    let ask = |purpose| {
        let cookie = token(purpose).cookie();
        gateway.ask(&get("/api/get-auth-token").header("Cookie", &cookie)).status
    };
    assert_eq!([ask(Some("session")), ask(Some("login"))], [200, 200]);
    assert_eq!([ask(None), ask(Some("reset")), ask(Some("Session"))], [401, 401, 401]);
}

#[test]
fn with_types_a_token_of_another_type_is_not_a_session() {
    let app = App::start();
    let typed = |typ: &str| {
        let header = jsonwebtoken::Header {
            typ: (!typ.is_empty()).then(|| typ.to_owned()),
            ..jsonwebtoken::Header::default()
        };
        let claims: HashMap<&str, serde_json::Value> =
            [("sub", "ada".into()), ("exp", 4_000_000_000_u64.into())].into();
        let key = jsonwebtoken::EncodingKey::from_secret(SESSION_SECRET.as_bytes());
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    };
    let ask = |settings: &str, typ: &str| {
        let gateway = Setup::new(&app).session(settings).start();
        let cookie = format!("session={}", typed(typ));
        gateway.ask(&get("/api/get-auth-token").header("Cookie", &cookie)).status
    };
    assert_eq!([ask("", "JWT"), ask("", ""), ask("", "session")], [200, 200, 200]);
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "logout+jwt", "portcullis-identity+jwt"] {
        assert_eq!(ask("", typ), 401, "{typ}");
    }
    assert_eq!(ask("types = [\"at+jwt\"]", "at+jwt"), 200);
    assert_eq!([ask("types = \"JWT\"", "at+jwt"), ask("types = \"JWT\"", "")], [401, 401]);
    let own = Setup::new(&app).session("types = [\"portcullis-identity+jwt\"]").text();
    assert!(problems(&own).contains("never sessions"));
}

#[test]
fn an_unsigned_id_reaches_only_keys_of_its_own_prefix() {
    let app = App::start();
    let text = |more: &str, store: &str| {
        let session = format!(
            "kind = \"lookup\"\nuser_id = \"/u\"\n{more}\
             store = {{ engine = \"redis\", url = \"redis://127.0.0.1:1\", {store} }}\n"
        );
        let jwt = format!("kind = \"jwt\"\ncookie = \"session\"\nsecret = \"{SESSION_SECRET}\"\n");
        let session = format!("cookie = \"session\"\n{session}");
        problems(&Setup::new(&app).text().replace(&jwt, &session))
    };
    assert!(text("", "timeout = \"1s\"").contains("session.store: `prefix` is missing"));
    assert!(text("", "prefix = \"\"").contains("session.store.prefix: found an empty string"));
    assert_eq!(text("", "prefix = \"sess:\""), "");
    assert_eq!(text("hash = \"sha256-hex\"\n", "timeout = \"1s\""), "");
}

#[test]
fn users_cookies_are_not_sent_in_the_clear_to_another_machine() {
    let app = App::start();
    let jwt = format!("kind = \"jwt\"\ncookie = \"session\"\nsecret = \"{SESSION_SECRET}\"\n");
    let session = |lines: &str| {
        problems(&Setup::new(&app).text().replace(&jwt, &format!("cookie = \"session\"\n{lines}")))
    };
    let introspect =
        |url: &str| session(&format!("kind = \"introspect\"\nurl = \"{url}\"\nuser_id = \"/u\"\n"));
    for url in ["http://app.example/me", "http://10.0.0.9:3000/me", "http://localhost.example/me"] {
        let text = introspect(url);
        assert!(
            text.contains("session.url: the users' cookies would be sent unencrypted"),
            "{text}"
        );
        let text = with(
            &app,
            &room("another-key-0123456789abcdef0123456789").replace(
                "request.room =",
                &format!("grant = {{ url = \"{url}\" }}\nrequest.room ="),
            ),
        );
        assert!(text.contains("token.room.grant.url: the users' cookies would be"), "{text}");
        let keys = session(&format!("kind = \"jwt\"\njwks_url = \"{url}\"\n"));
        assert!(keys.contains("session.jwks_url: the keys could be replaced in transit"), "{keys}");
    }
    for url in ["https://app.example/me", "http://127.0.0.1:3000/me", "http://[::1]:3000/me"] {
        assert_eq!(introspect(url), "", "{url}");
        assert_eq!(session(&format!("kind = \"jwt\"\njwks_url = \"{url}\"\n")), "", "{url}");
    }
    // The app itself gets the same cookies in the clear anyway.
    let compose = Setup::towards("http://app:3000").text().replace(
        &jwt,
        "kind = \"introspect\"\ncookie = \"session\"\nurl = \"http://app:3000/me\"\nuser_id = \"/u\"\n",
    );
    assert_eq!(problems(&compose), "");
    assert!(problems(&compose.replace("app:3000/me", "app:3001/me")).contains("unencrypted"));
}

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nX-App: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";

#[test]
fn a_vendor_gets_listed_headers_only() {
    let (app, vendor) = (App::start(), Raw::start(&[ANSWER]));
    let tables = format!(
        "[upstream.openai]\nservers = [\"{}\"]\nkeys = {{ openai = \"sk-canary-0123456789\" }}\n\
         pass_headers = [\"OpenAI-Beta\"]\n\
         [[route]]\npath = \"/v1/**\"\nupstream = \"openai\"\n\
         set_headers = {{ authorization = \"Bearer {{key.openai}}\" }}\n",
        vendor.url
    );
    let text = Setup::new(&app).with(&tables).text().replace("[upstream]\n", "[upstream.app]\n");
    let gateway = Setup::new(&app).replaced_by(text.clone()).start();
    let passed = [
        ("Accept", "application/json"),
        ("Accept-Language", "en"),
        ("Content-Type", "application/json"),
        ("User-Agent", "browser"),
        ("OpenAI-Beta", "realtime=v1"),
    ];
    let others = [
        "X-HTTP-Method-Override",
        "X-Method-Override",
        "OpenAI-Organization",
        "OpenAI-Project",
        "X-Goog-User-Project",
        "X-Auth-Token",
        "X-Api-Key",
        "Api-Key",
        "Anthropic-Version",
        "Range",
        "If-None-Match",
        "Cache-Control",
        "Sec-Fetch-Mode",
        "Content.Type",
        "Priority",
        "Traceparent",
    ];
    let request = post("/v1/chat", b"{}").header("Cookie", &cookie_of("ada"));
    let request = passed.iter().fold(request, |r, (name, value)| r.header(name, value));
    let request = others.iter().fold(request, |r, name| r.header(name, "canary"));
    assert_eq!(gateway.ask(&request).status, 200);
    let head = vendor.head();
    for (name, value) in passed {
        let field = format!("\r\n{name}: {value}\r\n").to_lowercase();
        assert!(head.contains(&field), "{name}: {head}");
    }
    assert!(head.contains("content-length: 2\r\n"), "{head}");
    assert!(!head.contains("canary\r\n") && !head.contains("cookie"), "{head}");
    for name in ["cookie", "authorization", "host", "content_type", "x-forwarded-for"] {
        let wrong = problems(&text.replace("OpenAI-Beta", name));
        assert!(wrong.contains("pass_headers"), "{name}: {wrong}");
    }
    let app_only = Setup::new(&app).upstream("pass_headers = [\"x-y\"]").text();
    assert!(problems(&app_only).contains("other headers pass without it"));
}

#[test]
fn no_client_chooses_another_method_page_or_account_of_the_app() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for name in [
        "X-HTTP-Method-Override",
        "X.HTTP.Method.Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X-Host",
        "X.Host",
        "X-HTTP-Host-Override",
        "X-Sendfile-Type",
        "X-Accel-Mapping",
        "X-Invoke-Path",
        "X-Matched-Path",
        "X-Now-Route-Matches",
        "X-Script-Name",
        "X-Request-URI",
        "X-Remote-User",
        "Remote-User",
        "X-WebAuth-User",
        "CF-Connecting-IP",
        "CF.Connecting.IP",
        "CF-IPCountry",
        "Fastly-Client-IP",
        "Fly-Client-IP",
        "X-Azure-ClientIP",
        "X-AppEngine-User-IP",
        "X-Vercel-IP-Country",
        "X-Originating-IP",
        "Content.Length",
        "Transfer.Encoding",
        "Host.",
        "Cookie~",
    ] {
        app.forget();
        assert_eq!(gateway.ask(&get("/x").header(name, "canary")).status, 200, "{name}");
        let fields = app.only().fields();
        assert!(!fields.iter().any(|(_, value)| value == "canary"), "{name}: {fields:?}");
    }
}

#[test]
fn a_host_that_is_not_listed_is_misdirected() {
    let app = App::start();
    let gateway = Setup::new(&app).server("hosts = [\"app.test\", \"*.tenants.test\"]").start();
    for host in ["app.test", "APP.test:8443", "app.test.", "a.tenants.test"] {
        assert_eq!(gateway.ask(&get("/x").host(host)).status, 200, "{host}");
    }
    app.forget();
    for host in ["evil.test", "admin.internal", "xapp.test", "tenants.test", "127.0.0.1"] {
        let request = get("/api/get-auth-token").host(host).user("ada");
        gateway.ask(&request).assert_refused(421, "misdirected");
        gateway.ask(&get("/x").host(host)).assert_refused(421, "misdirected");
    }
    assert!(app.seen().is_empty());
    let wrong = |line: &str| problems(&Setup::new(&app).server(line).text());
    assert!(wrong("hosts = []").contains("server.hosts: found an empty list"));
    assert!(wrong("hosts = [\"app.test:80\"]").contains("server.hosts"));
    assert!(wrong("trust_forwarded_host = true").contains("`trusted_proxies` is empty"));
}

#[test]
fn a_forwarded_host_counts_only_where_it_is_trusted() {
    let app = App::start();
    let trusted = "trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]";
    let seen = |server: &str, chain: &str, forwarded: &str| {
        app.forget();
        let gateway = Setup::new(&app).server(server).start();
        let request = get("/x").header("X-Forwarded-For", chain);
        assert_eq!(gateway.ask(&request.header("X-Forwarded-Host", forwarded)).status, 200);
        app.only().one("x-forwarded-host").unwrap()
    };
    assert_eq!(seen(trusted, "1.2.3.4", "evil.test"), "app.test");
    let believed = format!("{trusted}\ntrust_forwarded_host = true");
    assert_eq!(seen(&believed, "1.2.3.4", "public.test"), "public.test");
    assert_eq!(seen(&believed, "1.2.3.4", "evil.test, public.test"), "public.test");
    let two = "evil.test, public.test, internal:8080";
    assert_eq!(seen(&believed, "6.6.6.6, 1.2.3.4, 10.0.0.9", two), "public.test");
    let listed = format!("{believed}\nhosts = [\"public.test\"]");
    let gateway = Setup::new(&app).server(&listed).start();
    gateway
        .ask(&get("/x").header("X-Forwarded-Host", "evil.test"))
        .assert_refused(421, "misdirected");
    assert_eq!(gateway.ask(&get("/x").header("X-Forwarded-Host", "public.test")).status, 200);
}
