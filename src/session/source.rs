//! One `[session]` table, compiled: the way from a `Cookie` header to an
//! identity.

use serde_json::{Map, Value};

use super::diagnose;
use super::format::{self, Format};
use super::settings::Settings;
use super::store::{Answer, Check, Question, Store};
use crate::base::digest::Digest;
use crate::document::{Table, shown};
use crate::session::{Cookies, Identity, Opened, Pointer, Reason, Rejected, RemoteKeys};

/// More than a session; less than what could keep a parser busy.
const MAX_STORED: usize = 1024 * 1024;

/// How far the app's clock may be ahead, in seconds.
const CLOCKS_DISAGREE: u64 = 5;

/// Token, header and cache of a session.
const MAX_ENDS: usize = 3;

/// Room for the session cookies of most apps.
const USUAL_COOKIES: usize = 1024;

/// A compiled session source. Cheap to ask, safe to share.
pub struct Source {
    kind: &'static str,
    format: Box<dyn Format>,
    user_id: Pointer,
    fingerprint: Digest,
}

impl Source {
    /// Reads and compiles a `[session]` table: keys are derived here, once.
    /// `None` means problems were noted.
    pub fn read(table: &mut Table<'_>) -> Option<Self> {
        let kind = format::read(table)?;
        let mut settings = Settings::new(table);
        let format = (kind.read)(&mut settings);
        let user_id = read_user_id(&mut settings, format.as_deref());
        let (format, user_id) = (format?, user_id?);
        Some(Self { kind: kind.name, format, user_id, fingerprint: settings.fingerprint() })
    }

    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The cookie's name, for `WWW-Authenticate` and messages.
    pub fn cookie_name(&self) -> &str {
        self.format.jar().name()
    }

    /// Who the cookies say is asking, at `now`.
    pub fn check(&self, cookies: Cookies<'_>, now: u64) -> Result<Identity, Rejected> {
        match self.look(cookies, now)? {
            Check::Known(identity) => Ok(identity),
            Check::Ask(_) => {
                let detail = "the session is in a store, which was not asked";
                Err(Rejected::new(Reason::Unavailable, detail))
            }
        }
    }

    /// As `check`, for sources whose sessions live in a store: either someone is
    /// known already, or there is something to fetch first.
    pub fn look(&self, cookies: Cookies<'_>, now: u64) -> Result<Check, Rejected> {
        let opened = self.format.open(cookies, now)?;
        self.known(opened, now)
    }

    /// Goes on with what the store answered; `None` is a miss. May ask again,
    /// but never more than once.
    pub fn answered(
        &self,
        question: &Question,
        answer: Option<Answer>,
        now: u64,
    ) -> Result<Check, Rejected> {
        let Some(answer) = answer else {
            if let Some(Check::Ask(elsewhere)) = self.format.missed(question) {
                return Ok(Check::Ask(elsewhere));
            }
            let detail = "the session is not in the store: signed out, or expired";
            return Err(Rejected::new(Reason::StoreMiss, detail));
        };
        if answer.size() > MAX_STORED {
            let detail = format!("the stored session is larger than {MAX_STORED} bytes");
            return Err(Rejected::new(Reason::Oversized, detail));
        }
        let opened = self.format.answered(question, answer, now)?;
        self.known(opened, now)
    }

    /// Who the cookies said was asking just before their session `ended`.
    pub fn check_before(&self, cookies: Cookies<'_>, mut ended: u64) -> Option<Identity> {
        // Several parts of a session may end, each at its own time.
        for _ in 0..MAX_ENDS {
            match self.look(cookies, ended.checked_sub(1)?) {
                Ok(Check::Known(identity)) => return Some(identity),
                Ok(Check::Ask(_)) => return None,
                Err(rejected) => ended = rejected.ended.filter(|&earlier| earlier < ended)?,
            }
        }
        None
    }

    /// Whether the session is plainly of a sign-in later than `since`, whose own
    /// second counts as before. What is still to come says nothing plainly.
    pub fn signed_in_after(&self, identity: &Identity, since: u64, now: u64) -> bool {
        let latest = now.saturating_add(CLOCKS_DISAGREE);
        let signed_in = self.format.signed_in_at(identity.session());
        signed_in.is_some_and(|at| at > since && at <= latest)
    }

