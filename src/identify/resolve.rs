//! Asks other servers where the cookie alone does not identify the user: the session
//! store, the app, or the publisher of the keys.
//!
//! The formats say what to ask and judge the answer (`session`); here the question is
//! sent to the right server. Nothing here remembers answers: `cache` does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use tokio::runtime::Handle;

use crate::base::aside::Aside;
use crate::base::clock::{Clock, Now};
use crate::identify::jwks::RemoteKeySets;
use crate::identify::store::StoreConnections;
use crate::outbound::{Call, Outbound, Url};
use crate::session::{
    Check, Cookies, HeaderPlace, Identity, Query, Question, Reason, Refused, Rejected, Row,
    SessionReader, StoreAnswer, StoreRank, Unanswered,
};

/// Most questions per session: there may be a second place, a fallback, and a second table.
const MAX_QUESTIONS: usize = 4;
/// Limits of the app's own session check.
const APP_TIMEOUT: Duration = Duration::from_secs(2);
const APP_MAX_SIZE: usize = 256 * 1024;
/// Largest published key.
const KEY_MAX_SIZE: usize = 16 * 1024;
/// The longest `Retry-After` that is passed on.
const MAX_RETRY_AFTER: u64 = 300;

/// The servers that a session check may need.
pub struct Servers {
    pub outbound: Outbound,
    pub stores: StoreConnections,
    pub keys: Arc<RemoteKeySets>,
    /// Where sessions are opened that take long.
    pub(super) opening: Aside,
    pub(super) clock: Clock,
    /// Unanswered questions, for the metrics.
    failures: AtomicU64,
}

/// The questions that a session needed, for an operator.
#[derive(Debug, Default)]
pub struct Asked {
    /// The store that was asked last.
    pub store: Option<StoreRank>,
    /// The session's row, and the store it is in.
    pub row: Option<(StoreRank, Row)>,
}

impl Asked {
    fn note(&mut self, question: &Question, answer: Option<&StoreAnswer>) {
        self.store = Some(question.rank());
        if let Some(StoreAnswer::Row(row)) = answer.filter(|_| question.is_first()) {
            self.row = Some((question.rank(), row.clone()));
        }
    }
}

impl Servers {
    /// Connections will live in `runtime`.
    pub fn new(runtime: &Handle, clock: Clock) -> Self {
        let outbound = Outbound::new(runtime.clone());
        let keys = RemoteKeySets::new(outbound.clone(), runtime.clone(), clock.clone());
        Self {
            outbound,
            stores: StoreConnections::new(runtime.clone()),
            keys: Arc::new(keys),
            opening: Aside::new("opening"),
            clock,
            failures: AtomicU64::new(0),
        }
    }

    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// The user the cookies name, with all questions that this needs.
    pub async fn check(
        &self,
        source: &SessionReader,
        cookies: Cookies<'_>,
        now: Now,
    ) -> Result<Identity, Refused> {
        match self.look(source, cookies, now).await? {
            Check::Known(identity) => Ok(identity),
            Check::Ask(question) => self.follow(source, question, cookies, now).await,
        }
    }

    /// Reads the cookies without asking the app or a store. Waits only for keys that are being fetched.
    pub async fn look(
        &self,
        source: &SessionReader,
        cookies: Cookies<'_>,
        now: Now,
    ) -> Result<Check, Refused> {
        let looked = match self.open(source, cookies, now).await? {
            Err(rejected) if self.has_newer_keys(source, &rejected).await => {
                self.open(source, cookies, now).await?
            }
            looked => looked,
        };
        looked.map_err(Refused::from)
    }

    /// Opens the session: here, or aside if that takes long.
    async fn open(
        &self,
        source: &SessionReader,
        cookies: Cookies<'_>,
        now: Now,
    ) -> Result<Result<Check, Rejected>, Refused> {
        if !source.opens_slowly() || !source.was_sent(cookies) {
            return Ok(source.look(cookies, now.unix()));
        }
        let names = source.header().into_iter().flat_map(HeaderPlace::names);
        let (reader, sent) = (source.clone(), cookies.to_owned(names));
        let open = move || reader.look(sent.as_sent(), now.unix());
        // Boxed: a rare step must not make every request's future larger.
        let opened = Box::pin(self.opening.run(open)).await;
        opened.map_err(|error| unanswered(error.to_string()))
    }

    /// Asks the question, and those that follow from its answer.
    pub async fn follow(
        &self,
        source: &SessionReader,
        question: Question,
        cookies: Cookies<'_>,
        now: Now,
    ) -> Result<Identity, Refused> {
        self.follow_noting(source, question, (cookies, now), None).await
    }

    /// As `check`, with the store that was asked last, and the session's row.
    pub async fn check_noting(
        &self,
        source: &SessionReader,
        cookies: Cookies<'_>,
        now: Now,
    ) -> (Result<Identity, Refused>, Asked) {
        let mut asked = Asked::default();
        let checked = match self.look(source, cookies, now).await {
            Ok(Check::Known(identity)) => Ok(identity),
            Ok(Check::Ask(question)) => {
                self.follow_noting(source, question, (cookies, now), Some(&mut asked)).await
            }
            Err(refused) => Err(refused),
        };
        (checked, asked)
    }

