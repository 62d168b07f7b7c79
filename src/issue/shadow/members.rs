//! Two JSON documents, member by member; texts that are JWTs are looked into.

use serde_json::{Map, Value};

use super::difference::{Difference, DifferenceKind, MOST, kind_of, shown};
use super::jwt::Jwt;
use super::text::{self, Unlike};
use super::time;
use crate::mint::Minter;

/// Deepest nesting that is looked into.
const DEEPEST: usize = 16;
/// Most items of one list.
const MOST_ITEMS: usize = 64;
/// Claims that are times; they are compared together.
const TIMES: [&str; 3] = ["exp", "iat", "nbf"];
/// Members that hold a lifetime, in any unit.
const LIVES: [&str; 7] =
    ["expires_in", "expiresin", "expiry", "lifetime", "max_age", "maxage", "ttl"];

/// A comparison in progress.
pub(super) struct Members<'m> {
    pub(super) minter: &'m Minter,
    /// When the app answered, in Unix seconds.
    pub(super) now: u64,
    /// Whether the end of the session has shortened the gateway's token.
    pub(super) is_cut: bool,
    pub(super) found: Vec<Difference>,
}

/// The app's value, the gateway's, and the gateway's a moment later.
type Three<'v> = (&'v Value, &'v Value, Option<&'v Value>);

