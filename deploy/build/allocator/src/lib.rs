//! The program's allocator: mimalloc, which never returns null.
//!
//! Without memory the process ends, as it does with any allocator. Here the compiler sees it
//! at each allocation, and that no unwinding begins there. So a future that is boxed is
//! made in its place in the heap. Otherwise it is made on the stack, from where unwinding
//! could drop it, and copied: for the framework's future of one request, 15 KB.
//!
//! A package of its own because it is `unsafe`, as every allocator must be.

use std::alloc::{GlobalAlloc, Layout, handle_alloc_error};
use std::ffi::{c_int, c_long};

use libmimalloc_sys as mi;

/// What every block of mimalloc is aligned to, of whatever size.
const ALWAYS: usize = 8;

/// How long freed memory is kept for what comes next, in milliseconds.
const KEEP: c_long = 1000;

/// `mi_option_purge_delay` of mimalloc 2, which the bindings have no name for.
const PURGE_DELAY: c_int = 15;

unsafe extern "C" {
    // Both take any option and any value.
    safe fn mi_option_set(option: c_int, value: c_long);
    #[cfg(test)]
    safe fn mi_option_get(option: c_int) -> c_long;
}

/// Keeps freed memory for a second before the system gets it back. Mimalloc's own 10 ms are
/// shorter than the pauses of a busy server, which then faults the same pages in again: a
/// tenth of its time.
pub fn keep_freed_memory() {
    mi_option_set(PURGE_DELAY, KEEP);
}

/// Mimalloc, as a global allocator.
pub struct Allocator;

// SAFETY: each block comes from mimalloc, is at least as large and as aligned as `layout`
// says, and goes back to mimalloc, which does not unwind and needs no layout for that.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: any size and any power of two is allowed.
        let block = unsafe {
            if align <= ALWAYS { mi::mi_malloc(size) } else { mi::mi_malloc_aligned(size, align) }
        };
        never_null(block.cast(), layout)
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as for `alloc`.
        let block = unsafe {
            if align <= ALWAYS { mi::mi_zalloc(size) } else { mi::mi_zalloc_aligned(size, align) }
        };
        never_null(block.cast(), layout)
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller got this block from here.
        unsafe { mi::mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: the caller got this block from here, with this alignment.
        let moved = unsafe {
            if align <= ALWAYS {
                mi::mi_realloc(block.cast(), size)
            } else {
                mi::mi_realloc_aligned(block.cast(), size, align)
            }
        };
        never_null(moved.cast(), layout)
    }
}

#[inline]
fn never_null(block: *mut u8, layout: Layout) -> *mut u8 {
    if block.is_null() {
        out_of_memory(layout.size(), layout.align());
    }
    block
}

/// Not a function of Rust's own kind, because no panic leaves such a one.
#[cold]
#[inline(never)]
extern "C" fn out_of_memory(size: usize, align: usize) -> ! {
    match Layout::from_size_align(size, align) {
        Ok(layout) => handle_alloc_error(layout),
        Err(_) => std::process::abort(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_the_option_is_that_of_the_delay() {
        assert_eq!(mi_option_get(PURGE_DELAY), 10, "mimalloc's default");
        keep_freed_memory();
        assert_eq!(mi_option_get(PURGE_DELAY), KEEP);
    }

    #[test]
    fn blocks_are_aligned_zeroed_and_kept_when_they_grow() {
        for align in (0..12).map(|power| 1 << power) {
            for size in (1..200).chain([1000, 5000, 1 << 20]) {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: the blocks are used within their sizes and freed once.
                unsafe {
                    let block = Allocator.alloc_zeroed(layout);
                    assert_eq!((block.addr() % align, block.read()), (0, 0));
                    block.write(7);
                    let block = Allocator.realloc(block, layout, size * 3);
                    assert_eq!((block.addr() % align, block.read()), (0, 7));
                    Allocator.dealloc(block, Layout::from_size_align(size * 3, align).unwrap());
                    let block = Allocator.alloc(layout);
                    assert_eq!(block.addr() % align, 0);
                    Allocator.dealloc(block, layout);
                }
            }
        }
    }
}
