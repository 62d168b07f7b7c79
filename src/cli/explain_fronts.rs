//! The lines of Envoy and HAProxy, as their guides have them, with the names of a file.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::Listen;

/// The address as a program on the same machine reaches it; nothing for a Unix socket.
pub(super) fn url_of(listen: &Listen) -> Option<String> {
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

/// The lines of deploy/guides/howto/envoy.md over gRPC, where no header has to be named.
pub(super) fn envoy(text: &mut String, paths: &[String], here: &Listen, asks: &Listen) {
    text.push_str(
        "\nEnvoy, in http_filters before the router:\n\n  \
         - name: envoy.filters.http.ext_authz\n    typed_config:\n      \
         \"@type\": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz\n      \
         transport_api_version: V3\n      \
         grpc_service: { envoy_grpc: { cluster_name: portcullis_auth }, timeout: 5s }\n",
    );
    if !paths.is_empty() {
        text.push_str("\nin routes, before the one that leads to the app:\n\n");
    }
    for path in paths {
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "  - {{ match: {{ path: \"{path}\" }}, route: {{ cluster: portcullis }} }}"
        );
    }
    text.push_str("\nand in clusters:\n\n");
    cluster(text, "", here, "");
    cluster(text, "_auth", asks, HTTP2);
}

const HTTP2: &str = ", typed_extension_protocol_options: { \
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions: { \"@type\": \
    type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, \
    explicit_http_config: { http2_protocol_options: {} } } }";

/// `name` is what follows the gateway's own.
fn cluster(text: &mut String, name: &str, listen: &Listen, more: &str) {
    let address = match listen {
        Listen::Unix(socket) => format!("pipe: {{ path: \"{}\" }}", socket.display()),
        Listen::Tcp(_) | Listen::Tls(_) => {
            let (host, port) = host_and_port(listen);
            format!("socket_address: {{ address: \"{host}\", port_value: {port} }}")
        }
    };
    let endpoint = format!("{{ endpoint: {{ address: {{ {address} }} }} }}");
    let _ = writeln!(
        text,
        "  - {{ name: portcullis{name}, load_assignment: {{ cluster_name: portcullis{name}, endpoints: \
         [{{ lb_endpoints: [{endpoint}] }}] }}{more} }}"
    );
}

/// The address as a program on the same machine reaches it; an IPv6 address without brackets.
fn host_and_port(listen: &Listen) -> (String, String) {
    let url = url_of(listen).unwrap_or_default();
    let address = url.split_once("://").map_or("", |(_, address)| address);
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    (host.trim_matches(['[', ']']).to_owned(), port.to_owned())
}

/// The lines of deploy/guides/howto/haproxy.md.
pub(super) fn haproxy(
    text: &mut String,
    names: &[&str],
    paths: &[String],
    here: &Listen,
    asks: &Listen,
) {
    let Some(asks) = url_of(asks) else {
        text.push_str(
            "\nHAProxy asks by HTTP and cannot ask a Unix socket; write an address such as \
             \"127.0.0.1:9191\" first in [auth] listen for it.\n",
        );
        return;
    };
    text.push_str("\nHAProxy, in global:\n\n  lua-load /etc/haproxy/portcullis.lua\n");
    text.push_str("\nin the frontend that leads to the app:\n\n");
    let ask = format!("http-request lua.portcullis {asks} {}", names.join(","));
    if paths.is_empty() {
        let _ = writeln!(text, "  {ask}");
        return;
    }
    let server = match here {
        Listen::Unix(socket) => format!("unix@{}", socket.display()),
        Listen::Tcp(_) | Listen::Tls(_) => {
            let (host, port) = host_and_port(here);
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
        }
    };
    let _ = write!(
        text,
        "  acl token path {}\n  {ask} unless token\n  use_backend portcullis if token\n\n\
         and a backend:\n\n  backend portcullis\n    server portcullis {server}\n",
        paths.join(" ")
    );
}
