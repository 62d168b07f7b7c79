//! Calls of the token path to other servers: the app about grants, a vendor for
//! its token.
//!
//! The minter describes the call and reads the answer; here the call is made,
//! once. It is repeated only if the connection was refused: that server cannot
//! have acted on it. A missing answer never becomes a token.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::Value;

use super::circuit_breaker::{CallOutcome, Circuits};
use super::error::IssueError;
use crate::base::clock::{Clock, Now};
use crate::mint::{self, GrantHook, MintError};
use crate::observe::{CallPurpose, CallResult, Event, StepEnded, StepKind, Telemetry, TokenEvent};
use crate::outbound::{Answer, Call, LongBody, Outbound, OutboundError, Url};
use crate::request::recorded::Recorded;
use crate::request::trace::TRACEPARENT;

/// Largest answer of an issuer or the app, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// Carries a call to another server.
#[async_trait]
pub trait Caller: Send + Sync {
    async fn call(&self, call: &Call) -> Result<Answer, OutboundError>;
}

#[async_trait]
impl Caller for Outbound {
    async fn call(&self, call: &Call) -> Result<Answer, OutboundError> {
        self.send(call).await
    }
}

/// The servers that the token path calls.
pub(super) struct Remote {
    pub(super) caller: Box<dyn Caller>,
    pub(super) clock: Clock,
    pub(super) circuits: Circuits,
    pub(super) telemetry: Arc<Telemetry>,
}

impl Remote {
    /// Asks the app what this user may do. 401 and 403 are its refusal; anything else that
    /// is not JSON is not an answer.
    pub(super) async fn grant(
        &self,
        token: &str,
        (hook, url): (&GrantHook, &str),
        mut headers: Vec<(HeaderName, HeaderValue)>,
        recorded: Option<Recorded>,
    ) -> Result<Value, IssueError> {
        headers.push((header::ACCEPT, HeaderValue::from_static("application/json")));
        let url = Url::parse(url).ok_or(IssueError::Unavailable)?;
        let call = Call {
            method: Method::GET,
            url,
            headers,
            body: Bytes::new(),
            timeout: hook.timeout,
            max_size: MAX_ANSWER,
            long_body: LongBody::Refuse,
        };
        let step = recorded.map(|recorded| (CallPurpose::Grant, recorded));
        let answer = self.send(token, call, step).await.map_err(|_| IssueError::Unavailable)?;
        hook.answered(answer.status, &answer.body).map_err(|error| match error {
            MintError::IssuerFailed(_) => {
                tracing::warn!(token, cause = %error, "no grants");
                IssueError::Unavailable
            }
            error => {
                let reason = error.code();
                tracing::warn!(token, reason, cause = %error, "token not minted");
                IssueError::from(&error)
            }
        })
    }

    /// Makes the issuer's call, unless recent ones have failed too often.
    pub(super) async fn call(
        &self,
        token: &str,
        call: mint::Call,
        recorded: Option<Recorded>,
    ) -> Result<(StatusCode, Bytes), IssueError> {
        let mint::Call { method, url, headers, body, timeout } = call;
        let url = Url::parse(&url).ok_or(IssueError::IssuerFailed)?;
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let long_body = LongBody::Refuse;
        let call = Call { method, url, headers, body, timeout, max_size: MAX_ANSWER, long_body };
        let began = self.clock.now();
        let permit = self.circuits.enter(token, began)?;
        let step = recorded.map(|recorded| (CallPurpose::Exchange, recorded));
        let answer = self.send(token, call, step).await.map_err(|error| match error {
            OutboundError::TimedOut => IssueError::Timeout,
            OutboundError::BadAnswer
            | OutboundError::BadCertificate
            | OutboundError::Refused
            | OutboundError::TooLarge
            | OutboundError::Unresolved => IssueError::IssuerFailed,
        });
        let outcome = judge(&answer, began);
        let result = match &outcome {
            CallOutcome::Answered => CallResult::Answered,
            CallOutcome::Failed(..) => CallResult::Failed,
        };
        let now = self.clock.now();
        let called = TokenEvent::Called { token, result, took: now.since(began) };
        self.telemetry.emit(Event::Token(called));
        permit.ended(outcome, now);
        answer.map(|answer| (answer.status, answer.body))
    }

