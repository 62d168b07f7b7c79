//! The settings that say who a session's user is: `user_id` and `user_prefix`.

use super::format::Compiled;
use super::pointer::Pointer;
use super::settings::Settings;

/// `user_prefix`; none unless written.
pub(super) fn read_user_prefix(settings: &mut Settings<'_, '_>) -> String {
    const EXPECTED: &str = r#"up to 64 visible ASCII characters, such as "staff:""#;
    let Some(at) = settings.table().take("user_prefix") else { return String::new() };
    let prefix = at.text(EXPECTED).unwrap_or_default();
    if prefix.len() > 64 || !prefix.bytes().all(|b| b.is_ascii_graphic()) {
        at.wrong(EXPECTED);
    }
    prefix.to_owned()
}

/// `user_id`, or the place where the kind itself keeps it.
pub(super) fn read_user_id(
    settings: &mut Settings<'_, '_>,
    compiled: Option<&Compiled>,
) -> Option<Pointer> {
    if settings.table().peek("user_id").is_some() {
        return settings.get("user_id");
    }
    settings.table().take("user_id");
    let default = compiled?.user_id.as_deref();
    if default.is_none() {
        settings.problem(
            "`user_id` is missing; write where the session keeps the user's id, \
             such as user_id = \"/user/id\"",
        );
    }
    Pointer::parse(default?)
}
