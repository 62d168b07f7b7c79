//! The owner of everything about users that outlives a request: remembered sessions, the
//! servers that are asked, and the revocations.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::cache::Sessions;
use super::jwks::CurrentPolicy;
use super::resolve::Servers;
use super::revocation::{Answered, CameWith, JournalError, Revoked, RevokedBy};
use crate::base::clock::{Clock, Now};
use crate::policy::{Policy, SessionSource};
use crate::session::{Cookies, Identity, Judged};

/// Tells who is asking.
pub struct Identifier {
    sessions: Sessions,
    servers: Servers,
    pub revoked: Arc<Revoked>,
}

impl Identifier {
    /// Connections will live in `runtime`.
    pub fn new(runtime: &Handle, clock: Clock) -> Self {
        Self {
            sessions: Sessions::default(),
            servers: Servers::new(runtime, clock),
            revoked: Arc::default(),
        }
    }

    /// Whether any session is revoked or signed out.
    pub fn any_revoked(&self) -> bool {
        self.revoked.any()
    }

    /// The user the cookies name; `from` is the client's address, where there is one.
    pub async fn identify(
        &self,
        policy: &Policy,
        cookies: Cookies<'_>,
        from: Option<IpAddr>,
        now: Now,
    ) -> Judged {
        self.sessions.verify(policy, &self.servers, &self.revoked, cookies, from, now).await
    }

    /// Ends this session: it is rejected from now on, and forgotten.
    pub async fn end_session(
        &self,
        source: &SessionSource,
        cookies: Cookies<'_>,
        identity: &Identity,
        by: RevokedBy,
        now: Now,
    ) {
        self.revoked.end_session(source, cookies, identity, by, now);
        self.sessions.forget(source, cookies).await;
    }

    /// Until this time, the app may change the sessions of these cookies on its side.
    pub async fn distrust(&self, policy: &Policy, cookies: Cookies<'_>, until: Now) {
        for source in &policy.sources {
            self.sessions.distrust(source, cookies, until).await;
        }
    }

    /// The app's answer sets cookies, which may sign in again; each source with how its
    /// cookies came.
    pub fn answered<'s>(
        &self,
        sources: impl Iterator<Item = (&'s SessionSource, CameWith)> + Clone,
        answered: &Answered<'_>,
    ) {
        self.revoked.answered(sources.map(|(source, came)| (&**source, came)), answered);
    }

    /// Ends the sessions that the user got before `now`.
    pub fn revoke_user(&self, user_id: &str, now: Now) {
        self.revoked.end_user(user_id, now);
    }

    /// Takes back `revoke_user`.
    pub fn pardon_user(&self, user_id: &str, now: Now) {
        self.revoked.pardon_user(user_id, now);
    }

    /// Keeps revocations in this file, and applies those it holds.
    pub fn keep_revocations(&self, path: &Path, clock: Clock) -> Result<(), JournalError> {
        self.revoked.keep_in(path, clock)
    }

    /// The keys and stores that the policy's session sources need and do not have now, a line each.
    pub async fn unready(&self, policy: &Policy) -> Vec<String> {
        let mut unready = Vec::new();
        for source in &policy.sources {
            let label = &source.label;
            if let Some(keys) = source.remote_keys().filter(|keys| !keys.is_supplied()) {
                let problem = self.servers.keys.problem(keys.url());
                let why = problem.as_deref().unwrap_or("not fetched yet");
                unready.push(format!("session {label}: published keys: {why}"));
            }
            for store in source.stores() {
                if let Err(error) = self.servers.stores.probe(store).await {
                    unready.push(format!("session {label}: {error}"));
                }
            }
        }
        unready
    }

    /// Gives a policy that is not in force yet the keys that were fetched before, so
    /// that no request waits for them after a reload.
    pub fn supply(&self, policy: &Policy) {
        self.servers.keys.supply(policy);
    }

    /// Begins to fetch the keys of the policy in force. Nothing waits for them:
    /// `unready` says which are missing.
    pub fn watch_keys(&self, current: &CurrentPolicy) {
        self.servers.keys.watch(current);
    }

    /// Closes the connections to stores that the policy does not name.
    pub fn keep_only_stores(&self, policy: &Policy) {
        self.servers.stores.keep_only(policy.sources.iter().flat_map(|source| source.stores()));
    }

    /// Sessions that were remembered, and those that were verified, since the start.
    pub(crate) fn session_counts(&self) -> (u64, u64) {
        self.sessions.counts()
    }

    /// Questions about sessions that were not asked, because too many ids were unknown.
    pub fn held_back(&self) -> u64 {
        self.sessions.held_back()
    }

    /// Questions about sessions that were not answered.
    pub fn failures(&self) -> u64 {
        self.servers.failures()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;
    use crate::base::secret::Secrets;
    use crate::config::Config;
    use crate::session::{Reason, Verdict};

    const SETTINGS: &str = "[upstream]\nservers = [\"http://127.0.0.1:1\"]\n\
        [session]\nkind = \"jwt\"\ncookie = \"sid\"\n\
        secret = \"0123456789abcdef0123456789abcdef\"\n";

    #[tokio::test]
    async fn without_a_cookie_there_is_no_user_and_no_server_is_asked() {
        let policy = Config::read(SETTINGS, &Secrets::Literal).unwrap_or_else(|_| panic!()).policy;
        let clock = ManualClock::at(1_790_000_000);
        let identifier = Identifier::new(&Handle::current(), Clock::Manual(clock));
        let now = Now::at(1_790_000_000);
        let verdict =
            identifier.identify(&policy, Cookies::new(b"other=1"), None, now).await.verdict;
        let Verdict::Nobody(rejected) = verdict else { panic!("{verdict:?}") };
        assert_eq!(rejected.reason, Reason::Missing);
        assert!(identifier.unready(&policy).await.is_empty());
        assert_eq!(identifier.failures(), 0);
    }
}
