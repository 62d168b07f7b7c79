//! When kept tokens are replaced, and who pays for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderValue;
use serde_json::json;

use super::*;
use crate::mint::TokenParts;

const START: u64 = 1_800_000_000;

fn token(made: u64, life: u64, min_left: u64) -> Token {
    TokenParts {
        value: made.to_string().into_bytes().into(),
        body: made.to_string().into_bytes().into(),
        content_type: HeaderValue::from_static("text/plain"),
        set_cookies: Box::default(),
        expires_at: made + life,
        usable_until: made + life - min_left,
        uncut: None,
    }
    .into()
}

fn user() -> Identity {
    Identity::assumed("u".into(), json!({}), None)
}

/// Keys as they are: digests.
fn key(number: u32) -> Digest {
    Digest::new(&number.to_be_bytes())
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// How many of `keys` get a new token in each second of a token's life, all first
/// tokens having been made at once.
fn replaced(keys: u32, life: u64, min_left: u64) -> BTreeMap<u64, usize> {
    run(async {
        let (tokens, identity, mut replaced) = (Tokens::default(), user(), BTreeMap::new());
        for number in 0..keys {
            let make = async { Ok(token(START, life, min_left)) };
            tokens.get(key(number), &identity, Now::at(START), make).await.unwrap();
        }
        for passed in 1..life {
            let made = AtomicUsize::new(0);
            for number in 0..keys {
                let now = Now::at(START + passed);
                if tokens.find(&key(number), &identity, now).is_some() {
                    continue;
                }
                let make = async {
                    made.fetch_add(1, Ordering::Relaxed);
                    // Long enough not to be replaced again.
                    Ok(token(START + passed, life * 10, min_left))
                };
                tokens.get(key(number), &identity, now, make).await.unwrap();
            }
            if made.load(Ordering::Relaxed) > 0 {
                replaced.insert(passed, made.into_inner());
            }
        }
        replaced
    })
}

#[test]
fn tokens_made_at_once_are_not_replaced_at_once() {
    let replaced = replaced(1000, 600, 120);
    assert_eq!(replaced.values().sum::<usize>(), 1000);
    let (first, last) = (*replaced.keys().next().unwrap(), *replaced.keys().last().unwrap());
    assert_eq!((first, last), (480 - 30, 480), "never later than it must be");
    assert_eq!(replaced.len(), 31);
    assert!(replaced.values().all(|&count| count < 60), "{replaced:?}");
}

#[test]
fn long_lives_are_scattered_over_a_minute_and_short_ones_not_at_all() {
    let long = replaced(300, 3600, 300);
    let (first, last) = (*long.keys().next().unwrap(), *long.keys().last().unwrap());
    assert!(first >= 3300 - 60 && last <= 3300 && last - first > 50, "{first} {last}");
    assert_eq!(replaced(100, 60, 12), BTreeMap::from([(48, 100)]));
}

#[test]
fn one_key_is_replaced_at_the_same_moment_every_time() {
    let moment = || replaced(1, 600, 120).into_keys().next();
    assert_eq!(moment(), moment());
    assert!((0..100).map(|number| early(&key(number), 600)).all(|early| early <= 30));
}

#[test]
fn a_fresh_token_replaces_the_one_kept() {
    run(async {
        let (tokens, identity, now) = (Tokens::default(), user(), Now::at(START));
        let fail = || async { Err(IssueError::IssuerFailed) };
        tokens.put(key(1), Arc::new(token(START, 600, 120)), now).await;
        tokens.put(key(1), Arc::new(token(START + 1, 600, 120)), now).await;
        let (kept, origin) = tokens.get(key(1), &identity, now, fail()).await.unwrap();
        assert_eq!((kept.expires_at, origin), (START + 601, CachedOrMinted::Cached));
    });
}

#[test]
fn a_failure_is_remembered_and_a_token_that_still_holds_is_served() {
    run(async {
        let (tokens, identity) = (Tokens::default(), user());
        let tried = AtomicUsize::new(0);
        let fail = || async {
            tried.fetch_add(1, Ordering::Relaxed);
            Err(IssueError::IssuerFailed)
        };
        tokens.put(key(1), Arc::new(token(START, 600, 120)), Now::at(START)).await;
        for passed in [500, 500, 501, 599] {
            let kept = tokens.get(key(1), &identity, Now::at(START + passed), fail()).await;
            assert_eq!(kept.unwrap().0.expires_at, START + 600);
        }
        assert_eq!(tried.load(Ordering::Relaxed), 3);
        let gone = tokens.get(key(1), &identity, Now::at(START + 600), fail()).await;
        assert_eq!(gone.err(), Some(IssueError::IssuerFailed));
    });
}

#[test]
fn tokens_that_are_over_do_not_stay_in_memory() {
    run(async {
        let tokens = Tokens::default();
        let keep = |number: u32, made: u64, life: u64| {
            tokens.keep(key(number), Arc::new(token(made, life, 0)), Now::at(made))
        };
        for number in 0..100 {
            keep(number, START, 60);
        }
        keep(100, START, 3600);
        assert_eq!(tokens.count(), 101);
        keep(101, START + SWEEP_EVERY, 60);
        for _ in 0..20_000 {
            if tokens.count() == 2 {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(tokens.count(), 2);
        assert!(tokens.find(&key(100), &user(), Now::at(START + 61)).is_some());
    });
}

#[test]
fn a_request_that_looked_before_another_minted_does_not_mint_again() {
    run(async {
        let (tokens, identity, now) = (Tokens::default(), user(), Now::at(START));
        let make = |made: u64| async move { Ok(token(made, 600, 120)) };
        let first = tokens.get(key(1), &identity, now, make(START)).await.unwrap();
        let second = tokens.get(key(1), &identity, now, make(START + 1)).await.unwrap();
        assert_eq!((first.1, second.1), (CachedOrMinted::Minted, CachedOrMinted::Cached));
        assert_eq!(second.0.expires_at, START + 600);
    });
}
