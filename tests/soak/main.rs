//! A soak: everything at once for a long time, while the app and the session store
//! are killed and come back and the configuration is reloaded. Every answer is
//! checked, against what is up at that moment; the process must not grow.
//!
//! `tests/soak/run` has a release build soak for half an hour; without `SOAK` it is
//! twenty seconds, which is a test like any other. Traffic comes at a bounded rate,
//! at most 300 requests a second.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a program for developers: it may stop at the first surprise, and it measures time"
)]

mod app;
mod report;
#[path = "../store/servers.rs"]
#[expect(dead_code, reason = "shared with tests/store, which uses all of it")]
mod servers;
#[path = "../store/app.rs"]
#[expect(dead_code, reason = "as above")]
mod sessions;
mod soak;
#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "shared with tests/it, which uses all of it")]
mod support;
mod traffic;
mod trouble;
mod wire;
mod world;

use std::time::{Duration, Instant};

use app::App;
use report::{Report, Sample};
use soak::Soak;
use support::running::Running;
use support::tls::Authority;
use support::{assert_no_secret, eventually, folder, get};
use trouble::Trouble;

/// Rows of the table.
const ROWS: u32 = 30;
const SHORTEST_ROW: Duration = Duration::from_secs(2);

fn time() -> Duration {
    let text = std::env::var("SOAK");
    text.map_or(Duration::from_secs(20), |text| portcullis::testing::duration(&text).unwrap())
}

#[test]
fn every_answer_is_right_and_the_process_does_not_grow() {
    let time = time();
    let (app, store, authority) = (App::start(), servers::redis(""), Authority::new());
    let files = authority.issue(&["app.test"]);
    let text = include_str!("gateway.toml")
        .replace("APP", &app.address)
        .replace("CERT", files.cert.to_str().unwrap())
        .replace("\"KEY\"", &format!("{:?}", files.key));
    let redis = store.url("redis");
    let mut running = Running::start_as(
        &folder().join("gateway.toml"),
        &Trouble::file(&text, 0),
        &[("REDIS_URL", &redis)],
    );
    let soak = Soak::new(&running.process.listeners(), redis, authority);
    // Everything has been used once and is open.
    eventually("the gateway is ready", || running.admin("/readyz").0 == 200);
    assert_eq!(running.page("/page/0/1"), 200);
    assert_eq!(soak.authority.client().open(&soak.secure, "app.test").ask(&get("/")).status, 200);
    let before = Sample::of(&running);
    let mut report = Report::begin();
    // Kept to the end: clients would notice an app that is gone.
    let _trouble = std::thread::scope(|scope| {
        let trouble = Trouble { soak: &soak, running: &running, app, store, text };
        trouble.sign_in();
        for kind in &traffic::KINDS {
            scope.spawn(|| soak.keep_up(kind));
        }
        let pause = (time / 100).clamp(Duration::from_secs(3), Duration::from_secs(15));
        let trouble = scope.spawn(move || trouble.make(pause));
        let ends = Ends(&soak);
        let began = Instant::now();
        while began.elapsed() < time && !trouble.is_finished() {
            let samples = sample(&running, (time / ROWS).max(SHORTEST_ROW));
            report.row(&soak, &samples);
        }
        drop(ends);
        trouble.join().unwrap()
    });
    Report::kinds(&soak);
    eventually("no connection open", || {
        running.admin("/metrics").1.contains("portcullis_connections 0\n")
    });
    judge(&soak, &running, &report, before, time);
    running.signal("TERM");
    assert_eq!(running.process.wait().code(), Some(0));
}

/// Ends the traffic, however the test ends.
struct Ends<'s>(&'s Soak);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Looks at the process for so long; nothing it says may be a secret.
fn sample(running: &Running, time: Duration) -> Vec<Sample> {
    let began = Instant::now();
    let mut samples = Vec::new();
    while samples.is_empty() || began.elapsed() < time {
        std::thread::sleep(Duration::from_millis(200));
        samples.push(Sample::of(running));
        let said = std::mem::take(&mut *running.process.output.lock().unwrap());
        assert_no_secret("standard output", said.as_bytes());
    }
    samples
}

fn judge(soak: &Soak, running: &Running, report: &Report, before: Sample, time: Duration) {
    let wrong = soak.tally.wrong.lock().unwrap();
    assert!(wrong.is_empty(), "wrong answers: {wrong:#?}");
    for (name, count) in &*soak.tally.kinds.lock().unwrap() {
        assert!(count.right > 0, "{name} was never answered");
    }
    let said = running.process.errors();
    assert!(!said.contains("panicked"), "{said}");
    assert_no_secret("standard error", said.as_bytes());
    let mut after = Sample::of(running);
    eventually("files are closed", || {
        after = Sample::of(running);
        after.files <= before.files
    });
    println!("\nbefore: {before:?}\nafter:  {after:?}");
    if let Some(growth) = report.growth(time) {
        println!("memory: at most {:.1} % more than after warming up", growth * 100.0);
        assert!(growth <= 0.1, "the process grows");
    }
    println!("right.");
}
