//! A request as it came, with the policy and the time that it is judged by.

use std::net::SocketAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderName, Version, header};
use pingora::http::RequestHeader;
use pingora::prelude::Session;

use super::connection::Connection;
use super::purpose::Purpose;
use super::record::Record;
use crate::base::clock::Now;
use crate::observe::{Event, RequestEvent, StepEnded, StepKind};
use crate::policy::{Policy, TokenRoute};
use crate::request::client::{self, Client, Scheme};
use crate::request::code::Code;
use crate::request::ext_authz::HttpRequest;
use crate::request::forwarded::ForwardedHost;
use crate::request::question::{self, Allowed, Asker};
use crate::request::recorded::{Recorded, Step};
use crate::request::refusal::{Audience, Refusal, Reply};
use crate::request::trace::Trace;
use crate::request::view::{self, Head, RequestView};
use crate::session::HeaderPlace;
use crate::state::State;

/// One policy and one reading of the clock, from the first byte to the last.
pub(super) struct Incoming {
    pub(super) state: Arc<State>,
    pub(super) policy: Arc<Policy>,
    pub(super) now: Now,
    /// The request's id and trace context, known from its first byte.
    pub(super) trace: Trace,
    /// The request's own span, if it is recorded.
    pub(super) recorded: Option<Recorded>,
    pub(super) sender: ClientContext,
    pub(super) purpose: Purpose,
}

/// The sender of an admitted request, and the host it asked for.
pub(super) struct ClientContext {
    pub(super) client: Client,
    pub(super) host: Arc<str>,
    pub(super) audience: Audience,
}

impl Default for ClientContext {
    fn default() -> Self {
        Self {
            client: Client {
                address: None,
                scheme: Scheme::Http,
                hops: Vec::new(),
                via_trusted: false,
            },
            host: Arc::default(),
            audience: Audience::Script,
        }
    }
}

/// Another server could find another end of the request.
pub(super) const MALFORMED_BODY: Refusal =
    Refusal::BadRequest("the chunked body is malformed; a chunk is SIZE CRLF DATA CRLF");

impl Incoming {
    pub(super) fn new(state: &Arc<State>) -> Self {
        Self {
            state: state.clone(),
            policy: state.policy(),
            now: state.clock.now(),
            trace: Trace::new(),
            recorded: None,
            sender: ClientContext::default(),
            purpose: Purpose::Request,
        }
    }

    /// Refuses what is ambiguous and normalises the rest.
    pub(super) fn admit(&mut self, session: &mut Session) -> Result<(), Refusal> {
        let raw = (!session.is_http2()).then(|| session.to_h1_raw());
        check_line(session)?;
        let head = session.req_header();
        let normalised = view::admit(&Head {
            parts: head,
            target: head.raw_path(),
            raw: raw.as_deref(),
            limits: self.policy.limits,
        })?;
        // The only coding that has been admitted.
        if normalised.is_chunked
            && let (Some(raw), Some(connection)) = (&raw, Connection::of(session.digest()))
            && !connection.body_is_chunked(raw.len())
        {
            return Err(MALFORMED_BODY);
        }
        let request = session.req_header_mut();
        let failed = |_| Refusal::BadRequest("the request cannot be forwarded as it is");
        if let Some(cookie) = normalised.cookie {
            request.insert_header(header::COOKIE, cookie).map_err(failed)?;
        }
        if let Some(host) = normalised.host {
            request.insert_header(header::HOST, host).map_err(failed)?;
        }
        if let Some(target) = normalised.target {
            request.set_raw_path(&target).map_err(failed)?;
        }
        // Not an expectation in HTTP/1.0 (RFC 9110 section 10.1.1).
        if request.version == Version::HTTP_10 {
            request.remove_header(&header::EXPECT);
        }
        let is_tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
        let scheme = if is_tls { Scheme::Https } else { Scheme::Http };
        let peer = session.client_addr().and_then(|address| address.as_inet()).copied();
        let head = session.req_header();
        let (client, forwarded) = Client::told(peer, scheme, &head.headers, &self.policy.trusted);
        self.trace.adopt(&head.headers, client.via_trusted);
        self.recorded = self.state.telemetry.traces().begin(&mut self.trace, self.now);
        let forwarded =
            if self.policy.hosts.believe_proxies() { forwarded } else { forwarded.without_host() };
        let host = host_of(head, forwarded);
        self.sender = ClientContext { client, host, audience: Audience::Script };
        // Without an app there are no pages.
        if self.policy.forwards() {
            self.sender.audience = self.view(head).audience();
        }
        if !self.policy.hosts.admit(&self.sender.host) {
            return Err(Refusal::Misdirected);
        }
        Ok(())
    }

