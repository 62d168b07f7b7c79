//! A request on its way to the app.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use pingora::ErrorType;
use pingora::http::ResponseHeader;
use pingora::prelude::{Error, HttpPeer, Result};
use tokio::time::Instant;

use super::app_deadline::AppDeadline;
use super::app_wait::{AppWait, Closed, Patience, Upload};
use super::attempt::Attempts;
use super::incoming::Incoming;
use super::nonce::draw_nonce;
use super::open_stream::OpenStream;
use super::pace::{Pace, TooSlow};
use super::peer;
use super::shadow::Shadow;
use super::transport_errors::is_unhandled;
use super::who::Who;
use crate::mint::Token;
use crate::observe::{Event, UpstreamEvent};
use crate::policy::{HeaderTemplate, HtmlPlaceholder, Intent, RouteSet};
use crate::request::headers;
use crate::request::html_placeholder::Replacer;
use crate::request::min_rate::MinRate;
use crate::session::Identity;
use crate::upstream::{InUse, Unreachable, Upstream};

/// Kept connections that a request tries before it gets a new one. After a pause of all
/// clients every kept one may be closed.
const MOST_STALE: usize = 3;

pub(super) struct Forwarding {
    pub(super) routes: RouteSet,
    pub(super) upstream: Option<Arc<Upstream>>,
    /// The request's place at one of the upstream's endpoints.
    pub(super) place: Option<InUse>,
    pub(super) unreachable: Option<Unreachable>,
    pub(super) attempts: usize,
    /// Kept connections that this request went out on and failed on.
    pub(super) stale: usize,
    pub(super) recorded_attempts: Attempts,
    pub(super) wait: AppWait,
    /// How fast the client sends, and when its last piece came.
    upload: (Pace, Option<Instant>),
    /// Tokens for the route's headers and the page's placeholders, by name.
    pub(super) page_tokens: Vec<(String, Arc<Token>)>,
    /// The user's assertion, if it was signed aside.
    pub(super) assertion: Option<Box<(HeaderName, HeaderValue)>>,
    /// The value of `{nonce}` in the texts of its page; empty if none uses it.
    pub(super) nonce: String,
    /// The page being answered, if its placeholders are replaced.
    pub(super) page: Option<Box<Replacer>>,
    /// Set for a tunnel or an answer that stays open.
    pub(super) open_stream: Option<OpenStream>,
    /// Set for a token that the app answers as before.
    pub(super) shadow: Option<Box<Shadow>>,
}

impl Forwarding {
    pub(super) fn new(routes: RouteSet) -> Self {
        let draws = routes.placeholders().any(HtmlPlaceholder::has_nonce);
        Self {
            nonce: if draws { draw_nonce() } else { String::new() },
            routes,
            upstream: None,
            place: None,
            unreachable: None,
            attempts: 0,
            stale: 0,
            recorded_attempts: Attempts::default(),
            wait: AppWait::default(),
            upload: Default::default(),
            page_tokens: Vec::new(),
            assertion: None,
            page: None,
            open_stream: None,
            shadow: None,
        }
    }

    /// Whether the session behind an open stream is over.
    pub(super) fn is_over(&self) -> bool {
        self.open_stream.as_ref().is_some_and(OpenStream::is_over)
    }

    /// The peer of the next attempt, at a server that has a place for the request.
    pub(super) fn next_peer(&mut self, incoming: &Incoming, upload: Upload) -> Result<HttpPeer> {
        let upstream = self.upstream.as_ref();
        let upstream = upstream.ok_or_else(|| Error::new(ErrorType::ConnectNoRoute))?;
        // The place of an earlier attempt is given back first.
        self.place = None;
        self.unreachable = None;
        let state = &incoming.state;
        let place = state.pools.of(upstream).acquire(state.clock.now()).map_err(|why| {
            self.unreachable = Some(why);
            Error::new_up(ErrorType::ConnectNoRoute)
        })?;
        let client = incoming.policy.limits.body_timeout;
        let patience = Patience { app: upstream.timeouts.read, client };
        let purpose = incoming.purpose;
        let read_timeout = patience.read_timeout(purpose, upload);
        let mut peer = peer::build(upstream, &place.endpoint.target, purpose, read_timeout)?;
        if self.stale >= MOST_STALE {
            peer::dial_anew(&mut peer);
        }
        self.wait = AppWait::new(patience, purpose, upload);
        self.place = Some(place);
        Ok(peer)
    }

    /// The request goes out to the server it has a place at.
    pub(super) fn begin_attempt(&mut self, incoming: &Incoming, method: &Method) {
        if let (Some(upstream), Some(place)) = (&self.upstream, &self.place) {
            let server = (upstream, &place.endpoint.server);
            self.recorded_attempts.begin(incoming, method, server);
        }
    }

    /// The request goes out over the connection with this deadline, if it is still open. If
    /// not, nothing has been sent, so any request may go out again.
    pub(super) fn expect_head(&mut self, deadline: Option<Arc<AppDeadline>>) -> Result<()> {
        self.wait.expect_head(deadline).map_err(|Closed| {
            let mut error = Error::new_up(ErrorType::ConnectionClosed);
            error.set_retry(true);
            error
        })
    }

