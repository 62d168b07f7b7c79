//! Two stores of one app: the second is asked for what the first does not have, and a
//! first that is down is no miss.

use redis::Commands as _;

use crate::columns::{execute, seen};
use crate::servers::{Server, folder, postgres, redis};
use crate::support::Process;

const NOW: u64 = 1_800_000_000;
const ONE: &str = "session-0123456789-of-redis";
const OTHER: &str = "session-0123456789-of-sql";

/// A Redis and a PostgreSQL, each with one session.
fn two_stores() -> (Server, Server) {
    let (redis, postgres) = (redis(""), postgres());
    let mut client = redis.redis_client();
    let () = client.set_ex(format!("s:{ONE}"), r#"{"user_id":"ada"}"#, 600).unwrap();
    execute(
        &postgres.url("postgres"),
        &format!(
            "CREATE TABLE sessions (id text, user_id text, ends timestamptz);
             INSERT INTO sessions VALUES ('{OTHER}', 'bob', to_timestamp({NOW} + 60));"
        ),
    );
    (redis, postgres)
}

fn of_redis(server: &Server) -> String {
    format!(
        "engine = \"redis\"\nurl = {:?}\nprefix = \"s:\"\ntimeout = \"5s\"\n",
        server.url("redis")
    )
}

fn of_sql(server: &Server) -> String {
    format!(
        "engine = \"sql\"\nurl = {:?}\nexpires_column = \"ends\"\ntimeout = \"5s\"\n",
        server.url("postgres")
    )
}

fn session(first: &str, second: &str) -> String {
    format!(
        "kind = \"lookup\"\ncookie = \"sid\"\nuser_id = \"/user_id\"\n\
         [session.store]\n{first}[session.store.fallback]\n{second}"
    )
}

/// The user of a session.
fn user(session: &str, id: &str) -> Result<String, String> {
    let seen = seen(session, &format!("sid={id}"));
    seen.map(|seen| seen.split(' ').next().unwrap().to_owned())
}

#[test]
fn each_store_is_asked_for_what_the_other_does_not_have_in_either_order() {
    let (redis, postgres) = two_stores();
    let (of_redis, of_sql) = (of_redis(&redis), of_sql(&postgres));
    for session in [session(&of_redis, &of_sql), session(&of_sql, &of_redis)] {
        assert_eq!(user(&session, ONE).unwrap(), "ada");
        assert_eq!(user(&session, OTHER).unwrap(), "bob");
        assert_eq!(user(&session, "session-of-nobody").unwrap_err(), "store_miss");
    }
}

#[test]
fn a_store_that_is_down_is_not_a_miss_in_either_place() {
    let (mut redis, postgres) = two_stores();
    let (of_redis, of_sql) = (of_redis(&redis), of_sql(&postgres));
    redis.kill();
    let down = "cannot connect to the store";
    let first = session(&of_redis, &of_sql);
    // The app may have signed the user out in the store that is silent.
    assert_eq!(user(&first, OTHER).unwrap_err(), format!("[session.store]: {down}"));
    let second = session(&of_sql, &of_redis);
    assert_eq!(user(&second, OTHER).unwrap(), "bob", "the first store has it");
    assert_eq!(user(&second, ONE).unwrap_err(), format!("[session.store.fallback]: {down}"));
}

#[test]
fn the_commands_name_the_store_that_has_the_session_or_does_not_answer() {
    let (redis, mut postgres) = two_stores();
    let folder = folder("fallback");
    let file = folder.join("gateway.toml");
    let table = session(&of_redis(&redis), &of_sql(&postgres));
    let table = table.replace(&redis.url("redis"), "env:REDIS");
    let table = table.replace(&postgres.url("postgres"), "env:SQL");
    let upstream = "[upstream]\nservers = [\"http://127.0.0.1:1\"]\n";
    std::fs::write(&file, format!("{upstream}[session]\n{table}")).unwrap();
    let urls = [redis.url("redis"), postgres.url("postgres")];
    let run = |arguments: &[&str]| {
        let arguments = [arguments, &["--config", file.to_str().unwrap()]].concat();
        Process::finish(&arguments, &[("REDIS", urls[0].as_str()), ("SQL", urls[1].as_str())])
    };
    let seen = |id: &str, more: &[&str]| {
        let cookie = format!("sid={id}");
        let time = NOW.to_string();
        run(&[&["session", "--now", &time, "--cookie", &cookie], more].concat()).1
    };
    assert!(seen(ONE, &[]).contains("found in [session.store]\n"), "{}", seen(ONE, &[]));
    assert!(seen(OTHER, &[]).contains("found in [session.store.fallback]\n"));
    let json: serde_json::Value = serde_json::from_str(&seen(OTHER, &["--json"])).unwrap();
    assert_eq!(
        (&json["user_id"], &json["store"]),
        (&"bob".into(), &"[session.store.fallback]".into())
    );
    assert!(seen("session-of-nobody", &[]).contains("in neither store"));
    postgres.kill();
    let (code, _, problems) = run(&["check", "--online"]);
    assert_eq!(code, 2, "{problems}");
    assert!(problems.contains("session lookup: store (sql): cannot connect to the store"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_hash_is_read_by_its_fields_and_another_type_names_the_setting() {
    let redis = redis("");
    let mut client = redis.redis_client();
    let fields = [("user_id", "ada"), ("data", r#"{"role":"admin"}"#)];
    let () = client.hset_multiple(format!("s:{ONE}"), &fields).unwrap();
    let () = client.expire(format!("s:{ONE}"), 600).unwrap();
    let () = client.set(format!("s:{OTHER}"), r#"{"user_id":"bob"}"#).unwrap();
    let session = |format: &str| {
        let store = of_redis(&redis);
        format!(
            "kind = \"lookup\"\ncookie = \"sid\"\nuser_id = \"/user_id\"\n[session.store]\n{store}{format}"
        )
    };
    let hash = session("format = \"hash\"\n");
    let ada = seen(&hash, &format!("sid={ONE}")).unwrap();
    assert!(ada.starts_with("ada Some("), "the key's life ends the session: {ada}");
    assert_eq!(user(&hash, "session-of-nobody").unwrap_err(), "store_miss");
    assert_eq!(user(&hash, OTHER).unwrap_err(), "malformed");
    assert_eq!(user(&session(""), ONE).unwrap_err(), "malformed");
    assert_eq!(user(&session(""), OTHER).unwrap(), "bob");
}
