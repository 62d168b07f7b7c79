//! `check --online` for `[shared]`: whether the store answers, grants the rights, persists
//! its data, and has the right time.

use std::time::Duration;

use redis::Cmd;
use redis::aio::MultiplexedConnection;
use tokio::runtime::Handle;

use crate::base::clock::Clock;
use crate::base::redis_url::RedisServers;
use crate::config::SharedSettings;
use crate::outbound::redis::{LONGEST_UNREACHED, Redis};

const TIMEOUT: Duration = Duration::from_secs(3);
/// Clocks further apart are worth a word.
const CLOCKS_APART: u64 = 5;
/// `XADD … MINID` is that old; Valkey counts on from 7.2.
const OLDEST: (u32, u32) = (6, 2);

/// The findings: problems, and things only worth knowing.
#[derive(Default)]
pub(super) struct Report {
    pub(super) problems: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl Report {
    fn problem(&mut self, text: impl std::fmt::Display) {
        self.problems.push(format!("shared: {text}"));
    }

    fn warn(&mut self, text: impl std::fmt::Display) {
        self.warnings.push(format!("shared: {text}"));
    }
}

pub(super) async fn report(shared: &SharedSettings) -> Report {
    let mut report = Report::default();
    let redis = Redis::new(shared.url.clone(), LONGEST_UNREACHED, Handle::current());
    let found = tokio::time::timeout(TIMEOUT, redis.everywhere()).await;
    match found {
        Ok(Ok(servers)) => {
            for (name, mut connection) in servers {
                let name = if name.is_empty() { name } else { format!("{name}: ") };
                let looked = look(shared, &name, &mut connection, &mut report);
                if tokio::time::timeout(TIMEOUT, looked).await.is_err() {
                    report.problem(format_args!("{name}the server does not answer in time"));
                }
            }
        }
        Ok(Err(failure)) => report.problem(failure),
        Err(_) => report.problem("the server does not answer in time"),
    }
    report
}

async fn look(
    shared: &SharedSettings,
    name: &str,
    connection: &mut MultiplexedConnection,
    report: &mut Report,
) {
    try_rights(shared, name, connection, report).await;
    let info = redis::cmd("INFO").query_async::<String>(connection).await;
    match info {
        Ok(info) => judge(shared, name, &info, report),
        Err(_) => report.warn(format_args!(
            "{name}INFO is not allowed, so policy, persistence and version are unknown"
        )),
    }
    let time = redis::cmd("TIME").query_async::<(u64, u64)>(connection).await;
    if let Ok((seconds, _)) = time {
        let apart = Clock::system().now().unix().abs_diff(seconds);
        if apart > CLOCKS_APART {
            report.warn(format_args!(
                "{name}its clock and this machine's are {apart} s apart; the age of revocations in \
                 the metrics is off by as much"
            ));
        }
    }
}

/// The server's own `INFO`.
fn judge(shared: &SharedSettings, name: &str, info: &str, report: &mut Report) {
    let of = |key: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        value.map(str::trim).unwrap_or_default()
    };
    let policy = of("maxmemory_policy");
    if policy.starts_with("allkeys") && of("maxmemory") != "0" {
        report.problem(format_args!(
            "{name}maxmemory-policy is {policy}, which may drop revocations; write \
             maxmemory-policy volatile-ttl or noeviction"
        ));
    } else if policy.starts_with("allkeys") {
        report.warn(format_args!(
            "{name}maxmemory-policy is {policy}, which drops revocations once maxmemory is set; \
             write maxmemory-policy volatile-ttl or noeviction"
        ));
    }
    if of("aof_enabled") == "0" {
        report.warn(format_args!(
            "{name}appendonly is off: a restart loses what was revoked since the last snapshot; \
             write appendonly yes"
        ));
    }
    let version = of("redis_version");
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let version_is = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version_is < OLDEST {
        report.problem(format_args!(
            "{name}the server is version {version}, expected 6.2 or newer, or Valkey"
        ));
    }
    let is_replicated =
        matches!(&shared.url.servers, RedisServers::Cluster(_) | RedisServers::Sentinel(_));
    if is_replicated && of("connected_slaves") == "0" {
        report.warn(format_args!(
            "{name}no replica follows this server: a failover would lose what it holds"
        ));
    }
    if is_replicated && of("min_slaves_good_slaves").is_empty() {
        report.warn(format_args!(
            "{name}min-replicas-to-write is 0: a primary that is cut off keeps counting; write \
             min-replicas-to-write 1"
        ));
    }
}

