//! Columns of every type a session table has, in every database.

use portcullis::testing::Config;
use portcullis::testing::Refused;
use portcullis::testing::Secrets;
use portcullis::testing::Servers;
use portcullis::testing::{Clock, Now};
use portcullis::testing::{Cookies, Reason};
use sqlx::{Connection as _, Executor as _};

use crate::servers::{folder, mariadb, postgres};

const NOW: u64 = 1_800_000_000;
const UUID: &str = "6f1d1f6e-9a52-4d2c-8f0e-3f4a5b6c7d8e";

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

/// Runs statements in a database; waits until it has started.
pub(crate) fn execute(url: &str, statements: &str) {
    let (url, statements) = (url.to_owned(), statements.to_owned());
    block_on(async move {
        for attempt in 0.. {
            match run(&url, &statements).await {
                Ok(()) => return,
                Err(error) if attempt == 300 => panic!("{error}"),
                Err(sqlx::Error::Database(error)) if error.code().as_deref() != Some("57P03") => {
                    let starting = error.message().contains("Access denied");
                    assert!(starting, "{error}");
                }
                Err(_) => {}
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    });
}

async fn run(url: &str, statements: &str) -> Result<(), sqlx::Error> {
    let sql = sqlx::AssertSqlSafe(statements.to_owned());
    match url.split("://").next().unwrap() {
        "postgres" => {
            let mut connection = sqlx::PgConnection::connect(url).await?;
            connection.execute(sqlx::raw_sql(sql)).await?;
            connection.close().await
        }
        "mysql" => {
            let mut connection = sqlx::MySqlConnection::connect(url).await?;
            connection.execute(sqlx::raw_sql(sql)).await?;
            connection.close().await
        }
        _ => {
            let url = format!("{url}?mode=rwc");
            let mut connection = sqlx::SqliteConnection::connect(&url).await?;
            connection.execute(sqlx::raw_sql(sql)).await?;
            connection.close().await
        }
    }
}

/// Who the cookie `sid` is, by a table whose ids and ends are in the columns of
/// these names.
fn look_up(url: &str, table: &str, sid: &str) -> Result<String, String> {
    let session = format!(
        "kind = \"lookup\"\ncookie = \"sid\"\n[session.store]\nengine = \"sql\"\nurl = {url:?}\n\
         table = \"{table}\"\nexpires_column = \"ends\"\ntimeout = \"5s\"\n"
    );
    seen(&session, &format!("sid={sid}"))
}

/// Who a `Cookie` header is, by a `[session]` table.
pub(crate) fn seen(session: &str, cookie: &str) -> Result<String, String> {
    let text = format!("[upstream]\nservers = [\"http://127.0.0.1:1\"]\n[session]\n{session}");
    let policy = Config::read(&text, &Secrets::Literal).unwrap().policy;
    block_on(async {
        let servers = Servers::new(&tokio::runtime::Handle::current(), Clock::system());
        let cookies = Cookies::new(cookie.as_bytes());
        match servers.check(&policy.sources[0], cookies, Now::at(NOW)).await {
            Ok(identity) => Ok(format!("{} {:?}", identity.user_id(), identity.expires_at())),
            Err(Refused::Rejected(rejected)) => Err(rejected.reason.as_str().to_owned()),
            Err(Refused::Unanswered(unanswered)) => Err(unanswered.detail),
        }
    })
}

/// Look-ups of an id that is in the table, and of ids that cannot be.
fn assert_found(url: &str, table: &str, id: &str) {
    let ends = Some(NOW + 60);
    assert_eq!(look_up(url, table, id), Ok(format!("7 {ends:?}")), "{table}");
    let miss = Err(Reason::StoreMiss.as_str().to_owned());
    let changed = id.replace('6', "7");
    for other in [changed.as_str(), "99999999", "12345678999999999999", "not-an-id", "x'OR'1'='1"] {
        assert_eq!(look_up(url, table, other), miss, "{table}: {other}");
    }
}

#[test]
fn postgres_tables() {
    let server = postgres();
    let url = server.url("postgres");
    execute(
        &url,
        &format!(
            "CREATE TABLE texts (id text, user_id text, ends timestamptz);
             INSERT INTO texts VALUES ('{UUID}', '7', to_timestamp({NOW} + 60));
             CREATE TABLE uuids (id uuid, user_id integer, ends timestamp);
             INSERT INTO uuids VALUES ('{UUID}', 7, to_timestamp({NOW} + 60) AT TIME ZONE 'UTC');
             CREATE TABLE numbers (id bigint, user_id smallint, ends bigint, extra jsonb, other inet);
             INSERT INTO numbers VALUES (66666666, 7, {NOW} + 60, '{{\"a\":1}}', '127.0.0.1');
             CREATE TABLE small (id integer, user_id bigint, ends integer, f float8, n numeric);
             INSERT INTO small VALUES (66666666, 7, {NOW} + 60, 1.5, 2.5);
             CREATE TABLE padded (id char(40), user_id varchar(5), ends text);
             INSERT INTO padded VALUES ('{UUID}', '7', to_char(to_timestamp({NOW} + 60) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'));
             CREATE SCHEMA own; CREATE TABLE own.\"Session\" (id text, user_id text, ends timestamptz);
             INSERT INTO own.\"Session\" VALUES ('{UUID}', '7', to_timestamp({NOW} + 60));"
        ),
    );
    for table in ["texts", "uuids", "padded", "own.Session"] {
        assert_found(&url, table, UUID);
    }
    assert_found(&url, "numbers", "66666666");
    assert_found(&url, "small", "66666666");
    let missing = look_up(&url, "nowhere", UUID);
    assert!(missing.as_ref().is_err_and(|why| why.contains("no table `nowhere`")), "{missing:?}");
    let wrong = url.replace("app:canary", "app:canary-wrong");
    let refused = look_up(&wrong, "texts", UUID);
    assert_eq!(refused, Err("the store does not accept the user or password".to_owned()));
}

/// Who the cookie `sid=ID` is, by a table with more settings.
fn with_settings(url: &str, table: &str, more: &str) -> Result<String, String> {
    let session = format!(
        "kind = \"lookup\"\ncookie = \"sid\"\n[session.store]\nengine = \"sql\"\nurl = {url:?}\n\
         table = \"{table}\"\ntimeout = \"5s\"\n{more}"
    );
    seen(&session, &format!("sid={UUID}"))
}

/// The last day that is asked for: its time stands for every later one.
const LAST_DAY: u64 = 253_402_128_000;

#[test]
fn times_beyond_the_calendar_never_come_or_have_passed() {
    let server = postgres();
    let url = server.url("postgres");
    for (table, kind) in [("naive", "timestamp"), ("instants", "timestamptz")] {
        for (at, time) in
            ["infinity", "20000-01-01", "-infinity", "4000-01-01 BC"].iter().enumerate()
        {
            let table = format!("{table}{at}");
            execute(
                &url,
                &format!(
                    "CREATE TABLE {table} (id uuid, user_id int, ends {kind}, other {kind});
                     INSERT INTO {table} VALUES ('{UUID}', 7, '{time}', NULL);"
                ),
            );
            let never = at < 2;
            for zone in ["", "time_zone = \"Asia/Tokyo\"\n"] {
                let ends =
                    with_settings(&url, &table, &format!("expires_column = \"ends\"\n{zone}"));
                let wanted = if never {
                    Ok(format!("7 {:?}", Some(LAST_DAY)))
                } else {
                    Err("malformed".to_owned())
                };
                assert_eq!(ends, wanted, "{kind} {time} {zone}");
            }
            let unset = with_settings(&url, &table, "require = { other = false }\n");
            assert_eq!(unset, Ok("7 None".to_owned()), "{kind}: null stays null");
        }
    }
}

#[test]
fn columns_of_any_type_are_read_as_postgres_prints_them() {
    let server = postgres();
    let url = server.url("postgres");
    execute(
        &url,
        &format!(
            "CREATE TYPE state AS ENUM ('on', 'off');
             CREATE DOMAIN person AS integer; CREATE DOMAIN moment AS timestamptz;
             CREATE TABLE odd (id uuid, user_id numeric(20), person person, ends numeric(12, 2),
               moment moment, state state, bits bit(1), real real, day date, flags bit(3),
               list int[], amount numeric(9, 2), letter \"char\", address inet);
             INSERT INTO odd VALUES ('{UUID}', 18446744073709551615, 5, {NOW} + 60.5,
               to_timestamp({NOW} + 60), 'off', '0', 0, '2045-06-02', '000', '{{1,2}}', 0, 'x',
               '10.0.0.1');
             CREATE TABLE decimal_ids (id numeric(30), user_id oid);
             INSERT INTO decimal_ids VALUES (12345678901234567890, 7);"
        ),
    );
    let odd = |more: &str| with_settings(&url, "odd", more);
    let number = "18446744073709551615";
    assert_eq!(odd(""), Ok(format!("{number} None")));
    assert_eq!(odd("user_column = \"person\"\n"), Ok("5 None".to_owned()));
    for column in ["ends", "moment"] {
        let ends = odd(&format!("expires_column = \"{column}\"\n"));
        assert_eq!(ends, Ok(format!("{number} {:?}", Some(NOW + 60))), "{column}");
    }
    for column in ["bits", "real", "flags", "amount"] {
        let require = |wanted: bool| odd(&format!("require = {{ {column} = {wanted} }}\n"));
        assert_eq!(require(false), Ok(format!("{number} None")), "{column}");
        assert_eq!(require(true), Err("signed_out".to_owned()), "{column}");
    }
    for (column, text) in [
        ("state", "off"),
        ("day", "2045-06-02"),
        ("list", "{1,2}"),
        ("letter", "x"),
        ("address", "10.0.0.1/32"),
    ] {
        let require = odd(&format!("require = {{ {column} = \"{text}\" }}\n"));
        assert_eq!(require, Ok(format!("{number} None")), "{column}");
    }
    let session = format!(
        "kind = \"lookup\"\ncookie = \"sid\"\n[session.store]\nengine = \"sql\"\nurl = {url:?}\n\
         table = \"decimal_ids\"\ntimeout = \"5s\"\n"
    );
    assert_eq!(seen(&session, "sid=12345678901234567890"), Ok("7 None".to_owned()));
}

#[test]
fn a_date_of_zeros_is_no_date() {
    let server = mariadb();
    let url = server.url("mysql");
    execute(
        &url,
        &format!(
            "SET sql_mode = '';
             CREATE TABLE zeros (id char(40), user_id decimal(20), day date, at datetime, bits bit(1),
               amount decimal(9, 2), set_day date);
             INSERT INTO zeros VALUES ('{UUID}', 42, '0000-00-00', '0000-00-00 00:00:00', 0, 0,
               '2045-06-02');"
        ),
    );
    for column in ["day", "at", "bits", "amount"] {
        let require = |wanted: bool| {
            with_settings(&url, "zeros", &format!("require = {{ {column} = {wanted} }}\n"))
        };
        assert_eq!(require(false), Ok("42 None".to_owned()), "{column}");
        assert_eq!(require(true), Err("signed_out".to_owned()), "{column}");
    }
    let day = with_settings(&url, "zeros", "require = { set_day = \"2045-06-02\" }\n");
    assert_eq!(day, Ok("42 None".to_owned()));
}

#[test]
fn mariadb_tables() {
    let server = mariadb();
    let url = server.url("mysql");
    execute(
        &url,
        &format!(
            "SET time_zone = '+00:00';
             CREATE TABLE texts (id varchar(64), user_id int, ends datetime);
             INSERT INTO texts VALUES ('{UUID}', 7, FROM_UNIXTIME({NOW} + 60));
             CREATE TABLE stamps (id char(64), user_id bigint unsigned, ends timestamp);
             INSERT INTO stamps VALUES ('{UUID}', 7, FROM_UNIXTIME({NOW} + 60));
             CREATE TABLE numbers (id bigint, user_id varchar(9), ends int unsigned, flag tinyint(1), b longblob);
             INSERT INTO numbers VALUES (66666666, '7', {NOW} + 60, 1, x'ff');
             CREATE TABLE bytes (id varbinary(64), user_id text, ends bigint);
             INSERT INTO bytes VALUES ('{UUID}', '7', {NOW} + 60);"
        ),
    );
    for table in ["texts", "stamps", "bytes"] {
        assert_found(&url, table, UUID);
        let upper = look_up(&url, table, &UUID.to_uppercase());
        assert_eq!(upper, Err("store_miss".to_owned()), "{table}: letters are compared exactly");
    }
    assert_found(&url, "numbers", "66666666");
    let cut = look_up(&url, "numbers", "66666666abc");
    assert_eq!(cut, Err("store_miss".to_owned()), "what begins like a number is none");
    let missing = look_up(&url, "nowhere", UUID);
    assert!(missing.as_ref().is_err_and(|why| why.contains("no table `nowhere`")), "{missing:?}");
}

#[test]
fn sqlite_tables() {
    let folder = folder("sqlite");
    let url = format!("sqlite://{}", folder.join("app.db").display());
    assert_eq!(
        look_up(&url, "texts", UUID),
        Err("cannot connect to the store".to_owned()),
        "the gateway makes no database"
    );
    execute(
        &url,
        &format!(
            "CREATE TABLE texts (id TEXT, user_id INTEGER, ends DATETIME);
             INSERT INTO texts VALUES ('{UUID}', 7, datetime({NOW} + 60, 'unixepoch'));
             CREATE TABLE loose (id, user_id, ends);
             INSERT INTO loose VALUES ('{UUID}', '7', {NOW} + 60);
             CREATE TABLE numbers (id INTEGER, user_id BIGINT, ends INTEGER);
             INSERT INTO numbers VALUES (66666666, 7, {NOW} + 60);"
        ),
    );
    assert_found(&url, "texts", UUID);
    assert_found(&url, "loose", UUID);
    assert_found(&url, "numbers", "66666666");
    std::fs::remove_dir_all(folder).unwrap();
}
