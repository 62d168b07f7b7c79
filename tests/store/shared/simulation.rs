//! Limits at the scale of the internet, without a socket: a thousand replicas and ten
//! million users, on a model of the store's script (`limit/take.lua`) and of a replica
//! (`limit/shared.rs`, `limit/lease.rs`). Time is simulated, chance is seeded.
//!
//! Every admission is checked against the limit at the moment it is used, so a lease that
//! admitted one request too many fails here. The page about replicas shows what comes out.

use std::collections::HashMap;
use std::fmt::Write as _;

const PAGE: &str = include_str!("../../../deploy/guides/howto/replicas.md");
const USERS: u64 = 10_000_000;
const REPLICAS: u64 = 1000;
const SECOND: u64 = 1_000_000;
/// A lease is good for so long (`limit/lease.rs`).
const LEASED_FOR: u64 = SECOND;
/// Bytes of a bucket in Redis, by its own count; a test below asks a real one.
const BUCKET_BYTES: u64 = 176;

/// Numbers that look random (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }
}

/// One rate, in microseconds.
#[derive(Clone, Copy)]
struct Rate {
    interval: u64,
    tolerance: u64,
}

impl Rate {
    fn per_minute(count: u64) -> Self {
        let interval = 60 * SECOND / count;
        Self { interval, tolerance: interval * (count - 1) }
    }
}

/// The script's work on one bucket: takes as many as fit, at least one.
fn take(rate: Rate, bucket: &mut u64, most: u64, back: u64, now: u64) -> Result<u64, u64> {
    let ahead = bucket.saturating_sub(now).saturating_sub(back * rate.interval);
    if ahead > rate.tolerance {
        *bucket = now + ahead;
        return Err(ahead - rate.tolerance);
    }
    let taken = most.min((rate.tolerance - ahead) / rate.interval + 1);
    *bucket = now + ahead + taken * rate.interval;
    Ok(taken)
}

/// The way of a user's requests.
#[derive(Clone, Copy)]
enum Balance {
    /// To any replica.
    Any(u64),
    /// To one replica, as with sticky sessions.
    Sticky(u64),
}

struct Run {
    name: &'static str,
    rate: Rate,
    /// Admissions taken ahead; one is exact.
    lease: u64,
    balance: Balance,
    users: u64,
    /// Requests of all users in a second, and for how long.
    per_second: u64,
    seconds: u64,
}

#[derive(Default)]
struct Outcome {
    requests: u64,
    admitted: u64,
    questions: u64,
    /// Buckets that are not full at the end.
    buckets: u64,
    /// Requests admitted beyond the limit, counted when they were used.
    beyond: u64,
    /// The number the limit would have admitted.
    allowed: u64,
}

fn run(run: &Run) -> Outcome {
    let mut chance = Chance(7);
    let (mut store, mut used, mut plain) =
        (HashMap::<u64, u64>::new(), HashMap::<u64, u64>::new(), HashMap::<u64, u64>::new());
    let mut denied = HashMap::<(u64, u64), u64>::new();
    let mut leases = HashMap::<(u64, u64), (u64, u64)>::new();
    let mut outcome = Outcome::default();
    let rate_at_store = match run.lease {
        1 => run.rate,
        _ => Rate { tolerance: run.rate.tolerance.saturating_sub(LEASED_FOR), ..run.rate },
    };
    let step = SECOND / run.per_second;
    for number in 0..run.per_second * run.seconds {
        let now = 60 * SECOND + number * step;
        let user = chance.below(run.users);
        let replica = match run.balance {
            Balance::Any(replicas) => chance.below(replicas),
            Balance::Sticky(replicas) => user % replicas,
        };
        outcome.requests += 1;
        let allowed = take(run.rate, plain.entry(user).or_default(), 1, 0, now);
        outcome.allowed += u64::from(allowed.is_ok());
        let here = (replica, user);
        if denied.get(&here).is_some_and(|until| *until > now) {
            continue;
        }
        let (left, since) = leases.get(&here).copied().unwrap_or_default();
        let is_admitted = if left > 0 && now - since < LEASED_FOR {
            leases.insert(here, (left - 1, since));
            true
        } else {
            outcome.questions += 1;
            leases.remove(&here);
            let back = if now - since < 60 * SECOND { left } else { 0 };
            match take(rate_at_store, store.entry(user).or_default(), run.lease, back, now) {
                Ok(taken) => {
                    leases.insert(here, (taken - 1, now));
                    true
                }
                Err(wait) => {
                    denied.insert(here, now + wait);
                    false
                }
            }
        };
        if is_admitted {
            outcome.admitted += 1;
            let bucket = used.entry(user).or_default();
            outcome.beyond += u64::from(take(run.rate, bucket, 1, 0, now).is_err());
        }
    }
    let end = 60 * SECOND + run.seconds * SECOND;
    outcome.buckets = store.values().filter(|bucket| **bucket > end).count() as u64;
    outcome
}

