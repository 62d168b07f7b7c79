//! One `[session]` table, compiled: the way from a `Cookie` header to an
//! identity.

use http::HeaderName;

use super::codec::verifying_keys::RemoteKeys;
use super::cookie::Cookies;
use super::cookie_names::SentCookies;
use super::diagnose::{self, RefusedSession};
use super::ends::Ends;
use super::fallback::Fallback;
use super::format::{self, Compiled, SessionKind};
use super::header::HeaderPlace;
use super::identity::{Identity, OpenedSession};
use super::notes;
use super::pointer::Pointer;
use super::rejected::{Reason, Rejected};
use super::remember::RememberCookies;
use super::required_claims::Claims;
use super::settings::Settings;
use super::source_user::{KnownBy, no_user, prefixed, read_user_id, read_user_prefix};
use super::store::{Check, Row, StoreRank};
use super::store_settings::StoreSettings;
use crate::base::digest::Digest;
use crate::base::packed_json::PackedJson;
use crate::base::secret::Secret;
use crate::document::Table;

/// Seconds by which the app's clock may be ahead.
const CLOCKS_DISAGREE: u64 = 5;

/// Room for the session cookies of most apps.
const USUAL_COOKIES: usize = 1024;

/// A compiled session source. Cheap to ask, safe to share.
#[derive(Clone)]
pub struct SessionReader {
    kind: &'static SessionKind,
    pub(super) compiled: Compiled,
    pub(super) user_id: Pointer,
    pub(super) fallback: Option<Box<Fallback>>,
    /// Stands before every user id, so that equal ids of several sources differ.
    user_prefix: String,
    require: Claims,
    remember: RememberCookies,
    pub(super) ends: Option<Box<Ends>>,
    secrets: Vec<Secret>,
    fingerprint: Digest,
}

impl SessionReader {
    /// Reads and compiles a `[session]` table: keys are derived here, once.
    /// `None` means problems were noted.
    ///
    /// Where a session may come in two places, this is the source for the first.
    pub fn from_table(table: &mut Table<'_>) -> Option<Self> {
        Self::all_from_table(table)?.into_iter().next()
    }

    /// As `from_table`, with a source for each place that the session may come in: what
    /// they say of one request is judged together, as that of several tables is.
    pub fn all_from_table(table: &mut Table<'_>) -> Option<Vec<Self>> {
        let kind = format::read(table)?;
        let mut settings = Settings::new(table);
        let compiled = (kind.read)(&mut settings);
        let user_id = read_user_id(&mut settings, compiled.as_ref());
        let fallback = Fallback::from_settings(&mut settings, kind);
        let user_prefix = read_user_prefix(&mut settings);
        let require = settings.get("require").unwrap_or_default();
        let remember = RememberCookies::read(&mut settings, kind);
        let ends = Ends::from_settings(&mut settings);
        let (compiled, user_id, fallback) = (compiled?, user_id?, fallback?);
        let (fingerprint, secrets) = settings.finish();
        let mut first = Self {
            kind,
            compiled,
            user_id,
            fallback,
            user_prefix,
            require,
            remember,
            ends,
            secrets,
            fingerprint,
        };
        let second = first.compiled.second.take();
        let second = second.map(|compiled| Self { compiled: *compiled, ..first.clone() });
        Some([Some(first), second].into_iter().flatten().collect())
    }

