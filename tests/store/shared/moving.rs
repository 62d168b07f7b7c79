//! Slots of a Cluster move while requests count in them: step by step, as an operator's tool
//! moves them, so that requests meet every state in between (`ASK`, `MOVED`).
//!
//! A slot goes to each primary once. On a busy machine, a request may follow an `ASK` late;
//! if its server took the slot over a second time by then, it would have two buckets, which
//! no client can prevent.

use std::time::Duration;

use super::replicas::{PATH, PATIENT, at_once, count, processes, replicas, shared, uncounted};
use crate::replicated::{Cluster, cli};
use crate::support::{App, get};

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

    /// To the next primary, with what is in it, and for so long in every state.
    fn move_on(&mut self, each: Duration) {
        let (from, to) = (self.at, (self.at + 1) % self.primaries.len());
        let number = self.number.clone();
        let setslot = |state, id| ["cluster", "setslot", &number, state, id];
        let (from_id, to_id) = (self.primaries[from].1.clone(), self.primaries[to].1.clone());
        let to_port = self.primaries[to].0.to_string();
        self.ask(to, &setslot("importing", &from_id));
        self.ask(from, &setslot("migrating", &to_id));
        std::thread::sleep(each);
        let keys = self.ask(from, &["cluster", "getkeysinslot", &number, "100"]);
        let keys: Vec<String> = redis::from_redis_value(keys).unwrap();
        if !keys.is_empty() {
            let migrate = ["migrate", "127.0.0.1", &to_port, "", "0", "5000", "keys"];
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            self.ask(from, &[&migrate, &keys[..]].concat());
        }
        std::thread::sleep(each);
        self.ask(to, &setslot("node", &to_id));
        self.ask(from, &setslot("node", &to_id));
        std::thread::sleep(each);
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
