//! `portcullis check --explain`: what stands in front of the app must say so that this
//! file works: the lines of its own configuration.

use std::fmt::Write as _;

use crate::config::{Config, Listen};
use crate::policy::{Form, Policy};

/// A name that only the reader knows.
const GATEWAY: &str = "https://gateway.example.com";

/// The form of the file, and what the other side must say.
pub(super) fn explain(config: &Config) -> String {
    let policy = &config.policy;
    let form = policy.form();
    let mut text = format!("form: {}\n", form.describe());
    let here = config.server.listen.first().map_or_else(String::new, url_of);
    match form {
        Form::ReverseProxy => {
            text.push_str(
                "Browsers reach the gateway, and it reaches the app. Nothing else has to change.\n",
            );
        }
        Form::TokensOnly => rewrites(&mut text, policy, &here),
        Form::ForwardAuth | Form::Both => {
            let asks = config.server.auth.first().map_or_else(String::new, Listen::to_string);
            nginx(&mut text, policy, &here, &asks);
            caddy(&mut text, policy, &here, &asks);
        }
    }
    text
}

/// The address as a program on the same machine reaches it.
fn url_of(listen: &Listen) -> String {
    let address = listen.to_string().replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:");
    match listen {
        Listen::Tcp(_) => format!("http://{address}"),
        Listen::Tls(_) => format!("https://{address}"),
        Listen::Unix(path) => format!("http://unix:{}:", path.display()),
    }
}

/// The paths that the gateway answers itself.
fn paths(policy: &Policy) -> Vec<String> {
    let tokens = policy.tokens.iter().filter_map(|token| Some(token.path.as_ref()?.as_str()));
    let published = policy.discovery.paths().into_iter().map(|(path, _)| path);
    tokens.map(str::to_owned).chain(published).collect()
}

fn rewrites(text: &mut String, policy: &Policy, here: &str) {
    // Writing to a text cannot fail.
    let paths = paths(policy);
    text.push_str("\nnext.config.js, where the Next.js server reaches the gateway:\n\n  async rewrites() {\n    return {\n      beforeFiles: [\n");
    for path in &paths {
        let _ = writeln!(text, "        {{ source: {path:?}, destination: \"{here}{path}\" }},");
    }
    text.push_str("      ],\n    };\n  },\n\nvercel.json, with the gateway's public address:\n\n  {\n    \"rewrites\": [\n");
    for (index, path) in paths.iter().enumerate() {
        let comma = if index + 1 < paths.len() { "," } else { "" };
        let _ = writeln!(
            text,
            "      {{ \"source\": {path:?}, \"destination\": \"{GATEWAY}{path}\" }}{comma}"
        );
    }
    text.push_str("    ]\n  }\n\nnginx:\n\n");
    locations(text, &paths, here);
    if policy.public_origins.is_empty() {
        text.push_str(
            "\nWrite [server] public_origin = \"https://app.example.com\", the origin in the browser's \
             address bar: a request that comes by a rewrite names the gateway's own host.\n",
        );
    }
}

fn locations(text: &mut String, paths: &[String], here: &str) {
    for path in paths {
        let _ = writeln!(
            text,
            "  location = {path} {{ proxy_pass {here}; proxy_set_header Host $http_host; }}"
        );
    }
}

/// The lines of deploy/guides/howto/nginx.md, with the names of this file.
fn nginx(text: &mut String, policy: &Policy, here: &str, asks: &str) {
    text.push_str("\nnginx, in the server block:\n\n");
    text.push_str(
        "  proxy_set_header X-Original-Method $request_method; \
         proxy_set_header X-Original-URI $request_uri;\n  \
         proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr; \
         proxy_set_header Content-Length \"\";\n",
    );
    locations(text, &paths(policy), here);
    let _ = write!(
        text,
        "  location = /_ask {{ internal; proxy_pass_request_body off; proxy_buffers 8 16k; \
         proxy_buffer_size 16k; proxy_pass http://{asks}/auth/nginx; }}\n  \
         location @refused {{ proxy_pass_request_body off; rewrite ^ /auth/nginx/refused? break; \
         proxy_pass http://{asks}; }}\n\nand in the app's location:\n\n  \
         auth_request /_ask; error_page 401 403 500 = @refused;\n"
    );
    for name in told(policy) {
        let variable = name.replace('-', "_");
        let _ = writeln!(
            text,
            "  auth_request_set $told_{variable} $upstream_http_{variable}; \
             proxy_set_header {name} $told_{variable};"
        );
    }
}

fn caddy(text: &mut String, policy: &Policy, here: &str, asks: &str) {
    text.push_str("\nCaddy:\n\n");
    for path in paths(policy) {
        let _ = writeln!(text, "  reverse_proxy {path} {here}");
    }
    let names: Vec<_> = told(policy).collect();
    let _ = writeln!(
        text,
        "  forward_auth {asks} {{\n    uri /auth/forward\n    copy_headers {}\n  }}",
        names.join(" ")
    );
}

/// The headers that the app is told, its cookies last.
fn told(policy: &Policy) -> impl Iterator<Item = &str> {
    policy.told.iter().map(http::HeaderName::as_str).chain(["cookie"])
}
