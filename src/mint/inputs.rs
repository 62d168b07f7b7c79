//! The inputs a browser may give when it asks for a token.
//!
//! Only inputs named in `request` are read; identity, role and lifetime never come from
//! the browser. Each input has a size, a character set or shape, and patterns over the
//! session: a signed-in user is not allowed into every room.

use serde_json::{Map, Value};

use super::body::{document, form_field};
use super::charset::{CharSet, Shape};
use super::error::MintError;
use super::layered_table::LayeredTable;
use super::request_pattern::RequestPattern;
use crate::base::json_path::JsonPath;
use crate::document::{At, FromNode, OneOrMany, Table};
use crate::session::Identity;

/// The declared inputs of one token.
#[derive(Default)]
pub struct Inputs(Vec<Input>);

/// One input and the rules for it.
struct Input {
    name: String,
    location: InputLocation,
    allow: Vec<RequestPattern>,
    chars: Option<CharSet>,
    shape: Option<Shape>,
    longest: usize,
    optional: bool,
}

/// The place of an input in the request.
#[derive(Clone)]
enum InputLocation {
    Form(String),
    Json(JsonPath),
    Query(String),
}

/// Longest input unless `max` says otherwise, in characters.
const LONGEST: usize = 200;

impl Inputs {
    /// The token's `request` over the preset's, member by member.
    pub(super) const KEYS: [&str; 1] = ["request"];

    pub(super) fn from_members(members: &mut LayeredTable<'_, '_, '_>, has_grant: bool) -> Self {
        let preset = members.inherited("request");
        let own = members.own("request");
        let names_in = |at: &Option<At<'_>>| -> Vec<String> {
            let members = at.as_ref().map(At::members).unwrap_or_default();
            members.iter().map(|(key, _)| key.name.clone()).collect()
        };
        let mut names = names_in(&preset);
        names.extend(names_in(&own));
        names.sort();
        names.dedup();
        let read = |name: String| {
            let is_there = [&preset, &own].map(|at| entry(at, &name).is_some());
            let (preset, own) = (member_table(&preset, &name), member_table(&own, &name));
            if is_there != [preset.is_some(), own.is_some()] {
                return Input::unread(name);
            }
            Input::from_tables(name, own, preset, members.token(), has_grant)
        };
        Self(names.into_iter().map(read).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Inputs without a rule: the app decides about them.
    pub(super) fn left_to_the_app(&self) -> impl Iterator<Item = &str> {
        let open = |input: &&Input| input.allow.is_empty() && input.shape.is_none();
        self.0.iter().filter(open).map(|input| input.name.as_str())
    }

    /// Whether the request's body has to be read.
    pub fn reads_body(&self) -> bool {
        self.0.iter().any(|input| match input.location {
            InputLocation::Form(_) | InputLocation::Json(_) => true,
            InputLocation::Query(_) => false,
        })
    }

    /// Takes only the declared inputs out of a request.
    pub fn collect(
        &self,
        query: Option<&str>,
        body: &[u8],
        identity: &Identity,
    ) -> Result<Map<String, Value>, MintError> {
        let mut found = Map::new();
        let mut json = None;
        for input in &self.0 {
            let value = match &input.location {
                InputLocation::Form(field) => {
                    let body = std::str::from_utf8(body)
                        .map_err(|_| MintError::bad_request("the form is not UTF-8"))?;
                    form_field(body, field)?.map(Value::from)
                }
                InputLocation::Json(path) => {
                    let document = match json.take() {
                        Some(document) => document,
                        None => document(body)?,
                    };
                    let value = path.find(&document).cloned();
                    json = Some(document);
                    value.filter(|value| !value.is_null())
                }
                InputLocation::Query(field) => {
                    form_field(query.unwrap_or_default(), field)?.map(Value::from)
                }
            };
            if let Some(value) = value {
                found.insert(input.name.clone(), value);
            }
        }
        self.check(&found, identity)?;
        Ok(found)
    }

    /// The declared inputs out of a JSON object that has them by name, or as the
    /// request would have them.
    pub fn read_object(&self, given: &Value) -> Map<String, Value> {
        let field = |input: &Input| match &input.location {
            InputLocation::Form(field) | InputLocation::Query(field) => given.get(field).cloned(),
            InputLocation::Json(path) => path.find(given).cloned(),
        };
        let one = |input: &Input| {
            let value = given.get(&input.name).cloned().or_else(|| field(input));
            Some((input.name.clone(), value.filter(|value| !value.is_null())?))
        };
        self.0.iter().filter_map(one).collect()
    }

    /// Whether these values are allowed in this session.
    pub fn check(&self, values: &Map<String, Value>, identity: &Identity) -> Result<(), MintError> {
        for input in &self.0 {
            match values.get(&input.name) {
                Some(value) => input.check(value, identity)?,
                None if input.optional => {}
                None => {
                    let cause = format!("request input `{}` is missing", input.name);
                    return Err(MintError::BadRequest(cause.into()));
                }
            }
        }
        Ok(())
    }

    /// The values in the order of declaration, for the cache key.
    pub(super) fn values<'a>(
        &'a self,
        values: &'a Map<String, Value>,
    ) -> impl Iterator<Item = Option<&'a Value>> {
        self.0.iter().map(|input| values.get(&input.name))
    }

    pub(super) fn declares(&self, name: &str) -> bool {
        self.0.iter().any(|input| input.name == name)
    }

    /// Whether the input's character set keeps it from breaking out of an expression.
    pub(super) fn is_safe(&self, name: &str) -> bool {
        let safe = |input: &Input| {
            input.shape.is_some() || input.chars.as_ref().is_some_and(CharSet::is_safe)
        };
        self.0.iter().any(|input| input.name == name && safe(input))
    }

    /// The session fields the patterns compare with.
    pub(super) fn fields(&self) -> impl Iterator<Item = &JsonPath> {
        self.0.iter().flat_map(|input| &input.allow).flat_map(RequestPattern::fields)
    }
}