    /// Why a refusal may have happened and what to write instead, for an
    /// operator; never repeats a cookie's value.
    pub fn hints(&self, cookies: Cookies<'_>, rejected: &Rejected) -> Vec<String> {
        diagnose::hints(self.kind, self.format.jar(), cookies, rejected)
    }

    /// The store to ask, if this source's sessions live in one.
    pub fn store(&self) -> Option<&Store> {
        self.format.store()
    }

    /// The address at which the app itself is asked.
    pub fn asked_url(&self) -> Option<&str> {
        self.format.asked_url()
    }

    fn known(&self, opened: Check<Opened>, now: u64) -> Result<Check, Rejected> {
        match opened {
            Check::Ask(question) => Ok(Check::Ask(question)),
            Check::Known(opened) => self.identity(opened, now).map(Check::Known),
        }
    }

    /// A digest of all that `check` reads, time aside: the settings, the secrets
    /// and every cookie this source could look at, each with its length. `None`
    /// if there is no such cookie.
    pub fn digest(&self, cookies: Cookies<'_>) -> Option<Digest> {
        let mut read = Vec::with_capacity(USUAL_COOKIES);
        let mut add = |bytes: &[u8]| {
            read.extend_from_slice(&bytes.len().to_be_bytes());
            read.extend_from_slice(bytes);
        };
        add(self.fingerprint.bytes());
        if let Some(keys) = self.remote_keys() {
            add(keys.fingerprint().bytes());
        }
        let mut any = false;
        for (name, value) in cookies.iter().filter(|(name, _)| self.format.looks_at(name)) {
            add(name);
            add(value);
            any = true;
        }
        // In one go: taking a digest piece by piece costs more than the copy.
        any.then(|| Digest::new(&read))
    }

    /// The cookies the app is asked with (`Query::App`), as a `Cookie` header of
    /// their own: of each name the one its framework picks, and no other.
    pub fn asked_cookies(&self, cookies: Cookies<'_>) -> Vec<u8> {
        let jar = self.format.jar();
        let pairs = self.format.picked(cookies).into_iter().filter_map(|name| {
            let value = jar.raw(&name, cookies)?;
            Some([name.as_bytes(), b"=", value].concat())
        });
        pairs.collect::<Vec<_>>().join(&b"; "[..])
    }

    /// The cookies this source could look at, as a `Cookie` header of their own.
    fn own_cookies(&self, cookies: Cookies<'_>) -> Vec<u8> {
        let own = cookies.iter().filter(|(name, _)| self.format.looks_at(name));
        let pairs: Vec<_> = own.map(|(name, value)| [name, b"=", value].concat()).collect();
        pairs.join(&b"; "[..])
    }

    /// Whether a cookie of this name can change what `look` returns.
    pub(super) fn looks_at(&self, name: &[u8]) -> bool {
        self.format.looks_at(name)
    }

    /// Whether a parser could take a name, folded, for that of one of its cookies.
    pub(super) fn resembles(&self, folded: &[u8]) -> bool {
        self.format.resembles(folded)
    }

    /// Which of its names the verdict rests on; companions of the session's cookies
    /// always count.
    pub(super) fn picks(&self, cookies: Cookies<'_>) -> impl Fn(&[u8]) -> bool {
        let picked = self.format.picked(cookies);
        move |name| !self.format.is_judged(name) || picked.iter().any(|own| own.as_bytes() == name)
    }

    /// Whether the last of several cookies of one name is the session's.
    pub(super) fn takes_the_last(&self) -> bool {
        self.format.jar().takes_the_last()
    }

    /// What names this session and no other, not even one of the same user:
    /// the same however its cookies are spelled. An id, if the cookie holds one;
    /// else all that the session says, and its end, which tells one sign-in from
    /// the next where frameworks date their cookies.
    pub fn handle(&self, cookies: Cookies<'_>, identity: &Identity, now: u64) -> Vec<u8> {
        self.asked_handle(cookies, now).unwrap_or_else(|| {
            if let Some(id) = self.format.renewed_id(&identity.session) {
                return id.as_bytes().to_vec();
            }
            let end = identity.expires_at.unwrap_or_default();
            format!("{end} {} {}", identity.user_id, identity.session).into_bytes()
        })
    }

