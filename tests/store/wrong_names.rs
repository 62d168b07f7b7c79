//! Settings that name a table, a column or a database which is not there, or may not be read:
//! the refusal names the setting, and `check --online` finds each before a user does.

use portcullis::testing::{Clock, Config, Secrets, Servers};

use crate::columns::{block_on, execute, seen};
use crate::servers::{folder, mariadb, postgres};
use crate::support::Process;

const ID: &str = "id-0123456789";
const TABLES: &str = "CREATE TABLE texts (id varchar(64), user_id varchar(9)); \
                      CREATE TABLE closed (id varchar(64), user_id varchar(9)); \
                      INSERT INTO texts VALUES ('id-0123456789', '7');";

fn lookup(url: &str, more: &str) -> String {
    format!(
        "kind = \"lookup\"\ncookie = \"sid\"\n[session.store]\nengine = \"sql\"\nurl = {url:?}\n\
         timeout = \"5s\"\n{more}\n"
    )
}

/// The verdict on a user's request.
fn asked(url: &str, more: &str) -> String {
    seen(&lookup(url, more), &format!("sid={ID}")).unwrap_or_else(|why| why)
}

/// The problems that `check --online` finds.
fn examined(url: &str, more: &str) -> String {
    examined_as(&lookup(url, more))
}

fn examined_as(session: &str) -> String {
    let text = format!("[upstream]\nservers = [\"http://127.0.0.1:1\"]\n[session]\n{session}");
    let policy = Config::read(&text, &Secrets::Literal).unwrap().policy;
    block_on(async {
        let servers = Servers::new(&tokio::runtime::Handle::current(), Clock::system());
        let mut found = Vec::new();
        for store in policy.sources[0].stores() {
            found.extend(servers.stores.examine(store).await);
        }
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    })
}

fn assert_named(url: &str) {
    assert_eq!(asked(url, "table = \"texts\""), "7 None");
    assert_eq!(examined(url, "table = \"texts\""), "");
    let both = |more: &str, cure: &str| {
        for found in [asked(url, more), examined(url, more)] {
            assert!(found.contains(cure), "{more}: {found}");
            assert!(!found.contains("canary") && !found.contains(ID), "{found}");
        }
    };
    both("table = \"nowhere\"", "no table `nowhere`; write the app's name for it as `table`");
    both(
        "table = \"texts\"\nid_column = \"sid\"",
        "no column `sid`; write the app's name for it as `id_column`",
    );
    // What is read of a row is missing only once there is a row; the check needs none.
    for (more, cure) in [
        (
            "user_column = \"owner\"",
            "no column `owner`; write the app's name for it as `user_column`",
        ),
        (
            "expires_column = \"ends\"",
            "no column `ends`; write the app's name for it as `expires_column`",
        ),
        (
            "require = { gone = false }",
            "no column `gone`; write the app's name for it as `require`",
        ),
        ("created_column = \"born\"\nlifetime = \"1h\"", "as `created_column`"),
    ] {
        let found = examined(url, &format!("table = \"texts\"\n{more}"));
        assert!(found.contains(cure), "{more}: {found}");
    }
    let inside = lookup(url, "table = \"texts\"\nuser_column = \"owner\"");
    let inside = inside.replace("[session.store]", "user_id = \"/user_id\"\n[session.store]");
    assert_eq!(examined_as(&inside), "", "the user's column is not read");
}

#[test]
fn postgres_names() {
    let server = postgres();
    let url = server.url("postgres");
    execute(
        &url,
        &format!(
            "{TABLES} CREATE ROLE gate LOGIN PASSWORD 'canary-gate'; GRANT SELECT ON texts TO gate;"
        ),
    );
    assert_named(&url);
    let (start, _) = url.rsplit_once('/').unwrap();
    let elsewhere = asked(&format!("{start}/elsewhere"), "table = \"texts\"");
    assert!(elsewhere.contains("no database with the name in `url`"), "{elsewhere}");
    let elsewhere = examined(&format!("{start}/elsewhere"), "table = \"texts\"");
    assert!(elsewhere.contains("no database with the name in `url`"), "{elsewhere}");
    let (_, place) = url.rsplit_once('@').unwrap();
    let gate = format!("postgres://gate:canary-gate@{place}");
    assert_eq!(examined(&gate, "table = \"texts\""), "");
    for found in [asked(&gate, "table = \"closed\""), examined(&gate, "table = \"closed\"")] {
        assert!(found.contains("may not read table `closed`"), "{found}");
    }
}

#[test]
fn mariadb_names() {
    let server = mariadb();
    let url = server.url("mysql");
    execute(&url, TABLES);
    assert_named(&url);
}

#[test]
fn sqlite_names() {
    let folder = folder("wrong-names");
    let url = format!("sqlite://{}", folder.join("app.db").display());
    execute(&url, TABLES);
    assert_named(&url);
}

#[test]
fn the_command_notes_what_a_row_says_and_no_setting_reads() {
    let folder = folder("notes");
    let url = format!("sqlite://{}", folder.join("app.db").display());
    let table = "CREATE TABLE sessions (id TEXT, user_id TEXT, revoked_at TEXT, created_at TEXT); \
                 INSERT INTO sessions VALUES ('id-0123456789', '7', '2026-11-28', '2026-11-28 01:00:00');";
    execute(&url, table);
    let file = folder.join("gateway.toml");
    let store = "[session.store]\nengine = \"sql\"\nurl = \"env:URL\"\n";
    let session = format!("[session]\nkind = \"lookup\"\ncookie = \"sid\"\n{store}");
    std::fs::write(&file, format!("[upstream]\nservers = [\"http://127.0.0.1:1\"]\n{session}"))
        .unwrap();
    let run = |more: &[&str]| {
        let cookie = format!("sid={ID}");
        let arguments = ["session", "--config", file.to_str().unwrap(), "--cookie", &cookie];
        Process::finish(&[&arguments[..], more].concat(), &[("URL", url.as_str())])
    };
    let (code, said, errors) = run(&[]);
    assert_eq!(code, 0, "{said}{errors}");
    for cure in ["require = { revoked_at = false }", "created_column = \"created_at\" and lifetime"]
    {
        assert!(said.contains(cure), "{said}");
    }
    assert!(said.contains("\nnote: column `revoked_at` of the row is set"), "{said}");
    let json: serde_json::Value = serde_json::from_str(&run(&["--json"]).1).unwrap();
    assert_eq!(json["notes"].as_array().map(Vec::len), Some(2), "{json}");
}
