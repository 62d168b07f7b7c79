//! Output of the commands, and the exit code of a broken configuration.

use std::fmt::Display;
use std::io::Write as _;

/// The exit code of a configuration that does not hold.
pub(super) const CONFIGURATION: u8 = 2;

/// Prints a line to standard output.
pub(super) fn print(line: impl Display) {
    // If standard output is gone, there is nowhere to say so.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Prints a line about what went wrong to standard error.
pub(super) fn eprint(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
