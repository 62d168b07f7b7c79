//! The cost of idle connections.

use std::time::Instant;

use portcullis::testing::allow_many_connections;

use crate::cookies::{Kind, Visitor};
use crate::load::{CONNECTIONS, Connections, get};
use crate::process::Process;
use crate::{Effort, MEGABYTE, median};

/// Memory of the gateway with all of them open, each having been served once,
/// and how long somebody else then waits for a page.
pub(crate) fn print(effort: &Effort) {
    allow_many_connections();
    let app = Process::start("fixed", &[]);
    let gateway = Process::gateway(Kind::Jwt.name(), &app.address);
    let request = get("/bytes/1024", &Kind::Jwt.cookies(&Visitor::number(1)));
    let mut busy = Connections::open(&gateway.address, CONNECTIONS);
    busy.repeat(&request, 1_000);
    let before = gateway.resident();
    let open = |_| {
        let mut some = Connections::open(&gateway.address, CONNECTIONS);
        some.repeat(&request, CONNECTIONS);
        some
    };
    let idle: Vec<Connections> = (0..effort.idle / CONNECTIONS).map(open).collect();
    let after = gateway.resident();
    let wait = |_| {
        let began = Instant::now();
        busy.body_of(&request);
        began.elapsed().as_secs_f64() * 1e3
    };
    let waited = median((0..500).map(wait).collect());
    let count = idle.len() * CONNECTIONS;
    let (all, each) = (after as f64 / MEGABYTE, (after - before) as f64 / count as f64 / 1024.0);
    println!("idle, {count} connections      {all:.1} MB in all, {each:.1} KiB for each");
    println!("idle, a page meanwhile         {waited:.2} ms");
}
