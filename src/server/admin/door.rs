//! Access to the admin listener: the callers each request is open to.
//!
//! Every path answers only a `Host` that is an address or `localhost`: a page whose name
//! was pointed at this machine (DNS rebinding) would otherwise read the metrics in its
//! visitor's browser. A change must be exactly the documented request, sent by the
//! operator and not passed on by anything: its header fields are those of an allow-list,
//! so no proxy's field has to be known here by name.
//!
//! Pure: statements of the system and the request in, a decision out.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode, Version, header};

use crate::base::secret::{Secret, same_bytes};

/// Fields that a client sends by itself. Any other says that the request was made by a
/// browser or came through a proxy.
const FIELDS: [HeaderName; 11] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::HOST,
    header::TRANSFER_ENCODING,
    header::USER_AGENT,
];

/// The sender of a request, as the system knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AdminClient {
    /// `local` is the address that was connected to.
    Tcp { peer: IpAddr, local: SocketAddr },
    /// Every process that the file system lets use the socket.
    Unix { uid: Option<u32> },
}

impl AdminClient {
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp { peer, .. } => Some(*peer),
            Self::Unix { .. } => None,
        }
    }

    /// Whether this is a program of this machine. A sidecar passes on requests that came
    /// from elsewhere from an address such as 127.0.0.6, or to a listener that is open to
    /// the network.
    fn is_local(&self) -> bool {
        const OWN: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        match self {
            Self::Tcp { peer, local } => {
                OWN.contains(&peer.to_canonical()) && OWN.contains(&local.ip().to_canonical())
            }
            Self::Unix { .. } => true,
        }
    }
}

/// For the log.
impl fmt::Display for AdminClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { peer, .. } => peer.fmt(f),
            Self::Unix { uid: Some(uid) } => write!(f, "unix uid {uid}"),
            Self::Unix { uid: None } => f.write_str("unix"),
        }
    }
}

/// Status and body of the answer to a change.
pub(super) type JsonReply = (StatusCode, String);

/// Why a request is not served.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AccessDenied {
    pub(super) status: StatusCode,
    pub(super) detail: String,
}

fn deny<T>(status: StatusCode, detail: impl Into<String>) -> Result<T, AccessDenied> {
    Err(AccessDenied { status, detail: detail.into() })
}

/// The kind of name in `Host`, if it is one of the allowed kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostKind {
    /// An address of another machine, or of this one in a network.
    Address,
    /// `localhost`, or a loopback address.
    Loopback,
}

/// Every request: `Host` is an address or `localhost`, with the port of the listener or
/// none. A request of HTTP/1.0 may lack it, as some probes do: browsers send it.
pub(super) fn check_host(request: &Parts, asker: &AdminClient) -> Result<(), AccessDenied> {
    let is_probe = request.version < Version::HTTP_11
        && request.method.is_safe()
        && !request.headers.contains_key(header::HOST);
    if request.uri.authority().is_none() && (is_probe || named(request, asker).is_some()) {
        return Ok(());
    }
    let port = match asker {
        AdminClient::Tcp { local, .. } => format!(", with port {} or none", local.port()),
        AdminClient::Unix { .. } => ", without a port".to_owned(),
    };
    let detail = format!("expected a `Host` that is an address or localhost{port}");
    deny(StatusCode::MISDIRECTED_REQUEST, detail)
}

fn named(request: &Parts, asker: &AdminClient) -> Option<HostKind> {
    let mut hosts = request.headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return None };
    let host = host.to_str().ok()?;
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let is_own_port = |port: &str| match asker {
        AdminClient::Tcp { local, .. } => port == local.port().to_string(),
        AdminClient::Unix { .. } => false,
    };
    if !port.is_none_or(is_own_port) {
        return None;
    }
    if name.eq_ignore_ascii_case("localhost") {
        return Some(HostKind::Loopback);
    }
    let in_brackets = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let address = match in_brackets {
        Some(address) => IpAddr::V6(address.parse().ok()?),
        None => IpAddr::V4(name.parse().ok()?),
    };
    let is_loopback = address.to_canonical().is_loopback();
    Some(if is_loopback { HostKind::Loopback } else { HostKind::Address })
}

/// A request that would change something; a refusal is logged. `tokens` is `admin_token`.
pub(super) fn check_change(
    request: &Parts,
    asker: &AdminClient,
    tokens: &[Secret],
) -> Result<(), AccessDenied> {
    check_fields(request, asker, tokens).inspect_err(|denied| {
        tracing::warn!(%asker, status = denied.status.as_u16(), "a change was refused");
    })
}

