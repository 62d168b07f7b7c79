//! The names placeholders may use, settled when settings are read.
//!
//! A name that does not exist is a problem with its place, not a surprise in a
//! token; parameters and public key members are put in on the spot.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::expression::Expressions;
use super::filter::Filter;
use super::tree::{CallPart, Template, TemplateEntry, Text, TextPart, ValueSource};
use crate::base::json_path::JsonPath;
use crate::base::secret::Secret;
use crate::document::template_syntax::{Presence, Reference};
use crate::document::{At, shown};
use crate::mint::inputs::Inputs;
use crate::mint::json::text_of;
use crate::mint::key::{KeyTable, Member};

/// Characters of a secret that a token may show.
const SHOWN_OF_A_SECRET: usize = 4;

/// The names one template may use.
#[derive(Clone, Copy)]
pub(in crate::mint) struct Names<'n> {
    /// The token's table, for problems without a better place.
    pub token: &'n At<'n>,
    pub keys: &'n KeyTable,
    pub inputs: &'n Inputs,
    pub has_grant: bool,
    pub has_ttl: bool,
    /// Whether the vendor's rule for user ids makes them safe inside expressions.
    pub safe_user_id: bool,
    pub expressions: &'n Expressions,
    /// `None` while the parameters themselves are read.
    pub params: Option<&'n Params>,
    pub variables: &'n [String],
    /// Names of further signatures.
    pub signatures: &'n [String],
    /// `answer`, `call`, `first`, `input`, `sig`, `token`: values the mechanism has made by then.
    pub made: &'n [&'static str],
    pub secrets: SecretUse,
    pub reads: &'n RefCell<Reads>,
}

/// Whether secret key members may be put in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::mint) enum SecretUse {
    /// In a request to the issuer itself.
    Allowed,
    Forbidden,
}

/// Everything the templates of one token read.
#[derive(Default)]
pub(in crate::mint) struct Reads {
    pub session: BTreeSet<JsonPath>,
    pub user_id: bool,
    pub draws: Vec<String>,
}

/// The meaning of a reference.
pub(super) enum Found {
    Nothing,
    Secret(Secret),
    ValueSource(ValueSource),
    Template(Template),
}

/// The operator's `params`, each a template.
#[derive(Default)]
pub(in crate::mint) struct Params {
    entries: Vec<(String, Template)>,
    /// Parameters that could not be read and were reported: they are not reported missing.
    broken: Vec<String>,
    used: RefCell<BTreeSet<String>>,
    whole: Cell<bool>,
}

impl Params {
    /// Every parameter with its template, or without one if it could not be read; no name
    /// twice.
    pub(super) fn new(all: Vec<(String, Option<Template>)>) -> Self {
        let (mut entries, mut broken) = (Vec::new(), Vec::new());
        for (name, template) in all {
            match template {
                Some(template) => entries.push((name, template)),
                None => broken.push(name),
            }
        }
        Self { entries, broken, ..Self::default() }
    }

    /// Whether `{param.NAME…}` has something to put in.
    pub(in crate::mint) fn has(&self, path: &[String]) -> bool {
        self.find(path).is_some() || self.is_broken(path)
    }

    /// The start of `path` without a value: a whole missing table is reported once.
    fn missing<'p>(&self, path: &'p [String]) -> &'p [String] {
        let start = |length| path.get(..length).filter(|start| self.find(start).is_none());
        (1..path.len()).find_map(start).unwrap_or(path)
    }

    fn is_broken(&self, path: &[String]) -> bool {
        path.first().is_some_and(|first| self.broken.contains(first))
    }

    fn find(&self, path: &[String]) -> Option<Template> {
        let Some((first, rest)) = path.split_first() else {
            let entry = |(name, value): &(String, Template)| TemplateEntry::Named {
                name: Text(vec![TextPart::Literal(name.clone())]),
                value: value.clone(),
            };
            self.whole.set(true);
            return Some(Template::Object(self.entries.iter().map(entry).collect()));
        };
        self.used.borrow_mut().insert(first.clone());
        self.entries.iter().find(|(name, _)| name == first)?.1.descend(rest)
    }

    /// Reports parameters that no template uses.
    pub(in crate::mint) fn report_unused(&self, at: Option<&At<'_>>) {
        if self.whole.get() {
            return;
        }
        let used = self.used.borrow();
        for (key, at) in at.map(At::members).unwrap_or_default() {
            if !used.contains(&key.name) {
                let known: Vec<_> = used.iter().map(|name| format!("`{name}`")).collect();
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                at.problems.add(
                    key.span.start,
                    &at.path,
                    format!("unknown parameter, this preset uses {known}"),
                );
            }
        }
    }

    /// Marks a parameter as known although no template reads it.
    pub(in crate::mint) fn mark_used(&self, name: &str) {
        self.used.borrow_mut().insert(name.to_owned());
    }
}

