//! The cost of the gateway, beside the framework it is built on.
//!
//! ```text
//! cargo bench --bench gateway              all of it, about twenty minutes
//! cargo bench --bench gateway -- --quick   fewer rounds, less exact
//! cargo bench --bench gateway -- cached    only the parts whose name contains it
//! cargo bench --bench gateway --features count-allocations -- allocations
//! ```
//!
//! The gateway is the program itself; the others are this one started again, each
//! in a process of its own with one proxy thread: a bare Pingora server that writes
//! a fixed body of the same size, and a bare Pingora forwarder to the same app, with
//! the system's allocator or, with `--features bench-mimalloc`, the gateway's. They are driven
//! in turn, over the same number of kept connections, and compared by requests
//! per second of processor time, because the wall clock of a shared machine says
//! little. What counts is the median ratio of neighbouring slices. Where a process
//! happens to get its memory makes it up to a tenth faster or slower for as long as it
//! lives, so both are started anew several times.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a program for developers: it may stop at the first surprise, and it measures time"
)]

mod auth;
mod certificate;
mod cookies;
mod cost;
mod http2;
mod idle;
mod kinds;
mod load;
mod process;
mod servers;
mod sign;
mod traces;

use cookies::{Kind, Visitor};
use load::{Connections, get};
use process::Process;

#[cfg(all(feature = "bench-mimalloc", not(feature = "count-allocations")))]
#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

#[cfg(feature = "count-allocations")]
#[global_allocator]
static COUNTING: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// How long a run may take.
struct Effort {
    requests: usize,
    /// How often both servers are started.
    starts: usize,
    /// For each start, one more to warm up.
    rounds: usize,
    users: usize,
    idle: usize,
}

const FULL: Effort =
    Effort { requests: 10_000, starts: 7, rounds: 5, users: 100_000, idle: 10_000 };
const QUICK: Effort = Effort { requests: 5_000, starts: 3, rounds: 3, users: 20_000, idle: 2_000 };

impl Effort {
    /// Fewer requests, as many on each connection as on every other.
    fn share(&self, share: usize) -> Self {
        Self { requests: (self.requests / share).next_multiple_of(load::CONNECTIONS), ..*self }
    }
}

const TOKEN_PATH: &str = "/api/get-auth-token";
const MEGABYTE: f64 = 1_000_000.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if servers::serves(&arguments) {
        return;
    }
    let effort = if arguments.iter().any(|argument| argument == "--quick") { QUICK } else { FULL };
    let filter: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| filter.is_empty() || filter.iter().any(|f| name.contains(&***f));
    let mut held = true;
    if wanted("cached") {
        cached(&effort);
    }
    if wanted("forwarded") {
        forwarded(&effort);
    }
    if wanted("encrypted") {
        encrypted(&effort);
    }
    if wanted("auth") {
        held &= auth::holds(&effort);
    }
    if wanted("traces") {
        traces::print(&effort);
    }
    if wanted("memory") {
        memory(&effort);
    }
    if wanted("idle") {
        idle::print(&effort);
    }
    if wanted("cost") {
        cost::print();
    }
    if wanted("kinds") {
        kinds::print();
    }
    if wanted("sign") {
        sign::print(&effort);
    }
    if cfg!(feature = "count-allocations") && wanted("allocations") {
        allocations();
    }
    if !held {
        std::process::exit(1);
    }
}

/// A cached token against a fixed reply of the same size.
fn cached(effort: &Effort) {
    let app = Process::start("fixed", &[]);
    for kind in Kind::ALL {
        let gateway = || Some(Process::gateway(kind.name(), &app.address));
        let request = get(TOKEN_PATH, &kind.cookies(&Visitor::number(1)));
        let size =
            gateway().map_or(0, |it| Connections::open(&it.address, 1).body_of(&request).len());
        let bare = get(&format!("/bytes/{size}"), &kind.cookies(&Visitor::number(1)));
        let name = format!("cached token, {}", kind.name());
        let fixed = || Some(Process::start("fixed", &[]));
        let gateway = Side { start: &gateway, client: &|server| plain(server, &request) };
        let fixed = Side { start: &fixed, client: &|server| plain(server, &bare) };
        compare(&name, effort, &gateway, ("fixed reply", &fixed));
    }
}

/// Sizes of pages, and how many times fewer of them are asked for.
const PAGES: [(&str, &str, usize); 3] = [
    ("1 KiB", "/bytes/1024", 1),
    ("100 KiB", "/bytes/102400", 5),
    ("10 MiB", "/bytes/10485760", 100),
];

/// Timeouts of the gateway and of the forwarder next to it.
const SECONDS: &str = "60";

/// A forwarded page with a checked session and identity headers, against a
/// forwarder with the same timeouts on both sides, one without any, and nginx.
fn forwarded(effort: &Effort) {
    let app = Process::start("fixed", &[]);
    let gateway = || Some(Process::gateway(Kind::Jwt.name(), &app.address));
    let forwarder = || Some(Process::start("forwarder", &[&app.address, SECONDS]));
    let patient = || Some(Process::start("forwarder", &[&app.address]));
    let nginx = || Process::nginx(&app.address);
    for (name, path, share) in PAGES {
        let request = get(path, &Kind::Jwt.cookies(&Visitor::number(1)));
        let client = |server: &Process| plain(server, &request);
        let name = format!("forwarded, {name}");
        let effort = effort.share(share);
        let against = |other, start: Start<'_>| {
            let gateway = Side { start: &gateway, client: &client };
            compare(&name, &effort, &gateway, (other, &Side { start, client: &client }));
        };
        against("forwarder", &forwarder);
        if share == 1 {
            against("no timeouts", &patient);
        }
        against("nginx", &nginx);
    }
}

