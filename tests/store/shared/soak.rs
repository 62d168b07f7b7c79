//! Two gateways over one store behind Sentinel, for a long time: the primary is killed and
//! frozen again and again, gateways are restarted in turn, scripts are forgotten. Every
//! answer is checked; a revoked session that is served, a page or token that fails, or a
//! limit that is exceeded ends the test.
//!
//! A minute; `REPLICAS=15m` says how long else. Prints what was asked and what was done.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use super::replicas::{PATH, number, shared, uncounted};
use crate::replicated::{Sentinel, cli};
use crate::support::running::{Running, file_of};
use crate::support::wait::eventually_within;
use crate::support::{App, Conn, Setup, folder, get};

const CLIENTS: usize = 4;
/// A client's pause between two turns.
const PAUSE: Duration = Duration::from_millis(20);
const SCARCE: usize = 10;
const EXACT: &str = "limits used up, exactly";
/// The other replica has heard of a revocation by then.
const HEARD: Duration = Duration::from_secs(4);
/// After trouble with the store, everything is as before by then.
const SETTLED: Duration = Duration::from_secs(5);
/// Sentinels elect, and make the old primary a replica, by then.
const ELECTED: Duration = Duration::from_secs(90);

/// A user whose sessions are over.
struct Revoked {
    user: String,
    by: usize,
    at: Instant,
    is_shared: bool,
}

/// A gateway's numbers, by where its admin is.
struct Told {
    admin: String,
    uncounted: u64,
    failures: u64,
    resting: u64,
}

struct World {
    setup: String,
    url: String,
    files: [std::path::PathBuf; 2],
    gateways: [RwLock<Option<Running>>; 2],
    revoked: Mutex<Vec<Revoked>>,
    /// Whether the store is in trouble, and since or until when.
    trouble: Mutex<(bool, Instant)>,
    over: AtomicBool,
    turns: AtomicUsize,
    counts: Mutex<BTreeMap<&'static str, usize>>,
    wrong: Mutex<Vec<String>>,
}

impl World {
    fn new(app: &App, url: String) -> Self {
        let tables = format!(
            "[revocations]\nfile = \"FILE\"\n\
             [token.scarce]\npath = \"/api/scarce\"\npreset = \"portive\"\n\
             key = \"PRTV_keyOne_canaryOfTheKey0123456789abcdef\"\nttl = \"1m\"\n\
             limit = \"{SCARCE}/day\"\n"
        );
        let setup = Setup::new(app).token("limit = \"1000000/hour\"").with(&shared("URL", ""));
        let setup = file_of(&setup.with(&tables)).replace("\"URL\"", "\"env:SHARED\"");
        let world = Self {
            setup,
            url,
            files: [(); 2].map(|()| folder()),
            gateways: [RwLock::new(None), RwLock::new(None)],
            revoked: Mutex::default(),
            trouble: Mutex::new((false, Instant::now())),
            over: AtomicBool::new(false),
            turns: AtomicUsize::new(0),
            counts: Mutex::default(),
            wrong: Mutex::default(),
        };
        (0..2).for_each(|index| world.restart(index));
        world
    }

    /// Stops a gateway, once its requests are answered, and starts it again. Clients take
    /// the other one meanwhile.
    fn restart(&self, index: usize) {
        let mut place = self.gateways[index].write().unwrap();
        if let Some(mut old) = place.take() {
            old.signal("TERM");
            assert_eq!(old.process.wait().code(), Some(0));
            self.count("gateways restarted");
        }
        let folder = &self.files[index];
        let text = self.setup.replace("FILE", folder.join("revocations").to_str().unwrap());
        let environment = [("SHARED", self.url.as_str())];
        let new = Running::start_as(&folder.join("gateway.toml"), &text, &environment);
        *place = Some(new);
    }

