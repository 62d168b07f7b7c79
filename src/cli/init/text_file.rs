//! Files of an app, read within bounds: a pipe that nobody writes to must not hold the
//! command up, and no manifest or source file is long.

use std::fs::File;
use std::io::{Error, ErrorKind, Read as _};
use std::path::Path;

/// Most bytes of one file.
const MOST_BYTES: u64 = 256 * 1024;

/// The text of a plain file, or of one that a link leads to.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    // Asked before the file is opened: opening a pipe waits for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is not a plain file"));
    }
    let mut text = String::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        let why = format!("it has more than {} KiB", MOST_BYTES / 1024);
        return Err(Error::new(ErrorKind::FileTooLarge, why));
    }
    Ok(text)
}
