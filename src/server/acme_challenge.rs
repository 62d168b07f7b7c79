//! The challenge of a certificate authority (RFC 8555 section 8.3) for a host that has no
//! certificate yet: the app answers it, over plain HTTP.

use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, header};

use crate::base::url::Url;
use crate::outbound::Call;
use crate::request::refusal::{PLAIN_TEXT, Refusal, Reply};
use crate::state::State;
use crate::upstream::{Address, Upstream};

const PATH: &str = "/.well-known/acme-challenge/";
/// Longest answer: a token, a dot and a thumbprint take about 90 octets.
const MAX_SIZE: usize = 4 * 1024;
const TIMEOUT: Duration = Duration::from_secs(5);

/// A challenge that the app is asked for.
pub(super) struct Challenge {
    host: String,
    target: String,
}

impl Challenge {
    /// The challenge that a request asks for, if it does; its token is of the base64url
    /// alphabet.
    pub(super) fn of(method: &Method, host: &str, target: &str) -> Option<Self> {
        let token = target.strip_prefix(PATH)?;
        let is_token = (1..=256).contains(&token.len())
            && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        let reads = *method == Method::GET || *method == Method::HEAD;
        let (host, target) = (host.to_owned(), target.to_owned());
        (is_token && reads).then_some(Self { host, target })
    }

    /// Asks the app, without anything else of the request.
    pub(super) async fn answer(&self, state: &State) -> Result<Reply, Refusal> {
        let policy = state.policy();
        let upstream = policy.upstream_for(&self.host).ok_or(Refusal::UpstreamFailed)?;
        let url = self.url(upstream).ok_or(Refusal::UpstreamFailed)?;
        let host = upstream.host.clone().or_else(|| HeaderValue::from_str(&self.host).ok());
        let mut call = Call::get(url);
        call.headers = host.into_iter().map(|host| (header::HOST, host)).collect();
        (call.timeout, call.max_size) = (TIMEOUT, MAX_SIZE);
        let answer = state.outbound.send(&call).await.map_err(|error| {
            tracing::warn!(cause = %error, "the app did not answer an ACME challenge");
            Refusal::UpstreamFailed
        })?;
        match answer.status {
            StatusCode::OK => Ok(Reply::new(answer.status, PLAIN_TEXT, answer.body)),
            _ => Err(Refusal::BadRequest("the app knows no such challenge")),
        }
    }

    /// Address of the first server that has one.
    fn url(&self, upstream: &Upstream) -> Option<Url> {
        let addresses = upstream.servers().iter();
        let server = addresses.map(|server| &**server).find(|server| match server {
            Address::Tcp { .. } => true,
            Address::Unix(_) => false,
        })?;
        Url::parse(&format!("{server}{}", self.target))
    }
}
