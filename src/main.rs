//! The `portcullis` program; everything is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request is some hundred small allocations, which the system's allocator takes
/// three times as long for; and it keeps what many connections have fragmented.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    portcullis::cli::main()
}
