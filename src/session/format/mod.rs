//! The session kinds, one file each: its row, its settings, its verifier, and
//! its schema beside it.
//!
//! A new kind is a file here with a `KIND`, a line below and a line in `registry`.

mod auth0;
mod authjs;
mod better_auth;
mod clerk;
mod cookie_session;
mod django;
mod express_session;
mod fastify_secure_session;
mod firebase;
mod flask;
mod flask_session;
mod gate;
mod h3_session;
mod hash_fields;
mod hono_session;
mod introspect;
mod iron_session;
mod jwt;
mod jwt_advice;
mod kind;
mod koa_session;
mod laravel;
mod lookup;
mod lookup_layout;
mod next_auth;
mod other_names;
mod plug;
mod rails;
mod react_router;
mod registry;
mod risks;
mod sealed_form;
mod signed_cookie;
mod starlette;
mod supabase;
mod yar;

pub(super) use kind::{Compiled, SessionKind};
#[cfg(test)]
pub(super) use registry::names;
pub(super) use registry::{all, read};
pub(crate) use registry::{risks, schemas};
