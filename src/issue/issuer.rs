//! The owner of everything that outlives a request for a token: the users'
//! allowances, cached tokens, and how remote issuers are doing.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value};

use super::cache::Tokens;
use super::circuit_breaker::{Circuits, first_call};
use super::error::IssueError;
use super::first_answers::FirstAnswers;
use super::remote::{Caller, Remote};
use super::request::{Freshness, TokenQuestion, TokenRequest};
use super::shared_tokens::{Found, SharedTokens};
use crate::base::aside::Aside;
use crate::base::clock::{Clock, Now};
use crate::base::digest::Digest;
use crate::limit::{Limits, SharedLimits, UsedAllowance};
use crate::mint::{CachePolicy, MintError, Minting, Subject, Token};
use crate::observe::{AuditEntry, CachedOrMinted, CircuitState, Event, Telemetry, TokenEvent};
use crate::policy::TokenRoute;
use crate::request::recorded::Recorded;
use crate::request::refusal::Refusal;
use crate::session::Identity;

/// Admits requests and issues tokens.
pub struct Issuer {
    pub(super) limits: Limits,
    /// Where replicas count together.
    pub(super) shared: ArcSwapOption<SharedLimits>,
    shared_tokens: ArcSwapOption<SharedTokens>,
    tokens: Tokens,
    pub(super) first_answers: FirstAnswers,
    pub(super) remote: Remote,
    pub(super) telemetry: Arc<Telemetry>,
    /// Where RSA signs.
    pub(crate) signing: Aside,
}

/// A token for one answer.
pub struct Issued {
    pub token: Arc<Token>,
    pub origin: CachedOrMinted,
}

impl Issuer {
    /// `caller` carries the calls to the app and to remote issuers.
    pub fn new(caller: Box<dyn Caller>, clock: Clock, telemetry: Arc<Telemetry>) -> Self {
        Self {
            limits: Limits::default(),
            shared: ArcSwapOption::empty(),
            shared_tokens: ArcSwapOption::empty(),
            tokens: Tokens::default(),
            first_answers: FirstAnswers::default(),
            remote: Remote {
                caller,
                clock,
                circuits: Circuits::default(),
                telemetry: telemetry.clone(),
            },
            telemetry,
            signing: Aside::new("signing"),
        }
    }

    /// Counts over all replicas from now on, or in this process alone.
    pub(crate) fn share_limits(&self, shared: Option<SharedLimits>) {
        self.shared.store(shared.map(Arc::new));
    }

    /// Keeps tokens where all replicas find them from now on, or in this process alone.
    pub(crate) fn share_tokens(&self, shared: Option<SharedTokens>) {
        self.shared_tokens.store(shared.map(Arc::new));
    }

    /// The users' allowances, for the process that takes over.
    pub(crate) fn used(&self, now: Now) -> Vec<UsedAllowance> {
        self.limits.used(now)
    }

    /// Adds what another process has handed out.
    pub(crate) fn merge(&self, used: &UsedAllowance, now: Now) {
        self.limits.merge(used, now);
    }