fn check_fields(
    request: &Parts,
    asker: &AdminClient,
    tokens: &[Secret],
) -> Result<(), AccessDenied> {
    let headers = &request.headers;
    let is_dashboard = is_dashboard(request);
    if !is_json(headers) || (is_from_a_browser(headers) && !is_dashboard) {
        let detail =
            "expected `Content-Type: application/json`, and no browser except the dashboard";
        return deny(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
    }
    let is_known = |name: &HeaderName| {
        let is_usual = FIELDS.contains(name) || (is_dashboard && is_of_browsers(name));
        is_usual && (*name != header::AUTHORIZATION || !tokens.is_empty())
    };
    if let Some(name) = headers.keys().find(|name| !is_known(name)) {
        let detail = format!(
            "this request must not have the header `{name}`: send it directly, not through a proxy"
        );
        return deny(StatusCode::FORBIDDEN, detail);
    }
    if request.uri.query().is_some() {
        return deny(StatusCode::BAD_REQUEST, "expected a path without a query");
    }
    check_sender(request, asker, tokens)
}

/// The Unix socket needs nothing more: the file system says who may use it. Where there is
/// a token, everything else needs it, and where there is none, only this machine may ask.
fn check_sender(
    request: &Parts,
    asker: &AdminClient,
    tokens: &[Secret],
) -> Result<(), AccessDenied> {
    let has_token = is_token(&request.headers, tokens);
    match asker {
        AdminClient::Unix { .. } if !request.headers.contains_key(header::AUTHORIZATION) => Ok(()),
        AdminClient::Tcp { .. } if tokens.is_empty() => {
            if asker.is_local() && named(request, asker) == Some(HostKind::Loopback) {
                return Ok(());
            }
            let detail = "allowed only from this machine, to a loopback address; set `admin_token` \
                          in [server] to ask from elsewhere";
            deny(StatusCode::FORBIDDEN, detail)
        }
        AdminClient::Tcp { .. } | AdminClient::Unix { .. } if has_token => Ok(()),
        AdminClient::Tcp { .. } | AdminClient::Unix { .. } => deny(
            StatusCode::UNAUTHORIZED,
            "expected `Authorization: Bearer` with the `admin_token`",
        ),
    }
}

/// Whether exactly one field carries one of the tokens. Every token is compared, each in
/// constant time.
fn is_token(headers: &HeaderMap, tokens: &[Secret]) -> bool {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return false };
    let Some((scheme, shown)) = field.as_bytes().split_at_checked("Bearer ".len()) else {
        return false;
    };
    let is_one =
        tokens.iter().fold(false, |is_one, token| is_one | same_bytes(token.bytes(), shown));
    is_one && scheme.eq_ignore_ascii_case(b"Bearer ")
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(written), None) = (types.next(), types.next()) else { return false };
    let written: String = written.to_str().unwrap_or_default().split_whitespace().collect();
    let accepted = ["application/json", "application/json;charset=utf-8"];
    accepted.iter().any(|accepted| written.eq_ignore_ascii_case(accepted))
}

/// Says that the dashboard asks. A page elsewhere cannot send it: its browser would ask for
/// permission first, which no answer here gives.
const DASHBOARD: HeaderName = HeaderName::from_static("x-portcullis-dashboard");

/// Whether the dashboard of this very listener made the request: its page stands under the
/// address that is asked, and the browser says so itself.
fn is_dashboard(request: &Parts) -> bool {
    let only = |name: &HeaderName| {
        let mut fields = request.headers.get_all(name).iter();
        let (field, more) = (fields.next(), fields.next());
        field.filter(|_| more.is_none()).and_then(|field| field.to_str().ok())
    };
    let is = |name: &'static str, value: &str| only(&HeaderName::from_static(name)) == Some(value);
    let own = only(&header::HOST).map(|host| format!("http://{host}"));
    own.is_some_and(|own| only(&header::ORIGIN) == Some(&own))
        && only(&DASHBOARD) == Some("revoke")
        && is("sec-fetch-site", "same-origin")
        && is("sec-fetch-mode", "cors")
        && is("sec-fetch-dest", "empty")
}

/// Fields that a browser adds to the dashboard's requests. None of them is a proxy's.
fn is_of_browsers(name: &HeaderName) -> bool {
    let known = [
        header::CACHE_CONTROL,
        header::DNT,
        header::ORIGIN,
        header::PRAGMA,
        header::REFERER,
        DASHBOARD,
    ];
    known.contains(name) || name.as_str() == "priority" || name.as_str().starts_with("sec-")
}

/// Browsers tell where a request comes from; a page cannot keep them from it.
fn is_from_a_browser(headers: &HeaderMap) -> bool {
    let tells = |name: &HeaderName| *name == header::ORIGIN || name.as_str().starts_with("sec-");
    headers.keys().any(tells)
}

#[cfg(test)]
mod tests;
