//! Files and sockets that the gateway could not make here, each with its place.
//!
//! For `check` alone, which says it as a warning: a file may be checked on another machine,
//! or before a service manager has made its folders.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use super::file::File;
use crate::config::{AuditDestination, Config};
use crate::document::{At, Node, Problem, Problems, Value};

/// The settings whose value, or an item of it, may be a unix socket to listen on.
const LISTENERS: [[&str; 2]; 4] =
    [["server", "listen"], ["server", "redirect"], ["server", "admin"], ["auth", "listen"]];

/// A warning for each path that `run` would fail at.
pub(super) fn unusable_paths(file: &File, config: &Config) -> Vec<Problem> {
    let problems = Problems::default();
    let document = Node::parse(&file.text, &problems);
    let top = At::new(&document, "", &problems, &file.secrets);
    if let Some((AuditDestination::File(path), _)) = &config.log.audit
        && let Some(at) = top.find(&["log", "audit"])
    {
        note(&at.find(&["to"]).unwrap_or(at), path, file_obstacle(path));
    }
    for listener in LISTENERS {
        let items = top.find(&listener).map(|at| at.items()).unwrap_or_default();
        for at in &items {
            if let Value::Text(text) = &at.node.value
                && let Some(path) = text.strip_prefix("unix:")
            {
                note(at, Path::new(path), socket_obstacle(Path::new(path)));
            }
        }
    }
    problems.into_warnings()
}

fn note(at: &At<'_>, path: &Path, obstacle: Option<String>) {
    if let Some(obstacle) = obstacle {
        at.warn(format!(
            "found {path:?}, {obstacle}, so the gateway does not start, expected a place it may \
             write to; make the folder, or write another path"
        ));
    }
}

/// The reason why a file cannot be appended to.
fn file_obstacle(path: &Path) -> Option<String> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Some("which is a folder".to_owned()),
        Ok(found) if found.is_file() => {
            let opened = OpenOptions::new().append(true).open(path);
            opened.err().map(|error| format!("which cannot be written to ({error})"))
        }
        // A device, or a pipe, whose opening may wait for a reader.
        Ok(_) => None,
        Err(_) => folder_obstacle(path),
    }
}

/// The reason why a socket cannot be bound, apart from another process that listens.
fn socket_obstacle(path: &Path) -> Option<String> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => None,
        Ok(_) => Some("which is there and is not a socket".to_owned()),
        Err(_) => folder_obstacle(path),
    }
}

/// The reason why nothing can be made in the folder of a path.
fn folder_obstacle(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match fs::metadata(folder.unwrap_or_else(|| Path::new("."))) {
        Ok(found) if !found.is_dir() => Some("whose folder is a file".to_owned()),
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some("whose folder does not exist".to_owned())
        }
        Err(error) => Some(format!("whose folder cannot be looked at ({error})")),
    }
}
