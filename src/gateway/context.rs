//! What one request carries from its first byte to its log line.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};

use super::app_deadline::AppDeadline;
use super::peer::{Purpose, WRITE_TIMEOUT};
use crate::base::clock::Now;
use crate::config::UserField;
use crate::decide::Plan;
use crate::identify::revocation::By;
use crate::issue::cache::Origin;
use crate::mint::Token;
use crate::observe::Line;
use crate::policy::{HeaderTemplate, Policy, Route, TokenRoute};
use crate::request::client::{Client, Scheme, forwarded_host};
use crate::request::html_placeholder::Replacer;
use crate::request::refusal::{Audience, Refusal, Reply};
use crate::request::trace::Trace;
use crate::request::view::RequestView;
use crate::session::{self, Cookies, Identity, Passing, Reason, Rejected};
use crate::session::{Judged, Verdict};
use crate::state::{InFlight, Live};
use crate::upstream::{InUse, Unreachable, Upstream};

/// The context of one request.
pub struct Ctx {
    pub(super) live: Arc<Live>,
    pub(super) policy: Arc<Policy>,
    pub(super) now: Now,
    pub(super) idle_seconds: u64,
    /// The request's id and trace context, known from its first byte.
    pub(super) trace: Trace,
    pub(super) client: Client,
    pub(super) host: Arc<str>,
    pub(super) audience: Audience,
    pub(super) rule: Option<Arc<str>>,
    pub(super) route: Option<Arc<Route>>,
    /// The token this is about, at its own path.
    pub(super) token: Option<Arc<TokenRoute>>,
    pub(super) identity: Option<Arc<Identity>>,
    /// The source that knew somebody, by its place in the policy.
    source: Option<usize>,
    /// The cookies that go on to the app, where they are not those that came.
    passing: Passing,
    /// Whether the request came with a session that is revoked or signed out.
    came_with_over: bool,
    /// Whose session ends if the app answers this request.
    leaving: Option<Arc<Identity>>,
    pub(super) page_tokens: Vec<(String, Arc<Token>)>,
    /// The page on its way, if its placeholders are being replaced.
    pub(super) page: Option<Box<Replacer>>,
    pub(super) upstream: Option<Arc<Upstream>>,
    /// The request's place at one of its endpoints.
    pub(super) place: Option<InUse>,
    pub(super) unreachable: Option<Unreachable>,
    /// Whether that endpoint has begun to answer.
    pub(super) app_spoke: bool,
    pub(super) purpose: Purpose,
    /// The deadline of the connection the request went out on.
    app_deadline: Option<Arc<AppDeadline>>,
    /// The app's `read_timeout`.
    read_timeout: Duration,
    /// Whether the app is still being sent a body.
    uploads: bool,
    pub(super) attempts: usize,
    pub(super) outcome: &'static str,
    pub(super) reason: &'static str,
    /// The code of the refusal, if it came to one.
    pub(super) code: &'static str,
    pub(super) status: u16,
    _in_flight: InFlight,
}

impl Ctx {
    pub(super) fn begin(live: &Arc<Live>) -> Self {
        Self {
            live: live.clone(),
            policy: live.policy(),
            now: live.clock.now(),
            idle_seconds: live.idle_seconds,
            trace: Trace::new(),
            client: Client {
                address: None,
                scheme: Scheme::Http,
                hops: Vec::new(),
                via_trusted: false,
            },
            host: Arc::default(),
            audience: Audience::Script,
            rule: None,
            route: None,
            token: None,
            identity: None,
            source: None,
            passing: Passing::AsCame,
            came_with_over: false,
            leaving: None,
            page_tokens: Vec::new(),
            page: None,
            upstream: None,
            place: None,
            unreachable: None,
            app_spoke: false,
            purpose: Purpose::Request,
            app_deadline: None,
            read_timeout: Duration::ZERO,
            uploads: false,
            attempts: 0,
            outcome: "aborted",
            reason: "",
            code: "",
            status: 0,
            _in_flight: InFlight::begin(live),
        }
    }

    /// The rule's label, or `-` where no rule applies.
    pub(super) fn route_label(&self) -> &str {
        self.rule.as_deref().unwrap_or("-")
    }

    /// Notes a refusal and makes its reply.
    pub(super) fn refuse(&mut self, refusal: &Refusal, audience: Audience) -> Reply {
        self.live.metrics.refused(refusal.code());
        self.outcome = "refused";
        self.reason = refusal.code();
        self.code = refusal.code();
        let chosen = self.token.as_ref();
        let chosen = chosen.and_then(|token| token.minter.statuses().of(refusal.code()));
        refusal.reply_as(chosen.unwrap_or_else(|| refusal.status()), audience)
    }

