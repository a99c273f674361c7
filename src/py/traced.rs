//! Batches that are held, as `tracemalloc` sees them: one entry a batch, at the line that took it.
//!
//! `PyTraceMalloc_Track` and its counterpart are no part of the stable interface, so they are looked up once, at run
//! time; where they are missing, nothing is traced.

use std::ffi::{CStr, c_int, c_uint};
use std::mem::transmute;
use std::sync::{Arc, OnceLock};

use crate::memory::Exported;

/// Entries of ours, apart from those of Python's own allocator (domain 0).
const DOMAIN: c_uint = 0x6261_7463;

type Track = unsafe extern "C" fn(c_uint, usize, usize) -> c_int;
type Untrack = unsafe extern "C" fn(c_uint, usize) -> c_int;

/// Counts a batch as exported, and as an allocation of the line that runs, until it is dropped.
#[derive(Debug)]
pub struct Traced {
    exported: Exported,
    /// Whether `tracemalloc` has an entry, under the address of this value.
    entered: OnceLock<()>,
}

impl Traced {
    /// Takes `exported` over. To be called by a thread that is attached to Python.
    pub fn new(exported: Exported) -> Arc<Self> {
        let traced = Arc::new(Self { exported, entered: OnceLock::new() });
        if let Some((track, _)) = functions() {
            // SAFETY: the signature is that of CPython 3.11 to 3.14; the address is only a key. The caller is attached.
            if unsafe { track(DOMAIN, Arc::as_ptr(&traced) as usize, traced.exported.bytes()) } == 0 {
                let _ = traced.entered.set(());
            }
        }
        traced
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if let (Some(()), Some((_, untrack))) = (self.entered.get(), functions()) {
            // SAFETY: as above. It needs no attached thread, and does nothing once tracing has stopped.
            unsafe { untrack(DOMAIN, std::ptr::from_ref(self) as usize) };
        }
    }
}

fn functions() -> Option<(Track, Untrack)> {
    static FOUND: OnceLock<Option<(usize, usize)>> = OnceLock::new();
    let found = FOUND.get_or_init(|| Some((found(c"PyTraceMalloc_Track")?, found(c"PyTraceMalloc_Untrack")?)));
    let (track, untrack) = (*found)?;
    // SAFETY: both are the addresses of CPython's functions of these names, which have these signatures.
    Some(unsafe { (transmute::<usize, Track>(track), transmute::<usize, Untrack>(untrack)) })
}

fn found(name: &CStr) -> Option<usize> {
    // SAFETY: a look-up by a text that ends in NUL, among what is loaded already.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) } as usize;
    (address != 0).then_some(address)
}
