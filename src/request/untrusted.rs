//! Headers of a client that apps and frameworks believe, although any client can send
//! them: the user, the address, the page or the method.
//!
//! Proxies, CDNs and gates in front of apps say these things. Here the gateway is in
//! front, so a header with such a name is only the client's claim.

use http::HeaderName;

/// Prefixes by the letter they start with, in lower case.
const FAMILIES: [(u8, &[&str]); 15] = [
    (b'a', &["akamai-"]),
    // Cloudflare, CloudFront, and certificates of clients (RFC 9440).
    (b'c', &["cf-", "client-cert", "cloudfront-", "cluster-client-"]),
    (b'f', &["fastly-", "fly-", "forwarded"]),
    // WebSEAL names the user with `iv-`.
    (b'i', &["incap-", "iv-"]),
    // What IIS tells an app of .NET about certificate and user.
    (b'm', &["method-override", "ms-aspnetcore-"]),
    (b'n', &["ngrok-auth-"]),
    // Oracle's gate, and what `mod_auth_openidc` tells through CGI.
    (b'o', &["oam-", "oidc-"]),
    (b'p', &["path-info", "path-translated"]),
    // What CGI calls the user and the address.
    (b'r', &["remote-", "request-uri"]),
    // SiteMinder says who it is with `sm-`; ingresses of Kubernetes describe the client's
    // certificate with `ssl-client-`.
    (b's', &["script-name", "sm-", "ssl-client-"]),
    (b't', &["tailscale-", "true-client-"]),
    (b'w', &["wl-proxy-"]),
    (b'h', &["http-client-ip", "http-method", "http-x-"]),
    (b'b', &["base-url"]),
    (
        b'x',
        &[
            // Where it comes from.
            "x-appengine-",
            "x-azure-",
            "x-client-cert",
            "x-client-dn",
            "x-client-ip",
            "x-client-verify",
            "x-cluster-client-",
            "x-envoy-",
            "x-forward",
            "x-nf-client-",
            "x-originally-",
            "x-originating-",
            "x-proxyuser-",
            "x-real-",
            "x-remote-",
            "x-request-id",
            "x-ssl-",
            "x-sucuri-",
            "x-true-client-",
            "x-vercel-",
            // Which host, page or method it means.
            "x-accel-",
            "x-astro-",
            "x-host",
            "x-http-",
            "x-invoke-",
            "x-matched-",
            "x-method",
            "x-middleware-",
            "x-next-",
            "x-now-",
            "x-original-",
            "x-override-",
            "x-path-info",
            "x-prerender-",
            "x-request-uri",
            "x-request-url",
            "x-rewrite-",
            "x-scheme",
            "x-script-name",
            "x-sendfile",
            "x-server-name",
            "x-tunneled-method",
            "x-uri",
            "x-url-scheme",
            // Who it is, in the words of other gates.
            "x-amzn-mtls-",
            "x-amzn-oidc-",
            "x-amzn-tls-",
            "x-apigateway-api-",
            "x-arr-clientcert",
            "x-auth-groups",
            "x-auth-request-",
            "x-auth-roles",
            "x-auth-subject",
            "x-auth-userid",
            "x-auth-username",
            "x-authenticated-",
            "x-authentik-",
            "x-consumer-",
            "x-credential-",
            "x-anonymous-consumer",
            "x-endpoint-api-",
            "x-goog-authenticated-",
            "x-goog-iap-",
            "x-ms-client-principal",
            "x-ms-token-",
            "x-pomerium-",
            // Reserved for the gateway itself.
            "x-portcullis-",
            "x-spiffe-",
            "x-userinfo",
            "x-vouch-",
            "x-webauth-",
        ],
    ),
];

/// Whole names, by the letter they start with.
const NAMES: [(u8, &[&str]); 3] = [
    (b'c', &["client-ip"]),
    (b'f', &["front-end-https"]),
    // httpoxy: CGI turns `proxy` into the variable that names a proxy.
    (b'p', &["proxy", "proxy-client-ip"]),
];

