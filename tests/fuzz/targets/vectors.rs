//! Session vectors as fuzz targets use them: a compiled source, the cookies that
//! were sent, the store's content, and the identities they may yield.

#[path = "../../fixtures/sessions/vectors.rs"]
mod reader;

use std::sync::OnceLock;

use portcullis::testing::{Cookies, Identity, Rejected, SessionReader, percent_decode};
use serde_json::Value;

pub(crate) use reader::{answer, folder};

/// One vector.
pub(crate) struct Case {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) header: Vec<u8>,
    pub(crate) config: Value,
    pub(crate) now: u64,
    pub(crate) store: Value,
    source: OnceLock<SessionReader>,
    /// The identities that cookies of this kind's vectors, whole or in parts, hold
    /// under this case's settings.
    authentic: OnceLock<Vec<Identity>>,
}

/// The kinds there are fixtures for, by name.
pub(crate) fn kinds() -> Vec<String> {
    let has_cookies = |file: &String| {
        // Tokens in headers have no cookie to change.
        file != "own" && reader::vectors(file).iter().all(|vector| vector["headers"].is_null())
    };
    reader::files().into_iter().filter(has_cookies).collect()
}

/// The vectors of some kinds, in a fixed order.
pub(crate) fn cases(kinds: &[String]) -> Vec<Case> {
    let mut cases = Vec::new();
    for file in kinds.iter().map(String::as_str).chain(["own"]) {
        for vector in reader::vectors(file) {
            let kind = vector["config"]["kind"].as_str().unwrap();
            if kinds.iter().any(|wanted| wanted == kind) {
                cases.push(case(kind, &vector));
            }
        }
    }
    cases
}

/// The vectors of these files, in a fixed order.
pub(crate) fn cases_in(files: &[&str]) -> Vec<Case> {
    let vectors = files.iter().flat_map(|file| reader::vectors(file));
    vectors.map(|vector| case(vector["config"]["kind"].as_str().unwrap(), &vector)).collect()
}

/// The tokens of public reports, each under the settings that read it: with a scheme word,
/// in quotes, in JSON, split over cookies.
pub(crate) fn carriers() -> Vec<Case> {
    let text = std::fs::read(folder().join("../reports/sessions.json")).unwrap();
    let reports: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let tokens = reports.iter().filter(|report| report["session"]["kind"] == "jwt");
    let vector = |report: &Value| {
        let config = report.get("cured").unwrap_or_else(|| &report["session"]);
        let vector = serde_json::json!({
            "id": report["id"], "config": config, "cookie_header": report["cookie"],
            "now": report["now"], "store": null,
        });
        reader::compile(config).is_ok().then_some(vector)
    };
    tokens.filter_map(vector).map(|vector| case("jwt", &vector)).collect()
}

/// The claims of every token that a carrier holds, in whatever wrapping. No fuzzer can sign
/// others.
pub(crate) fn signed_claims() -> &'static [Value] {
    static CLAIMS: OnceLock<Vec<Value>> = OnceLock::new();
    CLAIMS.get_or_init(|| {
        let mut claims = Vec::new();
        for case in carriers() {
            let mut text = case.header;
            // Some are escaped twice.
            for _ in 0..2 {
                text = percent_decode(&text).into_owned();
            }
            collect_claims(&text, &mut claims);
        }
        claims
    })
}

/// The second part of everything that looks like a token, also inside base64.
fn collect_claims(text: &[u8], claims: &mut Vec<Value>) {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.+/".contains(byte);
    for piece in text.split(|byte| !is_part(byte)) {
        for part in piece.split(|&byte| byte == b'.') {
            let Some(decoded) = base64_of(part) else { continue };
            if let Ok(json) = serde_json::from_slice(&decoded) {
                collect_claims(&decoded, claims);
                claims.push(json);
            }
        }
    }
}

fn base64_of(part: &[u8]) -> Option<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.decode(part).or_else(|_| STANDARD_NO_PAD.decode(part)).ok()
}

fn case(kind: &str, vector: &Value) -> Case {
    Case {
        kind: kind.to_owned(),
        id: vector["id"].as_str().unwrap().to_owned(),
        header: reader::cookie_header(vector),
        config: reader::settings(&vector["config"]),
        now: vector["now"].as_u64().unwrap(),
        store: vector["store"].clone(),
        source: OnceLock::new(),
        authentic: OnceLock::new(),
    }
}

impl Case {
    /// The text of the settings, which messages may repeat.
    pub(crate) fn settings(&self) -> String {
        self.config.to_string()
    }

    pub(crate) fn source(&self) -> &SessionReader {
        let compiled = || reader::compile(&self.config).expect("the settings of a vector hold");
        self.source.get_or_init(compiled)
    }

    /// From cookies to an identity, asking the vector's store in between.
    pub(crate) fn verdict(&self, header: &[u8]) -> Result<Identity, Rejected> {
        reader::verdict(self.source(), &self.store, Cookies::new(header), self.now)
    }

    /// Whether these cookies may make this identity known.
    pub(crate) fn is_authentic(&self, identity: &Identity, all: &[Self]) -> bool {
        let authentic = self.authentic.get_or_init(|| {
            let same_kind = all.iter().filter(|case| case.kind == self.kind);
            let headers = same_kind.flat_map(|case| parts(&case.header));
            headers.filter_map(|header| self.verdict(&header).ok()).collect()
        });
        authentic.contains(identity)
    }
}

/// A header, each of its cookies alone, and all but each.
fn parts(header: &[u8]) -> Vec<Vec<u8>> {
    let cookies: Vec<&[u8]> = header.split(|&byte| byte == b';').collect();
    let mut parts = vec![header.to_vec()];
    for (index, cookie) in cookies.iter().enumerate() {
        parts.push(cookie.to_vec());
        let mut others = cookies.clone();
        others.remove(index);
        parts.push(others.join(&b';'));
    }
    parts
}