    /// Who is asking, where the plan needs to know. Where the app is about to end
    /// the session, or could renew one that is over, it is looked at for that alone.
    pub(super) async fn verdict(
        &mut self,
        plan: &Plan<'_>,
        view: &RequestView<'_>,
    ) -> Option<Verdict> {
        let ends = self.policy.sources.iter().any(|source| source.ends_at(view.method, view.path));
        let any_over = plan.forwards() && self.live.revoked.any();
        if !ends && !any_over && !plan.needs_session() {
            return None;
        }
        let Judged { verdict, over } =
            self.live.verify(&self.policy, view.cookies(), self.now).await;
        if any_over || !over.is_empty() {
            self.withhold(view.cookies_field(), &over);
        }
        if ends || plan.needs_session() {
            self.saw(&verdict, view);
        }
        plan.needs_session().then_some(verdict)
    }

    /// The app gets no session that is over, nor what it could take for one.
    fn withhold(&mut self, cookies: &[u8], over: &[usize]) {
        self.came_with_over = !over.is_empty();
        let sources = self.policy.sources.iter().enumerate();
        let sources = sources.map(|(index, source)| (&**source, over.contains(&index)));
        self.passing = session::passing(cookies, sources);
    }

    /// The cookies as the app may have them.
    pub(super) fn pass_cookies(&self, headers: &mut HeaderMap) {
        let only = match &self.passing {
            Passing::AsCame => return,
            Passing::Nothing => None,
            Passing::Only(cookies) => HeaderValue::from_bytes(cookies).ok(),
        };
        headers.remove(header::COOKIE);
        if let Some(mut cookies) = only {
            cookies.set_sensitive(true);
            headers.insert(header::COOKIE, cookies);
        }
    }

    /// Notes what was said about the session. A missing cookie is nothing to
    /// note: most requests of a site come without one.
    fn saw(&mut self, verdict: &Verdict, view: &RequestView<'_>) {
        match verdict {
            Verdict::Known(identity, index) => {
                self.source = Some(*index);
                self.live.metrics.session(self.source_label(), "accepted");
                let source = self.policy.sources.get(*index);
                if source.is_some_and(|source| source.ends_at(view.method, view.path)) {
                    self.leaving = Some(identity.clone());
                }
            }
            Verdict::Nobody(rejected) => {
                self.live.metrics.session("", rejected.reason.as_str());
                if rejected.reason != Reason::Missing {
                    self.reason = rejected.reason.as_str();
                }
            }
            Verdict::Unknown(_) => {
                self.reason = Reason::Unavailable.as_str();
                self.live.metrics.session("", self.reason);
            }
        }
    }

    fn source_label(&self) -> &str {
        let source = self.source.and_then(|index| self.policy.sources.get(index));
        source.map_or("", |source| &source.label)
    }

    /// The request goes out: from here on the app has its time for the head.
    pub(super) fn expect_head(&mut self, deadline: Option<Arc<AppDeadline>>, uploads: bool) {
        let upstream = self.upstream.as_ref();
        self.read_timeout = upstream.map_or(Duration::ZERO, |upstream| upstream.timeouts.read);
        self.app_deadline = deadline;
        self.uploads = uploads;
        self.expect_next_head();
    }

    /// A piece of the request's body goes out, or the last one.
    pub(super) fn uploaded(&mut self, is_last: bool) {
        if self.uploads {
            self.uploads = !is_last;
            self.expect_next_head();
        }
    }

    /// The time for a head starts, or starts again. While it is sent a body, the app
    /// may also take its time to read what waits for it.
    pub(super) fn expect_next_head(&self) {
        if let (Some(deadline), false) = (&self.app_deadline, self.app_spoke) {
            let reading = if self.uploads { WRITE_TIMEOUT } else { Duration::ZERO };
            deadline.begin(self.read_timeout + reading);
        }
    }

    /// A piece of the answer has come. For an upgrade the framework has no read
    /// timeout, so a body that comes instead of a tunnel is watched here.
    pub(super) fn app_goes_on(&self, is_over: bool) {
        if self.purpose == Purpose::Request || self.status == StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        if let Some(deadline) = &self.app_deadline {
            if is_over { deadline.end() } else { deadline.begin(self.read_timeout) }
        }
    }

    /// Whether the connection to the app was ended because the app took too long.
    pub(super) fn app_is_late(&self) -> bool {
        self.app_deadline.as_ref().is_some_and(|deadline| deadline.has_passed())
    }

    /// The app's answer has begun.
    pub(super) fn app_answers(&mut self, status: StatusCode) {
        self.status = status.as_u16();
        self.app_spoke = true;
        if let Some(deadline) = &self.app_deadline {
            deadline.end();
        }
        self.app_goes_on(false);
        if let Some(place) = &self.place {
            place.answered();
        }
    }

