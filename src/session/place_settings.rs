//! Reads the settings that say where a session comes from: `cookie`, `header`, or both.

use super::cookie_names::CookieNames;
use super::header::{AuthScheme, FieldName, HeaderPlace, SetBy};
use super::settings::Settings;

/// Where a session comes from: one jar, and a second one if it may come in two places.
pub(crate) struct Places {
    pub first: CookieNames,
    pub second: Option<CookieNames>,
}

impl Places {
    /// The cookie that `cookie` reads, unless `header` is set and nothing names a cookie.
    pub(crate) fn read(
        settings: &mut Settings<'_, '_>,
        names_cookie: bool,
        cookie: impl FnOnce(&mut Settings<'_, '_>) -> Option<CookieNames>,
    ) -> Option<Self> {
        let is_meant = settings.table().peek("header").is_some();
        let header = read_header(settings);
        if !is_meant {
            return cookie(settings).map(|first| Self { first, second: None });
        }
        let header = header.map(CookieNames::of_header);
        if !names_cookie {
            settings.table().take("cookie");
            if let Some(at) = settings.table().take("duplicate") {
                at.problem("this rule is for cookies, and this session reads none; leave it out");
            }
            return header.map(|first| Self { first, second: None });
        }
        let first = cookie(settings)?;
        Some(Self { first, second: Some(header?) })
    }
}

/// `header`, with `scheme` and `set_by`.
fn read_header(settings: &mut Settings<'_, '_>) -> Option<HeaderPlace> {
    let name = settings.table().take("header");
    let scheme = settings.get::<AuthScheme>("scheme").map(|scheme| scheme.0);
    let set_by = settings.get::<SetBy>("set_by");
    let Some(at) = name else {
        for (key, is_set) in [("scheme", scheme.is_some()), ("set_by", set_by.is_some())] {
            if is_set {
                let text = format!("`{key}` applies to a header; write header = \"authorization\"");
                settings.problem(text);
            }
        }
        return None;
    };
    let FieldName(name) = at.read()?;
    Some(HeaderPlace::of_token(name, scheme, set_by))
}
