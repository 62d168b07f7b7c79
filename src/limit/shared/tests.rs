//! Leases, refusals and an absent store, without a store.

use tokio::runtime::Runtime;

use super::*;
use crate::base::digest::Kind;
use crate::base::redis_url::RedisUrl;
use crate::base::units;
use crate::limit::setting::Sharing;
use crate::outbound::redis::Member;

const USER: &str = "ada";
/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

fn now(milliseconds: u64) -> Now {
    Now::at(0).plus(Duration::from_millis(1_000_000 + milliseconds))
}

fn limit(name: &str, rate: &str, sharing: Sharing) -> Limit {
    Limit::new(name, &[units::rate(rate).unwrap()]).shared_as(sharing)
}

fn leased() -> Limit {
    limit("leased", "100/hour", Sharing { lease: Some(10), on_error: None })
}

fn on_error(name: &str, rate: &str, on_error: OnError) -> Limit {
    limit(name, rate, Sharing { lease: None, on_error: Some(on_error) })
}

/// Limits over a store that nobody answers for.
fn shared() -> (Runtime, SharedLimits) {
    let runtime = Runtime::new().unwrap();
    let url = RedisUrl::parse("redis://127.0.0.1:1").unwrap_or_else(|_| unreachable!());
    let timeout = Duration::from_millis(50);
    let me = Member::new();
    let store = SharedStore::start(url, "p", timeout, Arc::default(), me, runtime.handle());
    (runtime, SharedLimits::new(store, OnError::Local))
}

fn ada() -> Mark {
    Mark::new(Kind::User, USER)
}

fn turns<'l>(limits: &[&'l Limit]) -> Vec<Turn<'l>> {
    limits.iter().map(|limit| Turn::new(limit, ada())).collect()
}

/// Ten of a hundred an hour, from a full bucket.
const TAKEN: Taken = Taken { count: 10, wait: 0, ahead: [360 * SECOND, 0, 0, 0] };
const REFUSED: Taken =
    Taken { count: 0, wait: 30_000_000_000, ahead: [3_600_000_000_000, 0, 0, 0] };

#[test]
fn a_lease_is_used_up_although_the_store_has_refused_since() {
    let ((_runtime, shared), here, leased) = (shared(), Limits::default(), leased());
    let mut asking = [turns(&[&leased]), turns(&[&leased])];
    for turns in &mut asking {
        assert!(shared.prepare(turns, 1, now(0)).is_ok());
        assert!(turns[0].is_asked());
    }
    assert!(shared.taken(&here, &mut asking[0], &[TAKEN], 1, now(0)).is_ok());
    assert!(shared.taken(&here, &mut asking[1], &[REFUSED], 1, now(0)).is_err());
    for number in 0..9 {
        let mut turns = turns(&[&leased]);
        assert!(shared.look(&leased, turns[0].key, now(1)).is_ok(), "{number}");
        assert!(shared.prepare(&mut turns, 1, now(1)).is_ok());
        assert!(!turns[0].is_asked(), "{number} is of the lease");
    }
    let mut last = turns(&[&leased]);
    assert!(shared.prepare(&mut last, 1, now(1)).is_err(), "the refusal holds");
    assert!(shared.look(&leased, last[0].key, now(1)).is_err());
}

#[test]
fn a_lease_that_is_over_is_given_back_with_the_next_question() {
    let ((_runtime, shared), here, leased) = (shared(), Limits::default(), leased());
    let narrow = on_error("narrow", "1/hour", OnError::Local);
    let mut first = turns(&[&leased]);
    assert!(shared.prepare(&mut first, 1, now(0)).is_ok());
    assert!(shared.taken(&here, &mut first, &[TAKEN], 1, now(0)).is_ok());
    let mut refused = turns(&[&narrow]);
    assert!(shared.prepare(&mut refused, 1, now(0)).is_ok());
    assert!(shared.taken(&here, &mut refused, &[REFUSED], 1, now(0)).is_err());
    let mut both = turns(&[&leased, &narrow]);
    assert!(shared.prepare(&mut both, 1, now(1_001)).is_err(), "the other is used up");
    let mut next = turns(&[&leased]);
    assert!(shared.prepare(&mut next, 1, now(1_002)).is_ok());
    let back = [9 * 36 * SECOND, 0, 0, 0];
    assert!(next[0].quota == Quota::Store { most: 10, back }, "nothing of it is lost");
}

