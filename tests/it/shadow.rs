//! Shadow mode: answers that are the same, answers that only one side gives, answers that
//! cannot be compared; told without values, and never waited for.

use std::io::Write as _;

use serde_json::json;

use crate::shadow_planted::{
    KEY, OTHER_KEY, answer, assert_found, chat, found, good, places, setup, setup_clone, status_of,
};
use crate::support::running::Running;
use crate::support::{
    Process, Request, SESSION_SECRET, START, Script, Scripted, Setup, clock, eventually, folder,
    get, post,
};

#[test]
fn the_same_answer_is_not_a_difference_however_it_is_sent() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(good().body().as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let app = Scripted::start(move |target| {
        let mut answer = good();
        Some(match target.strip_prefix("/api/chat?")? {
            "plain" => answer.script(),
            "chunked" => {
                let (body, head) = (
                    answer.body(),
                    "HTTP/1.1 200 OK\r\nX-App: 1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
                );
                let (one, two) = body.split_at(30);
                let chunk = |piece: &str| format!("{:x}\r\n{piece}\r\n", piece.len());
                let (one, two) = (chunk(one), chunk(two) + "0\r\n\r\n");
                Script::says(&[head.as_bytes(), one.as_bytes(), two.as_bytes()])
            }
            "gzip" => self::answer(
                200,
                "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
                &gzip,
            ),
            // An app that keeps its tokens gives out older ones.
            "older" => {
                for claim in ["iat", "nbf", "exp"] {
                    let time = answer.claims[claim].as_u64().unwrap();
                    answer.claims[claim] = (time - 3).into();
                }
                answer.script()
            }
            _ => {
                answer.body["server"] = json!({ "region": "eu" });
                answer.script()
            }
        })
    });
    let gateway = setup_clone(&setup(&app.url), &clock()).start();
    for query in ["?plain", "?chunked", "?gzip", "?older", "?other"] {
        assert_eq!(gateway.ask(&chat(query)).status, 200);
    }
    let found = found(&gateway, "chat", 5);
    assert_eq!((&found["same"], places(&found)), (&5.into(), Vec::new()), "{found}");
}

#[test]
fn who_is_refused_by_only_one_of_them_is_a_difference() {
    let app = Scripted::start(|target| {
        let status = if target.starts_with("/api/chat?401") { 401 } else { 200 };
        Some(answer(status, "Content-Type: application/json\r\n", good().body().as_bytes()))
    });
    let setup = setup(&app.url);
    let gateway = setup_clone(&setup, &clock()).start();
    // Both refuse: no difference.
    assert_eq!(gateway.ask(&get("/api/chat?401")).status, 401);
    assert_eq!(found(&gateway, "chat", 1)["same"], 1);
    for (request, ours) in [
        (get("/api/chat"), "401 not_signed_in"),
        (chat("").header("Origin", "https://evil.example"), "403 cross_site"),
        (Request::new("DELETE", "/api/chat").user("ada"), "405 method_not_allowed"),
    ] {
        gateway.reload(&setup);
        assert_eq!(gateway.ask(&request).status, 200);
        let found = found(&gateway, "chat", 1);
        assert_eq!(places(&found), [("status".to_owned(), "status".to_owned())], "{found}");
        assert_eq!(
            (&found["differences"][0]["app"], &found["differences"][0]["gateway"]),
            (&"200".into(), &ours.into())
        );
    }
}

#[test]
fn signatures_over_the_request_and_limits_are_compared_too() {
    let sign = |key: &str, text: &str| {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.as_bytes());
        let tag = aws_lc_rs::hmac::sign(&key, text.as_bytes());
        tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let app = Scripted::start(move |target| {
        let key = if target.ends_with("?other") { OTHER_KEY } else { KEY };
        let body = match target.starts_with("/pusher") {
            true => json!({ "auth": format!("app:{}", sign(key, "1.2:private-room")) }),
            false => json!({
                "username": format!("{}:ada", START + if key == KEY { 3600 } else { 86_400 }),
                "credential": "c2lnbmF0dXJlIGluIGJhc2U2NC4=", "ttl": 3600,
                "urls": ["turn:turn.example.com:3478"],
            }),
        };
        Some(answer(200, "Content-Type: application/json\r\n", body.to_string().as_bytes()))
    });
    let setup = setup(&app.url);
    let gateway = setup_clone(&setup, &clock()).start();
    let ask = |target: &str| {
        let form = post(target, b"socket_id=1.2&channel_name=private-room").user("ada");
        gateway.ask(&form.header("Content-Type", "application/x-www-form-urlencoded"))
    };
    assert_eq!(ask("/pusher/auth").status, 200);
    assert_eq!(found(&gateway, "pusher", 1)["same"], 1, "{}", status_of(&gateway, "pusher"));
    gateway.reload(&setup);
    assert_eq!(ask("/pusher/auth?other").status, 200);
    assert_found(&gateway, "pusher", &[("value", "/auth")]);
    gateway.reload(&setup);
    assert_eq!(ask("/pusher/auth").status, 200, "the third of two a minute");
    assert_eq!(found(&gateway, "pusher", 1)["differences"][0]["gateway"], "429 too_many_requests");
    assert_eq!(gateway.metric("portcullis_limited_total{route=\"token.pusher\"}"), 0);
    assert_eq!(gateway.ask(&get("/api/turn").user("ada")).status, 200);
    assert_eq!(found(&gateway, "turn", 1)["same"], 1, "{}", status_of(&gateway, "turn"));
    gateway.reload(&setup);
    assert_eq!(gateway.ask(&get("/api/turn?other").user("ada")).status, 200);
    assert_found(&gateway, "turn", &[("ttl", "/username")]);
}

