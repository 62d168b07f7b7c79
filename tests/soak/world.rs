//! The services that are up or down, and which answers are right at such a time.

use std::io;
use std::sync::Mutex;

use crate::support::Response;

/// The services that a request needs in order to succeed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    App,
    /// The app, with the identity of a session from the store.
    AppAndStore,
    Nothing,
    Store,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Going down, coming up, or so lately up that the gateway may not know yet.
    Changing,
    Down,
    Up,
}

/// Something behind the gateway, as whoever kills it says.
pub(crate) struct Service(Mutex<(State, usize)>);

impl Service {
    fn new() -> Self {
        Self(Mutex::new((State::Up, 0)))
    }

    pub(crate) fn is(&self, state: State) {
        let mut now = self.0.lock().unwrap();
        *now = (state, now.1 + 1);
    }

    fn look(&self) -> (State, usize) {
        *self.0.lock().unwrap()
    }
}

pub(crate) struct World {
    pub(crate) app: Service,
    pub(crate) store: Service,
}

/// How things stood at one moment.
pub(crate) struct Look([(State, usize); 2]);

impl Look {
    /// How the app was from then until `later`.
    pub(crate) fn app_until(&self, later: &Self) -> State {
        self.until(later, 0)
    }

    fn store_until(&self, later: &Self) -> State {
        self.until(later, 1)
    }

    fn until(&self, later: &Self, index: usize) -> State {
        let (then, now) = (self.0[index], later.0[index]);
        if then == now { now.0 } else { State::Changing }
    }
}

/// The outcome of one request.
pub(crate) enum Met {
    /// An answer in order that is not what was asked for.
    Answer(u16),
    Cut(io::Error),
    Right,
    /// An outcome that no outage excuses.
    Wrong(String),
}

impl Met {
    /// Anything but what was asked for: refused or, as page of the app, wrong.
    pub(crate) fn other_than_asked(answer: &Response, what: &str) -> Self {
        if !answer.is_from_app() && answer.status != 200 {
            return Self::Answer(answer.status);
        }
        Self::Wrong(format!("{what}: {} {:?}", answer.status, answer.headers))
    }
}

impl From<io::Error> for Met {
    fn from(error: io::Error) -> Self {
        Self::Cut(error)
    }
}

/// The verdict on it.
pub(crate) enum Verdict {
    /// Not what was asked for, which was right at that time.
    Excused,
    Right,
    Wrong(String),
}

impl World {
    pub(crate) fn new() -> Self {
        Self { app: Service::new(), store: Service::new() }
    }

    pub(crate) fn look(&self) -> Look {
        Look([self.app.look(), self.store.look()])
    }

    /// Judges what was met with since `before`.
    pub(crate) fn judge(&self, needs: Needs, before: &Look, met: Met) -> Verdict {
        let now = self.look();
        let (app, store) = (before.app_until(&now), before.store_until(&now));
        let (app, store) = match needs {
            Needs::App => (app, State::Up),
            Needs::AppAndStore => (app, store),
            Needs::Nothing => (State::Up, State::Up),
            Needs::Store => (State::Up, store),
        };
        let of_app = match app {
            State::Changing => [502, 504].as_slice(),
            State::Down => &[502],
            State::Up => &[],
        };
        let of_store = match store {
            // Once it is back it knows nobody until they have signed in again.
            // 200 is a page without the identity.
            State::Changing => [200, 401, 503].as_slice(),
            State::Down => &[200, 503],
            State::Up => &[],
        };
        let but = |what: String| {
            Verdict::Wrong(format!("{what}, with the app {app:?} and the store {store:?}"))
        };
        match met {
            Met::Right if app == State::Down => but("answered as asked".to_owned()),
            Met::Right => Verdict::Right,
            Met::Answer(status) if of_app.contains(&status) || of_store.contains(&status) => {
                Verdict::Excused
            }
            Met::Cut(_) if app == State::Changing => Verdict::Excused,
            Met::Answer(status) => but(format!("answered with {status}")),
            Met::Cut(error) => but(format!("cut off: {error}")),
            Met::Wrong(what) => but(what),
        }
    }
}