/// Given back after so many milliseconds without a request, in milliseconds.
#[test]
fn an_idle_lease_gives_back_no_more_than_its_bucket_still_lacks() {
    for (rates, idle, expected) in [
        // Nine of ten are left, of a bucket that lacks six seconds.
        (&["100/minute"][..], 1000, [4000, 0]),
        (&["100/minute"], 2500, [2500, 0]),
        (&["100/minute"], 4999, [1, 0]),
        (&["100/minute"], 5000, [0, 0]),
        (&["100/minute"], 22_000, [0, 0]),
        // The bucket is ten minutes short: all nine go back, until the lease is a minute old.
        (&["100/100m"], 1000, [540_000, 0]),
        (&["100/100m"], 59_999, [539_001, 0]),
        (&["100/100m"], 60_000, [0, 0]),
        // Each rate for itself.
        (&["100/minute", "100/100m"], 5500, [0, 540_000]),
    ] {
        let rates: Vec<_> = rates.iter().map(|rate| units::rate(rate).unwrap()).collect();
        let leased =
            Limit::new("idle", &rates).shared_as(Sharing { lease: Some(10), on_error: None });
        let ((_runtime, shared), here) = (shared(), Limits::default());
        let mut first = turns(&[&leased]);
        assert!(shared.prepare(&mut first, 1, now(0)).is_ok());
        let mut ahead = Arrivals::default();
        for (ahead, (interval, _)) in ahead.iter_mut().zip(leased.microseconds()) {
            *ahead = 10 * interval * 1000;
        }
        let taken = Taken { count: 10, wait: 0, ahead };
        assert!(shared.taken(&here, &mut first, &[taken], 1, now(0)).is_ok());
        let mut next = turns(&[&leased]);
        assert!(shared.prepare(&mut next, 1, now(idle)).is_ok());
        let back = [expected[0] * 1_000_000, expected[1] * 1_000_000, 0, 0];
        let expected = Quota::Store { most: 10, back };
        assert!(next[0].quota == expected, "{rates:?} after {idle} ms");
    }
}

#[test]
fn a_refusal_of_one_limit_gives_the_lease_of_another_its_place_back() {
    let ((_runtime, shared), here, leased) = (shared(), Limits::default(), leased());
    let narrow = on_error("narrow", "1/hour", OnError::Local);
    let mut first = turns(&[&leased]);
    assert!(shared.prepare(&mut first, 1, now(0)).is_ok());
    assert!(shared.taken(&here, &mut first, &[TAKEN], 1, now(0)).is_ok());
    let mut refused = turns(&[&narrow]);
    assert!(shared.prepare(&mut refused, 1, now(0)).is_ok());
    assert!(shared.taken(&here, &mut refused, &[REFUSED], 1, now(0)).is_err());
    for _ in 0..20 {
        let mut both = turns(&[&leased, &narrow]);
        assert!(shared.prepare(&mut both, 1, now(1)).is_err());
    }
    let of_lease = (0..20).filter(|_| {
        let mut one = turns(&[&leased]);
        shared.prepare(&mut one, 1, now(2)).is_ok() && !one[0].is_asked()
    });
    assert_eq!(of_lease.count(), 9);
}

