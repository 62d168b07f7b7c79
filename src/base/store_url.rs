//! The address of a session store, parsed: `redis://…`, `postgres://…` and so on.
//!
//! Parsing connects to nothing, so a wrong address is a problem of the
//! configuration file and not of the first request. The address may hold a
//! password: an error says what is wrong with its form and repeats none of it.

use std::fmt;
use std::str::FromStr as _;

use sqlx::ConnectOptions as _;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::secret::Secret;

/// What a client needs in order to connect.
pub(crate) enum StoreUrl {
    Redis(Box<redis::Client>),
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
        const EXPECTED: &str = "it must start with redis://, rediss://, postgres://, mysql://, \
                                mariadb:// or sqlite://";
        let url = address.text().ok_or(BadStoreUrl("it is not text"))?;
        match url.split_once("://").map_or("", |(scheme, _)| scheme) {
            "redis" | "rediss" | "redis+unix" => {
                let client = redis::Client::open(url).map(Box::new).map_err(|_| {
                    BadStoreUrl("expected redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]")
                });
                client.map(Self::Redis)
            }
            "mariadb" | "mysql" => SqlUrl::mysql(url).map(Self::Sql),
            "postgres" | "postgresql" => SqlUrl::postgres(url).map(Self::Sql),
            "sqlite" => SqlUrl::sqlite(url).map(Self::Sql),
            _ => Err(BadStoreUrl(EXPECTED)),
        }
    }
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
    fn an_error_repeats_nothing_of_the_address() {
        for url in ["postgres://user:word@h:port/d", "redis://user:word@h:port", "user:word@h"] {
            let refused = parse(url).err().unwrap().to_string();
            assert!(!refused.contains("user") && !refused.contains("word@"), "{refused}");
        }
    }
}
