//! Builds a `Minter` from one `[token.NAME]` table, noting every problem in one pass.

use std::cell::RefCell;

use http::Method;

use super::cache_key::{CachePolicy, Fingerprint};
use super::grant::GrantHook;
use super::inputs::Inputs;
use super::key::{KeyShape, KeyTable};
use super::known_members::known_members;
use super::layered_table::LayeredTable;
use super::lifetime::Lifetime;
use super::mechanism::{Mechanism, MechanismKind};
use super::minter::Minter;
use super::preset::{Checked, Presets};
use super::statuses::Statuses;
use super::template::{self, Expressions, Names, Params, Reads, SecretUse};
use super::user_ids::UserIds;
use crate::document::{At, FromNode as _, Node, OneOrMany, Table};

impl Minter {
    /// Reads the members of `[token.NAME]` that define the token; path, limits and
    /// origins are left to the policy. `None` if problems were noted.
    pub fn from_table(name: &str, table: &mut Table<'_>, presets: &Presets) -> Option<Self> {
        let Some(chosen) = presets.chosen(table) else {
            LayeredTable::new(table, None, known_members()).give_up();
            return None;
        };
        let token = table.at().clone();
        let path = format!("preset.{}", chosen.name);
        let preset = chosen.node.as_ref().and_then(|node| At { node, path, ..token }.table());
        let settings = [Some(token.node), chosen.node.as_ref()];
        let mut members = LayeredTable::new(table, preset, known_members());
        let minter = build(name, &mut members, settings);
        if minter.is_none() {
            members.give_up();
        }
        members.finish();
        minter
    }
}

fn build(
    name: &str,
    members: &mut LayeredTable<'_, '_, '_>,
    settings: [Option<&Node>; 2],
) -> Option<Minter> {
    let token = members.token().clone();
    let kind: MechanismKind = members.need("kind", "kind = \"jwt\"")?.read()?;
    let mut keys = KeyShape::from_members(members, kind.key_use()).resolve(members);
    let published = kind.published(members, &mut keys);
    let has_grant = members.own("grant").is_some();
    let inputs = Inputs::from_members(members, has_grant);
    let lifetime = Lifetime::from_members(members);
    let user_ids = UserIds::from_members(members);
    let expressions = Expressions::from_members(members);
    let methods = methods(members);
    let statuses = Statuses::from_members(members);
    let cache = members.get("cache").unwrap_or(CachePolicy::Never);
    let _: Option<Checked> = members.get("checked");
    let reads = RefCell::new(Reads::default());
    let names = Names {
        token: &token,
        keys: keys.first()?,
        inputs: &inputs,
        has_grant,
        has_ttl: lifetime.has_ttl(),
        safe_user_id: user_ids.are_safe(),
        expressions: &expressions,
        params: None,
        variables: &[],
        signatures: &[],
        made: &[],
        secrets: SecretUse::Forbidden,
        reads: &reads,
    };
    let grant = GrantHook::from_members(members, &Names { has_grant: false, ..names });
    let mechanism = mechanism(kind, members, &names)?;
    mechanism.check_names_key(&keys, &published, &token);
    let mut reads = reads.into_inner();
    reads.session.extend(inputs.fields().cloned());
    check_cache(cache, &reads, &token);
    let digests = keys.iter().take(1).flat_map(KeyTable::digests);
    let fingerprint = Fingerprint::new(name, settings.into_iter().flatten(), digests);
    Some(Minter {
        mechanism,
        lifetime,
        inputs,
        grant,
        methods: methods?,
        cache,
        user_ids,
        draws: reads.draws,
        fields: reads.session.into_iter().collect(),
        keys: keys.iter().map(|key| key.kid().map(str::to_owned)).collect(),
        published,
        secrets: keys.iter().flat_map(KeyTable::secrets).cloned().collect(),
        statuses,
        fingerprint,
    })
}

/// A token for everyone cannot hold what one session says.
fn check_cache(cache: CachePolicy, reads: &Reads, token: &At<'_>) {
    if cache == CachePolicy::Global && (reads.user_id || !reads.session.is_empty()) {
        token.problem(
            "`cache = \"global\"` hands one token to everyone, but a template reads the session; \
             write cache = \"user\"",
        );
    }
}

/// The mechanism with the operator's parameters put in.
fn mechanism(
    kind: MechanismKind,
    members: &mut LayeredTable<'_, '_, '_>,
    names: &Names<'_>,
) -> Option<Mechanism> {
    let own = members.own("params");
    let params = template::params(own.as_ref(), members.inherited("params").as_ref(), names);
    let names = Names { params: Some(&params), ..*names };
    let mechanism = Mechanism::from_members(kind, members, &names)?;
    mark_spare(members, names.keys, &params);
    params.report_unused(own.as_ref());
    if let Some(at) = members.own("key") {
        names.keys.report_unused(&at);
    }
    Some(mechanism)
}

/// `spare = ["key.api_key"]`: members that vendors hand out together with the key, so
/// that people write them down although nothing uses them.
fn mark_spare(members: &mut LayeredTable<'_, '_, '_>, keys: &KeyTable, params: &Params) {
    for name in members.get::<Vec<String>>("spare").unwrap_or_default() {
        match name.split_once('.') {
            Some(("key", member)) => keys.mark_used(member),
            Some(("param", param)) => params.mark_used(param),
            Some(_) | None => {}
        }
    }
}

/// The preset's methods or the token's, else GET and POST.
fn methods(members: &mut LayeredTable<'_, '_, '_>) -> Option<Vec<Method>> {
    let Some(at) = members.take("methods") else { return Some(vec![Method::GET, Method::POST]) };
    let names = OneOrMany::<String>::read(&at)?.0;
    let known = ["GET", "POST", "PUT"];
    if names.is_empty() || names.iter().any(|name| !known.contains(&name.as_str())) {
        at.problem("expected a list of \"GET\", \"POST\" or \"PUT\"");
        return None;
    }
    names.iter().map(|name| Method::from_bytes(name.as_bytes()).ok()).collect()
}
