//! Limits in memory: exact, bounded, and the same in the next process.

use std::sync::Arc;

use super::*;
use crate::base::digest::{Kind, Mark};
use crate::base::units::{self, Rate};

fn limit(rates: &[&str]) -> Limit {
    let rates: Vec<Rate> = rates.iter().map(|rate| units::rate(rate).unwrap()).collect();
    Limit::new("portive", &rates)
}

fn user(id: &str) -> Mark {
    Mark::new(Kind::User, id)
}

fn at(milliseconds: u64) -> Now {
    Now::at(0).plus(Duration::from_millis(1_000_000 + milliseconds))
}

#[test]
fn thirty_a_minute_admits_thirty_at_once_and_then_one_every_two_seconds() {
    let (limits, limit) = (Limits::default(), limit(&["30/minute"]));
    let key = limit.bucket(user("u1"));
    for _ in 0..30 {
        assert!(limits.take(&limit, key, at(0)).is_ok());
    }
    let refused = limits.take(&limit, key, at(0)).unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_secs(2));
    assert!(limits.take(&limit, key, at(1_999)).is_err());
    assert!(limits.take(&limit, key, at(2_000)).is_ok());
    assert!(limits.take(&limit, key, at(2_001)).is_err());
    assert!(limits.take(&limit, key, at(4_000)).is_ok());
}

#[test]
fn a_look_takes_nothing_and_makes_no_bucket() {
    let (limits, limit) = (Limits::default(), limit(&["1/hour"]));
    let key = limit.bucket(user("u1"));
    assert_eq!(limits.look(&limit, key, at(0)), Ok(()));
    assert_eq!(limits.buckets(), 0);
    assert!(limits.take(&limit, key, at(0)).is_ok());
    let refused = limits.take(&limit, key, at(1)).unwrap_err();
    assert_eq!(limits.look(&limit, key, at(1)), Err(refused));
}

#[test]
fn headers_say_what_is_left_and_when_all_of_it_is_back() {
    let (limits, limit) = (Limits::default(), limit(&["30/minute"]));
    let first = limits.take(&limit, limit.bucket(user("u1")), at(0)).unwrap();
    assert_eq!(limit.policy_header(), r#""portive";q=30;w=60"#);
    assert_eq!(first.header(&limit), r#""portive";r=29;t=2"#);
}

#[test]
fn a_request_refused_by_one_rate_takes_nothing_from_the_others() {
    let (limits, limit) = (Limits::default(), limit(&["2/s", "3/minute"]));
    let key = limit.bucket(user("u1"));
    assert!(limits.take(&limit, key, at(0)).is_ok());
    assert!(limits.take(&limit, key, at(0)).is_ok());
    for _ in 0..100 {
        assert!(limits.take(&limit, key, at(10)).is_err());
    }
    assert!(limits.take(&limit, key, at(1_000)).is_ok(), "the minute still had one");
    let refused = limits.take(&limit, key, at(2_000)).unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_secs(18));
}

#[test]
fn a_request_refused_by_one_limit_takes_nothing_from_the_others() {
    let limits = Limits::default();
    let named = |name: &str, rate: &str| Limit::new(name, &[units::rate(rate).unwrap()]);
    let (wide, narrow) = (named("wide", "4/minute"), named("narrow", "1/minute"));
    let twin = named("wide", "2/minute");
    let of = |limit: &Limit| limit.bucket(user("u1"));
    let all = [(&wide, of(&wide)), (&narrow, of(&narrow))];
    let reversed = [(&narrow, of(&narrow)), (&wide, of(&wide))];
    assert_eq!(limits.take_all(&all, at(0)), Ok(()));
    for _ in 0..100 {
        let (index, refused) = limits.take_all(&all, at(0)).unwrap_err();
        assert_eq!((index, refused.retry_after), (1, Duration::from_secs(60)));
        assert_eq!(limits.take_all(&reversed, at(0)).unwrap_err().0, 0);
    }
    assert!(limits.take_all(&[(&wide, of(&wide)), (&wide, of(&wide))], at(0)).is_ok());
    let both = [(&wide, of(&wide)), (&twin, of(&twin))];
    assert!(limits.take_all(&both, at(0)).is_err(), "one was left, two are wanted");
    assert!(limits.take(&wide, of(&wide), at(0)).is_ok(), "and it is still there");
    assert!(limits.take(&wide, of(&wide), at(0)).is_err());
    assert_eq!(limits.take_all(&[], at(0)), Ok(()));
}

#[test]
fn several_limits_taken_at_once_are_exact_in_parallel() {
    let limits = Arc::new(Limits::default());
    let names = ["a", "b", "c"];
    let of_each = |rate: &str| {
        let of = |name: &&str| Limit::new(name, &[units::rate(rate).unwrap()]);
        names.iter().map(of).collect::<Vec<_>>()
    };
    let threads: Vec<_> = (0..6)
        .map(|turn| {
            let (limits, all) = (limits.clone(), of_each("30/minute"));
            std::thread::spawn(move || {
                let mut all: Vec<_> =
                    all.iter().map(|limit| (limit, limit.bucket(user("u1")))).collect();
                all.rotate_left(turn % 3);
                (0..50).filter(|_| limits.take_all(&all[..2], at(0)).is_ok()).count()
            })
        })
        .collect();
    let admitted: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    // Each request takes from two of the three limits, and the limits hold 90 together.
    assert!((30..=45).contains(&admitted), "{admitted}");
}

#[test]
fn users_and_limits_do_not_share_buckets() {
    let (limits, one) = (Limits::default(), limit(&["1/hour"]));
    let other = Limit::new("other", &[units::rate("1/hour").unwrap()]);
    assert!(limits.take(&one, one.bucket(user("a")), at(0)).is_ok());
    assert!(limits.take(&one, one.bucket(user("b")), at(0)).is_ok());
    assert!(limits.take(&other, other.bucket(user("a")), at(0)).is_ok());
    assert!(limits.take(&one, one.bucket(user("a")), at(0)).is_err());
}

#[test]
fn a_thousand_parallel_requests_yield_exactly_thirty() {
    let limits = Arc::new(Limits::default());
    let limit = Arc::new(limit(&["30/minute"]));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (limits, limit) = (limits.clone(), limit.clone());
            std::thread::spawn(move || {
                let key = limit.bucket(user("u1"));
                (0..125).filter(|_| limits.take(&limit, key, at(0)).is_ok()).count()
            })
        })
        .collect();
    let admitted: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(admitted, 30);
}

