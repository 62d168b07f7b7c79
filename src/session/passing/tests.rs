//! The part of a `Cookie` header that passes to the app.

use super::*;
use crate::base::secret::Secrets;
use crate::config::Config;
use crate::policy::Policy;

fn policy(session: &str) -> Policy {
    let text = format!("[upstream]\nservers = [\"http://127.0.0.1:1\"]\n[session]\n{session}");
    Config::read(&text, &Secrets::Literal).unwrap().policy
}

/// The rest of `header` where no session is over.
fn left(session: &str, header: &str) -> String {
    pass(session, header, Standing::Open)
}

fn left_of_revoked(session: &str, header: &str) -> String {
    pass(session, header, Standing::Over)
}

fn pass(session: &str, header: &str, standing: Standing) -> String {
    let policy = policy(session);
    match passing(header.as_bytes(), std::iter::once((&*policy.sources[0], standing))) {
        Passing::AsCame => header.to_owned(),
        Passing::Nothing => String::new(),
        Passing::Only(rest) => String::from_utf8(rest).unwrap(),
    }
}

const NEXT_AUTH: &str = "kind = \"next-auth\"\nsecret = \"next-auth-secret-for-a-test-0001\"";
const AUTH0: &str = "kind = \"auth0\"\nsecret = \"auth0-secret-for-a-test-000000001\"";
const BETTER_AUTH: &str = "kind = \"better-auth\"\nsecret = \"better-auth-secret-for-a-test-01\"\n\
                           [session.cookie_cache]";
const KOA: &str = "kind = \"koa-session\"\nsecret = \"k\"\nuser_id = \"/id\"";
const LARAVEL: &str = "kind = \"laravel\"\ndriver = \"cookie\"\n\
                       secret = \"base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"";

#[test]
fn all_chunks_and_companions_of_an_ended_session_are_withheld() {
    let token = "next-auth.session-token";
    let sent = format!("a=1; {token}.0=x; {token}.1=y; b=2; {token}.7=z; __Secure-{token}=w");
    assert_eq!(left_of_revoked(NEXT_AUTH, &sent), "a=1; b=2");
    assert_eq!(left_of_revoked(AUTH0, "__session__0=a; appSession.1=b; c=3"), "c=3");
    let sent = "better-auth.session_token=a; better-auth.session_data.0=b; \
                __Secure-better-auth.session_data=c; better-auth.theme=d";
    assert_eq!(left_of_revoked(BETTER_AUTH, sent), "better-auth.theme=d");
    assert_eq!(left_of_revoked(KOA, "koa.sess=a; koa.sess.sig=b; other.sig=c"), "other.sig=c");
    let id = "en17pbCu68GIwzQgPcFM7crZXbMX23WX96BNxbuY";
    assert_eq!(left_of_revoked(LARAVEL, &format!("laravel_session=a; {id}=b; c=3")), "c=3");
}

#[test]
fn what_may_be_another_spelling_is_withheld_unless_another_source_verifies_it() {
    let id = "en17pbCu68GIwzQgPcFM7crZXbMX23WX96BNxbuY";
    let sent = format!("a=1; laravel_session=x; {id}=y; remember_web_59ba36=z; b=2");
    assert_eq!(pass(LARAVEL, &sent, Standing::Respelled), "a=1; b=2");
    // Two sources that read the same cookie.
    let (first, second) = (policy(KOA), policy(KOA));
    let sent = "koa.sess=a; koa.sess.sig=b";
    for (other, expected) in [
        (Standing::Accepted, Passing::AsCame),
        (Standing::Open, Passing::Nothing),
        (Standing::Respelled, Passing::Nothing),
        (Standing::Over, Passing::Nothing),
    ] {
        let sources = [(&*first.sources[0], Standing::Respelled), (&*second.sources[0], other)];
        assert_eq!(passing(sent.as_bytes(), sources.into_iter()), expected, "{other:?}");
    }
}

#[test]
fn a_second_session_beside_the_judged_one_is_withheld() {
    let token = "next-auth.session-token";
    let both = format!("__Secure-{token}=a; {token}=b");
    assert_eq!(left(NEXT_AUTH, &both), format!("__Secure-{token}=a"));
    assert_eq!(left(NEXT_AUTH, &format!("{token}=a; {token}.0=b")), format!("{token}=a"));
    assert_eq!(left(NEXT_AUTH, &format!("{token}=a; {token}=b")), format!("{token}=a"));
    assert_eq!(left(NEXT_AUTH, &format!("{token}-x=a; b=2")), "b=2", "read by its beginning");
    assert_eq!(left(NEXT_AUTH, &format!("{token}.1=a")), "", "a chunk without the first");
    assert_eq!(left(AUTH0, "__session=a; __session=b; appSession=c"), "__session=b");
    assert_eq!(left(AUTH0, "appSession=c; d=4"), "appSession=c; d=4");
    assert_eq!(left(LARAVEL, "laravel.session=a; laravel%5Fsession=b; laravel session=c"), "");
}

