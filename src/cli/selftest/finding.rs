//! The findings a test can make, each with its weight, the harm and the remedy.

/// How much a finding hurts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FindingSeverity {
    High,
    Medium,
    /// Worth doing; does not fail the test.
    Low,
}

impl FindingSeverity {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// The kinds of findings, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FindingKind {
    TokenWithoutSession,
    TokenCached,
    TokenUnderAnotherName,
    TokenToAnotherSite,
    CorsOpen,
    PageOpen,
    PathSpelling,
    Http2OtherRules,
    IdentityHeader,
    MiddlewareHeader,
    RewriteHeader,
    ForwardedHost,
    AdminOpen,
    NoTls,
    PlainHttp,
    NotTheGateway,
    MayBeCached,
    MethodOverride,
    AnyHost,
    ForwardedProto,
    CookieFlags,
    NoHsts,
    NoLimit,
    NoSniff,
}

/// The meaning of a kind: severity, harm, remedy.
type Meaning = (FindingSeverity, &'static str, &'static str);

impl FindingKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::AdminOpen => "admin_open",
            Self::AnyHost => "any_host",
            Self::CookieFlags => "cookie_flags",
            Self::CorsOpen => "cors_open",
            Self::ForwardedHost => "forwarded_host",
            Self::ForwardedProto => "forwarded_proto",
            Self::Http2OtherRules => "http2_other_rules",
            Self::IdentityHeader => "identity_header",
            Self::MayBeCached => "may_be_cached",
            Self::MethodOverride => "method_override",
            Self::MiddlewareHeader => "middleware_header",
            Self::NoHsts => "no_hsts",
            Self::NoLimit => "no_limit",
            Self::NoSniff => "no_sniff",
            Self::NoTls => "no_tls",
            Self::NotTheGateway => "not_the_gateway",
            Self::PageOpen => "page_open",
            Self::PathSpelling => "path_spelling",
            Self::PlainHttp => "plain_http",
            Self::RewriteHeader => "rewrite_header",
            Self::TokenCached => "token_cached",
            Self::TokenToAnotherSite => "token_to_another_site",
            Self::TokenUnderAnotherName => "token_under_another_name",
            Self::TokenWithoutSession => "token_without_session",
        }
    }

    pub(super) const fn severity(self) -> FindingSeverity {
        self.meaning().0
    }

    pub(super) const fn harm(self) -> &'static str {
        self.meaning().1
    }

    pub(super) const fn remedy(self) -> &'static str {
        self.meaning().2
    }

    const fn meaning(self) -> Meaning {
        use FindingSeverity::{High, Low, Medium};
        match self {
            Self::AdminOpen => (
                High,
                "anyone can read the metrics and the status of the gateway",
                "keep `admin` on loopback or a Unix socket, and let no front forward its paths or its port",
            ),
            Self::AnyHost => (
                Medium,
                "the app builds links from a host that a stranger chose: poisoned caches and \
                 password-reset mails",
                "list your own: [server] hosts = [\"app.example.com\"]",
            ),
            Self::CookieFlags => (
                Medium,
                "a script, another site or a listener can take this cookie",
                "let the app set Secure, HttpOnly and SameSite on its session cookie",
            ),
            Self::CorsOpen => (
                High,
                "a page of any site can read the answer in a user's browser",
                "remove the CORS headers that the CDN, the proxy or the app adds; name exact `origins` in [token.NAME]",
            ),
            Self::ForwardedHost => (
                High,
                "the app believes a host that a stranger wrote: poisoned caches and password-reset \
                 mails",
                "let the front replace X-Forwarded-Host and Forwarded; leave `trust_forwarded_host` off unless it does",
            ),
            Self::ForwardedProto => (
                Medium,
                "the app believes a scheme that a stranger wrote, and sends users to plain HTTP",
                "let the front replace X-Forwarded-Proto, and name only that front in `trusted_proxies`",
            ),
            Self::Http2OtherRules => (
                High,
                "the rules that hold over HTTP/1.1 do not hold over HTTP/2",
                "send both protocols through the gateway; look for a second way to the app in the front",
            ),
            Self::IdentityHeader => (
                High,
                "the app takes a client that writes this header for a signed-in user",
                "name the header in [identity] headers, and let nothing reach the app without \
                 passing the gateway",
            ),
            Self::MayBeCached => (
                Medium,
                "a cache between here and the gateway may keep the answer for another user",
                "let the front leave Cache-Control alone on this path, and switch caching off for it",
            ),
            Self::MethodOverride => (
                Medium,
                "a header changes the method after the rules were checked",
                "switch method overriding off in the front and the app",
            ),
            Self::MiddlewareHeader => (
                High,
                "a header of Next.js skips the app's own checks (CVE-2025-29927)",
                "send everything through the gateway, which removes it, and update Next.js",
            ),
            Self::NoHsts => (
                Medium,
                "a browser's first request may go over plain HTTP, where anyone can change it",
                "add Strict-Transport-Security: max-age=31536000 in the app or the front",
            ),
            Self::NoLimit => (
                Low,
                "one user can ask for any number of tokens",
                "write limit = \"30/minute\" in [token.NAME]",
            ),
            Self::NoSniff => (
                Low,
                "something removes the headers that the gateway sets",
                "let the front leave the answers of this path alone",
            ),
            Self::NoTls => (
                High,
                "cookies and tokens can be read in transit",
                "serve it over https: [server] tls, or a front that does",
            ),
            Self::NotTheGateway => (
                Medium,
                "another server answers at the token's path without checking the session",
                "route this path to the gateway, and remove the app's own route",
            ),
            Self::PageOpen => (
                High,
                "the guarded page is shown to anyone",
                "check that the request goes through the gateway, and the rule with `portcullis check`",
            ),
            Self::PathSpelling => (
                High,
                "the guarded page is shown under another spelling of its path",
                "check how the front rewrites paths before the gateway sees them: it should \
                 forward them unchanged",
            ),
            Self::PlainHttp => (
                High,
                "the site also answers over plain HTTP, where cookies and tokens can be read",
                "redirect http to https ([server] redirect, or the front)",
            ),
            Self::RewriteHeader => (
                High,
                "a header leads to another path than the one that was checked",
                "switch X-Original-URL and X-Rewrite-URL off in the front and the app",
            ),
            Self::TokenCached => (
                High,
                "one user's token is handed to another user",
                "switch caching off for this path, and purge the cache",
            ),
            Self::TokenToAnotherSite => (
                High,
                "a page of another site gets a token in a user's browser",
                "let the front leave Origin and Sec-Fetch-Site alone",
            ),
            Self::TokenUnderAnotherName => (
                High,
                "a cache keeps files with this ending, and with them a user's token",
                "let no rule of the front map other paths to the token's path",
            ),
            Self::TokenWithoutSession => (
                High,
                "anyone gets a token",
                "send this path to the gateway only, and check [session]",
            ),
        }
    }
}

/// Something found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: FindingKind,
    /// The request, such as `GET /admin`.
    pub(super) request: String,
    pub(super) seen: String,
}
