//! `portcullis check --explain`: the configuration lines that the proxy or host in front
//! of the app needs.

use std::fmt::Write as _;

use super::explain_fronts::{envoy, haproxy, url_of};
use crate::config::{Config, Listen};
use crate::policy::{Form, Policy};

/// A name that only the reader knows.
const GATEWAY: &str = "https://gateway.example.com";

/// The form of the file, and the other side's configuration.
pub(super) fn explain(config: &Config) -> String {
    let policy = &config.policy;
    let form = policy.form();
    let mut text = format!("form: {}\n", form.describe());
    let listen = &config.server.listen;
    // The other side needs no certificate to reach an address without TLS.
    let plain = listen.iter().find(|listen| !listen.is_tls()).or_else(|| listen.first());
    match (form, plain, config.server.auth.first()) {
        (Form::ReverseProxy, _, _) => {
            text.push_str(
                "Browsers reach the gateway, and it reaches the app. Nothing else has to change.\n",
            );
        }
        (Form::TokensOnly, Some(here), _) => rewrites(&mut text, policy, listen, here),
        (Form::ForwardAuth | Form::Both, Some(here), Some(asks)) => {
            if all_can_be_written(&mut text, &[here, asks]) {
                fronts(&mut text, policy, here, asks);
            }
        }
        // An empty list of addresses has been refused.
        (Form::TokensOnly | Form::ForwardAuth | Form::Both, _, _) => {}
    }
    text
}

/// The lines of each proxy that asks about requests.
fn fronts(text: &mut String, policy: &Policy, here: &Listen, asks: &Listen) {
    let paths = plain_paths(text, policy, FRONTS);
    nginx(text, policy, &paths, here, asks);
    if here.is_tls() && !paths.is_empty() {
        text.push_str(
            "\nFor Caddy, Envoy and HAProxy, write an address without https:// in [server] listen \
             as well, such as \"127.0.0.1:8080\": they would have to be told of the certificate.\n",
        );
        return;
    }
    caddy(text, policy, &paths, here, asks);
    envoy(text, &paths, here, asks);
    haproxy(text, &told(policy).collect::<Vec<_>>(), &paths, here, asks);
}

/// The text nginx writes after `proxy_pass`, before the path; a colon ends the name of a socket.
fn nginx_url(listen: &Listen, path: &str) -> String {
    match listen {
        Listen::Unix(socket) if path.is_empty() => format!("http://unix:{}", socket.display()),
        Listen::Unix(socket) => format!("http://unix:{}:{path}", socket.display()),
        Listen::Tcp(_) | Listen::Tls(_) => format!("{}{path}", url_of(listen).unwrap_or_default()),
    }
}

/// How Caddy names an upstream.
fn caddy_upstream(listen: &Listen) -> String {
    match listen {
        Listen::Unix(socket) => format!("unix/{}", socket.display()),
        Listen::Tcp(_) | Listen::Tls(_) => url_of(listen).unwrap_or_default(),
    }
}

/// Whether the address can be copied unchanged into another program's configuration.
fn can_be_written(listen: &Listen) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+@".contains(&b);
    match listen {
        Listen::Unix(socket) => socket.as_os_str().as_encoded_bytes().iter().all(|&b| plain(b)),
        Listen::Tcp(_) | Listen::Tls(_) => true,
    }
}

/// Whether all of them can be written there; names the one that cannot.
fn all_can_be_written(text: &mut String, listen: &[&Listen]) -> bool {
    let odd: Vec<_> = listen.iter().filter(|listen| !can_be_written(listen)).collect();
    for odd in &odd {
        let _ = writeln!(
            text,
            "\nnginx, Caddy and others cannot route {odd}: choose a path of letters, digits and / . _ - + @"
        );
    }
    odd.is_empty()
}

/// Programs that read paths, and the signs that mean nothing else to them, besides letters
/// and digits.
#[derive(Clone, Copy)]
struct Readers {
    names: &'static str,
    signs: &'static str,
}

const FRONTS: Readers = Readers { names: "nginx and other proxies", signs: "/ . _ - ~ : @ + =" };
const REWRITES: Readers = Readers { names: "Next.js and Vercel", signs: "/ . _ - ~ @ =" };

/// The paths that the gateway answers itself, without those that the readers would take for
/// something else; says which ones these are.
fn plain_paths(text: &mut String, policy: &Policy, readers: Readers) -> Vec<String> {
    let Readers { names, signs } = readers;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || (c != ' ' && signs.contains(c));
    let all = paths(policy).into_iter();
    let (plain, odd): (Vec<_>, Vec<_>) = all.partition(|path| path.chars().all(is_plain));
    for path in odd {
        let _ = writeln!(
            text,
            "\n{names} read a sign of {path} as something else: choose a path of letters, digits and \
             {signs}"
        );
    }
    plain
}

