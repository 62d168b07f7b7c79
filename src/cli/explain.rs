//! `portcullis check --explain`: the configuration lines that the proxy or host in front
//! of the app needs.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
    match (form, listen.first(), config.server.auth.first()) {
        (Form::ReverseProxy, _, _) => {
            text.push_str(
                "Browsers reach the gateway, and it reaches the app. Nothing else has to change.\n",
            );
        }
        (Form::TokensOnly, Some(here), _) => rewrites(&mut text, policy, listen, here),
        (Form::ForwardAuth | Form::Both, Some(here), Some(asks)) => {
            if all_can_be_written(&mut text, &[here, asks]) {
                nginx(&mut text, policy, here, asks);
                caddy(&mut text, policy, here, asks);
            }
        }
        // An empty list of addresses has been refused.
        (Form::TokensOnly | Form::ForwardAuth | Form::Both, _, _) => {}
    }
    text
}

/// The address as a program on the same machine reaches it; nothing for a Unix socket.
fn url_of(listen: &Listen) -> Option<String> {
    let (scheme, mut address) = match listen {
        Listen::Tcp(address) => ("http", *address),
        Listen::Tls(address) => ("https", *address),
        Listen::Unix(_) => return None,
    };
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    Some(format!("{scheme}://{address}"))
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
            "\nnginx and Caddy cannot route {odd}: choose a path of letters, digits and / . _ - + @"
        );
    }
    odd.is_empty()
}

/// The paths that the gateway answers itself.
fn paths(policy: &Policy) -> Vec<String> {
    let tokens = policy.tokens.iter().filter_map(|token| Some(token.path.as_ref()?.as_str()));
    let published = policy.discovery.paths().into_iter().map(|(path, _)| path);
    tokens.map(str::to_owned).chain(published).collect()
}

fn rewrites(text: &mut String, policy: &Policy, listen: &[Listen], here: &Listen) {
    // Writing to a text cannot fail.
    let paths = paths(policy);
    match listen.iter().find_map(url_of) {
        Some(url) => next_config(text, &paths, &url),
        None => text.push_str(
            "\nNext.js: its rewrites cannot lead to a Unix socket; write an address such as \
             \"127.0.0.1:8080\" in [server] listen as well.\n",
        ),
    }
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
    if all_can_be_written(text, &[here]) {
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
fn nginx(text: &mut String, policy: &Policy, here: &Listen, asks: &Listen) {
    text.push_str("\nnginx, in the server block:\n\n");
    text.push_str(
        "  proxy_set_header X-Original-Method $request_method; \
         proxy_set_header X-Original-URI $request_uri;\n  \
         proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr; \
         proxy_set_header Content-Length \"\";\n",
    );
    locations(text, &paths(policy), here);
    let (question, again) = (nginx_url(asks, "/auth/nginx"), nginx_url(asks, ""));
    let _ = write!(
        text,
        "  location = /_ask {{ internal; proxy_pass_request_body off; proxy_buffers 8 16k; \
         proxy_buffer_size 16k; proxy_pass {question}; }}\n  \
         location @refused {{ proxy_pass_request_body off; rewrite ^ /auth/nginx/refused? break; \
         proxy_pass {again}; }}\n\nand in the app's location:\n\n  \
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

fn caddy(text: &mut String, policy: &Policy, here: &Listen, asks: &Listen) {
    let (here, asks) = (caddy_upstream(here), caddy_upstream(asks));
    text.push_str("\nCaddy, in a route block before the app's reverse_proxy:\n\n");
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

/// The headers that the app receives, its cookies last.
fn told(policy: &Policy) -> impl Iterator<Item = &str> {
    policy.told.iter().map(http::HeaderName::as_str).chain(["cookie"])
}
