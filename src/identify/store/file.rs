//! Sessions in files: one per session, in a folder the app and the gateway share.

use std::io::Read as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::identify::store::error::{MAX_SESSION, StoreError};
use crate::session::StoreAnswer;

/// Blocks: for a thread that may.
pub(super) fn read(folder: &str, name: &str) -> Result<Option<StoreAnswer>, StoreError> {
    // The format has checked the name already; a separator here would be worse than
    // a second check.
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        return Ok(None);
    }
    let file = match std::fs::File::open(Path::new(folder).join(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return probe(folder).map(|()| None);
        }
        Err(error) => return Err(failed(&error)),
    };
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let mut content = Vec::new();
    let limit = u64::try_from(MAX_SESSION).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut content).map_err(|error| failed(&error))?;
    Ok(Some(StoreAnswer::File { content, modified: modified.map_or(0, |since| since.as_secs()) }))
}

/// Without its folder, a missing file says nothing about the session.
pub(super) fn probe(folder: &str) -> Result<(), StoreError> {
    let metadata = std::fs::metadata(folder).map_err(|error| failed(&error))?;
    if metadata.is_dir() { Ok(()) } else { Err(StoreError::Failed("not a folder".to_owned())) }
}

fn failed(error: &std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => StoreError::Unusable(
            "the gateway's user may not read the files in `path`; run it in their group".to_owned(),
        ),
        std::io::ErrorKind::NotFound => StoreError::Unreachable,
        kind => StoreError::Failed(kind.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_its_files_content_and_age() {
        let folder = std::env::temp_dir().join(format!("portcullis-file-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("abc"), "content").unwrap();
        let path = folder.to_str().unwrap();
        match read(path, "abc") {
            Ok(Some(StoreAnswer::File { content, modified })) => {
                assert_eq!(content, b"content");
                assert!(modified > 1_700_000_000);
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(read(path, "other"), Ok(None)));
        assert!(matches!(read(path, "../abc"), Ok(None)), "no way out of the folder");
        let refused = failed(&std::io::ErrorKind::PermissionDenied.into()).to_string();
        assert!(refused.contains("`path`") && !refused.contains("password"), "{refused}");
        std::fs::remove_dir_all(&folder).unwrap();
        let gone = read(path, "abc");
        assert!(matches!(gone, Err(StoreError::Unreachable)), "no folder is no miss: {gone:?}");
    }
}