#[test]
fn one_whole_session_passes_in_full() {
    let token = "next-auth.session-token";
    for (kind, sent) in [
        (NEXT_AUTH, format!("a=1;{token}.1=y;{token}.0=x; b=2")),
        (BETTER_AUTH, "better-auth.session_token=a; better-auth.session_data=b".to_owned()),
        (KOA, "koa.sess=a; koa.sess.sig=b".to_owned()),
        (NEXT_AUTH, String::new()),
    ] {
        assert_eq!(left(kind, &sent), sent);
    }
}

#[test]
fn a_quick_look_agrees_with_a_close_one() {
    let token = "next-auth.session-token";
    let kinds: [(&str, &[&str]); 5] = [
        (NEXT_AUTH, &[token, "__Secure-next-auth.session-token", "next-auth.csrf-token"]),
        (AUTH0, &["__session", "appSession", "appSession.0"]),
        (BETTER_AUTH, &["better-auth.session_token", "better-auth.session_data"]),
        (KOA, &["koa.sess", "koa.sess.sig"]),
        (LARAVEL, &["laravel_session", "XSRF-TOKEN"]),
    ];
    let mut plain = 0;
    for (kind, names) in kinds {
        let policy = policy(kind);
        let source = &*policy.sources[0];
        let mut parts = vec!["theme=dark".to_owned(), "x=1,y=2".to_owned(), "odd".to_owned()];
        for name in names {
            for end in ["", ".0", ".1", ".01", ".2", "__0", "-x", " ", "%20"] {
                parts.push(format!("{name}{end}=v"));
            }
            parts.push(format!("{name}="));
            parts.push(format!("{}=v", name.to_uppercase()));
            parts.push(format!("={name}=v"));
            parts.push(format!("a=b,{name}=v"));
            parts.push(format!("{}=v", name.replace(['.', '_'], " ")));
        }
        for first in &parts {
            for second in &parts {
                for third in [&parts[0], second, &format!("{}.0=v", names[0])] {
                    let header = format!("{first}; {second}; {third}");
                    if is_plain(header.as_bytes(), source) {
                        plain += 1;
                        let sources = &mut std::iter::once((source, Standing::Open));
                        assert_eq!(select(header.as_bytes(), sources), Passing::AsCame, "{header}");
                    }
                }
            }
        }
        for whole in [format!("{}=v; a=b", names[0]), "a=b; c=d".to_owned(), String::new()] {
            assert!(is_plain(whole.as_bytes(), source), "{whole}");
        }
    }
    assert!(plain > 100, "{plain}");
    let policy = policy(NEXT_AUTH);
    let chunks = format!("{token}.1=b; a=1; {token}.0=a; {token}.2=c");
    assert!(is_plain(chunks.as_bytes(), &policy.sources[0]));
}

#[test]
fn cookies_that_sign_an_ended_sessions_user_in_again_are_withheld_with_it() {
    let rails = "kind = \"rails\"\ncookie = \"_shop\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n\
                 user_id = \"/user_id\"";
    let flask = "kind = \"flask\"\nsecret = \"flask-secret-for-a-test\"";
    let plug = "kind = \"plug\"\ncookie = \"_shop_key\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n\
                signing_salt = \"salt\"\nuser_id = \"/id\"";
    let own = format!("{NEXT_AUTH}\nremember_cookies = [\"keep\", \"stay_*\"]");
    let none = format!("{flask}\nremember_cookies = []");
    for (session, cookies, left) in [
        (LARAVEL, "remember_web_59ba36addc2b2f94=1; a=b; Remember_Admin_1=2", "a=b"),
        (rails, "remember_user_token=1; remember_token=2; remembered=3", "remembered=3"),
        (flask, "a=b; remember_token=1|2", "a=b"),
        (plug, "_shop_web_user_remember_me=x; _shop_remember=y", "_shop_remember=y"),
        (own.as_str(), "keep=1; stay_signed=2; keeper=3", "keeper=3"),
        (none.as_str(), "remember_token=1", "remember_token=1"),
        (NEXT_AUTH, "remember_token=1", "remember_token=1"),
    ] {
        assert_eq!(left_of_revoked(session, cookies), left, "{session}");
        assert_eq!(self::left(session, cookies), cookies, "only where a session is over");
    }
}