/// Tries every command on a key of ours that ends within a second.
async fn try_rights(
    shared: &SharedSettings,
    name: &str,
    connection: &mut MultiplexedConnection,
    report: &mut Report,
) {
    const SCRIPT: &str = "redis.call('TIME') redis.call('SET', KEYS[1], 1, 'PX', 1000) \
        redis.call('GET', KEYS[1]) redis.call('PEXPIRE', KEYS[1], 1000) redis.call('DEL', KEYS[1]) \
        redis.call('ZADD', KEYS[1], 1, 'a') redis.call('ZREMRANGEBYSCORE', KEYS[1], 1, 1) \
        redis.call('ZCARD', KEYS[1]) return 1";
    let key = format!("{}:check:{}", shared.prefix, std::process::id());
    let command = |words: &[&str]| -> Cmd {
        let mut command = Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        command
    };
    let stream = format!("{key}:s");
    let tries = [
        command(&["EVAL", SCRIPT, "1", &key]),
        command(&["EVALSHA", "0000000000000000000000000000000000000000", "1", &key]),
        command(&["SET", &key, "1", "NX", "PX", "1000"]),
        command(&["GET", &key]),
        command(&["XADD", &stream, "MINID", "~", "1", "*", "e", "1"]),
        command(&["XRANGE", &stream, "-", "+", "COUNT", "1"]),
        command(&["XREVRANGE", &stream, "+", "-", "COUNT", "1"]),
        command(&["XREAD", "COUNT", "1", "STREAMS", &stream, "0-0"]),
        command(&["WAIT", "0", "1"]),
        command(&["EVAL", "return redis.call('DEL', KEYS[1])", "1", &stream]),
    ];
    let mut missing = false;
    for command in tries {
        let Err(error) = command.query_async::<redis::Value>(connection).await else { continue };
        if error.code() == Some("NOAUTH") {
            report.problem(format_args!(
                "{name}the server asks for a password, and the address has none; write \
                 redis://USER:PASSWORD@HOST"
            ));
            return;
        }
        missing |= error.code() == Some("NOPERM") || error.to_string().contains("permission");
    }
    if !missing {
        return;
    }
    // Whatever else uses the store without a name is that user too.
    let (user, whose) = match shared.url.login.username() {
        Some(user) if user != "default" => (user, ""),
        Some(_) | None => (OWN_USER, ", and write redis://portcullis:PASSWORD@HOST"),
    };
    report.problem(format_args!(
        "{name}the user lacks rights; as an administrator run this line{whose}\n  {}",
        acl(shared, user)
    ));
}

/// A user of the gateway's own, where the address names none.
const OWN_USER: &str = "portcullis";

/// Exactly the rights that are used. `>PASSWORD` adds one: leave it out where there is one.
fn acl(shared: &SharedSettings, user: &str) -> String {
    let more = match &shared.url.servers {
        RedisServers::Cluster(_) => " +cluster|slots +asking",
        RedisServers::Sentinel(_) => " +role",
        RedisServers::One(_) | RedisServers::Socket(_) => "",
    };
    format!(
        "ACL SETUSER {user} on >PASSWORD resetkeys ~{}:* resetchannels -@all +eval +evalsha +time \
         +get +set +del +pexpire +zadd +zremrangebyscore +zcard +xadd +xread +xrange +xrevrange \
         +wait +ping +info{more}",
        shared.prefix
    )
}
