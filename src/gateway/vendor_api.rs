//! Requests to a vendor's API with the vendor's key: which headers of the browser's
//! request may go there, and which of the response may come back.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::http::ResponseHeader;
use pingora::prelude::Result;

use super::forwarding::Forwarding;
use super::purpose::Purpose;
use super::who::Who;
use crate::policy::{SessionRule, VendorApi};
use crate::request::headers;

/// Response headers that would act on our site on the vendor's behalf.
const NOT_FOR_OUR_SITE: [HeaderName; 18] = [
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
    header::ALT_SVC,
    header::AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    header::REFRESH,
    header::SET_COOKIE,
    header::STRICT_TRANSPORT_SECURITY,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("nel"),
    HeaderName::from_static("report-to"),
    HeaderName::from_static("reporting-endpoints"),
    HeaderName::from_static("service-worker-allowed"),
];

impl Forwarding {
    /// The vendor this request goes to, if any.
    pub(super) fn vendor(&self) -> Option<&VendorApi> {
        self.routes.vendor_api()
    }

    /// Keeps the headers that describe the request itself and those the settings name, and
    /// sets the route's headers. The vendor would act on others with our key: on another
    /// method, another account.
    pub(super) fn leave_for_vendor(
        &self,
        vendor: &VendorApi,
        who: &Who,
        purpose: Purpose,
        headers: &mut HeaderMap,
    ) {
        let goes = |name: &HeaderName| {
            headers::is_for_anyone(name)
                || vendor.passes(name)
                || (purpose == Purpose::Upgrade && headers::is_of_upgrade(name))
        };
        let others: Vec<HeaderName> = headers.keys().filter(|name| !goes(name)).cloned().collect();
        for name in &others {
            headers.remove(name);
        }
        for (name, value) in self.route_headers(who) {
            headers.insert(name, value);
        }
    }

    /// Removes response headers that would reveal the key or affect our site.
    pub(super) fn clean_after_vendor(&self, response: &mut ResponseHeader) -> Result<()> {
        let Some(vendor) = self.vendor() else { return Ok(()) };
        for name in &NOT_FOR_OUR_SITE {
            response.remove_header(name);
        }
        let fields = response.headers.iter();
        let telling = fields.filter(|(_, value)| vendor.leaks_in(value.as_bytes()));
        let telling: Vec<HeaderName> = telling.map(|(name, _)| name.clone()).collect();
        for name in &telling {
            response.remove_header(name);
        }
        if self.routes.session() == SessionRule::Required {
            keep_private(response)?;
        }
        // A vendor's response is data: it must not become a page of our site.
        response.insert_header(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("sandbox; default-src 'none'"),
        )?;
        response.insert_header(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
    }
}

/// The vendor may allow shared caching among requests with the same key; a cache in
/// front of the gateway sees no key and would serve the response to anyone.
fn keep_private(response: &mut ResponseHeader) -> Result<()> {
    let fields = response.headers.get_all(header::CACHE_CONTROL);
    let said: Vec<u8> =
        fields.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b", "[..]);
    let said = String::from_utf8_lossy(&said).to_ascii_lowercase();
    let is_shared = |rule: &&str| {
        let name = rule.split('=').next().unwrap_or_default().trim();
        ["", "private", "public", "s-maxage"].contains(&name)
    };
    let others = said.split(',').map(str::trim).filter(|rule| !is_shared(rule));
    let rules = std::iter::once("private").chain(others).collect::<Vec<_>>().join(", ");
    for name in ["cdn-cache-control", "surrogate-control", "x-accel-expires"] {
        response.remove_header(name);
    }
    response.insert_header(header::CACHE_CONTROL, rules)?;
    response.append_header(header::VARY, HeaderValue::from_static("Cookie"))?;
    Ok(())
}
