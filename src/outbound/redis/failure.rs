//! Why a Redis does not answer, by what the caller may do about it.
//!
//! Messages of a server can repeat keys and passwords: a failure keeps its code only.

use std::fmt;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::base::redis_url::RedisNode;

/// The reason there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A certificate or its file, ours or the server's.
    Certificate(String),
    /// The connection ended before the answer came: the command may have run.
    Lost,
    /// The server refuses the user or the command; its code.
    NotAllowed(String),
    /// The server does not know the script: nothing has run.
    NoScript,
    /// A Cluster moves the key; nothing has run here.
    Redirected { to: RedisNode, kind: Redirect },
    /// The server is a replica now: nothing has run.
    ReadOnly,
    /// Another error of the server; its code.
    Server(String),
    /// No answer within the deadline: the command may have run.
    TimedOut,
    /// A Cluster has keys of the command at two servers for a moment; nothing has run.
    TryAgain,
    /// The address does not fit the server; what to write.
    Unfit(&'static str),
    /// No connection: nothing was sent.
    Unreachable,
}

/// Errors whose code says nothing and whose words say that the address does not fit.
const UNFIT: [(&str, &str); 4] = [
    ("cluster support disabled", "the server belongs to no Cluster; write redis://"),
    ("unknown command 'sentinel'", NO_SENTINEL),
    ("unknown command `sentinel`", NO_SENTINEL),
    ("refused to switch database", NO_DATABASE),
];
const NO_SENTINEL: &str =
    "the server is not a Sentinel; write its port, usually 26379, or redis:// for a single server";
const NO_DATABASE: &str = "the server has no database of the number that ends the address";

/// How a Cluster says where a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// This once.
    Ask,
    /// From now on.
    Moved,
}

impl Failure {
    /// Whether the connection is of no more use.
    pub(super) fn ends_connection(&self) -> bool {
        match self {
            Self::Lost | Self::ReadOnly => true,
            Self::Certificate(_)
            | Self::NoScript
            | Self::NotAllowed(_)
            | Self::Redirected { .. }
            | Self::Server(_)
            | Self::TimedOut
            | Self::TryAgain
            | Self::Unfit(_)
            | Self::Unreachable => false,
        }
    }
}

impl From<&RedisError> for Failure {
    fn from(error: &RedisError) -> Self {
        let code = code(error);
        match (error.kind(), code.as_deref()) {
            (ErrorKind::Server(ServerErrorKind::NoScript), _) => Self::NoScript,
            (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => Self::ReadOnly,
            (ErrorKind::Server(ServerErrorKind::TryAgain), _) => Self::TryAgain,
            (ErrorKind::Server(kind @ (ServerErrorKind::Ask | ServerErrorKind::Moved)), _) => {
                let kind =
                    if kind == ServerErrorKind::Ask { Redirect::Ask } else { Redirect::Moved };
                match error.redirect_node() {
                    Some((node, _)) => redirected(node, kind),
                    None => Self::Server("MOVED".to_owned()),
                }
            }
            (ErrorKind::AuthenticationFailed, code) => {
                Self::NotAllowed(code.unwrap_or("WRONGPASS").to_owned())
            }
            (_, Some(code @ ("NOAUTH" | "NOPERM" | "WRONGPASS"))) => {
                Self::NotAllowed(code.to_owned())
            }
            (_, Some(code)) => unfit(error).unwrap_or_else(|| Self::Server(code.to_owned())),
            (ErrorKind::Io | ErrorKind::Parse, None) => Self::Lost,
            (_, None) => unfit(error).unwrap_or_else(|| Self::Server(error.category().to_owned())),
        }
    }
}

fn unfit(error: &RedisError) -> Option<Failure> {
    let said = error.to_string().to_ascii_lowercase();
    let known = UNFIT.iter().find(|(words, _)| said.contains(words));
    known.map(|(_, advice)| Failure::Unfit(advice))
}

/// `HOST:PORT`, or `:PORT` for the host that was asked.
fn redirected(node: &str, kind: Redirect) -> Failure {
    let node = node.rsplit_once(':').and_then(|(host, port)| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some(RedisNode { host: host.to_owned(), port: port.parse().ok()? })
    });
    node.map_or_else(|| Failure::Server("MOVED".to_owned()), |to| Failure::Redirected { to, kind })
}

/// The server's code for the error, or for the first of several commands' errors.
fn code(error: &RedisError) -> Option<String> {
    let errors = error.clone().into_server_errors();
    let first = errors.as_deref().and_then(<[_]>::first).map(|(_, error)| error.code());
    first.or_else(|| error.code()).map(str::to_owned)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(why) => f.write_str(why),
            Self::Lost => f.write_str("the server closed the connection"),
            Self::NoScript => f.write_str("the server does not keep scripts"),
            Self::NotAllowed(code) => {
                write!(
                    f,
                    "the server does not accept the user, the password or the command ({code})"
                )
            }
            Self::ReadOnly => f.write_str("the server is a replica"),
            Self::Redirected { .. } => {
                f.write_str("the server belongs to a Cluster; write redis+cluster://")
            }
            Self::Server(code) => write!(f, "the server answered with error {code}"),
            Self::Unfit(advice) => f.write_str(advice),
            Self::TimedOut => f.write_str("the server did not answer in time"),
            Self::TryAgain => f.write_str("the server is moving the key"),
            Self::Unreachable => f.write_str("cannot connect to the server"),
        }
    }
}

impl std::error::Error for Failure {}
