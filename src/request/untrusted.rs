//! Headers of a client that apps and frameworks believe, although any client can send
//! them: who it is, from where, which page or method it means.
//!
//! Proxies, CDNs and gates in front of apps say these things. Here the gateway is in
//! front, so whatever arrives under such a name is the client's own word.

/// Prefixes by the letter they start with, in lower case.
const FAMILIES: [(u8, &[&str]); 12] = [
    (b'a', &["akamai-"]),
    // Cloudflare, CloudFront, and certificates of clients (RFC 9440).
    (b'c', &["cf-", "client-cert", "cloudfront-"]),
    (b'f', &["fastly-", "fly-", "forwarded"]),
    (b'i', &["incap-"]),
    (b'p', &["path-info", "path-translated"]),
    // What CGI calls the user and the address.
    (b'r', &["remote-", "request-uri"]),
    // Ingresses of Kubernetes describe the client's certificate with `ssl-client-`.
    (b's', &["script-name", "ssl-client-"]),
    (b't', &["tailscale-", "true-client-"]),
    (b'w', &["wl-proxy-"]),
    (b'h', &["http-client-ip", "http-x-"]),
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
            "x-arr-clientcert",
            "x-auth-request-",
            "x-authenticated-",
            "x-authentik-",
            "x-consumer-",
            "x-credential-",
            "x-anonymous-consumer",
            "x-goog-authenticated-",
            "x-goog-iap-",
            "x-ms-client-principal",
            "x-pomerium-",
            // Reserved for the gateway itself.
            "x-portcullis-",
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
/// server, and what no proxy adds by itself.
const OVERRIDES: [&str; 21] = [
    "base-url",
    "path-info",
    "path-translated",
    "request-uri",
    "script-name",
    "x-accel-",
    "x-host",
    "x-http-",
    "x-invoke-",
    "x-matched-",
    "x-method",
    "x-middleware-",
    "x-now-",
    "x-override-",
    "x-path-info",
    "x-prerender-",
    "x-request-ur",
    "x-rewrite-",
    "x-script-name",
    "x-sendfile",
    "x-tunneled-method",
];

/// Next.js answers a prefetch without running the page's own code.
const PREFETCHES: [&str; 2] = ["x-middleware-prefetch", "x-middleware-preflight"];

/// Of these families: what an app that uses it has to verify by itself anyway.
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
    let Some(&first) = name.as_bytes().first() else { return false };
    let listed = |lists: &'static [(u8, &'static [&'static str])]| {
        lists.iter().find(|(letter, _)| *letter == first).map_or(&[][..], |(_, names)| names)
    };
    let is_listed = listed(&FAMILIES).iter().any(|start| name.starts_with(start))
        || listed(&NAMES).contains(&name);
    is_listed && !PREFETCHES.contains(&name) && !SIGNED.contains(&name)
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

/// Words of a name that says who asks, from which address, or for which page.
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

/// Whether a name, in lower case, changes the method, the path or the host.
pub(super) fn is_override(name: &str) -> bool {
    !PREFETCHES.contains(&name) && OVERRIDES.iter().any(|start| name.starts_with(start))
}

/// Whether a name that was spelled with other characters means, folded, one that the
/// gateway has already judged under its own spelling.
pub(super) fn is_look_alike(folded: &str) -> bool {
    LOOK_ALIKES.contains(&folded.trim_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_client_says_for_whom_for_which_page_or_by_which_method_it_asks() {
        for name in [
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
            "x-http-host-override",
            "x-host",
            "x-request-uri",
            "x-script-name",
            "x-invoke-path",
            "x-invoke-query",
            "x-matched-path",
            "x-now-route-matches",
            "x-prerender-revalidate",
            "x-sendfile-type",
            "x-accel-mapping",
            "x-remote-user",
            "remote-user",
            "remote-groups",
            "x-webauth-user",
            "x-auth-request-user",
            "cf-connecting-ip",
            "cf-connecting-ipv6",
            "cf-ipcountry",
            "cf-visitor",
            "cf-pseudo-ipv4",
            "fastly-client-ip",
            "fly-client-ip",
            "x-azure-clientip",
            "x-appengine-user-ip",
            "x-vercel-ip-country",
            "x-originating-ip",
            "true-client-ip",
            "cloudfront-viewer-address",
            "client-ip",
            "x-client-ip",
            "x-amzn-oidc-data",
            "x-goog-authenticated-user-email",
            "x-ms-client-principal-name",
            "tailscale-user-login",
            "forwarded",
            "forwarded-for",
            "x-forwarded",
            "x-forwarded-user",
            "x-forward-for",
            "front-end-https",
            "x-url-scheme",
            "x-scheme",
            "proxy",
        ] {
            assert!(is_untrusted(name), "{name}");
        }
    }

    #[test]
    fn what_describes_a_request_may_be_let_pass_and_what_changes_it_may_not() {
        for name in [
            "akamai-origin-hop",
            "cf-ipcity",
            "cf-ipcountry",
            "cf-ray",
            "cf-visitor",
            "cloudfront-is-mobile-viewer",
            "cloudfront-viewer-country",
            "fastly-ssl",
            "fly-region",
            "x-amzn-tls-version",
            "x-appengine-citylatlong",
            "x-appengine-country",
            "x-azure-fdid",
            "x-azure-ref",
            "x-vercel-ip-country",
            "x-vercel-ip-timezone",
        ] {
            assert!(is_untrusted(name) && is_description(name), "{name}");
        }
        for name in [
            "cf-access-authenticated-user-email",
            "cf-connecting-ip",
            "cf-connecting-ipv6",
            "cf-pseudo-ipv4",
            "client-ip",
            "cloudfront-forwarded-proto",
            "cloudfront-viewer-address",
            "fastly-client-ip",
            "fly-client-ip",
            "fly-forwarded-port",
            "forwarded",
            "remote-user",
            "true-client-ip",
            "x-amzn-oidc-data",
            "x-appengine-user-id",
            "x-appengine-user-ip",
            "x-azure-clientip",
            "x-azure-socketip",
            "x-forwarded-for",
            "x-host",
            "x-http-method-override",
            "x-invoke-path",
            "x-middleware-subrequest",
            "x-original-url",
            "x-real-ip",
            "x-vercel-forwarded-for",
            "x-vercel-oidc-token",
        ] {
            assert!(is_untrusted(name) && !is_description(name), "{name}");
        }
    }

    #[test]
    fn what_browsers_and_apps_say_to_each_other_passes() {
        for name in [
            "accept",
            "accept-language",
            "authorization",
            "cache-control",
            "cf-access-jwt-assertion",
            "content-type",
            "cookie",
            "from",
            "host",
            "if-none-match",
            "next-action",
            "next-router-prefetch",
            "next-router-state-tree",
            "origin",
            "range",
            "referer",
            "rsc",
            "sec-fetch-site",
            "sec-websocket-key",
            "traceparent",
            "tus-resumable",
            "upload-offset",
            "user-agent",
            "hx-request",
            "x-api-key",
            "x-auth-token",
            "x-client-info",
            "x-client-version",
            "x-csrf-token",
            "x-inertia",
            "x-livewire",
            "x-nextjs-data",
            "x-requested-with",
            "x-user-id",
            "x-xsrf-token",
        ] {
            assert!(!is_untrusted(name), "{name}");
        }
    }
}
