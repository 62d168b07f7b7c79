//! Every vector of every kind: cookies made by the real libraries, and attacks
//! on them. The schema is that of `tests/fixtures/sessions/README.md`.

mod advice;
mod fallback;
mod header_hints;
mod hints;
mod notes;
mod reports;
mod rows;
mod settings;
mod source;
mod untrue;
#[path = "../../tests/fixtures/sessions/vectors.rs"]
pub(super) mod vectors;
mod wrong;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value as Json;

use super::*;
use crate::base::secret::Secrets;
use crate::document::{At, Node, Problems};
use vectors::{answer, compile, cookie_header, vectors};

/// Every kind but `introspect`, which has no format of its own.
fn kinds() -> impl Iterator<Item = &'static str> {
    format::names().filter(|kind| *kind != "introspect")
}

/// The headers of a vector beside its cookies.
fn headers_of(vector: &Json) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for field in vector["headers"].as_array().into_iter().flatten() {
        let [name, value] = [0, 1].map(|at| field[at].as_str().unwrap());
        let name = HeaderName::try_from(name).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// Whether its request comes from a trusted proxy.
fn via_trusted(vector: &Json) -> bool {
    vector["via_trusted"] == true
}

/// Whether the verifier agrees with a vector's `expect`.
fn agrees(expected: &Json, found: &Result<Identity, Rejected>) -> bool {
    match found {
        Ok(identity) => {
            expected["outcome"] == "accept" && expected["user_id"] == identity.user_id()
        }
        Err(_) => expected["outcome"] == "reject",
    }
}

/// The difference in reason or expiry, which are not normative.
fn differs(expected: &Json, found: &Result<Identity, Rejected>) -> Option<String> {
    match found {
        Ok(identity) => (expected["expires_at"].as_u64() != identity.expires_at())
            .then(|| format!("{} / {:?}", expected["expires_at"], identity.expires_at())),
        Err(rejected) => (expected["reason"] != rejected.reason.as_str()).then(|| {
            format!("{} / {}: {}", expected["reason"], rejected.reason.as_str(), rejected.detail)
        }),
    }
}

fn verdict(
    source: &SessionReader,
    vector: &Json,
    cookies: Cookies<'_>,
    now: u64,
) -> Result<Identity, Rejected> {
    vectors::verdict(source, &vector["store"], cookies, now)
}

#[test]
fn every_vector_of_every_kind_has_its_outcome() {
    let mut failures = Vec::new();
    for kind in kinds().chain(["own", "bearer", "compressed", "hapi", "php", "stores"]) {
        let vectors = vectors(kind);
        assert!(!vectors.is_empty(), "{kind} has no vectors");
        let mut passed = 0;
        for vector in &vectors {
            let now = vector["now"].as_u64().unwrap();
            let (header, headers) = (cookie_header(vector), headers_of(vector));
            let source = match compile(&vector["config"]) {
                Ok(source) => source,
                Err(problems) => panic!("{}: {problems:?}", vector["id"]),
            };
            let headers = SentHeaders::new(&headers, via_trusted(vector));
            let cookies = Cookies::new(&header).with_headers(headers);
            let found = verdict(&source, vector, cookies, now);
            let mut expected = vec![vector["expect"].clone()];
            expected
                .extend(vector["expect"]["alternatives"].as_array().into_iter().flatten().cloned());
            if expected.iter().any(|expected| agrees(expected, &found)) {
                passed += 1;
            } else {
                failures.push(format!("{}: {found:?}", vector["id"]));
            }
            if let Some(difference) = differs(&vector["expect"], &found) {
                println!("  {}: {difference}", vector["id"]);
            }
        }
        println!("{kind}: {passed} of {}", vectors.len());
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}
