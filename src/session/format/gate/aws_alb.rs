//! AWS Application Load Balancer: `x-amzn-oidc-data`.
//!
//! Each signing key is published at its own address, by its id, and every load balancer of
//! a region signs with such keys: only the `signer` in the token's header tells whose it
//! is. All three parts of the token are padded base64.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::{Map, Value};

use super::signed;
use crate::base::url::Url;
use crate::document::OneOrMany;
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::claims;
use crate::session::codec::jws::{self, Padding};
use crate::session::codec::spelling;
use crate::session::codec::token_types::TokenTypes;
use crate::session::codec::verifying_keys::{Key, KeySet};
use crate::session::cookie_names::SentCookies;
use crate::session::format::kind::{Compiled, Hints, SessionKind, Verify};
use crate::session::format::risks::Risks;
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::{self, Check, Query, Question, StoreAnswer};

/// A load balancer signs with one key at a time; older ones stay for their last tokens.
const MAX_KEYS: usize = 8;

struct AwsAlb {
    /// The address before a key's id, with its `/`.
    keys_url: String,
    /// ARNs of the load balancers that may sign.
    signers: Vec<String>,
    known: ArcSwap<Vec<(String, Arc<KeySet>)>>,
}

pub(in crate::session::format) const KIND: SessionKind = SessionKind {
    name: "aws-alb",
    is_as_written: spelling::padded_token,
    read,
    hints: Hints { companions: &["AWSALB*"], key: "key", ..Hints::NONE },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("aws_alb.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let signers = read_signers(settings);
    let written = settings.table().take("keys_url");
    let region = settings.table().take("region");
    let keys_url = match (written, region) {
        (Some(at), None) => at.read::<Url>().and_then(|url| {
            if !url.is_private() {
                at.problem("the keys could be replaced in transit; write https://");
            }
            at.text("a URL").map(|text| format!("{}/", text.trim_end_matches('/')))
        }),
        (None, Some(at)) => {
            const EXPECTED: &str = r#"the load balancer's region, such as "eu-central-1""#;
            let region = at.text(EXPECTED)?;
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if region.is_empty() || region.len() > 32 || !region.bytes().all(plain) {
                at.wrong(EXPECTED);
            }
            Some(format!("https://public-keys.auth.elb.{region}.amazonaws.com/"))
        }
        (None, None) => {
            settings.problem(
                "`region` is missing; write that of the load balancer, such as region = \
                 \"eu-central-1\"",
            );
            None
        }
        (Some(_), Some(_)) => {
            settings.problem("`region` and `keys_url` are both set; keep one of them");
            None
        }
    };
    let alb = AwsAlb { keys_url: keys_url?, signers: signers?, known: ArcSwap::default() };
    let compiled = Compiled::new(signed::jar("x-amzn-oidc-data"), alb);
    Some(compiled.with_user_id("/sub"))
}

/// `load_balancer`: the ARNs.
fn read_signers(settings: &mut Settings<'_, '_>) -> Option<Vec<String>> {
    const HINT: &str = "its ARN, such as \"arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/NAME/ID\"";
    let at = settings.table().take_needed("load_balancer", HINT)?;
    let signers = at.read::<OneOrMany<String>>()?.0;
    let is_arn = |text: &String| text.starts_with("arn:") && text.contains(":loadbalancer/");
    if signers.is_empty() || !signers.iter().all(is_arn) {
        at.wrong(HINT);
        return None;
    }
    Some(signers)
}

impl Verify for AwsAlb {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let text = found.text()?;
        let id = self.check_header(text)?;
        let known = self.known.load();
        if let Some((_, keys)) = known.iter().find(|(known, _)| *known == id) {
            return self.verify(text, keys, now).map(Check::Known);
        }
        let url = format!("{}{id}", self.keys_url);
        let asked = Map::from_iter([("id".into(), id.into()), ("token".into(), text.into())]);
        Ok(Check::Ask(Question::new(Query::Key { url })).carrying(Value::Object(asked)))
    }

    fn answered(
        &self,
        question: &Question,
        answer: StoreAnswer,
        now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        let StoreAnswer::Key { document } = answer else { return Err(store::mismatch()) };
        let asked = |name| claims::text(&question.carried, name).unwrap_or_default();
        let key = Key::from_pem(None, &document).ok_or_else(|| {
            Rejected::new(Reason::Unavailable, "the load balancer's key is not in PEM form")
        })?;
        let keys = Arc::new(KeySet::new(vec![key]));
        let opened = self.verify(asked("token"), &keys, now)?;
        self.remember(asked("id"), &keys);
        Ok(Check::Known(opened))
    }

    /// A load balancer signs a new token every few minutes.
    fn signed_in_at(&self, _session: &Value) -> Option<u64> {
        None
    }
}

impl AwsAlb {
    /// The key's id, if the token claims to be for us: nothing is fetched for another.
    fn check_header(&self, token: &str) -> Result<String, Rejected> {
        let header = jws::unverified_header(token.as_bytes(), Padding::Allowed)
            .ok_or_else(|| Rejected::malformed("the token's header is not base64url"))?;
        self.check_signer(&header)?;
        let id = claims::text(&header, "kid").unwrap_or_default();
        let plain = |b: u8| b.is_ascii_hexdigit() || b == b'-';
        if id.len() != 36 || !id.bytes().all(plain) {
            let detail = "the token's key id (`kid`) is not one of a load balancer";
            return Err(Rejected::new(Reason::UnknownKid, detail));
        }
        Ok(id.to_owned())
    }

    fn check_signer(&self, header: &Value) -> Result<(), Rejected> {
        let signer = claims::text(header, "signer");
        if signer.is_some_and(|signer| self.signers.iter().any(|own| own == signer)) {
            return Ok(());
        }
        let detail = "`signer` is missing or not the configured `load_balancer`";
        Err(Rejected::new(Reason::WrongIssuer, detail))
    }

    fn verify(&self, token: &str, keys: &KeySet, now: u64) -> Result<OpenedSession, Rejected> {
        let types = TokenTypes::default();
        let token = jws::verify_padded(token.as_bytes(), keys, &[Algorithm::ES256], &types)?;
        self.check_signer(&token.header)?;
        // The expiry is in the header, and in newer tokens in the claims too.
        let outer = claims::expires_at(&token.header, now)?;
        let OpenedSession { session, expires_at } = token.session(now)?;
        let expires_at = expires_at.into_iter().chain(outer).min();
        if expires_at.is_none() {
            return Err(Rejected::new(Reason::MissingExp, "the token has no `exp`"));
        }
        Ok(OpenedSession { session, expires_at })
    }

    fn remember(&self, id: &str, keys: &Arc<KeySet>) {
        self.known.rcu(|known| {
            let mut known: Vec<_> =
                known.iter().filter(|(other, _)| other != id).cloned().collect();
            if known.len() >= MAX_KEYS {
                known.remove(0);
            }
            known.push((id.to_owned(), Arc::clone(keys)));
            known
        });
    }
}
