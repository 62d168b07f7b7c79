//! The questions that wait, with a server that answers when a test lets it.

use std::pin::pin;

use serde_json::json;

use super::*;
use crate::session::{Reason, Rejected};

const NOW: u64 = 1_790_000_000;

fn id(name: &str, from: &str) -> Id {
    let key = Some(Digest::new(name.as_bytes()));
    Id { key, kind: "lookup", from: Some(from.parse().unwrap()) }
}

fn now() -> Now {
    Now::at(NOW)
}

async fn valid() -> Result<Identity, Refused> {
    Ok(Identity::assumed("ada".into(), json!({}), None))
}

async fn unknown() -> Result<Identity, Refused> {
    Err(Refused::Rejected(Rejected::new(Reason::StoreMiss, "not there")))
}

async fn fail(questions: &Questions, count: u32, from: &str) {
    for number in 0..count {
        let id = id(&format!("{from} {number}"), from);
        let answer = questions.ask(id, unknown(), now()).await;
        assert!(matches!(answer, Err(Refused::Rejected(_))), "{number}");
    }
}

#[tokio::test]
async fn an_address_that_fails_with_too_many_ids_waits_and_others_do_not() {
    let questions = Questions::default();
    assert!(questions.ask(id("ada's", "192.0.2.1"), valid(), now()).await.is_ok());
    fail(&questions, FAILURES, "192.0.2.1").await;
    let asked = async { panic!("nobody is asked") };
    let held = questions.ask(id("one more", "192.0.2.1"), asked, now()).await;
    let Err(Refused::Unanswered(held)) = held else { panic!("{held:?}") };
    assert_eq!(held.retry_after, Some(PATIENCE));
    assert_eq!(questions.held_back(), 1);
    assert!(questions.ask(id("ada's", "192.0.2.1"), valid(), now()).await.is_ok(), "known");
    assert!(questions.ask(id("bob's", "192.0.2.2"), valid(), now()).await.is_ok(), "elsewhere");
    let later = now().plus(Duration::from_secs(1));
    assert!(questions.ask(id("eve's", "192.0.2.1"), valid(), later).await.is_ok(), "after a wait");
}

#[tokio::test]
async fn one_expired_session_counts_once_however_often_it_comes() {
    let questions = Questions::default();
    for _ in 0..FAILURES * 2 {
        let answer = questions.ask(id("expired", "192.0.2.1"), unknown(), now()).await;
        assert!(matches!(answer, Err(Refused::Rejected(_))));
    }
    assert!(questions.ask(id("ada's", "192.0.2.1"), valid(), now()).await.is_ok());
}

#[tokio::test]
async fn a_network_of_ipv6_is_one_address() {
    let questions = Questions::default();
    fail(&questions, FAILURES, "2001:db8::1").await;
    let held = questions.ask(id("one more", "2001:db8::ffff:2"), unknown(), now()).await;
    assert!(matches!(held, Err(Refused::Unanswered(_))));
}

#[tokio::test(start_paused = true)]
async fn unknown_ids_share_a_few_places_and_known_ones_need_none() {
    let questions = Arc::new(Questions::default());
    assert!(questions.ask(id("ada's", "192.0.2.1"), valid(), now()).await.is_ok());
    let flood: Vec<_> = (0..NEWCOMERS * 10)
        .map(|number| {
            let questions = questions.clone();
            let id = id(&number.to_string(), &format!("10.0.{}.{}", number / 200, number % 200));
            tokio::spawn(async move { questions.ask(id, std::future::pending(), now()).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let mut ada = pin!(questions.ask(id("ada's", "192.0.2.1"), valid(), now()));
    let at_once = tokio::time::timeout(Duration::from_millis(1), &mut ada).await;
    assert!(at_once.unwrap().is_ok());
    let bob = questions.ask(id("bob's", "192.0.2.1"), valid(), now()).await;
    assert!(matches!(bob, Err(Refused::Unanswered(_))), "a sign-in waits, but not without end");
    tokio::time::sleep(PATIENCE).await;
    assert_eq!(questions.held_back(), (NEWCOMERS * 9 + 1) as u64);
    flood.iter().for_each(tokio::task::JoinHandle::abort);
    for task in flood {
        let _ = task.await;
    }
    let bob = questions.ask(id("bob's", "192.0.2.1"), valid(), now()).await;
    assert!(bob.is_ok(), "places of requests that are gone are free again");
}

#[tokio::test]
async fn a_session_that_has_ended_is_known_no_longer() {
    let questions = Questions::default();
    let ada = id("ada's", "192.0.2.1");
    assert!(questions.ask(ada, valid(), now()).await.is_ok());
    assert!(questions.is_known(ada));
    assert!(questions.ask(ada, unknown(), now()).await.is_err());
    assert!(!questions.is_known(ada));
}
