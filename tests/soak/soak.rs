//! Shared state of the soak: where things are, what is up, and what was
//! met with so far.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::{Commands as _, RedisResult};

use crate::support::tls::Authority;
use crate::traffic::Kind;
use crate::world::{Verdict, World};

/// Of wrong answers no more are kept than one can read.
const KEPT: usize = 50;

pub(crate) struct Soak {
    pub(crate) plain: String,
    pub(crate) secure: String,
    pub(crate) redis: String,
    pub(crate) authority: Authority,
    pub(crate) world: World,
    /// The generation of the policy that is in force for certain, and of the one
    /// that was written last.
    pub(crate) in_force: AtomicU64,
    pub(crate) written: AtomicU64,
    pub(crate) tally: VerdictBuilder,
    number: AtomicU64,
    over: AtomicBool,
}

/// Outcomes of the clients' requests.
#[derive(Default)]
pub(crate) struct VerdictBuilder {
    pub(crate) kinds: Mutex<BTreeMap<&'static str, Count>>,
    pub(crate) wrong: Mutex<Vec<String>>,
}

#[derive(Default)]
pub(crate) struct Count {
    pub(crate) right: usize,
    pub(crate) excused: usize,
    pub(crate) wrong: usize,
    /// Of right answers since somebody last looked, in milliseconds.
    pub(crate) times: Vec<f64>,
}

impl Soak {
    pub(crate) fn new(addresses: &[String], redis: String, authority: Authority) -> Self {
        Self {
            plain: addresses[0].clone(),
            secure: addresses[1].clone(),
            redis,
            authority,
            world: World::new(),
            in_force: AtomicU64::new(0),
            written: AtomicU64::new(0),
            tally: VerdictBuilder::default(),
            number: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub(crate) fn goes_on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    /// Waits so long, or until it is over.
    pub(crate) fn sleep(&self, time: Duration) {
        let began = Instant::now();
        while self.goes_on() && began.elapsed() < time {
            std::thread::sleep(Duration::from_millis(20).min(time));
        }
    }

    /// Turn after turn of one kind, at its rate.
    pub(crate) fn keep_up(&self, kind: &Kind) {
        let pause = Duration::from_secs_f64(1.0 / kind.rate);
        let mut turn = (kind.start)(self);
        let mut next = Instant::now();
        while self.goes_on() {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            // Time that was lost is not made good by a rush.
            next = Instant::now().max(next + pause);
            let number = self.number.fetch_add(1, Ordering::SeqCst);
            let (before, began) = (self.world.look(), Instant::now());
            let met = (turn.0)(number);
            let took = began.elapsed();
            self.note(kind.name, number, self.world.judge(kind.needs, &before, met), took);
        }
    }

    fn note(&self, name: &'static str, number: u64, verdict: Verdict, took: Duration) {
        let mut kinds = self.tally.kinds.lock().unwrap();
        let count = kinds.entry(name).or_default();
        match verdict {
            Verdict::Excused => count.excused += 1,
            Verdict::Right => {
                count.right += 1;
                count.times.push(took.as_secs_f64() * 1000.0);
            }
            Verdict::Wrong(what) => {
                count.wrong += 1;
                self.complain(format!("{name}, {number}: {what}"));
            }
        }
    }

    pub(crate) fn complain(&self, what: String) {
        println!("    wrong: {what}");
        let mut wrong = self.tally.wrong.lock().unwrap();
        if wrong.len() < KEPT {
            wrong.push(what);
        }
    }

    /// Signs a user in, as the app would.
    pub(crate) fn sign_in(&self, id: &str, user: &str) -> RedisResult<()> {
        let session = format!(r#"{{"cookie":{{}},"passport":{{"user":"{user}"}}}}"#);
        self.store()?.set_ex(format!("sess:{id}"), session, 10_000)
    }

    pub(crate) fn sign_out(&self, id: &str) -> RedisResult<()> {
        self.store()?.del(format!("sess:{id}"))
    }

    fn store(&self) -> RedisResult<redis::Connection> {
        redis::Client::open(self.redis.as_str())?.get_connection()
    }
}
