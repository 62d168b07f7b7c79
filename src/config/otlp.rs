//! `otlp` of `[log]`: the collector that spans are sent to.

use http::{HeaderName, HeaderValue};

use crate::base::secret::Secret;
use crate::base::units::{self, Share};
use crate::base::url::Url;
use crate::document::{At, Value};

/// Where traces go, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// With the path of the one method.
    pub(crate) url: Url,
    /// The share of traces that begin here.
    pub(crate) sample: Share,
    pub(crate) service: String,
    /// Headers the collector asks for, such as a key.
    headers: Vec<(HeaderName, Secret)>,
}

const PATH: &str = "/v1/traces";
const EXPECTED: &str = r#"the collector's URL, such as "http://127.0.0.1:4318""#;

impl Otlp {
    /// A URL, or a table with one.
    pub(super) fn read(at: &At<'_>) -> Option<Self> {
        if !matches!(at.node.value, Value::Table(_)) {
            let (sample, service, headers) = (Share::ALL, usual_name(), Vec::new());
            return Some(Self { url: endpoint(at)?, sample, service, headers });
        }
        let mut table = at.table()?;
        let url_at = table.take_needed("endpoint", r#"endpoint = "http://127.0.0.1:4318""#);
        let sample = table.take("sample").map(|at| read_share(&at));
        let service = table.take("service").map(|at| read_service(&at));
        let headers = table.take("headers").map(|at| read_headers(&at));
        table.finish();
        let url_at = url_at?;
        let url = endpoint(&url_at)?;
        let headers = headers.unwrap_or_else(|| Some(Vec::new()))?;
        if !headers.is_empty() && !url.is_private() {
            url_at.problem(
                "`headers` would travel unencrypted; write https:// or an address of this machine",
            );
            return None;
        }
        Some(Self {
            url,
            sample: sample.unwrap_or(Some(Share::ALL))?,
            service: service.unwrap_or_else(|| Some(usual_name()))?,
            headers,
        })
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
        self.headers.iter().filter_map(|(name, secret)| {
            let mut value = HeaderValue::from_bytes(secret.bytes()).ok()?;
            value.set_sensitive(true);
            Some((name.clone(), value))
        })
    }
}

fn usual_name() -> String {
    "portcullis".to_owned()
}

/// The base URL, to which the path is added as other programs do with
/// `OTEL_EXPORTER_OTLP_ENDPOINT`; or the whole one.
fn endpoint(at: &At<'_>) -> Option<Url> {
    let text = at.text(EXPECTED)?;
    let whole = match text.trim_end_matches('/') {
        whole if whole.ends_with(PATH) => whole.to_owned(),
        base => format!("{base}{PATH}"),
    };
    let url = Url::parse(&whole).filter(|_| !text.contains(['?', '#']));
    if url.is_none() {
        at.wrong(EXPECTED);
    }
    url
}

pub(super) fn read_share(at: &At<'_>) -> Option<Share> {
    let text = at.text(r#"a share such as "10%""#)?;
    units::share(text).map_err(|expected| at.wrong(expected)).ok()
}

fn read_service(at: &At<'_>) -> Option<String> {
    const EXPECTED: &str = r#"the name of the service, such as "portcullis""#;
    let name = at.text(EXPECTED)?;
    if name.trim().is_empty() || name.len() > 255 {
        at.wrong(EXPECTED);
        return None;
    }
    Some(name.to_owned())
}

fn read_headers(at: &At<'_>) -> Option<Vec<(HeaderName, Secret)>> {
    let read = |name: &str, at: &At<'_>| {
        let Ok(name) = HeaderName::try_from(name) else {
            at.problem("expected the name of a header before `=`");
            return None;
        };
        let secret = at.secret()?;
        if HeaderValue::from_bytes(secret.bytes()).is_err() {
            at.problem("the secret has characters that a header cannot carry");
            return None;
        }
        Some((name, secret))
    };
    let members = at.members();
    let headers = members.iter().map(|(key, at)| read(&key.name, at)).collect::<Vec<_>>();
    headers.into_iter().collect()
}
