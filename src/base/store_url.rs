//! The address of a session store, parsed: `redis://…`, `postgres://…` and so on.
//!
//! Parsing connects to nothing, so a wrong address is a problem of the
//! configuration file and not of the first request. The address may hold a
//! password: an error says what is wrong with its form and repeats none of it.

use std::fmt;
use std::str::FromStr as _;

use sqlx::ConnectOptions as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::sqlite::SqliteConnectOptions;

use super::host::is_loopback;
use super::redis_url::RedisUrl;
use super::secret::Secret;

/// The parts of a store's URL that a client connects with.
pub(crate) enum StoreUrl {
    Redis(Box<RedisUrl>),
    Sql(SqlUrl),
}

/// A database, by its client.
pub(crate) enum SqlUrl {
    MySql(Box<MySqlConnectOptions>),
    Postgres(Box<PgConnectOptions>),
    Sqlite(Box<SqliteConnectOptions>),
}

/// The reason an address cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadStoreUrl(pub &'static str);

impl fmt::Display for BadStoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store's `url` cannot be used: {}", self.0)
    }
}

impl std::error::Error for BadStoreUrl {}

impl StoreUrl {
    pub(crate) fn parse(address: &Secret) -> Result<Self, BadStoreUrl> {
        const EXPECTED: &str = "it must start with redis://, rediss://, redis+sentinel://, \
                                redis+cluster://, unix:, postgres://, mysql://, mariadb:// or \
                                sqlite://";
        let url = address.text().ok_or(BadStoreUrl("it is not text"))?;
        if RedisUrl::is_one(url) {
            let url = RedisUrl::parse(url).map_err(|bad| BadStoreUrl(bad.0))?;
            return Ok(Self::Redis(Box::new(url)));
        }
        match url.split_once("://").map_or("", |(scheme, _)| scheme) {
            "mariadb" | "mysql" => SqlUrl::mysql(url).map(Self::Sql),
            "postgres" | "postgresql" => SqlUrl::postgres(url).map(Self::Sql),
            "sqlite" => SqlUrl::sqlite(url).map(Self::Sql),
            "mongodb" | "mongodb+srv" => Err(BadStoreUrl(
                "it is that of MongoDB, which is not supported; let the app say who is signed in, \
                 with kind = \"introspect\" and its `url` in place of [session.store]",
            )),
            _ => Err(BadStoreUrl(EXPECTED)),
        }
    }
}

impl StoreUrl {
    /// Whether an attacker on the network path can read what is said, or answer in
    /// its place: to another machine, without TLS that insists on a certificate.
    pub(crate) fn is_exposed(&self) -> bool {
        match self {
            Self::Redis(url) => url.is_exposed(),
            Self::Sql(SqlUrl::MySql(options)) => {
                let encrypts = !matches!(
                    options.get_ssl_mode(),
                    MySqlSslMode::Disabled | MySqlSslMode::Preferred
                );
                options.get_socket().is_none() && !is_here(options.get_host()) && !encrypts
            }
            Self::Sql(SqlUrl::Postgres(options)) => {
                let encrypts = !matches!(
                    options.get_ssl_mode(),
                    PgSslMode::Allow | PgSslMode::Disable | PgSslMode::Prefer
                );
                options.get_socket().is_none() && !is_here(options.get_host()) && !encrypts
            }
            Self::Sql(SqlUrl::Sqlite(_)) => false,
        }
    }
}

/// This machine, or the folder of a Unix socket.
fn is_here(host: &str) -> bool {
    host.starts_with('/') || is_loopback(host)
}

/// Statements are not logged: they would fill a log at `debug`.
impl SqlUrl {
    fn mysql(url: &str) -> Result<Self, BadStoreUrl> {
        let options = MySqlConnectOptions::from_str(url).map_err(unusable)?;
        let options = options.pipes_as_concat(false).no_engine_substitution(false);
        Ok(Self::MySql(Box::new(options.disable_statement_logging())))
    }

    fn postgres(url: &str) -> Result<Self, BadStoreUrl> {
        let options = PgConnectOptions::from_str(url).map_err(unusable)?;
        let options = options.application_name("portcullis");
        Ok(Self::Postgres(Box::new(options.disable_statement_logging())))
    }

    fn sqlite(url: &str) -> Result<Self, BadStoreUrl> {
        let options = SqliteConnectOptions::from_str(url).map_err(unusable)?;
        let options = options.read_only(true).create_if_missing(false);
        Ok(Self::Sqlite(Box::new(options.disable_statement_logging())))
    }
}

fn unusable(_: sqlx::Error) -> BadStoreUrl {
    BadStoreUrl("expected SCHEME://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE or sqlite:///PATH")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<StoreUrl, BadStoreUrl> {
        StoreUrl::parse(&Secret::new(url))
    }

    #[test]
    fn addresses_are_parsed_without_connecting() {
        for url in
            ["postgres://u:p@h/d?sslmode=require", "mysql://u:p@h:3307/d", "sqlite:///a/b.db"]
        {
            assert!(matches!(parse(url), Ok(StoreUrl::Sql(_))), "{url}");
        }
        assert!(matches!(parse("rediss://:p@h:6380/1"), Ok(StoreUrl::Redis(_))));
    }

    #[test]
    fn an_address_of_mongodb_points_to_the_app() {
        for url in ["mongodb://u:canary@h/d", "mongodb+srv://u:canary@h/d"] {
            let Err(bad) = parse(url) else { panic!("{url}") };
            assert!(bad.0.contains("introspect") && !bad.0.contains("canary"));
        }
    }

    #[test]
    fn a_store_elsewhere_is_exposed_unless_tls_is_insisted_on() {
        for url in [
            "redis://10.0.0.2/0",
            "redis://cache.example",
            "rediss://cache.example/#insecure",
            "postgres://u:p@db.example/d",
            "postgres://u:p@db.example/d?sslmode=prefer",
            "postgres://u:p@db.example/d?sslmode=disable",
            "mysql://u:p@db.example/d",
            "mariadb://u:p@db.example/d?ssl-mode=PREFERRED",
        ] {
            assert!(parse(url).unwrap().is_exposed(), "{url}");
        }
        for url in [
            "redis://127.0.0.1/0",
            "redis://localhost",
            "redis://[::1]:6379",
            "redis+unix:///run/redis.sock",
            "rediss://cache.example",
            "postgres://u:p@localhost/d",
            "postgres:///d?host=/run/postgresql",
            "postgres://u:p@db.example/d?sslmode=require",
            "postgres://u:p@db.example/d?sslmode=verify-full",
            "mysql://u:p@db.example/d?ssl-mode=VERIFY_IDENTITY",
            "mysql://u:p@127.0.0.1/d",
            "sqlite:///a/b.db",
        ] {
            assert!(!parse(url).unwrap().is_exposed(), "{url}");
        }
    }

    #[test]
    fn an_error_repeats_nothing_of_the_address() {
        for url in ["postgres://user:word@h:port/d", "redis://user:word@h:port", "user:word@h"] {
            let refused = parse(url).err().unwrap().to_string();
            assert!(!refused.contains("user") && !refused.contains("word@"), "{refused}");
        }
    }
}
