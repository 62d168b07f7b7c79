//! The `portcullis` program; everything is in the library.

use std::process::ExitCode;

use allocator::{Allocator, keep_freed_memory};

/// A request is many small allocations, which cost the system's allocator more
/// instructions; `cargo bench` compares with servers that use either.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    keep_freed_memory();
    portcullis::main()
}