    /// All of a token request, in its order: inputs, a look at the limit, the app's grants,
    /// one from the limit, then the cache or a mint. `admit` takes from the limit; its result
    /// is passed on.
    pub(crate) async fn issue<T>(
        &self,
        route: &TokenRoute,
        (query, body): (TokenQuestion, &[u8]),
        identity: &Identity,
        admit: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<(Issued, T), Refusal> {
        let request = self.read(route, query, identity, body).await?;
        let admitted = admit.await?;
        Ok((self.token(route, &request).await?, admitted))
    }

    /// Reads the declared inputs and asks the app for grants, in this order. The app is
    /// only asked while the allowance has something left: a user over the limit must not
    /// cost the app a request.
    async fn read<'a>(
        &self,
        route: &TokenRoute,
        query: TokenQuestion,
        identity: &'a Identity,
        body: &[u8],
    ) -> Result<TokenRequest<'a>, Refusal> {
        let TokenQuestion { query, forwarded, freshness, now, recorded } = query;
        let inputs = inputs(route, query.as_deref(), body, identity)?;
        let grant = match route.minter.grant() {
            Some(_) => {
                if let Some(limit) = &route.limit {
                    self.look(&route.label, limit, identity.mark(), now)?;
                }
                let asked = (identity, &inputs, recorded);
                Box::pin(self.grant(route, forwarded, asked)).await?
            }
            None => Value::Null,
        };
        Ok(TokenRequest { identity, inputs, grant, freshness, now, recorded })
    }

    /// The app's answer to the grant hook; `Null` without one.
    pub(super) async fn grant(
        &self,
        route: &TokenRoute,
        forwarded: Vec<(HeaderName, HeaderValue)>,
        (identity, inputs, recorded): (&Identity, &Map<String, Value>, Option<Recorded>),
    ) -> Result<Value, IssueError> {
        let Some(hook) = route.minter.grant() else { return Ok(Value::Null) };
        let subject = Subject { identity, inputs, grant: &Value::Null };
        let url = hook.url(&subject).map_err(|error| logged(&error, route))?;
        self.remote.grant(&route.name, (hook, &url), forwarded, recorded).await
    }

    /// The token itself: from the cache if it may be, else minted.
    pub async fn token(
        &self,
        route: &TokenRoute,
        request: &TokenRequest<'_>,
    ) -> Result<Issued, IssueError> {
        let subject = request.subject();
        let key = match route.minter.cache() {
            CachePolicy::Never => None,
            CachePolicy::Global | CachePolicy::User => Some(route.minter.cache_key(&subject)),
        };
        let cached = match (&key, request.freshness) {
            (Some(key), Freshness::Any) => self.tokens.find(key, request.identity, request.now),
            (None, _) | (_, Freshness::New) => None,
        };
        let issued = match cached {
            Some(token) => Issued { token, origin: CachedOrMinted::Cached },
            // Boxed, because every request would pay for its size.
            None => Box::pin(self.mint_and_cache(route, &subject, key, request)).await?,
        };
        let event = TokenEvent::Issued { token: &route.name, origin: issued.origin };
        self.telemetry.emit(Event::Token(event));
        Ok(issued)
    }

    /// A token that is not cached yet, and is kept under `key`.
    pub(super) async fn mint_and_cache(
        &self,
        route: &TokenRoute,
        subject: &Subject<'_>,
        key: Option<Digest>,
        request: &TokenRequest<'_>,
    ) -> Result<Issued, IssueError> {
        let (identity, now) = (request.identity, request.now);
        let mint = self.mint(route, subject, request);
        let shared = self.shared_tokens.load_full().filter(|_| route.minter.is_costly());
        match (key, request.freshness) {
            (Some(key), Freshness::Any) => {
                let mut from_elsewhere = false;
                let make = async {
                    let Some(shared) = &shared else { return mint.await };
                    // Boxed, because there are several places in it that mint.
                    let mint = Box::pin(mint);
                    Ok(match Box::pin(shared.get(&key, identity, now, mint)).await? {
                        Found::Elsewhere(token) => {
                            from_elsewhere = true;
                            token
                        }
                        Found::Minted(token) => token,
                    })
                };
                let (token, origin) = self.tokens.get(key, identity, now, make).await?;
                let origin = if from_elsewhere { CachedOrMinted::Cached } else { origin };
                Ok(Issued { token, origin })
            }
            (key, _) => {
                let minted = mint.await;
                if let (Some(key), Some(shared)) = (&key, &shared) {
                    shared.put(key, &minted, now).await;
                }
                let token = Arc::new(minted?);
                if let Some(key) = key {
                    self.tokens.put(key, token.clone(), request.now).await;
                }
                Ok(Issued { token, origin: CachedOrMinted::Minted })
            }
        }
    }

    pub(super) async fn mint(
        &self,
        route: &TokenRoute,
        subject: &Subject<'_>,
        request: &TokenRequest<'_>,
    ) -> Result<Token, IssueError> {
        self.telemetry.emit(Event::Token(TokenEvent::Minted { token: &route.name }));
        let (now, recorded) = (request.now, request.recorded);
        match self.mint_here(route, subject, request).await {
            Ok(Minting::Ready(token)) => Ok(token),
            Ok(Minting::Call(call)) => {
                let answer = self.remote.call(&route.name, call, recorded).await?;
                answered(route, subject, now, answer)
            }
            Ok(Minting::First(call)) => self.mint_in_two(route, subject, request, call).await,
            Err(error) => Err(logged(&error, route)),
        }
    }

    /// Writes down that a token is about to be handed out. Where that is required
    /// and fails, there is no token.
    pub async fn audit_issued(
        &self,
        route: &TokenRoute,
        entry: &AuditEntry<'_>,
    ) -> Result<(), IssueError> {
        let written = self.telemetry.audit_issued(entry, route.audit).await;
        written.map_err(|_| IssueError::Unavailable)
    }

    /// Forgets which issuers have failed: the settings have changed, perhaps for
    /// that.
    pub fn forget_failures(&self) {
        self.remote.circuits.forget();
    }

    /// Whether the issuer of this token is called.
    pub fn circuit(&self, token: &str) -> CircuitState {
        self.remote.circuits.state(token)
    }

    /// The rest of the pause that this token's issuer asked for when it was busy.
    pub fn pause(&self, token: &str) -> Option<Duration> {
        let now = self.remote.clock.now();
        let of = |name: &str| self.remote.circuits.busy(name, now);
        of(token).or_else(|| of(&first_call(token)))
    }

    /// Users and addresses whose requests are being counted.
    pub fn buckets(&self) -> usize {
        self.limits.buckets()
    }

    pub fn cached_tokens(&self) -> u64 {
        self.tokens.count()
    }
}

/// The declared inputs, checked.
pub(super) fn inputs(
    route: &TokenRoute,
    query: Option<&str>,
    body: &[u8],
    identity: &Identity,
) -> Result<Map<String, Value>, IssueError> {
    let inputs = route.minter.inputs().collect(query, body, identity);
    inputs.map_err(|error| logged(&error, route))
}

/// The token in an issuer's answer.
pub(super) fn answered(
    route: &TokenRoute,
    subject: &Subject<'_>,
    now: Now,
    (status, body): (StatusCode, Bytes),
) -> Result<Token, IssueError> {
    let token = route.minter.answered(subject, now, status, body);
    token.map_err(|error| logged(&error, route))
}

/// The public half of a minting error; the cause goes to the log.
pub(super) fn logged(error: &MintError, route: &TokenRoute) -> IssueError {
    tracing::warn!(token = route.name, reason = error.code(), cause = %error, "token not minted");
    error.into()
}