    /// An attempt over a connection has failed; whether the server may be at fault.
    pub(super) fn attempt_failed(&mut self, error: &Error, reused: bool) -> bool {
        self.recorded_attempts.failed(error);
        self.stale += usize::from(reused);
        !reused && !is_unhandled(error) && !self.wait.has_answer() && !self.wait.is_late()
    }

    /// Reduces a preflight to what needs no session and carries none.
    pub(super) fn strip_preflight(&self, headers: &mut HeaderMap) {
        if self.routes.intent == Intent::Preflight {
            headers::remove_credentials(headers);
        }
    }

    /// Cuts an answer to its head, where only the head may be seen.
    pub(super) fn hide_body(&self, response: &mut ResponseHeader) -> Result<()> {
        if !self.routes.hides_body() || response.status == StatusCode::NO_CONTENT {
            return Ok(());
        }
        for name in [header::CONTENT_ENCODING, header::CONTENT_TYPE, header::TRANSFER_ENCODING] {
            response.remove_header(&name);
        }
        response.insert_header(header::CONTENT_LENGTH, HeaderValue::from_static("0"))
    }

    /// A piece of the request's body has come.
    pub(super) fn piece_came(
        &mut self,
        octets: usize,
        least: MinRate,
    ) -> std::result::Result<(), TooSlow> {
        let (pace, last) = &mut self.upload;
        let now = Instant::now();
        let waited = last.replace(now).map_or(Duration::ZERO, |last| now - last);
        pace.moved(octets, waited, least)
    }

    /// Keeps a piece of the request's body for the comparison, where there is one.
    pub(super) fn shadow_request(&mut self, piece: Option<&Bytes>, most: usize) {
        if let (Some(shadow), Some(piece)) = (&mut self.shadow, piece) {
            shadow.request_piece(piece, most);
        }
    }

    /// Keeps the head of the app's answer.
    pub(super) fn shadow_head(&mut self, response: &ResponseHeader, incoming: &Incoming) {
        if let Some(shadow) = &mut self.shadow {
            shadow.answer_begins(response, incoming);
        }
    }

    /// Keeps a piece of the answer's body.
    pub(super) fn shadow_answer(&mut self, piece: Option<&Bytes>) {
        if let (Some(shadow), Some(piece)) = (&mut self.shadow, piece) {
            shadow.answer_piece(piece);
        }
    }

    /// The server did not take the request, or hung up on it.
    pub(super) fn server_failed(&self, incoming: &Incoming) {
        let (Some(upstream), Some(place)) = (&self.upstream, &self.place) else { return };
        let (state, name) = (&incoming.state, upstream.name.as_str());
        state.telemetry.emit(Event::Upstream(UpstreamEvent::Failed { upstream: name }));
        if let Some(time) = place.failed(state.clock.now()) {
            state.telemetry.emit(Event::Upstream(UpstreamEvent::Ejected { upstream: name }));
            let (server, seconds) = (place.endpoint.server.to_string(), time.as_secs());
            tracing::warn!(upstream = name, server, seconds, "the server is ejected");
        }
    }

    /// The request has ended.
    pub(super) fn ended(&mut self, incoming: &Incoming, method: &Method) {
        self.recorded_attempts.end(incoming, method);
        if let Some(upstream) = &self.upstream {
            self.wait.request_has_ended(upstream.timeouts.idle);
        }
    }

    /// Assertion, identity and route headers that have a value for this request.
    pub(super) fn verified_headers<'a>(
        &'a self,
        incoming: &'a Incoming,
        who: &'a Who,
    ) -> impl Iterator<Item = (HeaderName, HeaderValue)> + 'a {
        let identity = who.identity.as_deref();
        let settings = &incoming.policy.identity;
        let assertion = settings.assertion.as_ref().zip(identity);
        let assertion = assertion.and_then(|(assertion, identity)| match &self.assertion {
            Some(signed) => Some((**signed).clone()),
            None => incoming.state.assertions.header_for(assertion, identity, incoming.now),
        });
        let headers = settings.headers.iter();
        let headers = headers.filter_map(move |header| self.rendered(header, identity));
        headers.chain(self.route_headers(who)).chain(assertion)
    }

    /// The routes' headers that have a value for this request.
    pub(super) fn route_headers<'a>(
        &'a self,
        who: &'a Who,
    ) -> impl Iterator<Item = (HeaderName, HeaderValue)> + 'a {
        let headers = self.routes.setting_headers().flat_map(|route| &route.set_headers);
        headers.filter_map(|header| self.rendered(header, who.identity.as_deref()))
    }

    fn rendered(
        &self,
        header: &HeaderTemplate,
        identity: Option<&Identity>,
    ) -> Option<(HeaderName, HeaderValue)> {
        let token = |name: &str| {
            let (_, token) = self.page_tokens.iter().find(|(token, _)| token == name)?;
            HeaderValue::from_bytes(token.value()).ok()
        };
        Some((header.name.clone(), header.value.render(identity, &token)?))
    }
}
