//! Answers of a store: JSON, pickle, PHP-serialized, compressed. A store is
//! not the client's, but what is in it often is; it must stay inert.

use std::sync::OnceLock;

use portcullis::testing::{Cell, Check, Cookies, Question, StoreAnswer};

use super::vectors::{Case, answer, cases, cases_in, kinds};
use super::{numbered, with_number};

/// Longest session in memory, in bytes. It stays in proportion to what was
/// stored: compressed text grows a thousandfold at most, and is cut off before.
const MOST: usize = 64 * 1024 * 1024;

/// Files of vectors in every notation that is decoded here: compressed pickles,
/// MessagePack, igbinary, PHP's own and Symfony's tokens in it, hashes and bare texts.
const NOTATIONS: [&str; 4] = ["compressed", "flask-session", "php", "stores"];

/// Answers to the questions of some cases.
pub(crate) struct Answers {
    cases: fn() -> Vec<Case>,
    asking: OnceLock<Vec<(Case, Question)>>,
}

/// Of every kind with a store.
pub(crate) static ALL: Answers = Answers::of(|| cases(&kinds()));

/// Of every notation, which are few: each is changed the more often.
pub(crate) static DECODERS: Answers = Answers::of(|| cases_in(&NOTATIONS));

impl Answers {
    const fn of(cases: fn() -> Vec<Case>) -> Self {
        Self { cases, asking: OnceLock::new() }
    }

    /// Cases that ask a store, each with its question.
    fn asking(&self) -> &[(Case, Question)] {
        self.asking.get_or_init(|| {
            let asks = |case: Case| {
                let question = match case.source().look(Cookies::new(&case.header), case.now) {
                    Ok(Check::Ask(question)) => question,
                    Ok(Check::Known(_)) | Err(_) => return None,
                };
                Some((case, question))
            };
            let stored = (self.cases)().into_iter().filter(|case| case.store.is_array());
            stored.filter_map(asks).collect()
        })
    }

    pub(crate) fn seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds = Vec::new();
        for (index, (case, question)) in self.asking().iter().enumerate() {
            match answer(&case.store, &question.query) {
                Some(
                    StoreAnswer::File { content: value, .. } | StoreAnswer::Redis { value, .. },
                ) => {
                    seeds.push(with_number(index, &value));
                }
                Some(StoreAnswer::Row(row)) => {
                    for (column, (_, cell)) in row.0.iter().enumerate() {
                        let (Cell::Bytes(_) | Cell::Text(_)) = cell else { continue };
                        let column = u8::try_from(column).unwrap();
                        let value = [&[column], bytes(cell)].concat();
                        seeds.push(with_number(index, &value));
                    }
                }
                Some(StoreAnswer::RedisHash { fields, .. }) => {
                    for (field, (_, value)) in fields.0.iter().enumerate() {
                        let field = u8::try_from(field).unwrap();
                        seeds.push(with_number(index, &[&[field], value.as_slice()].concat()));
                    }
                }
                Some(
                    StoreAnswer::App { .. }
                    | StoreAnswer::Key { .. }
                    | StoreAnswer::TooLarge
                    | StoreAnswer::WrongType,
                )
                | None => {}
            }
        }
        seeds
    }

    pub(crate) fn run(&self, data: &[u8]) {
        let Some((number, value)) = numbered(data) else { return };
        let (case, question) = &self.asking()[number % self.asking().len()];
        let Some(changed) = changed(case, question, value) else { return };
        let found = case.source().answered(question, Some(changed), case.now);
        let Ok(Check::Known(identity)) = found else { return };
        assert!(identity.size() <= MOST, "{}: {} bytes", case.id, identity.size());
        // Django signs the rows of its database: what they say is as hard to forge as
        // a cookie. Only when they end stands beside it.
        let signed = case.kind == "django"
            && case.config["backend"].as_str().is_none_or(|backend| backend == "db");
        if signed && let Ok(authentic) = case.verdict(&case.header) {
            assert!(identity.session() == authentic.session(), "{}: a forged row", case.id);
        }
    }
}

fn bytes(cell: &Cell) -> &[u8] {
    match cell {
        Cell::Bytes(bytes) => bytes,
        Cell::Text(text) => text.as_bytes(),
        Cell::Integer(_) | Cell::Null | Cell::Time(_) => &[],
    }
}

/// The vector's answer with `value` in it.
fn changed(case: &Case, question: &Question, value: &[u8]) -> Option<StoreAnswer> {
    Some(match answer(&case.store, &question.query)? {
        StoreAnswer::App { .. }
        | StoreAnswer::Key { .. }
        | StoreAnswer::TooLarge
        | StoreAnswer::WrongType => return None,
        StoreAnswer::File { modified, .. } => {
            StoreAnswer::File { content: value.to_vec(), modified }
        }
        StoreAnswer::Redis { seconds_left, .. } => {
            StoreAnswer::Redis { value: value.to_vec(), seconds_left }
        }
        StoreAnswer::RedisHash { mut fields, seconds_left } => {
            let (&field, value) = value.split_first()?;
            let count = fields.0.len();
            fields.0.get_mut(usize::from(field) % count)?.1 = value.to_vec();
            StoreAnswer::RedisHash { fields, seconds_left }
        }
        StoreAnswer::Row(mut row) => {
            let (&column, value) = value.split_first()?;
            let count = row.0.len();
            let (_, cell) = row.0.get_mut(usize::from(column) % count)?;
            *cell = match std::str::from_utf8(value) {
                Ok(text) => Cell::Text(text.to_owned()),
                Err(_) => Cell::Bytes(value.to_vec()),
            };
            StoreAnswer::Row(row)
        }
    })
}