/// As `forwarded`, with clients that speak TLS: HTTP/1.1 and HTTP/2.
fn encrypted(effort: &Effort) {
    certificate::write();
    let app = Process::start("fixed", &[]);
    let gateway = || Some(Process::gateway_tls(Kind::Jwt.name(), &app.address));
    let forwarder = || Some(Process::start("forwarder-tls", &[&app.address, SECONDS]));
    let nginx = || Process::nginx_tls(&app.address);
    let cookies = Kind::Jwt.cookies(&Visitor::number(1));
    for (protocol, open) in [("TLS", tls as Open), ("HTTP/2", http2)] {
        for (name, path, share) in PAGES {
            let name = format!("{protocol}, {name}");
            let effort = effort.share(share);
            let client = |server: &Process| open(server, path, &cookies);
            let against = |other, start: Start<'_>| {
                let gateway = Side { start: &gateway, client: &client };
                compare(&name, &effort, &gateway, (other, &Side { start, client: &client }));
            };
            against("forwarder", &forwarder);
            against("nginx", &nginx);
        }
    }
}

/// Asks a server as often as said.
type Client = Box<dyn FnMut(usize)>;
type Start<'a> = &'a dyn Fn() -> Option<Process>;
type Open = fn(&Process, &str, &str) -> Client;

fn plain(server: &Process, request: &[u8]) -> Client {
    let request = request.to_vec();
    let mut connections = Connections::open(&server.address, load::CONNECTIONS);
    Box::new(move |times| connections.repeat(&request, times))
}

fn tls(server: &Process, path: &str, cookies: &str) -> Client {
    let mut connections = Connections::open_tls(&server.address, load::CONNECTIONS);
    let request = get(path, cookies);
    Box::new(move |times| connections.repeat(&request, times))
}

fn http2(server: &Process, path: &str, cookies: &str) -> Client {
    let mut connections = http2::Connections::open(&server.address);
    let request = http2::get(path, cookies);
    Box::new(move |times| connections.repeat(&request, times))
}

/// One of two that are compared; what cannot be started is left out.
struct Side<'a> {
    start: Start<'a>,
    client: &'a dyn Fn(&Process) -> Client,
}

/// Drives two servers in turn and prints the median of the ratios.
fn compare(name: &str, effort: &Effort, gateway: &Side<'_>, (bare_name, bare): (&str, &Side<'_>)) {
    let mut rounds = Vec::new();
    for _ in 0..effort.starts {
        let (Some(one), Some(other)) = ((gateway.start)(), (bare.start)()) else { return };
        let (mut ask_one, mut ask_other) = ((gateway.client)(&one), (bare.client)(&other));
        for round in 0..=effort.rounds {
            let seconds = (
                one.seconds_for(|| ask_one(effort.requests)),
                other.seconds_for(|| ask_other(effort.requests)),
            );
            // The first round warms up.
            if round > 0 {
                rounds.push(seconds);
            }
        }
    }
    let of = |pick: fn(&(f64, f64)) -> f64| median(rounds.iter().map(pick).collect());
    let rate = |seconds: f64| effort.requests as f64 / seconds;
    let (gateway, bare, ratio) = (rate(of(|s| s.0)), rate(of(|s| s.1)), of(|s| s.1 / s.0));
    println!("{name:<26} {gateway:>8.0}/s   {bare_name:<11} {bare:>8.0}/s   ratio {ratio:.3}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The memory that many users, each with a session and a cached token, add to the process.
fn memory(effort: &Effort) {
    let app = Process::start("fixed", &[]);
    let gateway = Process::gateway(Kind::Jwt.name(), &app.address);
    let mut connections = Connections::open(&gateway.address, load::CONNECTIONS);
    let request = |user| get(TOKEN_PATH, &Kind::Jwt.cookies(&Visitor::number(user)));
    connections.repeat(&request(0), 20_000);
    let before = gateway.resident();
    connections.send_all((1..=effort.users).map(request));
    // The caches do their book-keeping as requests come.
    connections.repeat(&request(1), 20_000);
    let grown = (gateway.resident() - before) as f64;
    let (users, megabytes, each) = (effort.users, grown / MEGABYTE, grown / effort.users as f64);
    println!("memory, {users} users    {megabytes:.1} MB, {each:.0} bytes for each");
}

/// Allocations of one request, in the steady state.
fn allocations() {
    let app = Process::start("fixed", &[]);
    let forwarder = Process::start("forwarder", &[&app.address]);
    let cookies = Kind::Jwt.cookies(&Visitor::number(1));
    let gateway = Process::start("gateway", &[Kind::Jwt.name(), &app.address]);
    for (name, server, path) in [
        ("fixed reply", &app, "/bytes/200"),
        ("cached token", &gateway, TOKEN_PATH),
        ("bare forwarder", &forwarder, "/bytes/1024"),
        ("forwarded", &gateway, "/bytes/1024"),
    ] {
        const REQUESTS: usize = 2000;
        let request = get(path, &cookies);
        let mut connections = Connections::open(&server.address, 1);
        let mut repeat =
            || (0..REQUESTS).for_each(|_| assert!(!connections.body_of(&request).is_empty()));
        repeat();
        let before = server.allocations();
        repeat();
        let each = (server.allocations() - before) as f64 / REQUESTS as f64;
        println!("allocations, {name:<16} {each:.1} a request");
    }
}
