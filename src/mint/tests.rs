//! Tests of whole tokens: every vector, every promise about a preset.

mod apart;
mod behaviour;
mod cache;
mod config;
mod exchange;
mod formats;
mod gallery;
mod hostile;
mod inputs;
mod issuers;
mod keys;
mod missing;
mod signatures;
mod templates;
mod vectors;

use http::StatusCode;
use serde_json::{Value, json};

use crate::base::clock::Now;
use crate::base::secret::Secrets;
use crate::document::{At, Node, Problem, Problems};
use crate::mint::{MintError, Minter, Minting, Presets, Subject, Token};
use crate::session::Identity;

pub(super) const NOW: u64 = 1_767_225_600;

/// Reads a token's table written as JSON, where keys stand in plain sight.
pub(super) fn read(table: &Value) -> Result<Minter, Vec<Problem>> {
    read_node(&Node::from_json(table))
}

pub(super) fn read_node(node: &Node) -> Result<Minter, Vec<Problem>> {
    let (problems, secrets) = (Problems::default(), Secrets::Literal);
    let minter = {
        let at = At::new(node, "token.x", &problems, &secrets);
        let mut table = at.table().unwrap();
        for policy in ["path", "limit", "limit_by", "origins"] {
            table.take(policy);
        }
        let minter = Minter::from_table("x", &mut table, Presets::builtin());
        table.finish();
        minter
    };
    if !problems.is_empty() {
        return Err(problems.into_sorted());
    }
    Ok(minter.expect("a minter or a problem"))
}

/// All problems, as one text.
pub(super) fn wrong(table: &Value) -> String {
    let problems = read(table).err().expect("a problem");
    let line = |problem: &Problem| format!("{}: {}", problem.path, problem.text);
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn alice() -> Identity {
    user("user_42")
}

pub(super) fn user(id: &str) -> Identity {
    let session = json!({
        "user_id": id, "name": "Alice Example", "email": "alice@example.com", "org_id": "acme",
        "roles": ["editor"], "email_verified": true
    });
    Identity::assumed(id.into(), session, None)
}

pub(super) fn mint(
    minter: &Minter,
    identity: &Identity,
    inputs: &Value,
) -> Result<Token, MintError> {
    let inputs = inputs.as_object().cloned().unwrap_or_default();
    let subject = Subject { identity, inputs: &inputs, grant: &Value::Null };
    match minter.mint(&subject, Now::at(NOW))? {
        Minting::Call(_) | Minting::First(_) => panic!("expected a token, found a call"),
        Minting::Ready(token) => Ok(token),
    }
}

pub(super) fn value_of(token: &Token) -> String {
    String::from_utf8(token.value().to_vec()).expect("a text")
}

pub(super) fn body(token: &Token) -> Value {
    serde_json::from_slice(&token.body).expect("a JSON body")
}

pub(super) fn claims(token: &Token) -> Value {
    part(&value_of(token), 1)
}

/// One decoded part of a JWT.
pub(super) fn part(token: &str, index: usize) -> Value {
    use base64::Engine as _;
    let text = token.split('.').nth(index).expect("a JWT has three parts");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

pub(super) const OK: StatusCode = StatusCode::OK;