    /// The server did not take the request, or hung up on it.
    pub(super) fn server_failed(&self) {
        let (Some(upstream), Some(place)) = (&self.upstream, &self.place) else { return };
        self.live.metrics.upstream.failed(upstream);
        if let Some(time) = place.failed(self.live.clock.now()) {
            self.live.metrics.upstream.ejected(upstream);
            let (server, seconds) = (place.endpoint.server.to_string(), time.as_secs());
            tracing::warn!(upstream = upstream.name, server, seconds, "server is left out");
        }
    }

    /// The app has answered: it may have signed somebody in again, or out.
    pub(super) async fn follow_session(
        &mut self,
        request: &RequestHeader,
        response: &ResponseHeader,
    ) {
        let cookies = request.headers.get(header::COOKIE).map_or(&b""[..], HeaderValue::as_bytes);
        let cookies = Cookies::new(cookies);
        for source in self.policy.sources.iter().filter(|_| !self.came_with_over) {
            let set = response.headers.get_all(header::SET_COOKIE).iter();
            let set = set.map(HeaderValue::as_bytes);
            self.live.revoked.reissued(source, cookies, set, self.now);
        }
        self.end_session(cookies).await;
    }

    async fn end_session(&mut self, cookies: Cookies<'_>) {
        let answered = (200..400).contains(&self.status);
        let Some(identity) = self.leaving.take().filter(|_| answered) else { return };
        let source = self.source.and_then(|index| self.policy.sources.get(index));
        if let Some(source) = source {
            self.live.end_session(source, cookies, &identity, By::App).await;
        }
    }

    /// As `refuse`, with the precise reason in the log.
    pub(super) fn refuse_session(
        &mut self,
        refusal: &Refusal,
        rejected: Option<&Rejected>,
    ) -> Reply {
        let reply = self.refuse(refusal, self.audience);
        if let Some(rejected) = rejected {
            self.reason = rejected.reason.as_str();
            tracing::debug!(reason = self.reason, detail = %rejected.detail, "session refused");
        }
        reply
    }

    pub(super) fn issued(&mut self, origin: Origin) {
        self.outcome = "issued";
        self.reason = match origin {
            Origin::Cached => "cached",
            Origin::Minted => "minted",
        };
    }

    /// Assertion, identity and route headers that have a value for this request.
    pub(super) fn verified_headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let assertion = self.policy.identity.assertion.as_ref().zip(self.identity.as_deref());
        let assertion = assertion.and_then(|(assertion, identity)| {
            self.live.assertions.header_for(assertion, identity, self.now)
        });
        let told = self.policy.identity.headers.iter();
        let told = told.filter_map(|header| self.rendered(header));
        told.chain(self.route_headers()).chain(assertion)
    }

    /// The route's headers that have a value for this request.
    pub(super) fn route_headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let of_route = self.route.iter().flat_map(|route| &route.set_headers);
        of_route.filter_map(|header| self.rendered(header))
    }

    fn rendered(&self, header: &HeaderTemplate) -> Option<(HeaderName, HeaderValue)> {
        let token = |name: &str| {
            let (_, token) = self.page_tokens.iter().find(|(token, _)| token == name)?;
            HeaderValue::from_bytes(&token.value).ok()
        };
        Some((header.name.clone(), header.value.render(self.identity.as_deref(), &token)?))
    }

    /// The one line and the counters of this request.
    pub(super) fn finish(&mut self, request: &RequestHeader) {
        let took = self.live.clock.since(self.now);
        let label = self.rule.as_deref().unwrap_or("-");
        self.live.metrics.request(label, self.status);
        match self.outcome {
            "forwarded" => self.live.metrics.upstream_took(took.as_secs_f64()),
            "issued" => self.live.metrics.token_took(took.as_secs_f64()),
            _ => {}
        }
        let hash;
        let user = match (&self.identity, self.live.user_field) {
            (None, _) | (_, UserField::Off) => None,
            (Some(identity), UserField::Hash) => {
                hash = self.live.user_hash(identity.mark());
                Some(hash.as_str())
            }
            (Some(identity), UserField::Plain) => Some(identity.user_id()),
        };
        self.live.access.write(&Line {
            unix_ms: self.now.unix_ms(),
            request_id: self.trace.request_id(),
            trace_id: self.trace.trace_id(),
            method: request.method.as_str(),
            host: &self.host,
            path: request.uri.path(),
            route: label,
            client: self.client.address,
            user,
            source: self.source_label(),
            outcome: self.outcome,
            reason: self.reason,
            status: self.status,
            micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        });
    }
}

/// The host the client asked for, as the outermost trusted proxy saw it.
pub(super) fn host_of(request: &RequestHeader, client: &Client) -> Arc<str> {
    let own = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let own = own.or_else(|| request.uri.authority().map(http::uri::Authority::as_str));
    forwarded_host(client, &request.headers).or(own).unwrap_or_default().into()
}
