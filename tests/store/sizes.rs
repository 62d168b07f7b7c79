//! A session larger than any app keeps is refused, and never read.

use redis::Commands as _;

use crate::columns::{execute, seen};
use crate::servers::{PASSWORD, Server, folder, mariadb, postgres, redis};
use crate::shared::fault_proxy::FaultProxy;

const SMALL: &str = "session-0123456789-small";
const LARGE: &str = "session-0123456789-large";
/// Much more than all that is said beside a session.
const MOST_READ: u64 = 256 * 1024;

/// The user of a session in the table `sessions`, or why there is none.
fn look_up(url: &str, id: &str) -> Result<String, String> {
    let session = format!(
        "kind = \"lookup\"\ncookie = \"sid\"\nuser_id = \"/user_id\"\n[session.store]\nengine = \"sql\"\n\
         url = {url:?}\nexpires_column = \"ends\"\ntimeout = \"20s\"\n"
    );
    let seen = seen(&session, &format!("sid={id}"));
    seen.map(|seen| seen.split(' ').next().unwrap().to_owned())
}

/// Both sessions are judged, and the large one is not read. `data` is the type of the
/// large column, and `value` an expression with many MiB.
fn assert_measured(server: &Server, scheme: &str, data: &str, value: &str) {
    let url = server.url(scheme);
    execute(
        &url,
        &format!(
            "DROP TABLE IF EXISTS sessions;
             CREATE TABLE sessions (id varchar(40) PRIMARY KEY, user_id varchar(9), ends bigint, data {data});
             INSERT INTO sessions VALUES ('{SMALL}', 'ada', 1900000000, NULL);
             INSERT INTO sessions VALUES ('{LARGE}', 'bob', 1900000000, {value});"
        ),
    );
    let proxy = FaultProxy::start(server.port);
    let through = url.replace(&format!(":{}/", server.port), &format!(":{}/", proxy.port));
    assert_eq!(look_up(&through, SMALL), Ok("ada".to_owned()), "{data}");
    assert_eq!(look_up(&through, LARGE), Err("oversized".to_owned()), "{data}");
    let missing = look_up(&through, "session-0123456789-other");
    assert_eq!(missing, Err("store_miss".to_owned()), "{data}");
    assert!(proxy.passed() < MOST_READ, "{data}: {} bytes were read", proxy.passed());
}

#[test]
fn postgres_does_not_send_a_huge_value_of_any_type() {
    let server = postgres();
    let text = "repeat('x', 33554432)";
    for (data, value) in [
        ("text", text.to_owned()),
        ("bytea", format!("convert_to({text}, 'UTF8')")),
        ("json", format!("to_json({text})")),
        ("jsonb", format!("to_jsonb({text})")),
        ("text[]", format!("ARRAY[{text}]")),
        ("integer[]", "array_fill(1, ARRAY[8388608])".to_owned()),
    ] {
        assert_measured(&server, "postgres", data, &value);
    }
}

#[test]
fn mariadb_does_not_send_a_huge_value_of_any_type() {
    let server = mariadb();
    // No function makes more than a packet holds.
    for data in ["mediumtext", "longtext", "mediumblob", "longblob"] {
        assert_measured(&server, "mysql", data, "REPEAT('x', 15728640)");
    }
    assert_measured(&server, "mysql", "json", "CONCAT('\"', REPEAT('x', 15728640), '\"')");
}

#[test]
fn sqlite_does_not_read_a_huge_value_whatever_its_column_is_called() {
    let folder = folder("sizes");
    let url = format!("sqlite://{}/app.db", folder.display());
    execute(
        &url,
        &format!(
            "CREATE TABLE sessions (id TEXT PRIMARY KEY, user_id TEXT, ends INTEGER, `da``ta` INTEGER);
             INSERT INTO sessions VALUES ('{SMALL}', 'ada', 1900000000, 7);
             INSERT INTO sessions VALUES ('{LARGE}', 'bob', 1900000000, zeroblob(33554432));"
        ),
    );
    assert_eq!(look_up(&url, SMALL), Ok("ada".to_owned()));
    assert_eq!(look_up(&url, LARGE), Err("oversized".to_owned()));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn redis_does_not_send_a_huge_hash_or_string() {
    let server = redis(&format!(
        "user reader on >{PASSWORD} ~s:* +hgetall +pttl +hlen +hkeys +hstrlen\n\
         user blind on >{PASSWORD} ~s:* +hgetall +pttl"
    ));
    let mut client = server.redis_client();
    let part = "x".repeat(1024 * 1024);
    for number in 0..64 {
        let () = client.hset(format!("s:{LARGE}"), format!("part-{number}"), &part).unwrap();
        let () = client.append("s:session-0123456789-string", &part).unwrap();
    }
    let many: Vec<_> = (0..100_000).map(|number| (number, number)).collect();
    let () = client.hset_multiple("s:session-0123456789-of-many", &many).unwrap();
    let () = client.hset(format!("s:{SMALL}"), "user_id", "ada").unwrap();
    let proxy = FaultProxy::start(server.port);
    let user = |url: &str, format: &str, id: &str| {
        let session = format!(
            "kind = \"lookup\"\ncookie = \"sid\"\nuser_id = \"/user_id\"\n[session.store]\n\
             engine = \"redis\"\nurl = {url:?}\nprefix = \"s:\"\ntimeout = \"20s\"\nformat = {format:?}\n"
        );
        let seen = seen(&session, &format!("sid={id}"));
        seen.map(|seen| seen.split(' ').next().unwrap().to_owned())
    };
    let oversized = Err("oversized".to_owned());
    for id in [LARGE, "session-0123456789-of-many"] {
        assert_eq!(user(&proxy.url(), "hash", id), oversized, "{id}");
    }
    assert_eq!(user(&proxy.url(), "hash", SMALL), Ok("ada".to_owned()));
    assert!(proxy.passed() < MOST_READ, "{} bytes were read", proxy.passed());
    assert_eq!(user(&proxy.url(), "json", "session-0123456789-string"), oversized);
    assert!(proxy.passed() < MOST_READ + 1024 * 1024, "{} bytes were read", proxy.passed());
    let proxy = FaultProxy::start(server.port);
    let as_user =
        |name: &str| proxy.url().replace("redis://", &format!("redis://{name}:{PASSWORD}@"));
    assert_eq!(user(&as_user("reader"), "hash", SMALL), Ok("ada".to_owned()), "counts itself");
    for id in [LARGE, "session-0123456789-of-many"] {
        assert_eq!(user(&as_user("reader"), "hash", id), oversized, "{id}: counts itself");
    }
    let refused = user(&as_user("blind"), "hash", LARGE);
    assert!(refused.as_ref().is_err_and(|why| why.contains("+hlen +memory|usage")), "{refused:?}");
    assert!(proxy.passed() < MOST_READ, "{} bytes were read", proxy.passed());
    let refused = user(&as_user("reader"), "json", "session-0123456789-string");
    assert!(refused.as_ref().is_err_and(|why| why.contains("+getrange +pttl")), "{refused:?}");
}
