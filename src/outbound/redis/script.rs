//! A Lua script about one key, that the server knows by its SHA-1.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use redis::ToRedisArgs;

use super::request::{Birth, RedisRequest};
use crate::base::text::hex;

/// A script; in a `LazyLock`, because its digest is taken once.
pub(crate) struct Script {
    source: &'static str,
    sha1: String,
    birth: Birth,
}

/// How a script is named: a server forgets scripts when it restarts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ScriptName {
    ByDigest,
    InFull,
}

impl Script {
    pub(crate) fn new(source: &'static str) -> Self {
        let sha1 = hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, source.as_bytes()).as_ref());
        Self { source, sha1, birth: Birth::AnyTime }
    }

    /// A script that takes one more argument while its key moves: `Birth::InTime`.
    pub(crate) fn in_time(source: &'static str) -> Self {
        Self { birth: Birth::InTime, ..Self::new(source) }
    }

    pub(super) fn request<A: ToRedisArgs>(
        &self,
        named: ScriptName,
        key: &str,
        arguments: A,
    ) -> RedisRequest {
        let mut command = match named {
            ScriptName::ByDigest => redis::cmd("EVALSHA"),
            ScriptName::InFull => redis::cmd("EVAL"),
        };
        command.arg(match named {
            ScriptName::ByDigest => self.sha1.as_str(),
            ScriptName::InFull => self.source,
        });
        command.arg(1).arg(key).arg(arguments);
        RedisRequest::one(key.as_bytes(), command).born(self.birth)
    }
}
