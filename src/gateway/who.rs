//! The user behind a request, and what the app's answer says about their session.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};

use super::incoming::Incoming;
use super::record::Record;
use crate::decide::Plan;
use crate::identify::revocation::{Answered, CameWith, RevokedBy};
use crate::observe::{Event, SessionChecked};
use crate::policy::{Policy, SessionSource};
use crate::request::view::RequestView;
use crate::session::{
    self, Cookies, Credential, Identity, Passing, PassingHeaders, Reason, Standings, Verdict,
};

/// The sender of a request, as far as the plan needed to know.
pub(super) struct Who {
    pub(super) identity: Option<Arc<Identity>>,
    /// The source that knew the user, by its place in the policy.
    source: Option<usize>,
    /// The cookies that go on to the app, where they are not those that came.
    passing: Passing,
    /// The headers with a session, as they may go on.
    passing_headers: PassingHeaders,
    /// How the session came, if it verifies.
    pub(super) credential: Credential,
    /// The verdict on each source.
    standings: Standings,
    /// On a logout path: the session to end once the app has answered.
    leaving: Option<Arc<Identity>>,
}

impl Default for Who {
    fn default() -> Self {
        Self {
            identity: None,
            source: None,
            passing: Passing::AsCame,
            passing_headers: PassingHeaders::default(),
            credential: Credential::Ambient,
            standings: Standings::default(),
            leaving: None,
        }
    }
}

impl Who {
    /// The verdict, where the plan needs one. The session is also looked at where the app
    /// is about to end it, or could renew one that is over, or choose between two.
    pub(super) async fn verdict(
        &mut self,
        incoming: &Incoming,
        record: &mut Record,
        plan: &Plan<'_>,
        view: &RequestView<'_>,
    ) -> Option<Verdict> {
        let policy = &incoming.policy;
        let ends = policy.sources.iter().any(|source| policy.signs_out(source, view));
        let identifier = &incoming.state.identifier;
        let cookies = view.cookies();
        let judges =
            plan.forwards() && (identifier.any_revoked() || are_several_sent(policy, cookies));
        if !ends && !judges && !plan.needs_session() {
            if plan.forwards() {
                self.withhold(policy, view);
            }
            return None;
        }
        let mut judged =
            identifier.identify(policy, cookies, view.client.address, incoming.now).await;
        self.credential = policy.credential(judged.accepted);
        if plan.forwards() {
            self.standings = Standings::new(&mut judged, identifier.any_revoked());
            self.withhold(policy, view);
        }
        let verdict = judged.verdict;
        if ends || plan.needs_session() {
            self.record_verdict(incoming, record, &verdict, view);
        }
        plan.needs_session().then_some(verdict)
    }

    /// The app gets no session but the one that was judged, and none that is over.
    fn withhold(&mut self, policy: &Policy, view: &RequestView<'_>) {
        let standings = &self.standings;
        let sources = policy.sources.iter().enumerate();
        let sources = sources.map(|(index, source)| (&**source, standings.of(index)));
        let (headers, is_strict) = (view.cookies().headers(), standings.is_strict());
        self.passing_headers = PassingHeaders::select(headers, sources.clone(), is_strict);
        self.passing = session::passing(view.cookies_field(), sources);
    }

    /// Whether the app sees no session because the request's own is over.
    pub(super) fn came_with_over(&self) -> bool {
        self.standings.any_over()
    }

    /// The headers that were verified, and reach the app under any name.
    pub(super) fn kept_headers(&self) -> &[HeaderName] {
        &self.passing_headers.kept
    }

    /// Whether a header holds a session that the app may not have.
    pub(super) fn withholds_headers(&self) -> bool {
        !self.passing_headers.withheld.is_empty()
    }

