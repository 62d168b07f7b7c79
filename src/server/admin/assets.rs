//! The dashboard's files, part of the program.

/// A file by its path: its type and its text.
pub(super) fn find(path: &str) -> Option<(&'static str, &'static str)> {
    Some(match path {
        "/" => ("text/html; charset=utf-8", include_str!("assets/dashboard.html")),
        "/dashboard.css" => ("text/css; charset=utf-8", include_str!("assets/dashboard.css")),
        "/dashboard.js" => ("text/javascript; charset=utf-8", include_str!("assets/dashboard.js")),
        "/dashboard.svg" => ("image/svg+xml", include_str!("assets/dashboard.svg")),
        _ => return None,
    })
}