impl Members<'_> {
    pub(super) fn note(
        &mut self,
        kind: DifferenceKind,
        at: &str,
        app: impl Into<String>,
        gateway: impl Into<String>,
    ) {
        if self.found.len() < MOST {
            let (at, app, gateway) = (at.to_owned(), app.into(), gateway.into());
            self.found.push(Difference { kind, at, app, gateway });
        }
    }

    /// Compares two values and all they hold.
    pub(super) fn values(&mut self, at: &str, (app, ours, again): Three<'_>, depth: usize) {
        if app == ours || depth > DEEPEST {
            return;
        }
        match (app, ours) {
            (Value::Object(app), Value::Object(ours)) => {
                self.objects(at, app, ours, again.and_then(Value::as_object), depth);
            }
            (Value::Array(app), Value::Array(ours)) => {
                if app.len() != ours.len() {
                    let items = |list: &[Value]| format!("{} items", list.len());
                    self.note(DifferenceKind::Shape, at, items(app), items(ours));
                }
                for (index, (app, ours)) in app.iter().zip(ours).take(MOST_ITEMS).enumerate() {
                    let again = again.and_then(|again| again.get(index));
                    self.values(&format!("{at}/{index}"), (app, ours, again), depth + 1);
                }
            }
            (Value::String(text), Value::String(own)) => {
                self.texts(at, (text, own, again.and_then(Value::as_str)), depth);
            }
            (Value::Number(_), Value::Number(_)) => self.numbers(at, (app, ours, again)),
            (Value::Bool(_), Value::Bool(_)) => {
                self.note(DifferenceKind::Value, at, "another value", "this value");
            }
            (app, ours) => self.note(DifferenceKind::Type, at, kind_of(app), kind_of(ours)),
        }
    }

    pub(super) fn objects(
        &mut self,
        at: &str,
        app: &Map<String, Value>,
        ours: &Map<String, Value>,
        again: Option<&Map<String, Value>>,
        depth: usize,
    ) {
        for (name, own) in ours {
            let member = format!("{at}/{}", shown(name));
            match app.get(name) {
                None => self.note(DifferenceKind::Shape, &member, "absent", kind_of(own)),
                Some(value) => {
                    let again = again.and_then(|again| again.get(name));
                    self.values(&member, (value, own, again), depth + 1);
                }
            }
        }
        for (name, value) in app.iter().filter(|(name, _)| !ours.contains_key(*name)) {
            let member = format!("{at}/{}", shown(name));
            self.note(DifferenceKind::Shape, &member, kind_of(value), "absent");
        }
    }

    fn numbers(&mut self, at: &str, three: Three<'_>) {
        let (app, ours, again) = three;
        if app.as_f64() == ours.as_f64() {
            return;
        }
        let is_steady = again == Some(ours);
        if (!is_steady || self.is_cut) && self.times(at, (app, ours)) {
            return;
        }
        let name = at.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        if LIVES.contains(&&*name) {
            let seconds = |value: &Value| format!("a lifetime of {value}");
            self.note(DifferenceKind::Ttl, at, seconds(app), seconds(ours));
        } else if is_steady {
            self.note(DifferenceKind::Value, at, "another number", "this number");
        }
    }

    /// Compares two values as times; whether they are some.
    fn times(&mut self, at: &str, (app, ours): (&Value, &Value)) -> bool {
        let now = self.now;
        let Some((ours, unit)) = time::read(ours, now) else { return false };
        match time::read(app, now) {
            Some((app, same)) if same == unit => {
                if app.abs_diff(ours) > time::TOLERANCE {
                    let (app, ours) = (time::away(app, now), time::away(ours, now));
                    self.note(DifferenceKind::Ttl, at, app, ours);
                }
            }
            Some((_, other)) => self.note(DifferenceKind::Type, at, other.as_str(), unit.as_str()),
            None => self.note(DifferenceKind::Type, at, kind_of(app), unit.as_str()),
        }
        true
    }

    pub(super) fn texts(
        &mut self,
        at: &str,
        (app, ours, again): (&str, &str, Option<&str>),
        depth: usize,
    ) {
        if app == ours {
            return;
        }
        match (Jwt::parse(app), Jwt::parse(ours)) {
            (Some(app), Some(ours)) if depth <= DEEPEST => {
                return self.jwts(at, &app, &ours, again.and_then(Jwt::parse).as_ref(), depth);
            }
            (Some(_), None) => {
                return self.note(DifferenceKind::Form, at, "a JWT", text::form(ours));
            }
            (None, Some(_)) => {
                return self.note(DifferenceKind::Form, at, text::form(app), "a JWT");
            }
            (Some(_) | None, _) => {}
        }
        // Of a remote issuer's texts there is only one, so nothing is known to be the same.
        match text::compare(app, ours, again, self.now) {
            Some(Unlike::Form(app, ours)) => self.note(DifferenceKind::Form, at, app, ours),
            Some(Unlike::Time(app, ours)) => self.note(DifferenceKind::Ttl, at, app, ours),
            Some(Unlike::Value) => {
                self.note(DifferenceKind::Value, at, text::form(app), text::form(ours));
            }
            None => {}
        }
    }

    fn jwts(
        &mut self,
        at: &str,
        app: &Jwt<'_>,
        ours: &Jwt<'_>,
        again: Option<&Jwt<'_>>,
        depth: usize,
    ) {
        let header = again.map(|again| &again.header);
        self.objects(&format!("{at} header"), &app.header, &ours.header, header, depth + 1);
        let at_claims = format!("{at} claims");
        self.claim_times(&at_claims, app, ours);
        let claims = |jwt: &Jwt<'_>| {
            let mut claims = jwt.claims.clone();
            claims.retain(|name, _| !TIMES.contains(&name.as_str()));
            claims
        };
        let again = again.map(claims);
        self.objects(&at_claims, &claims(app), &claims(ours), again.as_ref(), depth + 1);
        let is_own = self.minter.is_own_signature(app.signed.as_bytes(), &app.signature);
        if is_own == Some(false) && app.header.get("alg") == ours.header.get("alg") {
            self.note(DifferenceKind::Signature, at, "another key", "the key of the settings");
        }
    }

    /// The life, and whether each claim about time is there and is a time.
    fn claim_times(&mut self, at: &str, app: &Jwt<'_>, ours: &Jwt<'_>) {
        for name in TIMES {
            let member = format!("{at}/{name}");
            match (app.claims.get(name), ours.claims.get(name)) {
                (None, None) => {}
                (None, Some(own)) => {
                    self.note(DifferenceKind::Shape, &member, "absent", kind_of(own));
                }
                (Some(value), None) => {
                    self.note(DifferenceKind::Shape, &member, kind_of(value), "absent");
                }
                (Some(value), Some(own)) if kind_of(value) != kind_of(own) => {
                    self.note(DifferenceKind::Type, &member, kind_of(value), kind_of(own));
                }
                (Some(value), Some(own)) => self.claim_unit(&member, value, own),
            }
        }
        // Where one of them has no beginning, what is left of both is compared.
        let (start, own_start, tolerance) = match (app.start(), ours.start()) {
            (Some(start), Some(own)) => (start, own, 1),
            (None, _) | (_, None) => (self.now, self.now, time::TOLERANCE),
        };
        if let (Some(life), Some(own)) = (app.life(start), ours.life(own_start))
            && life.abs_diff(own) > tolerance
        {
            let until = if self.is_cut { ", until the session ends" } else { "" };
            let own = format!("{own} s{until}");
            self.note(DifferenceKind::Ttl, &format!("{at}/exp"), format!("{life} s"), own);
        }
    }

    /// Whether a claim is written in seconds on both sides, and begins when the other does.
    fn claim_unit(&mut self, at: &str, app: &Value, ours: &Value) {
        let now = self.now;
        let (Some((own, unit)), read) = (time::read(ours, now), time::read(app, now)) else {
            return;
        };
        match read {
            Some((_, other)) if other != unit => {
                self.note(DifferenceKind::Type, at, other.as_str(), unit.as_str());
            }
            // An app that keeps its tokens gives out older ones, but none from the future.
            Some((value, _)) if !at.ends_with("exp") && value > own.max(now) + time::TOLERANCE => {
                let (app, ours) = (time::away(value, now), time::away(own, now));
                self.note(DifferenceKind::Value, at, app, ours);
            }
            Some(_) => {}
            None => self.note(DifferenceKind::Value, at, "no time close to now", unit.as_str()),
        }
    }
}