    /// Asks the gateway, or the other one while it is restarted: what, and which it was.
    fn with_gateway<T>(&self, index: usize, ask: impl Fn(&Running) -> T) -> (T, usize) {
        loop {
            for index in [index, 1 - index] {
                if let Ok(place) = self.gateways[index].try_read()
                    && let Some(gateway) = &*place
                {
                    return (ask(gateway), index);
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn status(&self, index: usize, path: &str, user: &str) -> (u16, usize) {
        let request = get(path).user(user);
        self.with_gateway(index, |gateway| Conn::open(&gateway.address).ask(&request).status)
    }

    fn count(&self, what: &'static str) {
        *self.counts.lock().unwrap().entry(what).or_default() += 1;
    }

    fn expect(&self, what: &'static str, status: u16, right: &[u16]) {
        self.count(what);
        if !right.contains(&status) {
            self.complain(format!("{what}: {status}"));
        }
    }

    fn complain(&self, what: String) {
        println!("wrong: {what}");
        self.wrong.lock().unwrap().push(what);
    }

    /// Whether the store was in order from `since` on, and has been for a while.
    fn is_calm_since(&self, since: Instant) -> bool {
        let (is_in_trouble, at) = *self.trouble.lock().unwrap();
        !is_in_trouble && (at + SETTLED < since || at + 2 * SETTLED < Instant::now())
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    /// One client, until it is over.
    fn keep_asking(&self) {
        while self.goes_on() {
            let turn = self.turns.fetch_add(1, Ordering::SeqCst);
            let (index, user) = (turn % 2, format!("user-{}", turn % 40));
            self.expect("pages", self.status(index, "/page", &user).0, &[200]);
            self.expect("tokens", self.status(index, PATH, &user).0, &[200]);
            self.ask_for_revoked(turn);
            match turn % 20 {
                0 => self.revoke(index, format!("revoked-{turn}")),
                10 => self.use_up(turn),
                _ => {}
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Signs a user out for good, who was served until then.
    fn revoke(&self, index: usize, user: String) {
        self.expect("tokens", self.status(index, PATH, &user).0, &[200]);
        let body = format!("{{\"user\":\"{user}\"}}");
        let (answer, by) = self.with_gateway(index, |gateway| {
            let mut conn = Conn::open(&gateway.admin);
            let head = "POST /revoke HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                        Content-Type: application/json";
            conn.write(
                format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes(),
            );
            String::from_utf8(conn.rest()).unwrap()
        });
        self.count("revocations");
        if !answer.starts_with("HTTP/1.1 200") {
            return self.complain(format!("a revocation: {answer}"));
        }
        let is_shared = !answer.contains("\"shared\":false");
        if !is_shared {
            self.count("revocations that are shared later");
        }
        self.revoked.lock().unwrap().push(Revoked { user, by, at: Instant::now(), is_shared });
    }

    /// Asks for a revoked user: one of the last, or any.
    fn ask_for_revoked(&self, turn: usize) {
        let (user, by, at, is_shared) = {
            let revoked = self.revoked.lock().unwrap();
            let among = if turn.is_multiple_of(3) { revoked.len() } else { revoked.len().min(5) };
            let Some(skipped) = turn.checked_rem(among) else { return };
            let one = &revoked[revoked.len() - 1 - skipped];
            (one.user.clone(), one.by, one.at, one.is_shared)
        };
        let (status, asked) = self.status(turn % 2, PATH, &user);
        let is_known = asked == by
            || (self.is_calm_since(at) && at.elapsed() > HEARD && is_shared)
            || (self.is_calm_since(at) && at.elapsed() > 2 * SETTLED);
        if is_known {
            self.expect("revoked sessions", status, &[401]);
        } else {
            self.expect("revoked sessions that are still to be heard of", status, &[200, 401]);
        }
    }

    /// Uses a limit up at both gateways. It is exact but for what they say themselves: on a
    /// busy machine, a call misses its deadline in calm too. A failover may lose what the
    /// store has counted.
    fn use_up(&self, turn: usize) {
        let (user, began, before) = (format!("scarce-{turn}"), Instant::now(), self.told());
        let statuses: Vec<u16> =
            (0..SCARCE + 5).map(|one| self.status(one % 2, "/api/scarce", &user).0).collect();
        let of = |wanted| statuses.iter().filter(|status| **status == wanted).count();
        self.count("limits used up");
        if of(200) + of(429) != statuses.len() {
            self.complain(format!("a limit: {statuses:?}"));
        }
        let after = self.told();
        // A gateway that was restarted meanwhile counts from nothing.
        let is_restarted = before.iter().zip(&after).any(|(one, other)| one.admin != other.admin);
        if is_restarted || !self.is_calm_since(began) {
            return;
        }
        let sum = |all: &[Told; 2], of: fn(&Told) -> u64| all.iter().map(of).sum::<u64>();
        let uncounted = sum(&after, |told| told.uncounted) - sum(&before, |told| told.uncounted);
        let failures = sum(&after, |told| told.failures) - sum(&before, |told| told.failures);
        let resting = sum(&after, |told| told.resting) + sum(&before, |told| told.resting);
        let is_exact = uncounted + failures + resting == 0;
        if is_exact {
            self.count(EXACT);
        }
        let most = SCARCE + usize::try_from(uncounted).unwrap();
        if of(200) > most || (is_exact && of(200) < SCARCE) {
            self.complain(format!(
                "a limit, {uncounted} uncounted, {failures} failed: {statuses:?}"
            ));
        }
    }

    /// What the gateways say about the store.
    fn told(&self) -> [Told; 2] {
        [0, 1].map(|index| {
            loop {
                if let Some(gateway) = &*self.gateways[index].read().unwrap() {
                    break Told {
                        admin: gateway.admin.clone(),
                        uncounted: uncounted(gateway),
                        failures: number(gateway, "portcullis_shared_failures_total "),
                        resting: number(gateway, "portcullis_shared_breaker "),
                    };
                }
            }
        })
    }

    fn trouble(&self, is_in_trouble: bool) {
        *self.trouble.lock().unwrap() = (is_in_trouble, Instant::now());
    }

    /// One trouble after the other.
    fn make_trouble(&self, group: &mut Sentinel) {
        for round in 0.. {
            self.sleep(Duration::from_secs(2) + 2 * SETTLED);
            if !self.goes_on() {
                return;
            }
            match round % 5 {
                0 => self.fail_over(group, None),
                1 => [0, 1].into_iter().for_each(|index| self.restart(index)),
                2 => self.freeze(group),
                3 => {
                    cli(group.primary().port, &["script", "flush"]);
                    self.count("scripts forgotten");
                }
                _ => self.fail_over(group, Some(round / 5 % 2)),
            }
        }
    }

    /// Kills the primary; perhaps a gateway is restarted before there is another.
    fn fail_over(&self, group: &mut Sentinel, restarted: Option<usize>) {
        self.trouble(true);
        let killed = group.primary().port;
        group.kill_primary();
        restarted.into_iter().for_each(|index| self.restart(index));
        eventually_within(ELECTED, "another primary", || group.has_primary());
        let old = group.servers.iter_mut().find(|server| server.port == killed).unwrap();
        old.resume_after_kill();
        wait_until_whole(group);
        self.count("failovers");
        self.trouble(false);
    }

    /// The primary stands still for less time than an election takes to begin, or a little
    /// longer.
    fn freeze(&self, group: &mut Sentinel) {
        self.trouble(true);
        let port = group.primary().port;
        let server = group.servers.iter().find(|server| server.port == port).unwrap();
        server.freeze();
        std::thread::sleep(Duration::from_millis(400));
        server.thaw();
        wait_until_whole(group);
        self.count("freezes");
        self.trouble(false);
    }

    fn sleep(&self, time: Duration) {
        let began = Instant::now();
        while self.goes_on() && began.elapsed() < time {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Waits until one server follows the other, whichever: on a busy machine, sentinels may
/// elect twice.
fn wait_until_whole(group: &Sentinel) {
    eventually_within(ELECTED, "one primary and its replica", || {
        let said = group.servers.iter().map(|server| cli(server.port, &["info", "replication"]));
        said.filter(|said| said.contains("master_link_status:up")).count() == 1
    });
}

/// Ends the traffic, however the test ends.
struct Ends<'w>(&'w World);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

#[test]
fn through_failovers_and_restarts_every_answer_is_right_and_no_revoked_session_is_served() {
    let time = std::env::var("REPLICAS").map_or(Duration::from_secs(60), |text| {
        portcullis::testing::duration(&text).expect("REPLICAS is a duration such as 15m")
    });
    let (app, mut group) = (App::start(), Sentinel::start("appendonly yes"));
    let world = World::new(&app, group.url());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| world.keep_asking());
        }
        let ends = Ends(&world);
        let trouble = scope.spawn(|| {
            let _ends = Ends(&world);
            world.make_trouble(&mut group);
        });
        while began.elapsed() < time && !trouble.is_finished() {
            std::thread::sleep(Duration::from_millis(50));
            app.forget();
        }
        drop(ends);
        trouble.join().unwrap();
    });
    println!("{:?}", began.elapsed());
    for (what, count) in &*world.counts.lock().unwrap() {
        println!("{count:>8} {what}");
    }
    let wrong = world.wrong.lock().unwrap();
    println!("{:>8} wrong", wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    let counts = world.counts.lock().unwrap();
    for what in ["failovers", "gateways restarted", EXACT, "revoked sessions"] {
        assert!(counts.contains_key(what), "nothing of {what}");
    }
    let revoked = world.revoked.lock().unwrap();
    eventually_within(ELECTED, "both know of every revocation", || {
        let is_over = |index, one: &Revoked| world.status(index, PATH, &one.user).0 == 401;
        revoked.iter().all(|one| is_over(0, one) && is_over(1, one))
    });
}
