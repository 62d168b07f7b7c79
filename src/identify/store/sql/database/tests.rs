//! Tests without a server: the text of statements, and SQLite.

use sqlx::sqlite::SqliteConnectOptions;

use super::*;
use crate::base::secret::Secret;
use crate::base::store_url::StoreUrl;

const ID: &str = "0123456789abcdef";

fn asked(id: Cell) -> Vec<(String, Cell)> {
    vec![("id".to_owned(), id)]
}

#[test]
fn names_are_quoted_and_values_are_parameters() {
    let matching = [("a".to_owned(), Cell::Text("' OR 1=1".into())), ("b".to_owned(), Cell::Null)];
    let statement =
        select(('"', "public.session"), "*", &matching, |number, _| format!("${number}"), "");
    assert_eq!(
        statement,
        r#"SELECT * FROM "public"."session" WHERE "a" = $1 AND "b" = $2 LIMIT 1"#
    );
}

fn open(file: &std::path::Path) -> Database {
    match StoreUrl::parse(&Secret::new(format!("sqlite://{}", file.display()))) {
        Ok(StoreUrl::Sql(url)) => Database::open(url),
        _ => panic!("no address of a database"),
    }
}

async fn sqlite(file: &std::path::Path) -> Database {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut made = options.connect().await.unwrap();
    let table = "CREATE TABLE sessions (id TEXT, number INTEGER, data BLOB, ends DATETIME, none TEXT);\
                 INSERT INTO sessions VALUES ('0123456789abcdef', 7, x'ff00', '2026-01-01 00:00:00', NULL)";
    made.execute(table).await.unwrap();
    made.close().await.unwrap();
    open(file)
}

#[tokio::test]
async fn a_row_is_found_by_its_exact_id_only() {
    let file = std::env::temp_dir().join(format!("portcullis-{}.db", std::process::id()));
    drop(std::fs::remove_file(&file));
    let database = sqlite(&file).await;
    database.ping().await.unwrap();
    let found = database
        .row("sessions", &asked(Cell::Text(ID.into())), &NaiveTimes::default())
        .await
        .unwrap();
    let Some(StoreAnswer::Row(Row(cells))) = found else { panic!("no row") };
    let expected = [
        ("id", Cell::Text(ID.into())),
        ("number", Cell::Integer(7)),
        ("data", Cell::Bytes(vec![0xff, 0])),
        ("ends", Cell::Text("2026-01-01 00:00:00".into())),
        ("none", Cell::Null),
    ];
    assert_eq!(cells, expected.map(|(name, cell)| (name.to_owned(), cell)));
    for other in ["0123456789ABCDEF", "x", "' OR '1'='1", ""] {
        let found = database
            .row("sessions", &asked(Cell::Text(other.into())), &NaiveTimes::default())
            .await;
        assert!(matches!(found, Ok(None)), "{other}");
    }
    let unknown = database
        .row("sessions", &[("nope".to_owned(), Cell::Text(ID.into()))], &NaiveTimes::default())
        .await;
    assert!(unknown.is_err(), "a column that is not there is no miss");
    std::fs::remove_file(&file).unwrap();
    let gone = open(&file);
    assert_eq!(gone.ping().await, Err(StoreError::Unreachable));
}
