//! `check --online` says what a shared store lacks, and what to write.

use super::replicas::{PATIENT, shared};
use crate::replicated::cli;
use crate::servers::{PASSWORD, Server, redis};
use crate::support::running::file_of;
use crate::support::{App, Process, Setup, folder};

fn check(app: &App, url: &str) -> (i32, String, String) {
    let file = folder().join("gateway.toml");
    let text = file_of(&Setup::new(app).with(&shared("URL", "")));
    std::fs::write(&file, text.replace("\"URL\"", "\"env:URL\"")).unwrap();
    let environment = [&crate::support::running::ENVIRONMENT[..], &[("URL", url)]].concat();
    let done =
        Process::finish(&["check", "--online", "--config", file.to_str().unwrap()], &environment);
    assert!(!done.2.contains(PASSWORD), "{}", done.2);
    done
}

fn with_users(more: &str) -> (Server, String) {
    let server = redis(&format!("appendonly yes\nuser gate on >{PASSWORD} ~other:* +get\n{more}"));
    let url = format!("redis://gate:{PASSWORD}@127.0.0.1:{}", server.port);
    (server, url)
}

#[test]
fn missing_rights_come_with_the_line_that_gives_them() {
    let (app, (server, url)) = (App::start(), with_users(""));
    let (code, _, said) = check(&app, &url);
    assert_eq!(code, 2, "{said}");
    let line = said.lines().find_map(|line| line.strip_prefix("  ACL SETUSER ")).unwrap();
    let line = line.replace("PASSWORD", PASSWORD);
    let words: Vec<&str> = ["acl", "setuser"].into_iter().chain(line.split(' ')).collect();
    assert_eq!(cli(server.port, &words).trim(), "OK");
    let (code, output, said) = check(&app, &url);
    assert_eq!((code, output.lines().last()), (0, Some("ok")), "{said}");
    let gateway = Setup::new(&app).token("limit = \"2/hour\"").with(&shared(&url, PATIENT)).start();
    let statuses: Vec<u16> = (0..3).map(|_| gateway.token("ada").status).collect();
    assert_eq!(statuses, [200, 200, 429], "the line is enough");
    assert_eq!(gateway.metric("portcullis_shared_failures_total "), 0);
}

#[test]
fn a_store_that_may_drop_or_lose_revocations_is_named() {
    let app = App::start();
    let server = redis("maxmemory 100mb\nmaxmemory-policy allkeys-lru");
    let (code, _, said) = check(&app, &server.url("redis"));
    assert_eq!(code, 2);
    for part in [
        "shared: maxmemory-policy is allkeys-lru, which may drop revocations; write",
        "warning: shared: appendonly is off",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    let gone = format!("redis://127.0.0.1:{}", crate::servers::free_port());
    let (code, _, said) = check(&app, &gone);
    assert_eq!((code, said.contains("shared: cannot connect to the server")), (2, true), "{said}");
}

#[test]
fn a_user_without_a_name_is_told_to_use_one_of_its_own() {
    let app = App::start();
    let server = redis("user default on nopass ~other:* +get");
    let (code, _, said) = check(&app, &server.url("redis"));
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("write redis://portcullis:PASSWORD@HOST"), "{said}");
    assert!(said.contains("\n  ACL SETUSER portcullis on >PASSWORD "), "{said}");
    assert!(!said.contains("SETUSER default"), "other programs may use it: {said}");
}

#[test]
fn an_address_that_does_not_fit_the_server_says_what_to_write() {
    let app = App::start();
    let server = redis("");
    let locked = redis(&format!("requirepass {PASSWORD}"));
    let address = format!("127.0.0.1:{}", server.port);
    for (url, advice) in [
        (format!("redis+cluster://{address}"), "belongs to no Cluster; write redis://"),
        (format!("redis+sentinel://{address}/main"), "is not a Sentinel; write its port"),
        (format!("redis://{address}/99"), "has no database of the number"),
        (format!("redis://127.0.0.1:{}", locked.port), "the address has none; write redis://USER"),
    ] {
        let (code, _, said) = check(&app, &url);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(advice), "{url}: {said}");
        assert!(!said.contains("ACL SETUSER"), "{url}: {said}");
    }
}
