//! The routes that one request must meet, and their combined demands.

use std::sync::Arc;

use super::html_placeholder::HtmlPlaceholder;
use super::route::{Route, SessionRule};
use super::rules::Rule;
use super::sign_in::SignInPage;
use super::vendor_api::VendorApi;
use crate::request::rules::Met;
use crate::session::Identity;
use crate::upstream::Upstream;

/// The route of the path as sent, and those of its other readings.
#[derive(Clone)]
pub(crate) struct RouteSet {
    first: Option<Arc<Route>>,
    others: Vec<Other>,
    pub(crate) intent: Intent,
}

#[derive(Clone)]
struct Other {
    route: Arc<Route>,
    /// Whether its upstream is the one the request goes to.
    is_at_home: bool,
}

/// The purpose a request declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// To be answered now.
    Answer,
    /// To learn whether another site may ask; browsers send it without the session.
    Preflight,
    /// A speculative request, whose answer may never be used: nothing is minted for it.
    Prefetch,
}

impl RouteSet {
    pub(crate) fn new(met: &Met<'_, Rule>, intent: Intent) -> Self {
        let others = met.others.iter().filter_map(|other| {
            let route = other.rule.route()?.clone();
            Some(Other { route, is_at_home: other.is_at_home })
        });
        Self { first: met.first.and_then(Rule::route).cloned(), others: others.collect(), intent }
    }

    /// All of them: their demands must be met.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.first.iter().chain(self.others.iter().map(|other| &other.route))
    }

    /// Those whose headers and placeholders are meant for the upstream the request goes to.
    fn at_home(&self) -> impl Iterator<Item = &Arc<Route>> {
        let others = self.others.iter().filter(|other| other.is_at_home);
        self.first.iter().chain(others.map(|other| &other.route))
    }

    /// The strongest demand; without a route for the path as sent the session is optional.
    fn strictest(&self) -> SessionRule {
        let demands = |rule: SessionRule| self.all().any(|route| route.session == rule);
        if demands(SessionRule::Required) {
            SessionRule::Required
        } else if self.first.is_none() || demands(SessionRule::Optional) {
            SessionRule::Optional
        } else {
            SessionRule::Off
        }
    }

    /// How the session is treated.
    pub(crate) fn session(&self) -> SessionRule {
        match self.intent {
            Intent::Preflight => SessionRule::Off,
            Intent::Answer | Intent::Prefetch => self.strictest(),
        }
    }

    /// Whether only the head of the app's answer may be seen: a preflight comes without a
    /// session, and some apps answer it with the page.
    pub(crate) fn hides_body(&self) -> bool {
        self.intent == Intent::Preflight && self.strictest() == SessionRule::Required
    }

    pub(crate) fn admits(&self, identity: &Identity) -> bool {
        self.all().all(|route| route.allow.admit(identity.packed()))
    }

    /// The sign-in page of the first route that needs a session and names one.
    pub(crate) fn sign_in(&self) -> Option<&SignInPage> {
        let mut needing = self.all().filter(|route| route.session == SessionRule::Required);
        needing.find_map(|route| route.sign_in.as_ref())
    }

    /// The routes whose headers are set; none for a preflight, which has no user.
    pub(crate) fn setting_headers(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.at_home().filter(|_| self.intent != Intent::Preflight)
    }

    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &HtmlPlaceholder> {
        self.setting_headers().flat_map(|route| &route.placeholders)
    }

    /// The upstream of the path as sent, if its route names one.
    pub(crate) fn upstream(&self) -> Option<&Arc<Upstream>> {
        self.first.as_ref()?.upstream.as_ref()
    }

    pub(crate) fn vendor_api(&self) -> Option<&VendorApi> {
        self.first.as_ref()?.vendor_api.as_deref()
    }

    /// The name of the first route, for logs.
    pub(crate) fn label(&self) -> Option<&Arc<str>> {
        self.all().next().map(|route| &route.label)
    }
}
