//! Other names that people use for a kind: gates that only set a header, and short forms.

/// Gates that name the user in a header, without a signature.
const GATES: [(&str, &str); 13] = [
    ("authelia", "remote-user"),
    ("authentik", "x-authentik-uid"),
    ("easyauth", "x-ms-client-principal-id"),
    ("gatekeeper", "x-auth-subject"),
    ("gogatekeeper", "x-auth-subject"),
    ("oauth2proxy", "x-forwarded-user"),
    ("oauthproxy", "x-forwarded-user"),
    ("openshiftoauthproxy", "x-forwarded-user"),
    ("tailscale", "tailscale-user-login"),
    ("tinyauth", "remote-user"),
    ("traefikforwardauth", "x-forwarded-user"),
    ("vouch", "x-vouch-user"),
    ("vouchproxy", "x-vouch-user"),
];

/// Other names of kinds.
const KINDS: [(&str, &str); 8] = [
    ("alb", "aws-alb"),
    ("cfaccess", "cloudflare-access"),
    ("cloudflare", "cloudflare-access"),
    ("gcpiap", "google-iap"),
    ("header", "trusted-header"),
    ("iap", "google-iap"),
    ("identityawareproxy", "google-iap"),
    ("remoteuser", "trusted-header"),
];

/// Advice on a kind of this name, if it is known by another one.
pub(super) fn advice(name: &str) -> Option<String> {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    let gate = GATES.iter().find(|(own, _)| *own == plain);
    let gate = gate.map(|(_, header)| {
        format!(
            "found {name:?}, a gate that names the user in a header; write kind = \
             \"trusted-header\" with header = {header:?}, and the gate's address in \
             `trusted_proxies` of [server]"
        )
    });
    gate.or_else(|| {
        let (_, kind) = KINDS.iter().find(|(own, _)| *own == plain)?;
        Some(format!("found {name:?}; write kind = {kind:?}"))
    })
}
