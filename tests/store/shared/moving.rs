//! Slots of a Cluster move while requests count in them: step by step, as an operator's tool
//! moves them, so that requests meet every state in between (`ASK`, `MOVED`).
//!
//! A request that follows an `ASK` late, when its server takes the slot over a second time,
//! finds no bucket there and must not make one.

use std::time::Duration;

use super::fault_proxy::FaultProxy;
use super::replicas::{PATH, PATIENT, at_once, count, processes, replicas, shared, uncounted};
use crate::replicated::{Cluster, cli};
use crate::support::{App, Setup, eventually, get};

/// The key with the buckets of a user: the digest of the id, and nothing else of it.
pub(crate) fn bucket_of(user: &str) -> String {
    let text = format!("user\0{user}");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let head: [u8; 16] = digest.as_ref()[..16].try_into().unwrap();
    format!("portcullis:l:{:032x}", u128::from_le_bytes(head))
}

/// One slot, and the primaries that it goes round.
struct Slot {
    number: String,
    primaries: Vec<(u16, String, redis::Connection)>,
    at: usize,
}

impl Slot {
    fn of(cluster: &Cluster, key: &str) -> Self {
        let number = cluster.run(&["cluster", "keyslot", key]).trim().to_owned();
        let nodes = cluster.run(&["cluster", "nodes"]);
        let slot: u16 = number.parse().unwrap();
        let mut at = None;
        let mut primaries = Vec::new();
        for line in nodes.lines().filter(|line| line.contains("master")) {
            let words: Vec<&str> = line.split(' ').collect();
            let port = words[1].split(['@', ':']).nth(1).unwrap().parse().unwrap();
            let holds = words[8..].iter().any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let read = |text: &str| text.parse::<u16>().ok();
                matches!((read(first), read(last)), (Some(first), Some(last)) if (first..=last).contains(&slot))
            });
            if holds {
                at = Some(primaries.len());
            }
            let client = redis::Client::open(("127.0.0.1", port)).unwrap();
            primaries.push((port, words[0].to_owned(), client.get_connection().unwrap()));
        }
        Self { number, primaries, at: at.unwrap() }
    }

    fn ask(&mut self, server: usize, words: &[&str]) -> redis::Value {
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query(&mut self.primaries[server].2).unwrap_or_else(|error| panic!("{error}"))
    }

    fn next(&self) -> usize {
        (self.at + 1) % self.primaries.len()
    }

    /// To the next primary, with what is in it, and for so long in every state.
    fn move_on(&mut self, each: Duration) {
        let to = self.next();
        self.begin(to);
        std::thread::sleep(each);
        self.carry(to);
        std::thread::sleep(each);
        self.finish(to);
        std::thread::sleep(each);
    }

    fn set(&mut self, server: usize, state: &str, other: usize) {
        let (number, id) = (self.number.clone(), self.primaries[other].1.clone());
        self.ask(server, &["cluster", "setslot", &number, state, &id]);
    }

    fn begin(&mut self, to: usize) {
        self.set(to, "importing", self.at);
        self.set(self.at, "migrating", to);
    }

    /// The keys that are there now.
    fn carry(&mut self, to: usize) {
        let number = self.number.clone();
        let to_port = self.primaries[to].0.to_string();
        let keys = self.ask(self.at, &["cluster", "getkeysinslot", &number, "100"]);
        let keys: Vec<String> = redis::from_redis_value(keys).unwrap();
        if !keys.is_empty() {
            let migrate = ["migrate", "127.0.0.1", &to_port, "", "0", "5000", "keys"];
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            self.ask(self.at, &[&migrate, &keys[..]].concat());
        }
    }

    fn finish(&mut self, to: usize) {
        self.set(to, "node", to);
        self.set(self.at, "node", to);
        self.at = to;
    }
}

/// Has the slot of a key go to the other primaries, for so long in every state, while `work`
/// runs.
fn while_moving<T>(cluster: &Cluster, key: &str, each: Duration, work: impl FnOnce() -> T) -> T {
    let mut slot = Slot::of(cluster, key);
    std::thread::scope(|scope| {
        let moving = scope.spawn(|| (1..slot.primaries.len()).for_each(|_| slot.move_on(each)));
        let done = work();
        moving.join().unwrap();
        done
    })
}

/// How often servers of the Cluster have answered with this error.
fn errors(cluster: &Cluster, code: &str) -> u64 {
    let of_server = |port| {
        let stats = cli(port, &["info", "errorstats"]);
        let start = format!("errorstat_{code}:count=");
        let count = stats.lines().find_map(|line| line.strip_prefix(&start)?.trim().parse().ok());
        count.unwrap_or(0)
    };
    cluster.servers.iter().map(|server| of_server(server.port)).sum()
}

