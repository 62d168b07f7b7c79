//! The kinds of traffic, and how often each of them comes.

mod hostile;
mod pages;
mod protocols;
mod sessions;
mod streams;
mod tokens;

use std::io;
use std::net::TcpStream;
use std::sync::atomic::Ordering;

use crate::soak::Soak;
use crate::support::{Request, Response};
use crate::wire::Wire;
use crate::world::{Met, Needs};

pub(crate) use sessions::{USERS as STORED, id as stored_id};

/// One kind of traffic; each has a thread.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Turns a second, of which each is one request unless it says otherwise.
    pub(crate) rate: f64,
    pub(crate) needs: Needs,
    pub(crate) start: for<'s> fn(&'s Soak) -> Turn<'s>,
}

/// Does what is numbered so, and says what came of it.
pub(crate) struct Turn<'s>(pub(crate) Box<dyn FnMut(u64) -> Met + 's>);

impl<'s> Turn<'s> {
    /// Counts a request that ended with an error.
    fn new(mut turn: impl FnMut(u64) -> Result<(), Met> + 's) -> Self {
        Self(Box::new(move |number| turn(number).err().unwrap_or(Met::Right)))
    }
}

const fn kind(
    name: &'static str,
    rate: f64,
    needs: Needs,
    start: for<'s> fn(&'s Soak) -> Turn<'s>,
) -> Kind {
    Kind { name, rate, needs, start }
}

pub(crate) static KINDS: [Kind; 19] = [
    kind("token", 60.0, Needs::Nothing, tokens::kept),
    kind("token, fresh", 15.0, Needs::Nothing, tokens::fresh),
    kind("token, scarce", 4.0, Needs::Nothing, tokens::scarce),
    kind("token, no session", 4.0, Needs::Nothing, tokens::stranger),
    kind("page, 1 KiB", 70.0, Needs::App, pages::small),
    kind("page, 100 KiB", 10.0, Needs::App, pages::large),
    kind("page, new connection", 15.0, Needs::App, pages::unkept),
    kind("upload", 8.0, Needs::App, pages::upload),
    kind("HTTP/2", 10.0, Needs::App, protocols::http2),
    kind("TLS", 3.0, Needs::App, protocols::tls),
    kind("TLS, HTTP/2", 1.0, Needs::App, protocols::tls_http2),
    kind("tunnel", 2.0, Needs::App, streams::tunnel),
    kind("tunnel, long", 2.0, Needs::App, streams::long_tunnel),
    kind("events", 3.0, Needs::App, streams::events),
    kind("stored session", 20.0, Needs::AppAndStore, sessions::page),
    kind("stored session, token", 10.0, Needs::Store, sessions::token),
    kind("signing out", 1.0, Needs::Store, sessions::sign_out),
    kind("vanishing client", 8.0, Needs::Nothing, hostile::vanish),
    kind("bad request", 8.0, Needs::Nothing, hostile::malformed),
];

/// Of so many users each has a session of its own.
const USERS: u64 = 5_000;

fn user(number: u64) -> String {
    // Some of them come often.
    format!("user-{}", if number.is_multiple_of(2) { number % 100 } else { number % USERS })
}

/// A connection that is used for turn after turn.
struct Kept<'s> {
    soak: &'s Soak,
    wire: Option<Wire<TcpStream>>,
}

impl<'s> Kept<'s> {
    fn new(soak: &'s Soak) -> Self {
        Self { soak, wire: None }
    }

    fn ask(&mut self, request: &Request) -> io::Result<Response> {
        let wire = self.wire.take().map_or_else(|| Wire::open(&self.soak.plain), Ok);
        let mut wire = wire?;
        let answer = wire.ask(&request.bytes())?;
        if answer.header("connection") != Some("close") {
            self.wire = Some(wire);
        }
        Ok(answer)
    }
}

/// The answer the app must have given.
struct Page<'a> {
    number: u64,
    user: Option<&'a str>,
    /// Of the policy in force when it was asked for, at least.
    generation: u64,
}

impl<'a> Page<'a> {
    fn new(soak: &Soak, number: u64, user: Option<&'a str>) -> Self {
        Self { number, user, generation: soak.in_force.load(Ordering::SeqCst) }
    }

    /// Whether this is its head.
    fn begins(&self, soak: &Soak, answer: &Response, status: u16) -> Result<(), Met> {
        let number = |name| answer.header(name).and_then(|text| text.parse::<u64>().ok());
        let generations = self.generation..=soak.written.load(Ordering::SeqCst);
        let right = answer.status == status
            && number("x-number") == Some(self.number)
            && answer.header("x-user") == Some(self.user.unwrap_or("-"))
            && number("x-generation").is_some_and(|number| generations.contains(&number));
        let Self { number, user, .. } = self;
        let asked = || format!("page {number} of {user:?} in {generations:?}");
        if right { Ok(()) } else { Err(Met::other_than_asked(answer, &asked())) }
    }

    /// Whether this is the whole of it.
    fn is(&self, soak: &Soak, answer: &Response, body: &[u8]) -> Result<(), Met> {
        self.begins(soak, answer, 200)?;
        if answer.body == body {
            return Ok(());
        }
        let start = String::from_utf8_lossy(&answer.body[..answer.body.len().min(40)]).into_owned();
        Err(Met::Wrong(format!("page {}: {} bytes: {start}", self.number, answer.body.len())))
    }
}