/// Of these families: what changes the method, the path or the host for some framework or
/// server, and what no proxy adds unasked.
const OVERRIDES: [(u8, &[&str]); 7] = [
    (b'b', &["base-url"]),
    (b'h', &["http-method"]),
    (b'm', &["method-override"]),
    (b'p', &["path-info", "path-translated"]),
    (b'r', &["request-uri"]),
    (b's', &["script-name"]),
    (
        b'x',
        &[
            "x-accel-",
            "x-astro-",
            "x-host",
            "x-http-",
            "x-invoke-",
            "x-matched-",
            "x-method",
            "x-middleware-",
            "x-next-",
            "x-now-",
            "x-original-path",
            "x-override-",
            "x-path-info",
            "x-prerender-",
            "x-request-ur",
            "x-rewrite-",
            "x-script-name",
            "x-sendfile",
            "x-server-name",
            "x-tunneled-method",
            "x-uri",
        ],
    ),
];

/// Of these families: who asks, in the words of other gates; a row for each gate. Addresses
/// and certificates are not among them, because proxies write those.
const GATES: [(u8, &[&str]); 23] = [
    // Authelia, and what CGI calls the user.
    (b'r', &["remote-"]),
    (b'c', &["cf-access-"]),
    (b't', &["tailscale-"]),
    (b'i', &["iv-"]),
    (b'n', &["ngrok-auth-"]),
    (b'o', &["oam-"]),
    (b'o', &["oidc-"]),
    (b's', &["sm-"]),
    (b'x', &["x-amzn-oidc-"]),
    // Google's gateways of APIs.
    (b'x', &["x-apigateway-api-", "x-endpoint-api-"]),
    // Gatekeeper.
    (
        b'x',
        &["x-auth-groups", "x-auth-roles", "x-auth-subject", "x-auth-userid", "x-auth-username"],
    ),
    // Kong.
    (b'x', &["x-anonymous-consumer", "x-authenticated-", "x-consumer-", "x-credential-"]),
    // oauth2-proxy.
    (
        b'x',
        &[
            "x-auth-request-",
            "x-forwarded-access-",
            "x-forwarded-email",
            "x-forwarded-groups",
            "x-forwarded-id-",
            "x-forwarded-preferred-",
            "x-forwarded-user",
        ],
    ),
    (b'x', &["x-authentik-"]),
    (b'x', &["x-goog-authenticated-", "x-goog-iap-"]),
    (b'x', &["x-ms-client-principal", "x-ms-token-"]),
    (b'x', &["x-pomerium-"]),
    (b'x', &["x-portcullis-"]),
    (b'x', &["x-proxyuser-", "x-remote-"]),
    (b'x', &["x-spiffe-"]),
    (b'x', &["x-userinfo"]),
    (b'x', &["x-vouch-"]),
    (b'x', &["x-webauth-"]),
];

/// A bit for each letter that an override or a gate's word starts with.
const LETTERS: u32 = letters(&OVERRIDES) | letters(&GATES);

const fn letters(mut lists: &[(u8, &[&str])]) -> u32 {
    let mut letters = 0;
    while let [(letter, _), rest @ ..] = lists {
        letters |= 1 << (*letter & 31);
        lists = rest;
    }
    letters
}

/// Begins like a gate's header but names no user: ingress-nginx returns there.
const NOBODY: &str = "x-auth-request-redirect";

/// Last words of a name that is an address, as CGI calls them.
const ADDRESSES: [&str; 5] = ["addr", "address", "host", "ip", "port"];

/// Next.js answers a prefetch without running the page's own code.
const PREFETCHES: [&str; 2] = ["x-middleware-prefetch", "x-middleware-preflight"];

/// Of these families: what an app that uses it must verify anyway.
const SIGNED: [&str; 3] =
    ["cf-access-jwt-assertion", "x-goog-iap-jwt-assertion", "x-pomerium-jwt-assertion"];

/// Headers that frame a request, name its server or carry its session. Another spelling
/// of one is none of these to the gateway, but may be to the app.
const LOOK_ALIKES: [&str; 18] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "x-requested-with",
];

