//! Django sessions in the cache and in the database: how keys are made and values
//! written.

use std::borrow::Cow;

use serde_json::Value;

use super::signing::Signer;
use crate::base::secret::Secret;
use crate::document::{At, FromNode};
use crate::session::codec::{json, pickle, zlib};
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::StoreTable;
use crate::session::store::{Cell, Check, Question, Row};

/// One of the two cache engines on one cache.
pub(super) struct Cache {
    /// All of the key but the session's id.
    pub prefix: String,
    serializer: Serializer,
    compressor: Compressor,
}

#[derive(Clone, Copy)]
enum Serializer {
    Json,
    Pickle,
}

/// django-redis compresses values if told to.
#[derive(Clone, Copy)]
enum Compressor {
    None,
    Zlib,
}

impl Cache {
    pub(super) fn from_store(store: &mut StoreTable<'_>, engine: &str) -> Self {
        let prefix = store.text("key_prefix", "");
        let version = store.get::<u64>("version").unwrap_or(1);
        Self {
            prefix: format!("{prefix}:{version}:django.contrib.sessions.{engine}"),
            serializer: store.get("serializer").unwrap_or(Serializer::Pickle),
            compressor: store.get("compressor").unwrap_or(Compressor::None),
        }
    }

    pub(super) fn open(&self, value: &[u8]) -> Result<Value, Rejected> {
        let plain = match self.compressor {
            Compressor::None => Cow::Borrowed(value),
            Compressor::Zlib => match zlib::inflate(value) {
                Ok(inflated) => Cow::Owned(inflated),
                // The shortest values are left as they are.
                Err(rejected) if rejected.reason == Reason::Malformed => Cow::Borrowed(value),
                Err(rejected) => return Err(rejected),
            },
        };
        let session = match self.serializer {
            Serializer::Json => json::parse(&plain)?,
            Serializer::Pickle => pickle::parse(&plain)?,
        };
        if session.is_object() {
            return Ok(session);
        }
        Err(Rejected::malformed("the stored session is not a dictionary"))
    }
}

/// The table of the database engines. Its rows are signed, but have no age.
pub(super) struct Database {
    signer: Signer,
    table: String,
}

impl Database {
    pub(super) fn from_store(store: &mut StoreTable<'_>, secrets: &[Secret], salt: &str) -> Self {
        Self {
            signer: Signer::new(secrets, salt),
            table: store.identifier("table", "django_session"),
        }
    }

    pub(super) fn question(&self, id: &str) -> Check<OpenedSession> {
        Question::row(&self.table, &[("session_key", Cell::Text(id.to_owned()))])
    }

    pub(super) fn open(&self, row: &Row) -> Result<OpenedSession, Rejected> {
        let data = row.get("session_data")?.bytes().unwrap_or_default();
        let data = std::str::from_utf8(data)
            .map_err(|_| Rejected::malformed("`session_data` is not text"))?;
        let (session, _) = self.signer.open(data)?;
        Ok(OpenedSession { session, expires_at: Some(row.time("expire_date")?) })
    }
}

impl FromNode for Serializer {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[("pickle", Self::Pickle), ("json", Self::Json)])
    }
}

impl FromNode for Compressor {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[("none", Self::None), ("zlib", Self::Zlib)])
    }
}
