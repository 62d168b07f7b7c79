//! Tokens that all replicas share: minted once, sealed, and found by the next replica.
//!
//! Only for tokens that cost something to mint: those of remote issuers and RSA
//! signatures. A replica that finds none takes a lock and mints; the others look again
//! until there is one. The lock is short and held on while minting lasts, so a replica
//! that dies holds up nobody for long. A failed attempt is remembered as long as in
//! memory. Without the store, every replica mints for itself.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::Value;
use tokio::time::{Instant, MissedTickBehavior};

use super::cache::early;
use super::error::IssueError;
use super::sealed::SealKeys;
use crate::base::clock::Now;
use crate::base::digest::Digest;
use crate::base::secret::Secret;
use crate::base::text::hex;
use crate::mint::Token;
use crate::outbound::redis::{Failure, RedisRequest, Script, SharedStore};
use crate::session::Identity;

/// Time for which a lock outlives its holder, and how often it is held on.
const LOCK: Duration = Duration::from_millis(1500);
const HOLD_ON: Duration = Duration::from_millis(500);
/// Longest wait for another replica's token.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pauses between two looks.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// Time for which a failed attempt answers further requests.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

static UNLOCK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("unlock.lua")));

/// The tokens of a `[shared]` table.
pub(crate) struct SharedTokens {
    store: Arc<SharedStore>,
    keys: SealKeys,
}

/// Where a token came from.
pub(super) enum Found {
    Elsewhere(Token),
    Minted(Token),
}

/// The entry in the store.
enum Held {
    Failed(IssueError),
    Nothing,
    Token(Token),
}

impl SharedTokens {
    pub(crate) fn new(store: Arc<SharedStore>, keys: &[Secret]) -> Self {
        Self { store, keys: SealKeys::new(keys) }
    }

    /// The token of the store, else made by `mint`, once over all replicas. A token that
    /// expires soon is minted again by one replica while the others still hand it out.
    pub(super) async fn get(
        &self,
        key: &Digest,
        identity: &Identity,
        now: Now,
        mint: impl Future<Output = Result<Token, IssueError>>,
    ) -> Result<Found, IssueError> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let still_good = match self.find(key).await {
                Err(_) => return mint.await.map(Found::Minted),
                Ok(Held::Failed(error)) => return Err(error),
                Ok(Held::Nothing) => None,
                Ok(Held::Token(token)) => Some(token).filter(|token| token.fits(identity, now)),
            };
            let is_due = |token: &Token| {
                let life = token.expires_at.saturating_sub(now.unix());
                now.unix().saturating_add(early(key, life).into()) >= token.usable_until
            };
            if let Some(token) = still_good.as_ref().filter(|token| !is_due(token)) {
                return Ok(Found::Elsewhere(token.clone()));
            }
            match (self.lock(key).await, still_good) {
                (Ok(Some(lock)), _) => {
                    // Another replica may have been here between the look and the lock.
                    if let Ok(Held::Token(token)) = self.find(key).await
                        && token.fits(identity, now)
                        && !is_due(&token)
                    {
                        let _ = self.keep_lock(&lock, Duration::ZERO).await;
                        return Ok(Found::Elsewhere(token));
                    }
                    return self.mint(key, &lock, now, mint).await;
                }
                (Err(_), None) => return mint.await.map(Found::Minted),
                (_, Some(token)) => return Ok(Found::Elsewhere(token)),
                (Ok(None), None) if began.elapsed() > PATIENCE => {
                    return mint.await.map(Found::Minted);
                }
                (Ok(None), None) => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Mints while the lock is held on, and keeps what came of it.
    async fn mint(
        &self,
        key: &Digest,
        lock: &Lock,
        now: Now,
        mint: impl Future<Output = Result<Token, IssueError>>,
    ) -> Result<Found, IssueError> {
        let hold_on = async {
            let mut ticks = tokio::time::interval_at(Instant::now() + HOLD_ON, HOLD_ON);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let _ = self.keep_lock(lock, LOCK).await;
            }
        };
        let minted = tokio::select! {
            minted = mint => minted,
            never = hold_on => never,
        };
        self.put(key, &minted, now).await;
        let _ = self.keep_lock(lock, Duration::ZERO).await;
        minted.map(Found::Minted)
    }