#[test]
fn bare_tokens_cookies_and_tokens_of_a_vendor_are_compared_too() {
    let jwt = |changed: bool| {
        let mut sent = good();
        if changed {
            sent.claims["iss"] = "shop-staging".into();
        }
        let body: serde_json::Value = serde_json::from_str(&sent.body()).unwrap();
        body["token"].as_str().unwrap().to_owned()
    };
    let app = Scripted::start(move |target| {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let changed = query == "changed";
        let json = "Content-Type: application/json\r\n";
        Some(match path {
            "/api/bare" => answer(200, "Content-Type: text/plain\r\n", jwt(changed).as_bytes()),
            "/api/jar" => {
                let cookie = format!("{json}Set-Cookie: vendor={}; Secure\r\n", jwt(changed));
                answer(200, &cookie, b"{}")
            }
            // The vendor, and the app that asks it.
            _ => {
                let end = START + if changed { 86_400 } else { 600 };
                let number = if path == "/vendor" { 1 } else { 2 };
                let body = json!({ "value": format!("ek_{number}68af"), "expires_at": end });
                answer(200, json, body.to_string().as_bytes())
            }
        })
    });
    let chat = setup(&app.url).text();
    let preset = |name: &str, response: &str| {
        let (_, table) = chat.split_once("[preset.chat]\n").unwrap();
        let (table, _) = table.split_once("response = ").unwrap();
        format!(
            "[preset.{name}]\n{table}response = \"{response}\"\n[token.{name}]\npath = \"/api/{name}\"\n\
             preset = \"{name}\"\nkey = \"{KEY}\"\nttl = \"1m\"\nshadow = true\n"
        )
    };
    let vendor = format!(
        "[token.vendor]\npath = \"/api/vendor\"\npreset = \"openai-realtime\"\nkey = \"sk-canary\"\n\
         url = \"{}/vendor\"\nshadow = true\n\
         params = {{ expires_after = {{ anchor = \"created_at\", seconds = 600 }}, session = {{ type = \"realtime\" }} }}\n",
        app.url
    );
    let (bare, jar) = (preset("bare", "text:text/plain"), preset("jar", "cookie:vendor"));
    let setup = Setup::towards("").replaced_by(format!("{chat}{bare}{jar}{vendor}"));
    let gateway = setup_clone(&setup, &clock()).start();
    for (token, kind, at) in [
        ("bare", "value", "body claims/iss"),
        ("jar", "value", "cookie vendor claims/iss"),
        ("vendor", "ttl", "/expires_at"),
    ] {
        gateway.reload(&setup);
        assert_eq!(gateway.ask(&get(&format!("/api/{token}")).user("ada")).status, 200);
        let same = found(&gateway, token, 1);
        assert_eq!((&same["same"], places(&same)), (&1.into(), Vec::new()), "{token}: {same}");
        gateway.reload(&setup);
        assert_eq!(gateway.ask(&get(&format!("/api/{token}?changed")).user("ada")).status, 200);
        assert_found(&gateway, token, &[(kind, at)]);
    }
    assert_eq!(app.times("POST", "/vendor"), 1, "the vendor's token is kept");
}

#[test]
fn answers_that_cannot_be_compared_are_counted_and_reported() {
    let long = vec![b'x'; 70 * 1024];
    let app = Scripted::start(move |target| {
        let head = "Content-Type: application/json\r\n";
        Some(match target.strip_prefix("/api/chat?")? {
            "brotli" => answer(200, &format!("{head}Content-Encoding: br\r\n"), b"?"),
            "long" => answer(200, head, &long),
            "cut" => Script::says(&[b"HTTP/1.1 200 OK\r\nX-App: 1\r\nContent-Length: 9\r\n\r\n{}"])
                .closes(),
            _ => Script::says(&[b"HTTP/1.1 200 OK\r\nX-App: 1\r\nContent-Length: 9\r\n\r\n"]),
        })
    });
    let setup = setup(&app.url);
    let gateway = setup_clone(&setup, &clock()).start();
    for (query, why) in [("?brotli", "encoded"), ("?long", "too_long")] {
        assert_eq!(gateway.ask(&chat(query)).status, 200);
        assert_eq!(found(&gateway, "chat", 1)["last_skipped"], why);
        gateway.reload(&setup);
    }
    let head = Request::new("HEAD", "/api/chat?head").user("ada");
    assert_eq!(gateway.ask(&head).status, 200);
    assert_eq!(found(&gateway, "chat", 1)["last_skipped"], "no_body");
    gateway.reload(&setup);
    let mut conn = gateway.connect();
    conn.write(&chat("?cut").bytes());
    conn.next_head();
    assert_eq!(found(&gateway, "chat", 1)["last_skipped"], "cut_off");
    let skipped = "portcullis_shadow_answers_total{result=\"skipped\",token=\"chat\"}";
    gateway.counts(skipped, 4);
}

