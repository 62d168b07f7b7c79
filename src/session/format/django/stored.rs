//! Django sessions in the cache and in the database: how keys are made and values
//! written.

use std::borrow::Cow;

use serde_json::Value;

use super::signing::Signer;
use crate::document::{At, FromNode};
use crate::session::codec::compression::Compression;
use crate::session::codec::{json, pickle};
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
    max_age: Option<u64>,
}

#[derive(Clone, Copy)]
enum Serializer {
    Json,
    Pickle,
}

/// django-redis compresses values if told to.
#[derive(Clone, Copy)]
struct Compressor(Option<Compression>);

impl Cache {
    pub(super) fn from_store(
        store: &mut StoreTable<'_>,
        engine: &str,
        max_age: Option<u64>,
    ) -> Self {
        let prefix = store.text("key_prefix", "");
        let version = store.get::<u64>("version").unwrap_or(1);
        Self {
            prefix: format!("{prefix}:{version}:django.contrib.sessions.{engine}"),
            serializer: store.get("serializer").unwrap_or(Serializer::Pickle),
            compressor: store.get("compressor").unwrap_or(Compressor(None)),
            max_age,
        }
    }

    /// The end of a session with a key that lives until `key_end`. The cache does not say
    /// when it was written, so it ends no later than one written now.
    pub(super) fn end(&self, key_end: Option<u64>, now: u64) -> Option<u64> {
        let written_now = self.max_age.map(|max_age| now.saturating_add(max_age));
        key_end.into_iter().chain(written_now).min()
    }

    pub(super) fn open(&self, value: &[u8]) -> Result<Value, Rejected> {
        let plain = match self.compressor {
            Compressor(None) => Cow::Borrowed(value),
            Compressor(Some(compression)) => match compression.decompress(value) {
                Ok(content) => Cow::Owned(content),
                // The shortest values are left as they are.
                Err(rejected) if rejected.reason == Reason::Malformed => Cow::Borrowed(value),
                Err(rejected) => return Err(rejected),
            },
        };
        let session = match self.serializer {
            Serializer::Json => json::parse_python(&plain)?,
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
    id: String,
    session: String,
    expires: String,
    /// Seconds from the last write of a row to its end, if the settings say so.
    max_age: Option<u64>,
}

impl Database {
    pub(super) fn from_store(
        store: &mut StoreTable<'_>,
        signer: Signer,
        max_age: Option<u64>,
    ) -> Self {
        Self {
            signer,
            table: store.identifier("table", "django_session"),
            id: store.identifier("id_column", "session_key"),
            session: store.identifier("session_column", "session_data"),
            expires: store.identifier("expires_column", "expire_date"),
            max_age,
        }
    }

    pub(super) fn question(&self, id: &str) -> Check<OpenedSession> {
        Question::row(&self.table, &[(&self.id, Cell::Text(id.to_owned()))])
    }

    pub(super) fn open(&self, row: &Row) -> Result<OpenedSession, Rejected> {
        let data = row.get(&self.session)?.bytes().unwrap_or_default();
        let data = std::str::from_utf8(data)
            .map_err(|_| Rejected::malformed("the session's column does not hold text"))?;
        let (session, written) = self.signer.open(data)?;
        let mut end = row.time(&self.expires)?;
        if let Some(max_age) = self.max_age {
            end = end.min(written.saturating_add(max_age));
        }
        Ok(OpenedSession { session, expires_at: Some(end) })
    }
}

impl FromNode for Serializer {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[("pickle", Self::Pickle), ("json", Self::Json)])
    }
}

impl FromNode for Compressor {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[
            ("none", Self(None)),
            ("gzip", Self(Some(Compression::Gzip))),
            ("lz4", Self(Some(Compression::Lz4))),
            ("lzma", Self(Some(Compression::Lzma))),
            ("zlib", Self(Some(Compression::Zlib))),
            ("zstd", Self(Some(Compression::Zstd))),
        ])
    }
}