/// The paths that the gateway answers itself.
fn paths(policy: &Policy) -> Vec<String> {
    let tokens = policy.tokens.iter().filter_map(|token| Some(token.path.as_ref()?.as_str()));
    let published = policy.discovery.paths().into_iter().map(|(path, _)| path);
    tokens.map(str::to_owned).chain(published).collect()
}

fn rewrites(text: &mut String, policy: &Policy, listen: &[Listen], here: &Listen) {
    let paths = plain_paths(text, policy, REWRITES);
    match listen.iter().find_map(url_of) {
        _ if paths.is_empty() => {}
        Some(url) => next_config(text, &paths, &url),
        None => text.push_str(
            "\nNext.js: its rewrites cannot lead to a Unix socket; write an address such as \
             \"127.0.0.1:8080\" in [server] listen as well.\n",
        ),
    }
    if !paths.is_empty() {
        vercel(text, &paths);
    }
    let paths = plain_paths(text, policy, FRONTS);
    if !paths.is_empty() && all_can_be_written(text, &[here]) {
        text.push_str("\nnginx:\n\n");
        locations(text, &paths, here);
    }
    if policy.public_origins.is_empty() {
        text.push_str(
            "\nWrite [server] public_origin = \"https://app.example.com\", the origin in the browser's \
             address bar: a request that comes by a rewrite names the gateway's own host.\n",
        );
    }
}

fn vercel(text: &mut String, paths: &[String]) {
    text.push_str(
        "\nvercel.json, with the gateway's public address:\n\n  {\n    \"rewrites\": [\n",
    );
    for (index, path) in paths.iter().enumerate() {
        let comma = if index + 1 < paths.len() { "," } else { "" };
        let _ = writeln!(
            text,
            "      {{ \"source\": {path:?}, \"destination\": \"{GATEWAY}{path}\" }}{comma}"
        );
    }
    text.push_str("    ]\n  }\n");
}

fn next_config(text: &mut String, paths: &[String], url: &str) {
    text.push_str("\nnext.config.js, where the Next.js server reaches the gateway:\n\n  async rewrites() {\n    return {\n      beforeFiles: [\n");
    for path in paths {
        let _ = writeln!(text, "        {{ source: {path:?}, destination: \"{url}{path}\" }},");
    }
    text.push_str("      ],\n    };\n  },\n");
}

fn locations(text: &mut String, paths: &[String], here: &Listen) {
    let here = nginx_url(here, "");
    for path in paths {
        let _ = writeln!(
            text,
            "  location = {path} {{ proxy_pass {here}; proxy_set_header Host $http_host; }}"
        );
    }
}

/// The lines of deploy/guides/howto/nginx.md, with the names of this file.
fn nginx(text: &mut String, policy: &Policy, paths: &[String], here: &Listen, asks: &Listen) {
    text.push_str("\nnginx, in the server block:\n\n");
    text.push_str(
        "  proxy_set_header X-Original-Method $request_method; \
         proxy_set_header X-Original-URI $request_uri;\n  \
         proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr; \
         proxy_set_header Content-Length \"\";\n",
    );
    locations(text, paths, here);
    let (question, again) = (nginx_url(asks, "/auth/nginx"), nginx_url(asks, ""));
    let _ = write!(
        text,
        "  location = /_ask {{ internal; proxy_pass_request_body off; proxy_read_timeout 5s; \
         proxy_buffers 4 48k; proxy_buffer_size 48k; proxy_pass {question}; }}\n  \
         location @refused {{ proxy_pass_request_body off; proxy_read_timeout 5s; \
         rewrite ^ /auth/nginx/refused? break; proxy_pass {again}; }}\n\nand in the app's location:\n\n  \
         auth_request /_ask; error_page 401 403 500 = @refused; \
         proxy_set_header X-Original-Method \"\"; proxy_set_header X-Original-URI \"\";\n"
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

fn caddy(text: &mut String, policy: &Policy, paths: &[String], here: &Listen, asks: &Listen) {
    let (here, asks) = (caddy_upstream(here), caddy_upstream(asks));
    text.push_str("\nCaddy, in a route block before the app's reverse_proxy:\n\n");
    for path in paths {
        let _ = writeln!(text, "  reverse_proxy {path} {here}");
    }
    let names: Vec<_> = told(policy).collect();
    let _ = writeln!(
        text,
        "  forward_auth {asks} {{\n    uri /auth/forward\n    copy_headers {}\n    \
         transport http {{\n      response_header_timeout 5s\n    }}\n  }}",
        names.join(" ")
    );
}

/// The headers that the app receives, its cookies last.
fn told(policy: &Policy) -> impl Iterator<Item = &str> {
    policy.told.iter().map(http::HeaderName::as_str).chain(["cookie"])
}