const BUSY: u64 = 200;

fn runs() -> [Run; 6] {
    let busy = |name, lease, balance| Run {
        name,
        rate: Rate::per_minute(600),
        lease,
        balance,
        users: BUSY,
        per_second: 20 * BUSY,
        seconds: 60,
    };
    [
        Run {
            name: "10 million users, 1,000 replicas, `30/minute`",
            rate: Rate::per_minute(30),
            lease: 1,
            balance: Balance::Any(REPLICAS),
            users: USERS,
            per_second: 20_000,
            seconds: 10,
        },
        busy("busy users, 1,000 replicas, `600/minute`", 1, Balance::Any(REPLICAS)),
        busy("the same with `lease = \"5%\"`", 30, Balance::Any(REPLICAS)),
        busy("the same, each user at one replica", 30, Balance::Sticky(REPLICAS)),
        busy("busy users, 8 replicas, `600/minute`", 1, Balance::Any(8)),
        busy("the same with `lease = \"5%\"`", 30, Balance::Any(8)),
    ]
}

#[test]
fn at_any_scale_no_limit_is_exceeded_and_the_page_says_what_it_costs() {
    let mut table = String::new();
    for one in runs() {
        let Outcome { requests, admitted, questions, buckets, beyond, allowed } = run(&one);
        assert_eq!(beyond, 0, "{}: admitted beyond the limit", one.name);
        assert!(admitted <= allowed, "{}", one.name);
        if one.lease == 1 {
            assert_eq!(admitted, allowed, "{}: exact", one.name);
        }
        let mib = buckets * BUCKET_BYTES / (1024 * 1024);
        println!(
            "{}: {} questions a second, {buckets} buckets, {mib} MiB",
            one.name,
            questions / one.seconds
        );
        let per_thousand = |part: u64, of: u64| part * 1000 / of.max(1);
        writeln!(
            table,
            "| {} | {} | {} |",
            one.name,
            per_thousand(questions, requests),
            per_thousand(admitted, allowed)
        )
        .unwrap();
    }
    assert!(PAGE.contains(&table), "the page should say\n{table}");
}

#[test]
fn an_outage_exceeds_a_limit_by_at_most_itself_and_one_per_replica() {
    for (limit, replicas) in [(30, 8), (30, 1000), (3000, 8), (3000, 1000)] {
        let rate = Rate::per_minute(limit);
        // One replica's part (`Limit::take_part`), asked as often as one likes.
        let interval = rate.interval * replicas;
        let window = rate.tolerance + rate.interval;
        let part = Rate { interval, tolerance: window.saturating_sub(interval) };
        let mut admitted = 0;
        for _ in 0..replicas {
            let mut bucket = 0;
            while take(part, &mut bucket, 1, 0, 60 * SECOND).is_ok() {
                admitted += 1;
            }
        }
        println!("{limit}/minute over {replicas} replicas: {admitted} in an outage");
        assert!(admitted <= limit + replicas, "{admitted} of {limit} at {replicas} replicas");
    }
}

#[test]
fn a_bucket_in_redis_is_as_large_as_the_simulation_says() {
    let server = crate::servers::redis("");
    let app = crate::support::App::start();
    let tables = super::replicas::shared(&server.url("redis"), super::replicas::PATIENT);
    let gateways = super::replicas::replicas(1, &app, "limit = \"30/minute\"", &tables);
    assert_eq!(gateways[0].token("ada").status, 200);
    let keys: Vec<String> =
        redis::Commands::keys(&mut server.redis_client(), "portcullis:l:*").unwrap();
    let size: u64 =
        redis::cmd("MEMORY").arg("USAGE").arg(&keys[0]).query(&mut server.redis_client()).unwrap();
    assert!(size <= BUCKET_BYTES, "{size} bytes");
}
