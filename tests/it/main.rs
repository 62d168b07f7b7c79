//! The gateway as its users meet it: over sockets, one file per promise.
//!
//! Every test starts its own gateway and its own app on ports the system picks,
//! and stops both. `support` also looks at everything it passes on: no answer of
//! the gateway may be stored or carry a secret, and no secret, cookie or token
//! may stand in a log or a metric.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "helpers of tests may fail the test they serve, and wait by the real clock"
)]

mod support;

mod access_log;
mod admin_door;
mod addresses;
mod assertion;
mod audit;
mod bearer;
mod cache;
mod check;
mod command_line;
mod connections;
mod cookies;
mod cross_site;
mod crowds;
mod env_file;
mod errors;
mod faults;
mod faults_http2;
mod flow;
mod forward;
mod forward_auth;
mod framing;
mod heads;
mod http2;
mod http2_malformed;
mod id_flood;
mod init;
mod init_routes;
mod init_sessions;
mod interim;
mod issuer;
mod jwks;
mod jwt_abuse;
mod kept;
mod keys;
mod least_rate;
mod lifecycle;
mod limit;
mod limits_evasion;
mod malformed;
mod one_session;
mod open_streams;
mod page;
mod paths;
mod pipelining;
mod proxy_protocol;
mod proxy_reports;
mod redirect;
mod renewal;
mod repeats;
mod respelled;
mod route;
mod selftest;
mod session;
mod sign_out;
mod shadow;
mod shadow_planted;
mod slow;
mod spelling;
mod status;
mod statuses;
mod streaming;
mod tls;
mod tls_settings;
mod token;
mod tokens_only;
mod trace;
mod traffic;
mod trailers;
mod troubleshooting;
mod under_load;
mod upgrade;
mod upgrade_limits;
mod upstream_tls;
mod upstreams;
mod user_prefix;
mod vendor;
mod warnings;
mod watch;
mod websocket;