    async fn follow_noting(
        &self,
        source: &SessionReader,
        mut question: Question,
        (cookies, now): (Cookies<'_>, Now),
        mut asked: Option<&mut Asked>,
    ) -> Result<Identity, Refused> {
        for _ in 0..MAX_QUESTIONS {
            let answer = self.ask(source, &question, cookies).await.inspect_err(|_| {
                self.failures.fetch_add(1, Ordering::Relaxed);
            })?;
            if let Some(asked) = &mut asked {
                asked.note(&question, answer.as_ref());
            }
            question = match source.answered(&question, answer, now.unix())? {
                Check::Known(identity) => return Ok(identity),
                Check::Ask(question) => question,
            };
        }
        Err(unanswered("the session check needed more than 4 lookups"))
    }

    /// Whether keys were fetched because of this rejection.
    async fn has_newer_keys(&self, source: &SessionReader, rejected: &Rejected) -> bool {
        let Some(keys) = source.remote_keys() else { return false };
        match rejected.reason {
            Reason::UnknownKid => self.keys.refresh(keys.url()).await,
            Reason::Unavailable if !keys.is_supplied() => self.keys.refresh(keys.url()).await,
            _ => false,
        }
    }

    async fn ask(
        &self,
        source: &SessionReader,
        question: &Question,
        cookies: Cookies<'_>,
    ) -> Result<Option<StoreAnswer>, Refused> {
        if let Query::App { url } = &question.query {
            return self.ask_app(url, &source.asked_cookies(cookies)).await;
        }
        if let Query::Key { url } = &question.query {
            return self.ask_key(url).await;
        }
        let Some(store) = source.store_of(question) else {
            return Err(unanswered("this source has no store to ask"));
        };
        self.stores.ask(store, &question.query).await.map_err(|error| {
            tracing::warn!(kind = source.kind(), %error, "session store not read");
            let fallback = source.stores().nth(1).is_some();
            let place = fallback.then(|| format!("{}: ", question.rank().table()));
            unanswered(format!("{}{error}", place.unwrap_or_default()))
        })
    }

    /// A published key. Its publisher refuses a key that does not exist.
    async fn ask_key(&self, url: &str) -> Result<Option<StoreAnswer>, Refused> {
        let url =
            Url::parse(url).ok_or_else(|| unanswered("the key's address is not a usable URL"))?;
        let mut call = Call::get(url);
        call.timeout = APP_TIMEOUT;
        call.max_size = KEY_MAX_SIZE;
        let answer = self.outbound.send(&call).await.map_err(|error| {
            tracing::warn!(%error, "a published key was not fetched");
            unanswered(format!("the published key: {error}"))
        })?;
        match answer.status {
            StatusCode::OK => Ok(Some(StoreAnswer::Key { document: answer.body.to_vec() })),
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                let detail = "the token names a key (`kid`) that is not published";
                Err(Rejected::new(Reason::UnknownKid, detail).into())
            }
            status => {
                tracing::warn!(status = status.as_u16(), "a published key was not fetched");
                Err(unanswered(format!("the published key: status {}", status.as_u16())))
            }
        }
    }

    /// The app's own verdict: always a GET without a body, with the session's
    /// cookies and no others, and never a redirect followed.
    async fn ask_app(&self, url: &str, cookies: &[u8]) -> Result<Option<StoreAnswer>, Refused> {
        let url = Url::parse(url).ok_or_else(|| unanswered("`url` is not a usable URL"))?;
        let mut call = Call::get(url);
        call.timeout = APP_TIMEOUT;
        call.max_size = APP_MAX_SIZE;
        let mut cookie = HeaderValue::from_bytes(cookies)
            .map_err(|_| Rejected::new(Reason::Malformed, "the cookie cannot be sent on"))?;
        cookie.set_sensitive(true);
        call.headers.push((header::COOKIE, cookie));
        let answer = self.outbound.send(&call).await.map_err(|error| {
            tracing::warn!(%error, "the app's session check was not answered");
            unanswered(format!("the app's session check: {error}"))
        })?;
        match answer.status {
            StatusCode::OK => Ok(Some(StoreAnswer::App { body: answer.body.to_vec() })),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(None),
            status => {
                tracing::warn!(status = status.as_u16(), "unexpected answer to a session check");
                let retry_after = (status == StatusCode::TOO_MANY_REQUESTS)
                    .then(|| retry_after(answer.headers.get(header::RETRY_AFTER)));
                let status = status.as_u16();
                let detail = format!("the app's session check answered with status {status}");
                Err(Refused::Unanswered(Unanswered { detail, retry_after }))
            }
        }
    }
}

/// Whole seconds only: a date would need synchronised clocks.
fn retry_after(value: Option<&HeaderValue>) -> Duration {
    let seconds = value.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(1);
    Duration::from_secs(seconds.clamp(1, MAX_RETRY_AFTER))
}

fn unanswered(detail: impl Into<String>) -> Refused {
    Refused::Unanswered(Unanswered { detail: detail.into(), retry_after: None })
}
