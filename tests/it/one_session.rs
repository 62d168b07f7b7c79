//! The app reads the session that was verified, and no other, whatever else is sent.

use crate::support::{App, Gateway, Request, Setup, cookie_of, get, http2};

fn with(path: &str, cookie: &str) -> Request {
    get(path).header("Cookie", cookie)
}

/// The `Cookie` and the user that the app got from this request.
#[track_caller]
fn seen(gateway: &Gateway, app: &App, request: &Request) -> (Vec<String>, Option<String>) {
    app.forget();
    gateway.ask(request);
    let seen = app.only();
    (seen.all("cookie"), seen.one("x-auth-user"))
}

const OFF: &str = "[[route]]\npath = \"/off/**\"\nsession = \"off\"\n";

#[test]
fn another_session_in_any_spelling_is_taken_out_although_nothing_is_revoked() {
    let app = App::start();
    let gateway = Setup::new(&app).with(OFF).start();
    let (ada, bob) = (cookie_of("ada"), cookie_of("bob"));
    let value = ada.strip_prefix("session=").unwrap();
    for other in [
        ada.clone(),
        format!("SESSION={value}"),
        format!("s%65ssion={value}"),
        format!("%73%65%73%73%69%6f%6e={value}"),
        format!("\"session\"={value}"),
        format!("=session={value}"),
        format!("session ={value}"),
        format!("\tSession={value}"),
        format!("x=1,{ada}"),
        "session=".to_owned(),
        "session=junk".to_owned(),
    ] {
        for path in ["/page", "/off/page"] {
            let sent = format!("{bob}; theme=dark; {other}");
            let (cookies, user) = seen(&gateway, &app, &with(path, &sent));
            assert_eq!(cookies, [format!("{bob}; theme=dark")], "{path}: {other}");
            let told = (path == "/page").then(|| "bob".to_owned());
            assert_eq!(user, told, "{path}: {other}");
        }
    }
    let lines = get("/page").header("Cookie", &bob).header("Cookie", &ada);
    assert_eq!(seen(&gateway, &app, &lines).0, std::slice::from_ref(&bob), "a line of its own");
    let alone = format!("SESSION={value}");
    assert_eq!(seen(&gateway, &app, &with("/page", &alone)).0, [""; 0], "not verified");
}

#[test]
fn it_is_taken_out_of_http2_and_of_an_upgrade_too() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let (ada, bob) = (cookie_of("ada"), cookie_of("bob"));
    http2::block_on(async {
        let client = http2::open(&gateway.address).await;
        let request = http2::request("GET", "/page")
            .header("cookie", &bob)
            .header("cookie", "theme=dark")
            .header("cookie", &ada)
            .header("cookie", ada.replace("session", "Session"));
        assert_eq!(http2::ask(&client, request, &[]).await.unwrap().status, 200);
    });
    let expected = format!("{bob}; theme=dark");
    assert_eq!(app.only().all("cookie"), [expected.as_str()]);
    let both = format!("{bob}; theme=dark; {ada}");
    let upgrade = crate::websocket::upgrade("/do/websocket").header("Cookie", &both);
    assert_eq!(seen(&gateway, &app, &upgrade).0, [expected]);
}

#[test]
fn cookies_that_are_not_sessions_stay_byte_for_byte() {
    let app = App::start();
    let gateway = Setup::new(&app).with(OFF).start();
    let odd = "a=\"1; 2\";b = %20;;c;  d=e=f; session2=1; mysession=2; \u{e4}=\u{f6}; g=h,i=j";
    for path in ["/page", "/off/page"] {
        for sent in [odd.to_owned(), format!("{odd}; {}", cookie_of("bob"))] {
            assert_eq!(seen(&gateway, &app, &with(path, &sent)).0, [sent], "{path}");
        }
    }
}

#[test]
fn of_two_sources_with_two_users_the_app_gets_neither() {
    let app = App::start();
    let second = "[session]\nkind = \"jwt\"\ncookie = \"other\"\nsecret = \
                  \"canary-of-the-session-0123456789abcdef\"\n";
    let text = Setup::new(&app).with(second).with(OFF).text().replace("[session]", "[[session]]");
    let gateway = Setup::new(&app).replaced_by(text).start();
    let (ada, bob) = (cookie_of("ada"), cookie_of("bob").replace("session=", "other="));
    let both = format!("{ada}; theme=dark; {bob}");
    assert_eq!(gateway.ask(&with("/api/get-auth-token", &both)).status, 401);
    for path in ["/page", "/off/page"] {
        let (cookies, user) = seen(&gateway, &app, &with(path, &both));
        assert_eq!((cookies, user), (vec!["theme=dark".to_owned()], None), "{path}");
        let same = format!("{ada}; theme=dark; {}", ada.replace("session=", "other="));
        assert_eq!(seen(&gateway, &app, &with(path, &same)).0, [same], "{path}: of one user");
    }
}
