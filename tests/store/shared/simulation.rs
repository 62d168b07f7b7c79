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

/// The script's work on one bucket: takes as many as fit, at least one, after it got `back`
/// microseconds.
fn take(rate: Rate, bucket: &mut u64, most: u64, back: u64, now: u64) -> Result<u64, u64> {
    let ahead = bucket.saturating_sub(now).saturating_sub(back);
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

/// A lease of one user at one replica.
#[derive(Clone, Copy, Default)]
struct Lease {
    left: u64,
    since: u64,
    /// When the bucket is full if nobody else takes from it.
    full_at: u64,
}

/// The store and all replicas, with one limit.
struct Model {
    rate: Rate,
    rate_at_store: Rate,
    lease: u64,
    store: HashMap<u64, u64>,
    used: HashMap<u64, u64>,
    denied: HashMap<(u64, u64), u64>,
    leases: HashMap<(u64, u64), Lease>,
    outcome: Outcome,
}

impl Model {
    fn new(rate: Rate, lease: u64) -> Self {
        let rate_at_store = match lease {
            1 => rate,
            _ => Rate { tolerance: rate.tolerance.saturating_sub(LEASED_FOR), ..rate },
        };
        let (store, used, denied) = (HashMap::new(), HashMap::new(), HashMap::new());
        let (leases, outcome) = (HashMap::new(), Outcome::default());
        Self { rate, rate_at_store, lease, store, used, denied, leases, outcome }
    }

    /// A request of a user at a replica.
    fn request(&mut self, replica: u64, user: u64, now: u64) -> bool {
        let is_admitted = self.admit((replica, user), now);
        self.outcome.requests += 1;
        if is_admitted {
            self.outcome.admitted += 1;
            let bucket = self.used.entry(user).or_default();
            self.outcome.beyond += u64::from(take(self.rate, bucket, 1, 0, now).is_err());
        }
        is_admitted
    }

    fn admit(&mut self, here: (u64, u64), now: u64) -> bool {
        if self.denied.get(&here).is_some_and(|until| *until > now) {
            return false;
        }
        let lease = self.leases.remove(&here).unwrap_or_default();
        if lease.left > 0 && now - lease.since < LEASED_FOR {
            self.leases.insert(here, Lease { left: lease.left - 1, ..lease });
            return true;
        }
        self.outcome.questions += 1;
        let unused = lease.left * self.rate.interval;
        let back = match now - lease.since {
            age if age < 60 * SECOND => unused.min(lease.full_at.saturating_sub(now + LEASED_FOR)),
            _ => 0,
        };
        let bucket = self.store.entry(here.1).or_default();
        match take(self.rate_at_store, bucket, self.lease, back, now) {
            Ok(taken) => {
                let lease = Lease { left: taken - 1, since: now, full_at: *bucket };
                self.leases.insert(here, lease);
                true
            }
            Err(wait) => {
                self.denied.insert(here, now + wait);
                false
            }
        }
    }
}

fn run(run: &Run) -> Outcome {
    let (mut chance, mut plain) = (Chance(7), HashMap::<u64, u64>::new());
    let (mut model, mut allowed) = (Model::new(run.rate, run.lease), 0);
    let step = SECOND / run.per_second;
    for number in 0..run.per_second * run.seconds {
        let now = 60 * SECOND + number * step;
        let user = chance.below(run.users);
        let replica = match run.balance {
            Balance::Any(replicas) => chance.below(replicas),
            Balance::Sticky(replicas) => user % replicas,
        };
        let one = take(run.rate, plain.entry(user).or_default(), 1, 0, now);
        allowed += u64::from(one.is_ok());
        model.request(replica, user, now);
    }
    let end = 60 * SECOND + run.seconds * SECOND;
    let buckets = model.store.values().filter(|bucket| **bucket > end).count() as u64;
    Outcome { buckets, allowed, ..model.outcome }
}

#[test]
fn leases_that_nobody_used_while_their_bucket_filled_admit_no_one_beyond_the_limit() {
    for idle in 0..30 {
        let (mut model, mut now) = (Model::new(Rate::per_minute(100), 10), 60 * SECOND);
        for replica in 0..3 {
            assert!(model.request(replica, 0, now));
        }
        now += idle * SECOND;
        // First where nobody has a lease, then where there were leases.
        for replica in [3, 0, 1, 2] {
            for _ in 0..130 {
                model.request(replica, 0, now);
            }
        }
        let Outcome { admitted, beyond, .. } = model.outcome;
        assert_eq!(beyond, 0, "{admitted} admitted after {idle} s");
    }
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