    /// As `handle`, where it takes no identity: for sessions that others keep.
    pub fn asked_handle(&self, cookies: Cookies<'_>, now: u64) -> Option<Vec<u8>> {
        self.format.session_id(cookies, now).map(String::into_bytes)
    }

    /// The cookies as they will be once the browser has taken those of a
    /// response (`Set-Cookie`); `None` if none of them is this source's.
    pub fn own_cookies_after<'c>(
        &self,
        cookies: Cookies<'_>,
        set: impl Iterator<Item = &'c [u8]>,
    ) -> Option<Vec<u8>> {
        let pair = |set: &'c [u8]| set.split(|&b| b == b';').next().unwrap_or_default();
        let set = set.map(pair).collect::<Vec<_>>().join(&b"; "[..]);
        let set = self.own_cookies(Cookies::new(&set));
        let is_set = |name: &[u8]| Cookies::new(&set).iter().any(|(other, _)| other == name);
        let kept = cookies.iter().filter(|(name, _)| self.format.looks_at(name) && !is_set(name));
        let kept =
            kept.map(|(name, value)| [b"; ", name, b"=", value].concat()).collect::<Vec<_>>();
        (!set.is_empty()).then(|| [set.clone(), kept.concat()].concat())
    }

    /// For how many seconds a result may be remembered under its digest: `None`
    /// as long as it is valid, 0 not at all. What the cookie alone decides stays
    /// decided; a store may have changed its mind.
    pub fn cache_seconds(&self) -> Option<u64> {
        self.format.cache_seconds()
    }

    /// Keys that are fetched from an URL instead of standing in the settings.
    /// The caller fetches and supplies them.
    pub fn remote_keys(&self) -> Option<&RemoteKeys> {
        self.format.remote_keys()
    }

    fn identity(&self, opened: Opened, now: u64) -> Result<Identity, Rejected> {
        let Opened { session, expires_at } = opened;
        if let Some(end) = expires_at.filter(|&end| end <= now) {
            return Err(Rejected::expired(end, now));
        }
        let user_id = self.user_id.user_id(&session).ok_or_else(|| {
            let members = members(&session);
            let detail = format!(
                "the session is valid, but has no user at `{}`; it {members}",
                self.user_id
            );
            Rejected::new(Reason::NoUser, detail)
        })?;
        Ok(Identity::new(user_id, fitted(session), expires_at))
    }
}

/// The same value without room to grow: sessions are read once and kept long.
fn fitted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(fitted).collect()),
        Value::Object(members) => {
            let mut exact = Map::with_capacity(members.len());
            exact.extend(members.into_iter().map(|(name, value)| (name, fitted(value))));
            Value::Object(exact)
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => value,
    }
}

/// The names of a session's members, so that a wrong `user_id` is easy to mend.
/// Names only, and only such as are plainly names.
fn members(session: &Value) -> String {
    const MAX_NAMES: usize = 12;
    match session {
        Value::Object(members) if members.is_empty() => "is empty".to_owned(),
        Value::Object(members) => {
            let names: Vec<_> = members.keys().take(MAX_NAMES).map(|name| shown(name)).collect();
            format!("has {}", names.join(", "))
        }
        Value::Array(_) => "is a list".to_owned(),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            "is a single value".to_owned()
        }
    }
}

/// `user_id`, or the place where the kind itself keeps it.
fn read_user_id(settings: &mut Settings<'_, '_>, format: Option<&dyn Format>) -> Option<Pointer> {
    if settings.table().peek("user_id").is_some() {
        return settings.get("user_id");
    }
    settings.table().take("user_id");
    let default = format?.user_id();
    if default.is_none() {
        settings.problem(
            "`user_id` is missing; write where the session keeps the user's id, \
             such as user_id = \"/user/id\"",
        );
    }
    Pointer::parse(default?)
}