#[test]
fn the_log_names_each_difference_once_and_no_value() {
    let app = Scripted::start(|_| {
        let mut answer = good();
        answer.claims["sub"] = "canary@example.com".into();
        answer.claims["canary@example.com"] = 1.into();
        Some(answer.script())
    });
    let text = setup(&app.url).text().replace(&format!("\"{KEY}\""), "\"env:CHAT_KEY\"");
    let text = text.replace(&format!("\"{SESSION_SECRET}\""), "\"env:SESSION_SECRET\"");
    let file = folder().join("gateway.toml");
    let running = Running::start_as(&file, &text, &[("CHAT_KEY", KEY)]);
    for _ in 0..3 {
        let answer = crate::support::Conn::open(&running.address).ask(&chat(""));
        assert_eq!(answer.status, 200);
    }
    let lines = || running.lines("shadow: the answers differ");
    let line_at = |at: &str| lines().into_iter().find(|line| line["at"] == at);
    eventually("the line", || line_at("/token claims/sub").is_some());
    let (status, body) = running.admin("/status");
    assert_eq!(status, 200);
    assert!(body.contains("token chat is in shadow mode"), "{body}");
    let line = line_at("/token claims/sub").unwrap();
    assert_eq!(
        (&line["token"], &line["kind"], &line["level"]),
        (&"chat".into(), &"value".into(), &"WARN".into())
    );
    let (said, wrote) = (running.process.errors(), running.process.output());
    for text in [&body, &said, &wrote] {
        assert!(!text.contains("canary") && !text.contains("eyJ"), "{text}");
    }
    // One for the value, one for the claim whose name could be somebody's, and those about time.
    let places: Vec<_> = lines().iter().map(|line| line["at"].to_string()).collect();
    let once: std::collections::BTreeSet<_> = places.iter().collect();
    assert_eq!(once.len(), places.len(), "{places:?}");
}

#[test]
fn no_client_waits_for_the_comparison() {
    let app = Scripted::start(|target| match target {
        "/grants" => Some(Script::says(&[]).falls_silent()),
        _ => Some(good().script()),
    });
    let text = setup(&app.url).text().replacen(
        "shadow = true",
        &format!("shadow = true\ngrant = {{ url = \"{}/grants\", timeout = \"60s\" }}", app.url),
        1,
    );
    let gateway = Setup::towards("").replaced_by(text).clock(&clock()).start();
    // Where an answer waited, its client would have lost its patience.
    for _ in 0..5 {
        assert_eq!(gateway.ask(&chat("")).status, 200);
    }
    eventually("the question", || app.times("GET", "/grants") > 0);
}

#[test]
fn shadow_mode_needs_a_path_and_an_app() {
    let check = |text: &str| {
        let file = folder().join("gateway.toml");
        std::fs::write(&file, text).unwrap();
        let secrets = [
            ("S", "only-for-this-test-0123456789abcdef"),
            ("K", "PRTV_k_0123456789abcdef0123456789abcdef"),
        ];
        Process::finish(&["check", "--config", file.to_str().unwrap()], &secrets)
    };
    let text = "[upstream]\nservers = \"http://127.0.0.1:3000\"\n[session]\nkind = \"next-auth\"\nsecret = \"env:S\"\n\
                [token.p]\npath = \"/t\"\npreset = \"portive\"\nkey = \"env:K\"\nshadow = true\n";
    let (code, _, said) = check(text);
    assert_eq!(code, 0, "{said}");
    let (code, _, said) = check(&text.replace("path = \"/t\"\n", ""));
    assert!(
        code == 2 && said.contains("token.p.shadow: `shadow` compares the app's route"),
        "{said}"
    );
    let (code, _, said) =
        check(&text.replace("[upstream]\nservers = \"http://127.0.0.1:3000\"\n", ""));
    assert!(
        code == 2 && said.contains("token.p.shadow: `shadow` compares the app's answer"),
        "{said}"
    );
    let (code, _, said) = check(&text.replace("shadow = true", "shadow = \"yes\""));
    assert!(code == 2 && said.contains("token.p.shadow: "), "{said}");
}