    /// Makes a call, as a step of a request that is recorded: the server then learns which.
    async fn send(
        &self,
        token: &str,
        mut call: Call,
        step: Option<(CallPurpose, Recorded)>,
    ) -> Result<Answer, OutboundError> {
        let step = step.map(|(purpose, recorded)| (purpose, recorded.step(self.clock.now())));
        if let Some((_, step)) = &step {
            call.headers.retain(|(name, _)| *name != TRACEPARENT);
            call.headers.push((TRACEPARENT, step.traceparent()));
        }
        let answer = match self.caller.call(&call).await {
            Err(OutboundError::Refused) => self.caller.call(&call).await,
            answer => answer,
        };
        if let Some((purpose, step)) = step {
            let (method, host, port) = (call.method.as_str(), call.url.host(), call.url.port());
            let (status, error) = match &answer {
                Ok(answer) => (answer.status.as_u16(), ""),
                Err(error) => (0, word_of(*error)),
            };
            let what = StepKind::Call { purpose, token, method, host, port, status, error };
            let ended = self.clock.now();
            self.telemetry.emit(Event::Step(&StepEnded { step, what, ended }));
        }
        if let Err(error) = &answer {
            tracing::warn!(token, cause = %error, "no answer");
        }
        answer
    }
}

const fn word_of(error: OutboundError) -> &'static str {
    match error {
        OutboundError::BadAnswer => "bad_answer",
        OutboundError::BadCertificate => "bad_certificate",
        OutboundError::Refused => "refused",
        OutboundError::TimedOut => "timeout",
        OutboundError::TooLarge => "too_large",
        OutboundError::Unresolved => "unresolved",
    }
}

/// Whether the issuer is in trouble. An answer without a token does not mean that:
/// the issuer may have refused one user.
fn judge(answer: &Result<Answer, IssueError>, now: Now) -> CallOutcome {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return CallOutcome::Failed(*error, None),
    };
    let error = match answer.status {
        StatusCode::TOO_MANY_REQUESTS => IssueError::Unavailable,
        status if status.is_server_error() => IssueError::IssuerFailed,
        _ => return CallOutcome::Answered,
    };
    CallOutcome::Failed(error, asked_pause(&answer.headers, now))
}

/// The pause an issuer asks for: seconds, or the date of its end (RFC 9110 section 10.2.3).
/// A date is read by the issuer's own clock if the answer has a `Date`, else by ours.
fn asked_pause(headers: &HeaderMap, now: Now) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| Some(value.to_str().ok()?.trim()));
    let date = |text| httpdate::parse_http_date(text).ok();
    let asked = text(header::RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let ours = UNIX_EPOCH + Duration::from_secs(now.unix());
    let theirs = text(header::DATE).and_then(date).unwrap_or(ours);
    Some(date(asked)?.duration_since(theirs).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_asks_for_a_pause_in_seconds_or_until_a_date() {
        // 1_764_331_200 is Fri, 28 Nov 2025 12:00:00 GMT.
        let now = Now::at(1_764_331_200);
        for (asked, date, pause) in [
            (Some("17"), None, Some(17)),
            (Some(" 17 "), None, Some(17)),
            (Some("Fri, 28 Nov 2025 12:00:40 GMT"), None, Some(40)),
            (
                Some("Fri, 28 Nov 2025 15:00:40 GMT"),
                Some("Fri, 28 Nov 2025 15:00:00 GMT"),
                Some(40),
            ),
            (Some("Fri, 28 Nov 2025 11:00:00 GMT"), None, Some(0)),
            (Some("soon"), None, None),
            (Some("-1"), None, None),
            (None, Some("Fri, 28 Nov 2025 12:00:00 GMT"), None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [(header::RETRY_AFTER, asked), (header::DATE, date)] {
                value.map(|value| headers.insert(name, HeaderValue::from_str(value).unwrap()));
            }
            let found = asked_pause(&headers, now);
            assert_eq!(found, pause.map(Duration::from_secs), "{asked:?} {date:?}");
        }
    }
}
