//! zlib for the build without cmake.
//!
//! `pingora-core` asks flate2 for its zlib-ng backend, whose `-sys` crate builds
//! C sources with cmake. This package has the same name and the same symbols,
//! forwarded to `libz-rs-sys` (zlib in Rust), and is put in place of the
//! original by `[patch.crates-io]` in the top-level `Cargo.toml`.
//!
//! Should a new flate2 want one more symbol, the build fails here; nothing
//! can misbehave silently: the struct layouts are compared below.
#![allow(non_camel_case_types, non_snake_case, clippy::missing_safety_doc)]

use core::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use core::mem::{align_of, offset_of, size_of};

use libz_rs_sys as rs;
pub use rs::{
    Z_BLOCK, Z_BUF_ERROR, Z_DATA_ERROR, Z_DEFAULT_STRATEGY, Z_DEFLATED, Z_FINISH, Z_FULL_FLUSH,
    Z_MEM_ERROR, Z_NEED_DICT, Z_NO_FLUSH, Z_OK, Z_PARTIAL_FLUSH, Z_STREAM_END, Z_STREAM_ERROR,
    Z_SYNC_FLUSH,
};

pub type uInt = c_uint;
pub enum internal_state {}

#[repr(C)]
pub struct z_stream {
    pub next_in: *mut u8,
    pub avail_in: uInt,
    pub total_in: c_ulong,
    pub next_out: *mut u8,
    pub avail_out: uInt,
    pub total_out: c_ulong,
    pub msg: *mut c_char,
    pub state: *mut internal_state,
    pub zalloc: unsafe extern "C" fn(*mut c_void, uInt, uInt) -> *mut c_void,
    pub zfree: unsafe extern "C" fn(*mut c_void, *mut c_void),
    pub opaque: *mut c_void,
    pub data_type: c_int,
    pub adler: c_ulong,
    pub reserved: c_ulong,
}

const _: () = {
    assert!(size_of::<z_stream>() == size_of::<rs::z_stream>());
    assert!(align_of::<z_stream>() == align_of::<rs::z_stream>());
    assert!(offset_of!(z_stream, state) == offset_of!(rs::z_stream, state));
    assert!(offset_of!(z_stream, zalloc) == offset_of!(rs::z_stream, zalloc));
    assert!(offset_of!(z_stream, adler) == offset_of!(rs::z_stream, adler));
};

macro_rules! forward {
    ($($name:ident($($arg:ident: $ty:ty),*);)*) => {$(
        pub unsafe extern "C" fn $name(stream: *mut z_stream $(, $arg: $ty)*) -> c_int {
            unsafe { rs::$name(stream.cast() $(, $arg)*) }
        }
    )*};
}

forward! {
    deflate(flush: c_int);
    deflateEnd();
    deflateReset();
    deflateParams(level: c_int, strategy: c_int);
    deflateSetDictionary(dictionary: *const u8, length: uInt);
    deflateInit2_(level: c_int, method: c_int, bits: c_int, memory: c_int, strategy: c_int,
                  version: *const c_char, size: c_int);
    inflate(flush: c_int);
    inflateEnd();
    inflateReset2(bits: c_int);
    inflateSetDictionary(dictionary: *const u8, length: uInt);
    inflateInit2_(bits: c_int, version: *const c_char, size: c_int);
}

pub unsafe extern "C" fn zlibVersion() -> *const c_char {
    rs::zlibVersion()
}