    /// Leaves the cookies, and the headers with a session, that the app may have.
    pub(super) fn pass_session(&self, headers: &mut HeaderMap) {
        for name in &self.passing_headers.withheld {
            headers.remove(name);
        }
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

    /// A missing cookie is not a reason worth logging: most requests of a site come
    /// without one.
    fn record_verdict(
        &mut self,
        incoming: &Incoming,
        record: &mut Record,
        verdict: &Verdict,
        view: &RequestView<'_>,
    ) {
        let checked = |source: &str, result| {
            let checked = SessionChecked { source, result };
            incoming.state.telemetry.emit(Event::Session(checked));
        };
        match verdict {
            Verdict::Known(identity, index) => {
                self.source = Some(*index);
                checked(self.source_label(&incoming.policy), "accepted");
                let source = self.source(&incoming.policy);
                if source.is_some_and(|source| incoming.policy.signs_out(source, view)) {
                    self.leaving = Some(identity.clone());
                }
            }
            Verdict::Nobody(rejected) => {
                checked("", rejected.reason.as_str());
                if rejected.reason != Reason::Missing {
                    record.explain(rejected.reason.as_str());
                }
            }
            Verdict::Unknown(_) => {
                record.explain(Reason::Unavailable.as_str());
                checked("", record.reason);
            }
        }
    }

    fn source<'p>(&self, policy: &'p Policy) -> Option<&'p SessionSource> {
        self.source.and_then(|index| policy.sources.get(index))
    }

    pub(super) fn source_label<'p>(&self, policy: &'p Policy) -> &'p str {
        self.source(policy).map_or("", |source| &source.label)
    }

    /// From now on until this much later, the app may sign its user in or out without another
    /// id, in what it does for this request. Other requests only read.
    pub(super) async fn distrust_session(
        incoming: &Incoming,
        request: &RequestHeader,
        status: StatusCode,
        later: Duration,
    ) {
        // A provider's answer to a sign-in comes as a GET, and the app sends it on.
        let is_sent_on = status.is_redirection() && status != StatusCode::NOT_MODIFIED;
        if !request.method.is_safe() || is_sent_on {
            let cookies = incoming.view(request).cookies();
            let until = incoming.state.clock.now().plus(later);
            let identifier = &incoming.state.identifier;
            Box::pin(identifier.distrust(&incoming.policy, cookies, until)).await;
        }
    }

    /// The app has answered: the answer may sign the user in again, or out.
    pub(super) async fn follow_session(
        &mut self,
        incoming: &Incoming,
        request: &RequestHeader,
        response: &ResponseHeader,
    ) {
        let identifier = &incoming.state.identifier;
        Self::distrust_session(incoming, request, response.status, Duration::ZERO).await;
        // What the app sets matters only where some session is over.
        if self.leaving.is_none() && !identifier.any_revoked() {
            return;
        }
        let view = incoming.view(request);
        let cookies = view.cookies();
        if !self.came_with_over() {
            let set = response.headers.get_all(header::SET_COOKIE).iter();
            let set: Vec<_> = set.map(HeaderValue::as_bytes).collect();
            let sources = incoming.policy.sources.iter().enumerate();
            let sources = sources.map(|(index, source)| (source, self.came_with(index)));
            let (began, now) = (incoming.now, incoming.state.clock.now());
            identifier.answered(sources, &Answered { cookies, set: &set, began, now });
        }
        let answered = response.status.is_success() || response.status.is_redirection();
        if answered {
            self.leave(incoming, request).await;
        }
    }

    fn came_with(&self, source: usize) -> CameWith {
        match () {
            () if self.standings.passes_unread() => CameWith::Unread,
            () if self.standings.is_in_doubt(source) => CameWith::Doubt,
            () => CameWith::NoDoubt,
        }
    }

    /// Ends the session where the request signs the user out.
    pub(super) async fn leave(&mut self, incoming: &Incoming, request: &RequestHeader) {
        let Some(identity) = self.leaving.take() else { return };
        let view = incoming.view(request);
        let cookies = view.cookies();
        let identifier = &incoming.state.identifier;
        if let Some(source) = self.source(&incoming.policy) {
            let (by, now) = (RevokedBy::App, incoming.state.clock.now());
            identifier.end_session(source, cookies, &identity, by, now).await;
        }
    }
}

/// Whether several sources have cookies, which may be of different users.
fn are_several_sent(policy: &Policy, cookies: Cookies<'_>) -> bool {
    let sources = &policy.sources;
    sources.len() > 1
        && sources.iter().filter(|source| source.may_be_sent(cookies)).nth(1).is_some()
}