#[test]
fn a_full_table_never_frees_a_user_who_used_up_the_allowance() {
    let (limits, limit) = (Limits::with_capacity(SHARDS), limit(&["1/hour"]));
    let attacker = limit.bucket(user("attacker"));
    assert!(limits.take(&limit, attacker, at(0)).is_ok());
    for number in 0..10_000 {
        let _ = limits.take(&limit, limit.bucket(user(&number.to_string())), at(1));
    }
    assert!(limits.take(&limit, attacker, at(2)).is_err());
    assert!(limits.buckets() <= SHARDS);
}

#[test]
fn entries_that_are_full_again_make_room() {
    let (limits, limit) = (Limits::with_capacity(SHARDS), limit(&["1/s"]));
    for number in 0..10_000 {
        let _ = limits.take(&limit, limit.bucket(user(&number.to_string())), at(0));
    }
    let later = at(60_000);
    let admitted = (0..50).filter(|number| {
        limits.take(&limit, limit.bucket(user(&format!("n{number}"))), later).is_ok()
    });
    assert!(admitted.count() >= 25, "most newcomers find a bucket of their own");
}

#[test]
fn used_allowances_stay_used_in_another_process() {
    let (here, there, limit) = (Limits::default(), Limits::default(), limit(&["3/minute"]));
    let key = limit.bucket(user("ada"));
    for _ in 0..3 {
        assert!(here.take(&limit, key, at(0)).is_ok());
    }
    // Its clock started at another time.
    let elsewhere = |ms: u64| Now::at(1000).plus(Duration::from_millis(ms));
    assert_eq!(elsewhere(0).unix_ms(), at(0).unix_ms());
    let used = here.used(at(0));
    assert_eq!(used.len(), 1);
    for _ in 0..2 {
        let line = used[0].line();
        there.merge(&UsedAllowance::read(&line).unwrap(), elsewhere(0));
        assert_eq!(UsedAllowance::read(line.get(1..).unwrap()), None);
    }
    assert!(there.take(&limit, key, elsewhere(19_000)).is_err());
    assert!(there.take(&limit, key, elsewhere(20_001)).is_ok());
    assert!(there.take(&limit, key, elsewhere(20_002)).is_err());
    assert!(here.used(at(60_001)).is_empty(), "full again");
}
