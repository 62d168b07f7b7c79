//! `portcullis token`: mint offline what the endpoint would answer.

use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use clap::Args;
use http::StatusCode;
use serde_json::{Value, json};

use super::file::File;
use super::output::{CONFIGURATION, eprint, print};
use crate::base::clock::{Clock, Now};
use crate::config::Sources;
use crate::document::{At, Node, Problems};
use crate::mint::{MintError, Minting, Subject, Token};
use crate::policy::{TokenRoute, read_presets, read_tokens};
use crate::session::Identity;

#[derive(Args)]
pub(super) struct Options {
    /// NAME of a `[token.NAME]` table.
    name: String,
    /// The session, as JSON: `user_id`, and whatever templates read;
    /// `expires_at` (Unix seconds) if it ends.
    #[arg(long, value_name = "JSON")]
    session: String,
    /// The token's request inputs, by name or as the request has them, as a JSON
    /// object.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    request: String,
    /// The app's answer to the grant hook.
    #[arg(long, value_name = "JSON", default_value = "null")]
    grant: String,
    /// The answer of the token's remote issuer, which is not asked: the body of its
    /// response.
    #[arg(long, value_name = "BODY")]
    answer: Option<String>,
    /// The time to mint at, in seconds since 1970.
    #[arg(long, value_name = "UNIX")]
    now: Option<u64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// The session, inputs and answers that the arguments name.
struct Offline {
    identity: Identity,
    request: Value,
    grant: Value,
    answer: Option<Bytes>,
    now: Now,
}

/// A refusal: its code and, for the operator, the cause.
struct Refused {
    code: &'static str,
    detail: String,
}

pub(super) fn token(sources: &Sources, options: &Options) -> ExitCode {
    let file = match File::read(sources) {
        Ok(file) => file,
        Err(code) => return code,
    };
    let route = match route(&file, &options.name) {
        Ok(route) => route,
        Err(code) => return code,
    };
    let offline = match options.offline() {
        Ok(offline) => offline,
        Err(mistake) => {
            eprint(mistake);
            return ExitCode::from(CONFIGURATION);
        }
    };
    let minted = offline.mint(&route);
    if options.json {
        print(as_json(&minted));
    } else {
        print(as_text(&minted));
    }
    if minted.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The named token; the rest of the file may be anything.
fn route(file: &File, name: &str) -> Result<Arc<TokenRoute>, ExitCode> {
    let problems = Problems::default();
    let document = Node::parse(&file.text, &problems);
    let top = At::new(&document, "", &problems, &file.secrets).table();
    let tokens = top.map_or_else(Vec::new, |mut top| {
        let presets = read_presets(&mut top);
        read_tokens(&mut top, &presets)
    });
    if !problems.is_empty() {
        return Err(file.refuse(&problems.into_sorted()));
    }
    let found = tokens.iter().find(|token| token.name == name);
    found.cloned().ok_or_else(|| {
        let known: Vec<_> = tokens.iter().map(|token| token.name.as_str()).collect();
        eprint(format_args!("there is no [token.{name}]; the file has: {}", known.join(", ")));
        ExitCode::from(CONFIGURATION)
    })
}

impl Options {
    fn offline(&self) -> Result<Offline, String> {
        let session = parse("--session", &self.session)?;
        let Some(user_id) = session.get("user_id").and_then(user_id) else {
            return Err("--session: `user_id` is missing; write '{\"user_id\": \"u1\"}'".to_owned());
        };
        let expires_at = session.get("expires_at").and_then(Value::as_u64);
        let request = parse("--request", &self.request)?;
        if !request.is_object() {
            return Err("--request: expected a JSON object".to_owned());
        }
        Ok(Offline {
            identity: Identity::assumed(user_id, session, expires_at),
            request,
            grant: parse("--grant", &self.grant)?,
            answer: self.answer.clone().map(Bytes::from),
            now: self.now.map_or_else(|| Clock::system().now(), Now::at),
        })
    }
}

fn parse(argument: &str, text: &str) -> Result<Value, String> {
    // The library's message may repeat the text, which may be personal.
    serde_json::from_str(text).map_err(|error| {
        format!("{argument}: not JSON, at line {} column {}", error.line(), error.column())
    })
}

fn user_id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl Offline {
    fn mint(&self, route: &TokenRoute) -> Result<Token, Refused> {
        let inputs = route.minter.inputs().read_object(&self.request);
        let subject = Subject { identity: &self.identity, inputs: &inputs, grant: &self.grant };
        let refused = |error: MintError| Refused { code: error.code(), detail: error.to_string() };
        match route.minter.mint(&subject, self.now).map_err(refused)? {
            Minting::Ready(token) => Ok(token),
            Minting::Call(_) | Minting::First(_) => match self.answer.clone() {
                Some(answer) => route
                    .minter
                    .answered(&subject, self.now, StatusCode::OK, answer)
                    .map_err(refused),
                None => Err(Refused {
                    code: "unavailable",
                    detail: "this token comes from a remote issuer, which `token` does not \
                             contact; pass its answer with --answer"
                        .to_owned(),
                }),
            },
        }
    }
}

fn as_json(minted: &Result<Token, Refused>) -> Value {
    match minted {
        Ok(token) => json!({
            "outcome": "minted",
            "token": String::from_utf8_lossy(token.value()),
            "expires_at": token.expires_at,
            "content_type": String::from_utf8_lossy(token.content_type().as_bytes()),
            "body": String::from_utf8_lossy(&token.body),
        }),
        Err(refused) => json!({
            "outcome": "refused",
            "code": refused.code,
            "detail": refused.detail,
        }),
    }
}

fn as_text(minted: &Result<Token, Refused>) -> String {
    match minted {
        Ok(token) => String::from_utf8_lossy(&token.body).into_owned(),
        Err(refused) => format!("refused: {}: {}", refused.code, refused.detail),
    }
}
