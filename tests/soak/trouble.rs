//! Trouble during the soak: reloads, good and bad, and the app and the
//! store killed and started again.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::app::App;
use crate::servers::Server;
use crate::soak::Soak;
use crate::support::running::Running;
use crate::support::{eventually, replace};
use crate::traffic::{STORED, stored_id};
use crate::world::State;

/// How long something stays down, and how soon after it is back the gateway must
/// have noticed.
const DOWN: Duration = Duration::from_millis(1_200);
const APP_NOTICED: Duration = Duration::from_secs(1);
const STORE_NOTICED: Duration = Duration::from_secs(4);

pub(crate) struct Trouble<'s> {
    pub(crate) soak: &'s Soak,
    pub(crate) running: &'s Running,
    pub(crate) app: App,
    pub(crate) store: Server,
    /// `gateway.toml` but for its generation.
    pub(crate) text: String,
}

impl Trouble<'_> {
    /// One trouble after the other until it is over, each so long after the last.
    pub(crate) fn make(mut self, pause: Duration) -> Self {
        for round in 0.. {
            self.soak.sleep(pause);
            if !self.soak.goes_on() {
                break;
            }
            match round % 4 {
                0 => self.reload(),
                1 => self.kill_app(),
                2 => self.reload_badly(),
                _ => self.kill_store(),
            }
        }
        self
    }

    pub(crate) fn file(text: &str, generation: u64) -> String {
        text.replace("GENERATION", &generation.to_string())
    }

    /// The users that stay signed in.
    pub(crate) fn sign_in(&self) {
        for user in 0..STORED {
            self.soak.sign_in(&stored_id(user), &format!("stored-{user}")).unwrap();
        }
    }

    fn reload(&self) {
        let (soak, done) = (self.soak, self.running.reloads("ok"));
        let generation = soak.written.fetch_add(1, Ordering::SeqCst) + 1;
        replace(&self.running.file, Self::file(&self.text, generation));
        self.running.signal("HUP");
        eventually("the reload", || self.running.reloads("ok") == done + 1);
        soak.in_force.store(generation, Ordering::SeqCst);
    }

    fn reload_badly(&self) {
        let refused = self.running.reloads("refused");
        let bad = format!("{}\n[unknown]\n", Self::file(&self.text, 0));
        replace(&self.running.file, bad);
        self.running.signal("HUP");
        eventually("the refusal", || self.running.reloads("refused") == refused + 1);
    }

    fn kill_app(&mut self) {
        let service = &self.soak.world.app;
        service.is(State::Changing);
        self.app.kill();
        service.is(State::Down);
        std::thread::sleep(DOWN);
        service.is(State::Changing);
        self.app.resume();
        std::thread::sleep(APP_NOTICED);
        service.is(State::Up);
    }

    fn kill_store(&mut self) {
        let service = &self.soak.world.store;
        service.is(State::Changing);
        self.store.kill();
        service.is(State::Down);
        std::thread::sleep(DOWN);
        service.is(State::Changing);
        let began = Instant::now();
        self.store.resume_after_kill();
        self.sign_in();
        std::thread::sleep(STORE_NOTICED.saturating_sub(began.elapsed()));
        service.is(State::Up);
    }
}