#[test]
fn without_a_store_several_limits_are_taken_together_or_not_at_all() {
    let ((runtime, shared), here) = (shared(), Limits::default());
    let wide = on_error("wide", "3/hour", OnError::Local);
    let narrow = on_error("narrow", "1/hour", OnError::Local);
    let closed = on_error("closed", "9/hour", OnError::Deny);
    let open = on_error("open", "1/hour", OnError::Allow);
    let all = |limits: &[&Limit]| runtime.block_on(shared.take_all(&here, limits, ada(), now(0)));
    assert_eq!(all(&[&wide, &closed]), Err((1, Denied::Uncounted)));
    assert_eq!(all(&[&open, &wide, &narrow]), Ok(()));
    for _ in 0..9 {
        let (place, why) = all(&[&wide, &open, &narrow]).unwrap_err();
        assert_eq!(place, 2);
        assert!(matches!(why, Denied::Exceeded(_)));
    }
    let left = (0..9).filter(|_| all(&[&wide]).is_ok());
    assert_eq!(left.count(), 2, "neither refusal has taken from the wide one");
    assert_eq!(shared.store.numbers().uncounted, 3);
}

#[test]
fn without_a_store_each_limit_of_a_page_is_judged_on_its_own() {
    let ((runtime, shared), here) = (shared(), Limits::default());
    let wide = on_error("wide", "3/hour", OnError::Local);
    let narrow = on_error("narrow", "1/hour", OnError::Local);
    let closed = on_error("closed", "9/hour", OnError::Deny);
    let each = |limits: &[&Limit]| -> Vec<bool> {
        let taken = runtime.block_on(shared.take_each(&here, limits, ada(), now(0)));
        taken.iter().map(Result::is_ok).collect()
    };
    for page in 0..3 {
        assert_eq!(each(&[&narrow, &closed, &wide]), [page == 0, false, true], "{page}");
    }
    assert_eq!(each(&[&wide]), [false]);
    assert!(each(&[]).is_empty());
}

#[test]
fn a_question_names_the_limits_that_need_the_store_and_reads_their_answer() {
    use redis::{ToRedisArgs as _, Value};
    let (leased, plain) = (leased(), Limit::new("plain", &[units::rate("2/s").unwrap(); 2]));
    let mut turns = turns(&[&leased, &plain, &plain]);
    turns[0].quota = Quota::Leased;
    turns[1].quota = Quota::Store { most: 1, back: Arrivals::default() };
    turns[2].quota = Quota::Store { most: 5, back: [3000, 2999, 0, 0] };
    let question = StoreTurns { turns: &turns, cost: 1, admit: Admit::All };
    let words: Vec<String> =
        question.to_redis_args().into_iter().map(|word| String::from_utf8(word).unwrap()).collect();
    assert_eq!(question.num_of_args(), words.len());
    let rate = |back: &'static str| ["500000", "500000", back];
    assert_eq!(words[0], "all");
    assert_eq!(words[2..11], [&["2", "1", "1"], &rate("0")[..], &rate("0")].concat());
    assert_eq!(words[12..21], [&["2", "1", "5"], &rate("3")[..], &rate("2")].concat());
    let answer = |numbers: &[i64]| {
        let taken = question
            .read(&Value::Array(numbers.iter().map(|number| Value::Int(*number)).collect()));
        taken.map(|taken| taken.iter().map(|one| (one.count, one.wait)).collect::<Vec<_>>())
    };
    assert_eq!(answer(&[1, 0, 5, 5, 5, 0, 5, 5]), Some(vec![(1, 0), (5, 0)]));
    assert_eq!(answer(&[0, 0, 5, 5, 0, 7, 5, 5]), Some(vec![(0, 0), (0, 7000)]));
    for strange in [&[][..], &[1, 0, 5, 5], &[0, 0, 5, 5, 0, 0, 5, 5], &[1, -1, 5, 5, 5, 0, 5, 5]] {
        assert_eq!(answer(strange), None, "{strange:?}");
    }
    let each = StoreTurns { admit: Admit::Each, ..question };
    let answer = |numbers: [i64; 8]| each.read(&Value::Array(numbers.map(Value::Int).into()));
    assert!(answer([1, 0, 5, 5, 0, 7, 5, 5]).is_some());
    assert!(answer([0, 0, 5, 5, 0, 7, 5, 5]).is_none(), "neither taken nor refused");
}