    pub fn kind(&self) -> &'static str {
        self.kind.name
    }

    /// The prefix of this source's user ids.
    pub fn user_prefix(&self) -> &str {
        &self.user_prefix
    }

    /// The challenge that asks for this session: `WWW-Authenticate`.
    pub(crate) fn challenge(&self) -> String {
        match self.header() {
            Some(header) => header.challenge(),
            None => format!("Cookie cookie-name=\"{}\"", self.compiled.jar.name()),
        }
    }

    /// Headers in which the app would find a session that is not verified here.
    pub(super) fn unread_headers(&self) -> &[HeaderName] {
        &self.compiled.unread_headers
    }

    /// The header this source reads instead of a cookie.
    pub(crate) fn header(&self) -> Option<&HeaderPlace> {
        self.compiled.jar.header()
    }

    /// Whether the session is plainly of a sign-in later than `since`, whose own
    /// second counts as before. A time in the future says nothing plainly.
    pub fn signed_in_after(&self, identity: &Identity, since: u64, now: u64) -> bool {
        let latest = now.saturating_add(CLOCKS_DISAGREE);
        let signed_in = self.compiled.verifier.signed_in_at(&identity.session());
        signed_in.is_some_and(|at| at > since && at <= latest)
    }

    /// Whether no two sign-ins of a user, at different times, make the same session: its
    /// handle is then that of one sign-in.
    pub fn tells_sign_ins_apart(&self, identity: &Identity) -> bool {
        let verifier = &self.compiled.verifier;
        self.store().is_some()
            || verifier.renewed_id(&identity.session()).is_some()
            || (verifier.dates_its_end() && self.ends.is_none() && identity.expires_at().is_some())
    }

    /// Likely causes of a refusal and what to write instead, for an operator. Never
    /// repeats a cookie's value.
    pub fn hints(&self, cookies: Cookies<'_>, rejected: &Rejected) -> Vec<String> {
        let sent = self.sent(cookies);
        diagnose::hints(&RefusedSession::new(
            self.kind,
            &self.compiled,
            (sent, rejected),
            &self.secrets,
        ))
    }

    /// Settings that an accepted session suggests, and the row that was read for it, for
    /// an operator.
    pub fn notes(
        &self,
        identity: &Identity,
        row: Option<&(StoreRank, Row)>,
        now: u64,
    ) -> Vec<String> {
        let row = row.and_then(|(rank, row)| Some((self.stores().nth(rank.index())?, row)));
        notes::notes(identity, self.ends.is_some(), row, now)
    }

    /// Whether a token with this secret could be a session: it is a secret of the app's
    /// sessions too, however either is written down.
    pub(crate) fn shares(&self, secret: &Secret) -> bool {
        let readings = secret.readings();
        self.secrets.iter().flat_map(Secret::readings).any(|own| readings.contains(&own))
    }

    /// Whether this signature (base64url) under an algorithm would pass for one of the
    /// app's own.
    pub(crate) fn believes(&self, message: &[u8], signature: &str, algorithm: &str) -> bool {
        let keys = self.compiled.fixed_keys.as_ref();
        keys.is_some_and(|keys| keys.believe(message, signature, algorithm))
    }

    /// Whether opening a cookie takes milliseconds, forged or not.
    pub fn opens_slowly(&self) -> bool {
        self.compiled.opens_slowly
    }

    /// The store to ask, if this source's sessions live in one.
    pub fn store(&self) -> Option<&StoreSettings> {
        self.compiled.store.as_ref()
    }

    /// The store, and the one that is asked for the sessions it does not have.
    pub fn stores(&self) -> impl Iterator<Item = &StoreSettings> {
        let fallback = self.fallback.as_ref().and_then(|it| it.compiled.store.as_ref());
        self.store().into_iter().chain(fallback)
    }

    /// The address at which the app itself is asked.
    pub fn asked_url(&self) -> Option<&str> {
        self.compiled.app_url.as_deref()
    }

    /// A digest of all that `check` reads except the time: the settings, the secrets
    /// and every cookie this source reads, each with its length. `None`
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
        if let Some(header) = self.header() {
            any = header.is_sent(cookies.headers());
            add(b"header");
            header.add_to_digest(cookies.headers(), &mut add);
        }
        for (name, value) in cookies.iter().filter(|(name, _)| self.compiled.jar.reads_cookie(name))
        {
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
        let sent = self.sent(cookies);
        let pairs = self.compiled.verifier.picked(sent).into_iter().filter_map(|name| {
            let value = sent.raw(&name)?;
            Some([name.as_bytes(), b"=", value].concat())
        });
        pairs.collect::<Vec<_>>().join(&b"; "[..])
    }

    /// Tells a value that is in the framework's notation to the letter.
    pub(super) fn notation(&self) -> fn(&[u8]) -> bool {
        self.kind.is_as_written
    }

    /// Whether a cookie of this name can change what `look` returns.
    pub(super) fn reads_cookie(&self, name: &[u8]) -> bool {
        self.compiled.jar.reads_cookie(name)
    }

    /// Whether a parser could take a name, folded, for that of one of its cookies.
    pub(super) fn resembles(&self, folded: &[u8]) -> bool {
        self.compiled.jar.resembles(folded)
    }

    /// Whether a parser could take a folded name for that of a cookie with which the app
    /// signs the user in again.
    pub(super) fn remembers(&self, folded: &[u8]) -> bool {
        self.remember.include(folded)
    }

    /// As `resembles`, for a name that every parser reads unchanged.
    pub(super) fn resembles_plainly(&self, name: &[u8]) -> bool {
        self.compiled.jar.resembles_plainly(name)
    }

    /// Whether the verdict plainly rests on all cookies of these names, if they are all
    /// of this source that were sent.
    pub(super) fn picks_plainly(&self, names: &[&[u8]]) -> bool {
        let Compiled { jar, verifier, .. } = &self.compiled;
        let names = names.iter().copied();
        jar.picks_all(&names.filter(|name| verifier.is_judged(jar, name)))
    }

    /// Whether the request holds something that this source reads.
    pub fn was_sent(&self, cookies: Cookies<'_>) -> bool {
        if let Some(header) = self.header() {
            return header.is_sent(cookies.headers());
        }
        cookies.iter().any(|(name, _)| self.compiled.jar.reads_cookie(name))
    }

    /// As `was_sent`, also where only another reader than this one would find something.
    pub(crate) fn may_be_sent(&self, cookies: Cookies<'_>) -> bool {
        let is_hinted = |header: &HeaderPlace| header.is_hinted(cookies.headers());
        self.was_sent(cookies) || self.header().is_some_and(is_hinted)
    }

    /// Tells the names the verdict rests on; companions of the session's cookies
    /// always count.
    pub(super) fn picks(&self, cookies: Cookies<'_>) -> impl Fn(&[u8]) -> bool {
        let Compiled { jar, verifier, .. } = &self.compiled;
        let picked = verifier.picked(self.sent(cookies));
        move |name| {
            !verifier.is_judged(jar, name) || picked.iter().any(|own| own.as_bytes() == name)
        }
    }

    /// Whether the last of several cookies of one name is the session's.
    pub(super) fn takes_the_last(&self) -> bool {
        self.compiled.jar.takes_the_last()
    }

    /// A name for this session and no other, not even one of the same user, however
    /// its cookies are spelled: an id, if the cookie holds one; else all that the
    /// session says, and its end, which tells one sign-in from the next where
    /// frameworks date their cookies.
    pub fn handle(&self, cookies: Cookies<'_>, identity: &Identity, now: u64) -> Vec<u8> {
        self.asked_handle(cookies, now).unwrap_or_else(|| {
            let session = identity.session();
            if let Some(id) = self.compiled.verifier.renewed_id(&session) {
                return id.as_bytes().to_vec();
            }
            let end = identity.expires_at().unwrap_or_default();
            format!("{end} {} {}", identity.user_id(), session).into_bytes()
        })
    }

    /// A name for all cookies of this session, where opening one tells the session's id: the
    /// browser may hold another than the one that was signed out.
    pub fn id_handle(&self, identity: &Identity) -> Option<Vec<u8>> {
        // Other handles that no store knows begin with a number.
        identity.id().map(|id| format!("id {id}").into_bytes())
    }

    /// As `handle`, where it takes no identity: for sessions kept elsewhere.
    pub fn asked_handle(&self, cookies: Cookies<'_>, now: u64) -> Option<Vec<u8>> {
        let sent = self.sent(cookies);
        let id = self.compiled.verifier.session_id(sent).or_else(|| {
            self.store()?;
            match self.compiled.verifier.open(sent, now) {
                Ok(Check::Ask(question)) => Some(format!("{:?}", question.query)),
                Ok(Check::Known(_)) | Err(_) => None,
            }
        });
        id.map(String::into_bytes)
    }

    /// Seconds a result may be remembered under its digest: `None` means as long as
    /// it is valid, 0 not at all. A result of the cookie alone cannot change; that
    /// of a store can.
    pub fn cache_seconds(&self) -> Option<u64> {
        let fallback = self.fallback.as_ref().and_then(|it| it.compiled.cache_seconds);
        self.compiled.cache_seconds.into_iter().chain(fallback).min()
    }

    /// Keys to fetch from a URL, if they do not stand in the settings. The caller
    /// fetches and supplies them.
    pub fn remote_keys(&self) -> Option<&RemoteKeys> {
        self.compiled.remote_keys.as_deref()
    }

    pub(super) fn sent<'r>(&'r self, cookies: Cookies<'r>) -> SentCookies<'r> {
        SentCookies { jar: &self.compiled.jar, cookies }
    }

    /// The identity of a session, whose user's id is at `user_id`, and which began at a
    /// time that its row tells.
    pub(super) fn identity(
        &self,
        opened: OpenedSession,
        (user_id, began): (&Pointer, Option<u64>),
        known_by: KnownBy<'_>,
        now: u64,
    ) -> Result<Identity, Rejected> {
        let OpenedSession { session, mut expires_at } = opened;
        if let Some(ends) = &self.ends {
            let signed_in_at = || began.or_else(|| self.compiled.verifier.signed_in_at(&session));
            expires_at = ends.earliest(&session, expires_at, signed_in_at)?;
        }
        if let Some(end) = expires_at.filter(|&end| end <= now) {
            return Err(Rejected::expired(end, now));
        }
        let user_id = user_id
            .user_id(&session)
            .ok_or_else(|| no_user(self.kind, user_id, &session, known_by));
        let session = PackedJson::from(session);
        if !self.require.admit(&session) {
            let detail = "the session does not hold what `require` asks for";
            return Err(Rejected::new(Reason::WrongPurpose, detail));
        }
        Ok(Identity::new(prefixed(&self.user_prefix, user_id?), session, expires_at))
    }
}