#[test]
fn eight_processes_admit_exactly_thirty_of_a_thousand_while_the_users_slot_moves() {
    let (app, cluster) = (App::start(), Cluster::start());
    let gateways = processes(8, &app, "limit = \"30/hour\"", &cluster.url(), PATIENT, "");
    let addresses: Vec<String> = gateways.iter().map(|one| one.address.clone()).collect();
    for run in 0..20 {
        let user = format!("user-{run}");
        let request = get(PATH).user(&user);
        let asked = || at_once(&addresses, &request, 5, 25);
        let each = Duration::from_millis(run % 5 * 4);
        let statuses = while_moving(&cluster, &bucket_of(&user), each, asked);
        assert_eq!((count(&statuses, 200), count(&statuses, 429)), (30, 970), "run {run}");
    }
    let (asks, moveds) = (errors(&cluster, "ASK"), errors(&cluster, "MOVED"));
    println!("{asks} ASK, {moveds} MOVED");
    assert!(asks > 0 && moveds > 0);
    assert!(gateways.iter().all(|gateway| uncounted(gateway) == 0));
}

#[test]
fn while_a_slot_moves_every_admission_is_counted_once() {
    const ADMITTED: usize = 1200;
    let (app, cluster) = (App::start(), Cluster::start());
    let gateways = replicas(3, &app, "limit = \"3000/300d\"", &shared(&cluster.url(), PATIENT));
    let addresses: Vec<String> = gateways.iter().map(|one| one.address.clone()).collect();
    let request = get(PATH).user("ada");
    let asked = || at_once(&addresses, &request, 4, ADMITTED / 12);
    let each = Duration::from_millis(150);
    let statuses = while_moving(&cluster, &bucket_of("ada"), each, asked);
    assert_eq!(count(&statuses, 200), ADMITTED);
    let last = gateways[0].token("ada");
    let left = format!("\"portive\";r={}", 3000 - ADMITTED - 1);
    let told = last.header("ratelimit").unwrap();
    assert!(told.starts_with(&left), "{told}, expected {left}");
    assert!(errors(&cluster, "ASK") > 0 && errors(&cluster, "MOVED") > 0);
}

#[test]
fn while_a_slot_moves_several_rules_are_taken_from_together() {
    let (app, cluster) = (App::start(), Cluster::start());
    let rules = "[[route]]\npath = \"/a/**\"\nlimit = \"40/day\"\n\
        [[route]]\npath = \"/b\"\nlimit = \"25/day\"\n";
    let gateways = replicas(3, &app, "", &(shared(&cluster.url(), PATIENT) + rules));
    let addresses: Vec<String> = gateways.iter().map(|one| one.address.clone()).collect();
    for user in ["ada", "bob", "eve"] {
        let both = get("/a/..%2fb").user(user);
        let asked = || at_once(&addresses, &both, 4, 10);
        let each = Duration::from_millis(10);
        let statuses = while_moving(&cluster, &bucket_of(user), each, asked);
        assert_eq!((count(&statuses, 200), count(&statuses, 429)), (25, 95), "{user}");
        let of_a = at_once(&addresses, &get("/a/x").user(user), 4, 5);
        assert_eq!(count(&of_a, 200), 15, "{user}");
    }
}

#[test]
fn a_question_that_follows_its_key_late_makes_no_second_bucket() {
    let (app, cluster) = (App::start(), Cluster::start());
    let mut slot = Slot::of(&cluster, &bucket_of("ada"));
    let (home, away) = (slot.at, slot.next());
    // The other server is met behind a proxy.
    let proxy = FaultProxy::start(slot.primaries[away].0);
    let told = proxy.port.to_string();
    slot.ask(away, &["config", "set", "cluster-announce-port", &told]);
    let home_port = slot.primaries[home].0;
    eventually("its neighbour knows the proxy", || {
        cli(home_port, &["cluster", "nodes"]).contains(&format!("127.0.0.1:{told}@"))
    });
    // Each without the others' refusals.
    let start = || {
        Setup::new(&app).token("limit = \"3/hour\"").with(&shared(&cluster.url(), PATIENT)).start()
    };
    let [first, second, third] = [start(), start(), start()];
    let take = || first.token("ada").status;
    assert_eq!([take(), take(), take(), take()], [200, 200, 200, 429]);
    slot.begin(away);
    slot.carry(away);
    assert_eq!(second.token("ada").status, 429, "and now both servers know the script");
    proxy.hold("ASKING");
    let status = std::thread::scope(|scope| {
        let asking = scope.spawn(|| third.token("ada").status);
        eventually("the question is on its way", || proxy.has_held());
        slot.finish(away);
        slot.begin(home);
        slot.carry(home);
        slot.finish(home);
        slot.begin(away);
        // Longer than a bucket may be made after the owner was asked.
        std::thread::sleep(Duration::from_millis(1200));
        proxy.let_go();
        asking.join().unwrap()
    });
    assert_eq!(status, 429, "the bucket is where it was");
    assert_eq!(third.metric("portcullis_shared_uncounted_total "), 0, "and it was asked");
}