impl Names<'_> {
    /// The meaning of `reference`, found at `at`; `None` if a problem was noted.
    pub(super) fn find(
        &self,
        reference: &Reference,
        filters: &[Filter],
        at: &At<'_>,
    ) -> Option<Found> {
        match (reference.root(), reference.rest()) {
            ("answer", path) if self.has("answer") => {
                Some(Found::ValueSource(ValueSource::Answer(JsonPath::new(path.to_vec()))))
            }
            ("call", [part]) if self.has("call") => call_part(part, at),
            ("first", [part]) if self.has("first") && part == "token" => {
                Some(Found::ValueSource(ValueSource::First))
            }
            ("grant", path) => self.grant(path, at),
            ("key", [name]) => self.key(name, reference, filters, at),
            ("param", path) if self.params.is_some() => self.param(path, reference),
            ("rand", [name]) => Some(Found::ValueSource(self.draw(name))),
            ("request", [name]) => self.request(name, reference),
            ("session", [field]) if field == "user_id" => {
                self.reads.borrow_mut().user_id = true;
                Some(Found::ValueSource(ValueSource::UserId))
            }
            ("session", path) if !path.is_empty() => {
                self.reads.borrow_mut().session.insert(JsonPath::new(path.to_vec()));
                Some(Found::ValueSource(ValueSource::Session(JsonPath::new(path.to_vec()))))
            }
            ("var", [name]) => self.variable(name, at),
            ("iat", []) => Some(Found::ValueSource(ValueSource::Iat)),
            ("now", []) => Some(Found::ValueSource(ValueSource::Now)),
            ("now_ms", []) => Some(Found::ValueSource(ValueSource::NowMs)),
            ("exp", []) => self.timed(ValueSource::Exp, reference),
            ("exp_iso", []) => self.timed(ValueSource::ExpIso, reference),
            ("exp_ms", []) => self.timed(ValueSource::ExpMs, reference),
            ("ttl", []) => self.timed(ValueSource::Ttl, reference),
            ("ttl_ms", []) => self.timed(ValueSource::TtlMs, reference),
            ("input", []) if self.has("input") => Some(Found::ValueSource(ValueSource::Input)),
            ("sig", [name]) => {
                let known = self.signatures.iter().position(|signature| signature == name);
                if known.is_none() {
                    at.problem(format!("`sig.{name}` is not one of `signatures`"));
                }
                known.map(|index| Found::ValueSource(ValueSource::Signatures(index)))
            }
            ("sig", []) if self.has("sig") => Some(Found::ValueSource(ValueSource::Signature)),
            ("token", []) if self.has("token") => Some(Found::ValueSource(ValueSource::Token)),
            _ => {
                at.problem(format!(
                    "unknown placeholder {}, expected one that starts with session., request., \
                     grant., key., rand.{} or is now, iat, exp, ttl",
                    shown(&reference.path.join(".")),
                    if self.params.is_some() { ", param." } else { "" }
                ));
                None
            }
        }
    }

    fn has(&self, made: &str) -> bool {
        self.made.contains(&made)
    }

    fn grant(&self, path: &[String], at: &At<'_>) -> Option<Found> {
        if !self.has_grant {
            at.problem("`grant` is used but not set; write grant = { url = \"http://…\" }");
            return None;
        }
        Some(Found::ValueSource(ValueSource::Grant(JsonPath::new(path.to_vec()))))
    }

    fn key(
        &self,
        name: &str,
        reference: &Reference,
        filters: &[Filter],
        at: &At<'_>,
    ) -> Option<Found> {
        match self.keys.member(name) {
            Some(Member::Public(text)) => {
                Some(Found::Template(Template::Fixed(text.as_str().into())))
            }
            Some(Member::Secret(secret)) => self.secret(name, secret, filters, at),
            None if reference.presence == Presence::Optional => Some(Found::Nothing),
            None => {
                self.note_missing_member(name);
                None
            }
        }
    }

    /// A public member of the key that its mechanism reads itself; `None` if a problem was
    /// noted.
    pub(in crate::mint) fn public_member(&self, name: &str) -> Option<&str> {
        let found = self.keys.public(name);
        if found.is_none() {
            self.note_missing_member(name);
        }
        found
    }

    fn note_missing_member(&self, name: &str) {
        if !self.keys.is_absent() {
            self.token.problem(format!("`key.{name}` is missing; add it to `key`"));
        }
    }

    /// A secret goes only to its issuer, except its first few characters, which some
    /// vendors put into tokens to name the key that signed.
    fn secret(
        &self,
        name: &str,
        secret: &Secret,
        filters: &[Filter],
        at: &At<'_>,
    ) -> Option<Found> {
        let Some(text) = secret.text() else {
            self.token.problem(format!("`key.{name}` is not text"));
            return None;
        };
        if let &[Filter::First(count)] = filters
            && count <= SHOWN_OF_A_SECRET
        {
            let start: String = text.chars().take(count).collect();
            return Some(Found::Template(Template::Fixed(start.into())));
        }
        if self.secrets == SecretUse::Forbidden {
            at.problem(format!(
                "`key.{name}` is a secret and may not be put into what a browser receives"
            ));
            return None;
        }
        let filtered =
            filters.iter().try_fold(Json::from(text), |value, filter| filter.apply(&value));
        match filtered.as_ref().map(Json::as_str) {
            Ok(Some(text)) => Some(Found::Secret(Secret::new(text))),
            Ok(None) | Err(_) => {
                at.problem(format!("`key.{name}` does not allow this filter"));
                None
            }
        }
    }

    /// The text of a reference that is the same in every token: a parameter the operator
    /// has written out, or a public member of the key.
    pub(in crate::mint) fn fixed_text(&self, reference: &Reference) -> Option<String> {
        let value = match (reference.root(), reference.rest()) {
            ("key", [name]) => self.keys.public(name)?.to_owned().into(),
            ("param", path) => self.params?.find(path)?.fixed()?.clone(),
            _ => return None,
        };
        text_of(&value).map(std::borrow::Cow::into_owned)
    }

    /// Whether the operator has not yet written the value of a reference.
    pub(in crate::mint) fn lacks(&self, reference: &Reference) -> bool {
        match (reference.root(), reference.rest()) {
            ("key", [name]) => self.keys.member(name).is_none(),
            ("param", path) => self.params.is_some_and(|params| params.find(path).is_none()),
            _ => false,
        }
    }

    fn param(&self, path: &[String], reference: &Reference) -> Option<Found> {
        let found = self.params.and_then(|params| params.find(path));
        match (found, reference.presence) {
            (Some(template), _) => Some(Found::Template(template)),
            (None, Presence::Optional) => Some(Found::Nothing),
            (None, Presence::Needed) if self.params.is_some_and(|all| all.is_broken(path)) => None,
            (None, Presence::Needed) => {
                let missing = self.params.map_or(path, |params| params.missing(path)).join(".");
                self.token.problem(format!("`params.{missing}` is missing; this preset needs it"));
                None
            }
        }
    }

    fn draw(&self, name: &str) -> ValueSource {
        let mut reads = self.reads.borrow_mut();
        let known = reads.draws.iter().position(|draw| draw == name);
        ValueSource::Random(known.unwrap_or_else(|| {
            reads.draws.push(name.to_owned());
            reads.draws.len() - 1
        }))
    }

    fn request(&self, name: &str, reference: &Reference) -> Option<Found> {
        if self.inputs.declares(name) {
            return Some(Found::ValueSource(ValueSource::Request(name.to_owned())));
        }
        if reference.presence == Presence::Optional {
            return Some(Found::Nothing);
        }
        self.token.problem(format!(
            "`request.{name}` is missing; say where it is read and what is allowed: request.{name} \
             = {{ from = \"json:{name}\", allow = [\"{{session.org_id}}:*\"] }}"
        ));
        None
    }

    /// Notes a problem if nothing says how long a token lives.
    pub(in crate::mint) fn need_ttl(&self) {
        if !self.has_ttl {
            self.token.problem("`ttl` is missing; write how long a token lives, such as \"1h\"");
        }
    }

    fn timed(&self, source: ValueSource, reference: &Reference) -> Option<Found> {
        if self.has_ttl {
            return Some(Found::ValueSource(source));
        }
        if reference.presence == Presence::Optional {
            return Some(Found::Nothing);
        }
        self.need_ttl();
        None
    }

    fn variable(&self, name: &str, at: &At<'_>) -> Option<Found> {
        let known = self.variables.iter().position(|variable| variable == name);
        if known.is_none() {
            at.problem(format!("`var.{name}` is not one of the `vars` before it"));
        }
        known.map(|index| Found::ValueSource(ValueSource::Variable(index)))
    }

    /// Whether text of `source` cannot break out of an expression.
    pub(super) fn is_safe(&self, source: &ValueSource) -> bool {
        match source {
            ValueSource::Request(name) => self.inputs.is_safe(name),
            ValueSource::UserId => self.safe_user_id,
            _ => false,
        }
    }
}

fn call_part(part: &str, at: &At<'_>) -> Option<Found> {
    let part = match part {
        "body" => CallPart::Body,
        "host" => CallPart::Host,
        "method" => CallPart::Method,
        "path" => CallPart::Path,
        _ => {
            at.problem("expected `call.method`, `call.host`, `call.path` or `call.body`");
            return None;
        }
    };
    Some(Found::ValueSource(ValueSource::Call(part)))
}
