//! The `portcullis` program; everything is in the library.

use std::process::ExitCode;

use allocator::Allocator;

/// A request is many small allocations, which cost the system's allocator more
/// instructions; `cargo bench` compares with servers that use either.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    portcullis::main()
}