    async fn find(&self, key: &Digest) -> Result<Held, Failure> {
        for name in self.keys.names(key) {
            let name = self.store.key(&format!("t:{name}"));
            let get = redis::cmd("GET").arg(&name).take();
            let answers = self.store.ask(&RedisRequest::one(name.as_bytes(), get)).await?;
            if let Some(Value::BulkString(value)) = answers.first() {
                match value.as_slice() {
                    [b'!', error] => return Ok(Held::Failed(error_of(*error))),
                    sealed => {
                        if let Some(token) = self.keys.open(key, sealed) {
                            return Ok(Held::Token(token));
                        }
                        tracing::warn!(
                            "a token in the shared store was altered, moved or encrypted with \
                             another key; minting it again"
                        );
                    }
                }
            }
        }
        Ok(Held::Nothing)
    }

    /// Without the store it stays in this process, which does no harm.
    pub(super) async fn put(&self, key: &Digest, minted: &Result<Token, IssueError>, now: Now) {
        let (value, kept) = match minted {
            Ok(token) => {
                let seconds = token.expires_at.saturating_sub(now.unix());
                (self.keys.seal(key, token), Duration::from_secs(seconds))
            }
            Err(error) => (Some(vec![b'!', code_of(*error)]), FAILURE_KEPT),
        };
        let (Some(value), Some(name)) = (value, self.keys.names(key).next()) else { return };
        let name = self.store.key(&format!("t:{name}"));
        let mut set = redis::cmd("SET");
        set.arg(&name).arg(value).arg("PX").arg(kept.as_millis().max(1).to_string());
        let _ = self.store.ask(&RedisRequest::one(name.as_bytes(), set)).await;
    }

    async fn lock(&self, key: &Digest) -> Result<Option<Lock>, Failure> {
        let Some(name) = self.keys.names(key).next() else { return Ok(None) };
        let mut value = [0; 16];
        aws_lc_rs::rand::fill(&mut value).map_err(|_| Failure::Unreachable)?;
        let lock = Lock { name: self.store.key(&format!("k:{name}")), value: hex(&value) };
        let mut set = redis::cmd("SET");
        set.arg(&lock.name).arg(&lock.value).arg("NX").arg("PX").arg(LOCK.as_millis().to_string());
        let answers = self.store.ask(&RedisRequest::one(lock.name.as_bytes(), set)).await?;
        Ok(matches!(answers.first(), Some(Value::Okay)).then_some(lock))
    }

    /// For so much longer, or no more.
    async fn keep_lock(&self, lock: &Lock, longer: Duration) -> Result<(), Failure> {
        let longer = longer.as_millis().to_string();
        let arguments = [lock.value.as_str(), longer.as_str()];
        self.store.run(&UNLOCK, &lock.name, arguments.as_slice()).await.map(|_| ())
    }
}

/// A lock of ours: its value is unique.
struct Lock {
    name: String,
    value: String,
}

fn code_of(error: IssueError) -> u8 {
    match error {
        IssueError::BadInput => b'b',
        IssueError::IssuerFailed => b'i',
        IssueError::NotAllowed => b'a',
        IssueError::NotSignedIn => b's',
        IssueError::SessionExpired => b'e',
        IssueError::Timeout => b't',
        IssueError::Unavailable => b'u',
    }
}

fn error_of(code: u8) -> IssueError {
    match code {
        b'b' => IssueError::BadInput,
        b'i' => IssueError::IssuerFailed,
        b'a' => IssueError::NotAllowed,
        b's' => IssueError::NotSignedIn,
        b'e' => IssueError::SessionExpired,
        b't' => IssueError::Timeout,
        _ => IssueError::Unavailable,
    }
}
