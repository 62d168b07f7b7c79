//! The list of session kinds, the only place that knows every one of them.

use super::kind::SessionKind;
use super::risks::Risks;
use crate::document::{Table, one_of};

static KINDS: &[&SessionKind] = &[
    &super::auth0::KIND,
    &super::authjs::KIND,
    &super::gate::aws_alb::KIND,
    &super::better_auth::KIND,
    &super::clerk::KIND,
    &super::gate::cloudflare_access::KIND,
    &super::cookie_session::KIND,
    &super::django::KIND,
    &super::express_session::KIND,
    &super::fastify_secure_session::KIND,
    &super::firebase::KIND,
    &super::flask::KIND,
    &super::flask_session::KIND,
    &super::gate::google_iap::KIND,
    &super::h3_session::KIND,
    &super::hono_session::KIND,
    &super::introspect::KIND,
    &super::iron_session::KIND,
    &super::jwt::KIND,
    &super::koa_session::KIND,
    &super::laravel::KIND,
    &super::lookup::KIND,
    &super::next_auth::KIND,
    &super::plug::KIND,
    &super::gate::pomerium::KIND,
    &super::rails::KIND,
    &super::react_router::KIND,
    &super::signed_cookie::KIND,
    &super::starlette::KIND,
    &super::supabase::KIND,
    &super::gate::trusted_header::KIND,
    &super::yar::KIND,
];

pub(in crate::session) fn all() -> impl Iterator<Item = &'static SessionKind> {
    KINDS.iter().copied()
}

/// The JSON Schemas of all kinds, in the order of the list.
pub(crate) fn schemas() -> impl Iterator<Item = &'static str> {
    all().map(|kind| kind.schema)
}

/// The risks of the kind of this name.
pub(crate) fn risks(name: &str) -> Option<&'static Risks> {
    all().find(|kind| kind.name == name).map(|kind| &kind.risks)
}

/// The kind a table names, or a problem that lists them all.
pub(in crate::session) fn read(table: &mut Table<'_>) -> Option<&'static SessionKind> {
    let kind = table
        .take_needed("kind", "the name of the app's session format, such as kind = \"next-auth\"")
        .and_then(|at| {
            let name = at.text("the name of a session format")?;
            let kind = all().find(|kind| kind.name == name);
            if let (None, Some(advice)) = (kind, super::other_names::advice(name)) {
                at.problem(advice);
            } else if kind.is_none() {
                let names: Vec<_> = all().map(|kind| kind.name).collect();
                at.wrong(&one_of(name, &names));
            }
            kind
        });
    if kind.is_none() {
        table.give_up();
    }
    kind
}

#[cfg(test)]
pub(in crate::session) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|kind| kind.name)
}
