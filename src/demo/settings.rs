//! The demo's `gateway.toml`: printed on start, because these lines are the
//! whole product as its user sees it.

/// Where the app keeps its session.
pub(super) const COOKIE_NAME: &str = "demo_session";

/// The reference to the secret that signs the app's sessions.
pub(crate) const SESSION_SECRET: &str = "env:PORTCULLIS_DEMO_SESSION_SECRET";

/// The reference to the API key, `PRTV_<id>_<secret>`: the gateway's, never the app's.
pub(crate) const API_KEY: &str = "env:PORTCULLIS_DEMO_PORTIVE_KEY";

/// The settings for a gateway on `listen` in front of the app on `app_address`
/// (both `host:port`).
pub(crate) fn settings(app_address: &str, listen: &str) -> String {
    format!(
        r#"[server]
listen = "{listen}"

[upstream]
servers = ["http://{app_address}"]

[session]
kind = "jwt"
cookie = "{COOKIE_NAME}"
algorithms = ["HS256"]
secret = "{SESSION_SECRET}"

[identity]
headers = {{ X-Auth-User = "{{session.user_id}}" }}

[token.portive]
path = "/api/get-auth-token"
preset = "portive"
key = "{API_KEY}"
ttl = "1m"
limit = "30/minute"
params.claims = {{ tags = ["user:{{session.user_id}}"] }}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_toml_and_hold_references_only() {
        let text = settings("127.0.0.1:3000", "127.0.0.1:8080");
        let file: toml::Table = text.parse().unwrap();
        let at = |table: &str, key: &str| file[table][key].as_str().unwrap().to_owned();
        assert_eq!(at("server", "listen"), "127.0.0.1:8080");
        assert_eq!(file["upstream"]["servers"][0].as_str(), Some("http://127.0.0.1:3000"));
        assert_eq!(at("session", "secret"), SESSION_SECRET);
        let token = &file["token"]["portive"];
        assert_eq!(token["key"].as_str(), Some(API_KEY));
        assert_eq!(token["params"]["claims"]["tags"][0].as_str(), Some("user:{session.user_id}"));
    }
}
