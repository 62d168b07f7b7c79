//! The `portcullis` program; everything is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request is many small allocations, which cost the system's allocator more
/// instructions; `cargo bench` compares with servers that use either.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    portcullis::main()
}