    /// As `admit`, for a request that the proxy in front asks about: what it says is believed
    /// of that proxy only.
    pub(super) fn admit_question(
        &mut self,
        session: &Session,
    ) -> Result<(RequestHeader, Allowed), Refusal> {
        self.admit_front(session)?;
        let (policy, question) = (&self.policy, session.req_header());
        let target = std::str::from_utf8(question.raw_path()).unwrap_or_default();
        let asker = Asker::at(target).ok_or(Refusal::NotFound)?;
        if asker.is_the_request() {
            check_line(session)?;
            if !session.is_http2() {
                view::check_raw(&session.to_h1_raw())?;
            }
        }
        let believed = self.believed(session);
        let asked = question::read(asker, question, &policy.managed, &believed, policy.limits)?;
        Ok((self.admit_asked(session, asked)?, asker.allowed()))
    }

    /// The same from a question over gRPC, and which of the client's headers must go.
    pub(super) fn admit_check(
        &mut self,
        session: &Session,
        http: &HttpRequest,
    ) -> Result<(RequestHeader, Vec<HeaderName>), Refusal> {
        let (policy, believed) = (&self.policy, self.believed(session));
        let (asked, foreign) =
            question::read_check(http, &policy.managed, &believed, policy.limits)?;
        Ok((self.admit_asked(session, asked)?, foreign))
    }

    /// Whether the caller may ask.
    pub(super) fn admit_front(&self, session: &Session) -> Result<(), Refusal> {
        let peer = client::address_of(peer_of(session));
        let front = self.policy.front.as_ref();
        let may_ask = front.is_some_and(|front| front.trusted.trusts_peer(peer));
        if may_ask { Ok(()) } else { Err(Refusal::Untrusted) }
    }

    /// The headers in which gates name the user, if they came by a proxy that counts.
    fn believed(&self, session: &Session) -> Vec<&HeaderName> {
        let peer = client::address_of(peer_of(session));
        let is_trusted = self.policy.trusted.trusts_peer(peer);
        let sources = self.policy.sources.iter().filter(|_| is_trusted);
        sources.filter_map(|source| source.header()).flat_map(HeaderPlace::names).collect()
    }

    fn admit_asked(&mut self, session: &Session, asked: Parts) -> Result<RequestHeader, Refusal> {
        let policy = self.policy.clone();
        let client = Client::asked_about(peer_of(session), &asked.headers, &policy.trusted);
        self.trace.adopt(&asked.headers, client.via_trusted);
        self.recorded = self.state.telemetry.traces().begin(&mut self.trace, self.now);
        let asked = RequestHeader::from(asked);
        let host = host_of(&asked, ForwardedHost::default());
        // The proxy shows the answer unchanged, or in its own words.
        self.sender = ClientContext { client, host, audience: Audience::Script };
        if !policy.hosts.admit(&self.sender.host) {
            return Err(Refusal::Misdirected);
        }
        Ok(asked)
    }

    pub(super) fn view<'a>(&'a self, head: &'a RequestHeader) -> RequestView<'a> {
        RequestView {
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query(),
            headers: &head.headers,
            host: &self.sender.host,
            client: &self.sender.client,
        }
    }

    /// Begins a step, if the request is recorded.
    pub(super) fn begin_step(&self) -> Option<Step> {
        self.recorded.map(|recorded| recorded.step(self.state.clock.now()))
    }

    /// Tells of a step that has ended.
    pub(super) fn end_step(&self, step: Option<Step>, what: StepKind<'_>) {
        let Some(step) = step else { return };
        let ended = self.state.clock.now();
        self.state.telemetry.emit(Event::Step(&StepEnded { step, what, ended }));
    }

    /// Records a refusal and makes its reply, with the status that the token's
    /// settings choose.
    pub(super) fn refuse(
        &self,
        record: &mut Record,
        refusal: &Refusal,
        token: Option<&TokenRoute>,
    ) -> Reply {
        let code = refusal.code();
        self.state.telemetry.emit(Event::Request(RequestEvent::Refused { code }));
        record.refuse(code);
        let audience = token.map_or(self.sender.audience, |_| Audience::Script);
        let chosen = token.and_then(|token| token.minter.statuses().of(code));
        let mut reply = refusal.reply_as(chosen.unwrap_or_else(|| refusal.status()), audience);
        if let Code::NotSignedIn | Code::SessionExpired = code {
            reply.challenge(&self.policy.challenge);
        }
        reply
    }
}

/// The framework is given a line that it can read, whatever came.
fn check_line(session: &Session) -> Result<(), Refusal> {
    let is_odd = Connection::of(session.digest()).is_some_and(Connection::has_odd_line);
    if is_odd { Err(view::NO_REQUEST_LINE) } else { Ok(()) }
}

/// The other end of the connection; a Unix socket has no address.
fn peer_of(session: &Session) -> Option<SocketAddr> {
    session.client_addr().and_then(|address| address.as_inet()).copied()
}

/// The host the client asked for, as the outermost trusted proxy saw it.
fn host_of<'h>(request: &'h RequestHeader, forwarded: ForwardedHost<'h>) -> Arc<str> {
    let own = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let own = own.or_else(|| request.uri.authority().map(http::uri::Authority::as_str));
    forwarded.or(own.unwrap_or_default()).as_ref().into()
}