impl Input {
    /// Replaces one that could not be read, which has been reported: templates then do not
    /// report it missing as well.
    fn unread(name: String) -> Self {
        let location = InputLocation::Query(name.clone());
        let (allow, longest) = (Vec::new(), LONGEST);
        Self { name, location, allow, chars: None, shape: None, longest, optional: false }
    }

    fn from_tables(
        name: String,
        mut own: Option<Table<'_>>,
        mut preset: Option<Table<'_>>,
        token: &At<'_>,
        has_grant: bool,
    ) -> Self {
        let says = |key| own.iter().chain(&preset).any(|table| table.peek(key).is_some());
        let (says_from, says_allow, has_shape) = (says("from"), says("allow"), says("shape"));
        let location = member(&mut own, &mut preset, "from");
        let allow = member::<OneOrMany<RequestPattern>>(&mut own, &mut preset, "allow");
        let is_open = allow.as_ref().map_or(!says_allow, |patterns| patterns.0.is_empty());
        let allow = allow.map(|patterns| patterns.0).unwrap_or_default();
        let chars = member(&mut own, &mut preset, "chars");
        let shape = member(&mut own, &mut preset, "shape");
        let longest = member(&mut own, &mut preset, "max").unwrap_or(LONGEST);
        let optional = member(&mut own, &mut preset, "optional").unwrap_or(false);
        own.into_iter().chain(preset).for_each(Table::finish);
        if !says_from {
            token.problem(format!(
                "`request.{name}.from` is missing; write \"json:{name}\", \"form:{name}\" or \
                 \"query:{name}\""
            ));
        }
        let location = location.unwrap_or_else(|| InputLocation::Query(name.clone()));
        if is_open && !has_shape && !has_grant {
            token.problem(format!(
                "`request.{name}.allow` is missing: without it any signed-in user may name any \
                 value; write allow = [\"{{session.org_id}}:*\"], or allow = [\"*\"] if that is \
                 what you want, or let the app decide with `grant`"
            ));
        }
        Self { name, location, allow, chars, shape, longest, optional }
    }

    fn check(&self, value: &Value, identity: &Identity) -> Result<(), MintError> {
        let refused = |what: &str| {
            Err(MintError::BadRequest(format!("request input `{}` {what}", self.name).into()))
        };
        let Value::String(text) = value else { return refused("is not a string") };
        if text.is_empty() {
            return refused("is empty");
        }
        if text.chars().count() > self.longest {
            return refused("is longer than `max`");
        }
        if text.chars().any(char::is_control) {
            return refused("holds a control character");
        }
        if self.chars.as_ref().is_some_and(|chars| !chars.holds(text)) {
            return refused("has characters outside `chars`");
        }
        if self.shape.as_ref().is_some_and(|shape| !shape.holds(text)) {
            return refused("does not match `shape`");
        }
        if !self.allow.is_empty()
            && !self.allow.iter().any(|pattern| pattern.matches(text, identity))
        {
            let cause = format!("request input `{}` matches no `allow` pattern", self.name);
            return Err(MintError::NotAllowed(cause.into()));
        }
        Ok(())
    }
}

fn entry<'a>(at: &Option<At<'a>>, name: &str) -> Option<At<'a>> {
    at.as_ref()?.table()?.peek(name)
}

fn member_table<'a>(at: &Option<At<'a>>, name: &str) -> Option<Table<'a>> {
    entry(at, name)?.table()
}

/// A member of the token's table, else of the preset's.
fn member<T: FromNode>(
    own: &mut Option<Table<'_>>,
    preset: &mut Option<Table<'_>>,
    key: &'static str,
) -> Option<T> {
    let inherited = preset.as_mut().and_then(|table| table.take(key));
    match own.as_mut().and_then(|table| table.take(key)) {
        Some(at) => at.read(),
        None => inherited?.read(),
    }
}

impl FromNode for InputLocation {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#""json:name", "form:name" or "query:name""#;
        let location = match at.text(EXPECTED)?.split_once(':') {
            Some((_, "")) | None => None,
            Some(("form", field)) => Some(Self::Form(field.to_owned())),
            Some(("json", path)) => Some(Self::Json(JsonPath::from_dotted(path))),
            Some(("query", field)) => Some(Self::Query(field.to_owned())),
            Some(_) => None,
        };
        if location.is_none() {
            at.wrong(EXPECTED);
        }
        location
    }
}
