//! The names an app may not hear from a client.

use super::*;

#[test]
fn a_gates_words_name_the_user_unless_that_gate_is_in_front() {
    let (user, own) =
        (HeaderName::from_static("x-forwarded-user"), HeaderName::from_static("x-gate-user"));
    for name in [
        "cf-access-authenticated-user-email",
        "iv-user",
        "ngrok-auth-user-email",
        "oam-remote-user",
        "oidc-claim-sub",
        "remote-email",
        "remote-groups",
        "remote-name",
        "remote-user",
        "sm-user",
        "sm-userdn",
        "tailscale-user-login",
        "x-amzn-oidc-identity",
        "x-apigateway-api-userinfo",
        "x-auth-subject",
        "x-auth-username",
        "x-authenticated-user",
        "x-authentik-username",
        "x-consumer-username",
        "x-endpoint-api-userinfo",
        "x-goog-authenticated-user-email",
        "x-ms-client-principal-name",
        "x-ms-token-aad-id-token",
        "x-pomerium-claim-email",
        "x-portcullis-assertion",
        "x-remote-user",
        "x-spiffe-id",
        "x-userinfo",
        "x-vouch-user",
        "x-webauth-user",
    ] {
        assert!(is_untrusted(name), "{name}");
        assert!(is_of_another_gate(name, &[&user, &own]), "{name}");
    }
    for name in ["x-forwarded-user", "x-forwarded-email", "x-auth-request-user"] {
        assert!(is_of_another_gate(name, &[&own]), "{name}");
        assert!(!is_of_another_gate(name, &[&own, &user]), "{name}");
    }
    // What proxies write, and what holds a signature of its own.
    for name in [
        "cf-access-jwt-assertion",
        "cf-connecting-ip",
        "client-cert",
        "remote-addr",
        "ssl-client-verify",
        "x-auth-request-redirect",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-real-ip",
        "x-remote-ip",
        "x-request-id",
    ] {
        assert!(!is_of_another_gate(name, &[]), "{name}");
    }
}

#[test]
fn no_client_says_for_whom_for_which_page_or_by_which_method_it_asks() {
    for name in [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "http-method-override",
        "method-override",
        "x-astro-locals",
        "x-astro-path",
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
        "cluster-client-ip",
        "ms-aspnetcore-clientcert",
        "ms-aspnetcore-winauthtoken",
        "x-client-ip",
        "x-originally-forwarded-for",
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
fn headers_that_describe_a_request_may_pass_and_headers_that_change_it_may_not() {
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
fn headers_between_browsers_and_apps_pass() {
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
        "ms-author-via",
        "next-action",
        "next-router-prefetch",
        "next-router-state-tree",
        "ngrok-skip-browser-warning",
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
        "x-auth-email",
        "x-auth-key",
        "x-auth-token",
        "x-auth-user",
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

#[test]
fn every_list_is_filed_under_its_own_letter() {
    for (letter, entries) in FAMILIES.iter().chain(&NAMES).chain(&OVERRIDES).chain(&GATES) {
        for entry in *entries {
            assert_eq!(entry.as_bytes().first(), Some(letter), "{entry}");
            assert!(entry.len() > 2, "{entry}: the third letter is compared");
        }
    }
}
