//! What placeholders see while one token is made.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use super::Source;
use crate::base::calendar::push_rfc3339;
use crate::mint::lifetime::Times;
use crate::mint::{MintError, Subject};

/// The values one token is made from.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub subject: &'a Subject<'a>,
    pub times: Times,
    /// Random texts, drawn once for each token.
    pub draws: &'a [String],
    pub variables: &'a [String],
    pub input: Option<&'a Value>,
    pub signature: Option<&'a str>,
    pub token: Option<&'a str>,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(subject: &'a Subject<'a>, times: Times, draws: &'a [String]) -> Self {
        Self { subject, times, draws, variables: &[], input: None, signature: None, token: None }
    }
}

impl<'a> Scope<'a> {
    /// For texts that need to know only who asks for what.
    pub(crate) fn before_minting(subject: &'a Subject<'a>) -> Self {
        Self::new(subject, Times::default(), &[])
    }
}

impl Source {
    pub(super) fn value<'a>(
        &'a self,
        scope: &Scope<'a>,
    ) -> Result<Option<Cow<'a, Value>>, MintError> {
        let text = |text: &str| Cow::Owned(Value::from(text));
        let number = |number: u64| Cow::Owned(Value::from(number));
        let Times { now, now_ms, iat, exp, ttl } = scope.times;
        Ok(match self {
            Self::Exp => exp.map(number),
            Self::ExpIso => exp.map(|exp| text(&iso(exp))),
            Self::ExpMs => exp.map(|exp| number(exp.saturating_mul(1000))),
            Self::Grant(path) => walk(scope.subject.grant, path).map(Cow::Borrowed),
            Self::Iat => Some(number(iat)),
            Self::Inline(template) => return template.value(scope),
            Self::Input => scope.input.map(Cow::Borrowed),
            Self::Now => Some(number(now)),
            Self::NowMs => Some(number(now_ms)),
            Self::Random(index) => scope.draws.get(*index).map(|draw| text(draw)),
            Self::Request(name) => scope.subject.inputs.get(name).map(Cow::Borrowed),
            Self::Session(path) => walk(scope.subject.identity.session(), path).map(Cow::Borrowed),
            Self::Signature => scope.signature.map(text),
            Self::Token => scope.token.map(text),
            Self::Ttl => ttl.map(number),
            Self::TtlMs => ttl.map(|ttl| number(ttl.saturating_mul(1000))),
            Self::UserId => Some(text(scope.subject.identity.user_id())),
            Self::Variable(index) => scope.variables.get(*index).map(|variable| text(variable)),
        })
    }

    /// The member `path` of it, for sources that have members.
    pub(super) fn descend(&self, path: &[String]) -> Option<Self> {
        let longer = |start: &[String]| [start, path].concat();
        match self {
            Self::Grant(start) => Some(Self::Grant(longer(start))),
            Self::Session(start) => Some(Self::Session(longer(start))),
            Self::Inline(template) => {
                template.descend(path).map(|found| Self::Inline(Box::new(found)))
            }
            _ => None,
        }
    }

    /// Whether it is text from a session or a browser.
    pub(super) fn is_raw(&self) -> bool {
        match self {
            Self::Inline(template) => template.is_raw(),
            Self::Request(_) | Self::Session(_) | Self::UserId => true,
            _ => false,
        }
    }

    /// The refusal when it must have a value and has none.
    pub(super) fn missing(&self) -> MintError {
        let cause = format!("{self} has no value");
        match self {
            Self::Request(_) => MintError::bad_request(cause),
            _ => MintError::not_allowed(cause),
        }
    }
}

/// Names the source, never its value.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grant(path) => write!(f, "`grant.{}`", path.join(".")),
            Self::Request(name) => write!(f, "`request.{name}`"),
            Self::Session(path) => write!(f, "`session.{}`", path.join(".")),
            Self::UserId => f.write_str("`session.user_id`"),
            Self::Inline(_) => f.write_str("a parameter"),
            _ => f.write_str("a placeholder"),
        }
    }
}

/// The value `path` leads to: members by name, items by number.
pub(crate) fn walk<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        Value::Object(members) => members.get(step),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => None,
    })
}

/// Unix seconds as JavaScript's `toISOString` writes them.
fn iso(unix: u64) -> String {
    let mut text = String::new();
    push_rfc3339(&mut text, unix.saturating_mul(1000));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_javascript_writes_them() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_767_229_200, "2026-01-01T01:00:00.000Z"),
            (1_772_323_199, "2026-02-28T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso(unix), text);
        }
    }
}