/// Whether a name, in lower case and with `-` between its words, is one of these.
pub(super) fn is_untrusted(name: &str) -> bool {
    let is_listed = under_its_letter(&FAMILIES, name).any(|start| name.starts_with(start))
        || under_its_letter(&NAMES, name).any(|whole| name == whole);
    is_listed && !PREFETCHES.contains(&name) && !SIGNED.contains(&name)
}

/// The entries under the first letter of a name: most names have none.
fn under_its_letter(
    lists: &'static [(u8, &'static [&'static str])],
    name: &str,
) -> impl Iterator<Item = &'static str> {
    let first = name.as_bytes().first().copied();
    let own = lists.iter().filter(move |(letter, _)| Some(*letter) == first);
    own.flat_map(|(_, entries)| entries.iter().copied())
}

/// Families of CDNs, whose other members describe a request and change nothing of it.
const OF_CDNS: [&str; 11] = [
    "akamai-",
    "cf-",
    "cloudfront-",
    "fastly-",
    "fly-",
    "incap-",
    "x-amzn-tls-",
    "x-appengine-",
    "x-azure-",
    "x-sucuri-",
    "x-vercel-",
];

/// Words in the name of a header that names the user, the address or the page.
const CHANGING: [&str; 30] = [
    "access",
    "addr",
    "address",
    "auth",
    "cert",
    "client",
    "clientip",
    "connecting",
    "cron",
    "email",
    "for",
    "forwarded",
    "host",
    "id",
    "inbound",
    "ipv6",
    "method",
    "oidc",
    "path",
    "port",
    "proto",
    "pseudo",
    "queuename",
    "socketip",
    "taskname",
    "token",
    "uri",
    "url",
    "user",
    "worker",
];

/// Whether an untrusted name, in lower case and with `-` between its words, describes a
/// request at most, such as `cf-ipcountry`: an operator may let it pass.
pub(super) fn is_description(name: &str) -> bool {
    OF_CDNS.iter().any(|start| name.starts_with(start))
        && !name.split('-').any(|word| CHANGING.contains(&word))
        && !name.ends_with("-ip")
}

/// Whether a name, in lower case, may be an override or a gate's word, by its first letter:
/// most names may not.
pub(super) fn may_be_foreign(name: &str) -> bool {
    name.as_bytes().first().is_some_and(|letter| LETTERS >> (letter & 31) & 1 == 1)
}

/// Whether a name, in lower case, changes the method, the path or the host.
pub(super) fn is_override(name: &str) -> bool {
    under_its_letter(&OVERRIDES, name).any(|start| begins(name, start))
        && !PREFETCHES.contains(&name)
}

/// Whether a name, in lower case, says who asks in the words of a gate that is none of those
/// in front, which `believed` names by the headers that hold its sessions.
pub(super) fn is_of_another_gate(name: &str, believed: &[&HeaderName]) -> bool {
    let speaks = |(letter, starts): &(u8, &[&str]), name: &str| {
        name.as_bytes().first() == Some(letter) && starts.iter().any(|start| begins(name, start))
    };
    let is_address = || name.rsplit('-').next().is_some_and(|last| ADDRESSES.contains(&last));
    GATES.iter().find(|gate| speaks(gate, name)).is_some_and(|gate| {
        let is_believed = believed.iter().any(|header| speaks(gate, header.as_str()));
        !is_believed && !is_address() && name != NOBODY && !SIGNED.contains(&name)
    })
}

/// As `starts_with`; the letter after `x-` rules most names out without a call.
fn begins(name: &str, start: &str) -> bool {
    name.as_bytes().get(2) == start.as_bytes().get(2) && name.starts_with(start)
}

/// Whether a name that was spelled with other characters means, folded, one that the
/// gateway has already judged under its own spelling.
pub(super) fn is_look_alike(folded: &str) -> bool {
    LOOK_ALIKES.contains(&folded.trim_matches('-'))
}

#[cfg(test)]
mod tests;
