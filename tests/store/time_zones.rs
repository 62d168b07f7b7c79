//! Times without a time zone, in databases of several zones: each library's own instant.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::columns::{execute, seen};
use crate::servers::postgres;

const NOW: u64 = 1_800_000_000;
const ZONES: [(&str, &str); 3] =
    [("utc", "UTC"), ("new_york", "America/New_York"), ("tokyo", "Asia/Tokyo")];
const SECRET: &str = "an-example-session-secret";
const ID: &str = "EfpnXyIj9MZVbbH9GZu2S36qRx46be_6";

/// The cookie of express-session for an id.
fn cookie() -> String {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    let mac = STANDARD_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, ID.as_bytes()));
    format!("connect.sid=s%3A{ID}.{}", mac.replace('+', "%2B").replace('/', "%2F"))
}

fn express(url: &str, more: &str) -> Result<String, String> {
    let session = format!(
        "kind = \"express-session\"\nsecret = \"{SECRET}\"\n[session.store]\nengine = \"sql\"\n\
         url = {url:?}\ntimeout = \"5s\"\n{more}"
    );
    seen(&session, &cookie())
}

/// As connect-pg-simple makes its table and writes to it, on a connection of the app's.
fn write_session(url: &str, zone: &str) {
    execute(
        url,
        &format!(
            "CREATE TABLE session (sid varchar NOT NULL COLLATE \"default\", sess json NOT NULL,
               expire timestamp(6) NOT NULL);
             SET TIME ZONE '{zone}';
             INSERT INTO session VALUES ('{ID}', '{{\"passport\":{{\"user\":\"7\"}}}}', to_timestamp({NOW} + 3600));"
        ),
    );
}

#[test]
fn naive_ends_are_read_in_the_time_zone_of_the_app() {
    let server = postgres();
    let main = server.url("postgres");
    let wanted = Ok(format!("7 {:?}", Some(NOW + 3600)));
    for (name, zone) in ZONES {
        execute(&main, &format!("CREATE DATABASE {name}"));
        let url = main.replace("/postgres", &format!("/{name}"));
        execute(&url, &format!("ALTER DATABASE {name} SET timezone = '{zone}'"));
        write_session(&url, zone);
        assert_eq!(express(&url, ""), wanted, "{zone}: connect-pg-simple");
        assert_eq!(express(&url, &format!("time_zone = \"{zone}\"\n")), wanted, "{zone}: by name");
        // Drizzle and Prisma convert themselves, whatever the zone.
        execute(
            &url,
            &format!(
                "CREATE TABLE drizzle (id text, user_id text, ends timestamp);
                 INSERT INTO drizzle VALUES ('tok-0123456789', '7', to_timestamp({NOW} + 3600) AT TIME ZONE 'UTC');"
            ),
        );
        let drizzle = format!(
            "kind = \"lookup\"\ncookie = \"sid\"\n[session.store]\nengine = \"sql\"\nurl = {url:?}\n\
             table = \"drizzle\"\nexpires_column = \"ends\"\ntimeout = \"5s\"\n"
        );
        assert_eq!(seen(&drizzle, "sid=tok-0123456789"), wanted, "{zone}: Drizzle");
    }
}

#[test]
fn the_zone_of_the_apps_role_goes_before_that_of_the_database() {
    let server = postgres();
    let url = server.url("postgres");
    execute(&url, "ALTER DATABASE postgres SET timezone = 'America/New_York'");
    execute(&url, "ALTER ROLE app SET timezone = 'Asia/Tokyo'");
    write_session(&url, "Asia/Tokyo");
    assert_eq!(express(&url, ""), Ok(format!("7 {:?}", Some(NOW + 3600))));
    let unknown = express(&url, "time_zone = \"Nowhere/Else\"\n");
    assert_eq!(unknown, Err("the store answered with error 22023".to_owned()));
}
