//! zstd contexts, as many as encode at once, whatever the number of columns.
//!
//! The crate's encoders would keep one each, and a context is the largest thing that an encoder holds: with a
//! thousand columns more than the rows themselves. So encoders hand over plain pages and borrow a context a page.

use std::sync::{Mutex, PoisonError};

use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

use crate::error::{Error, Result};
use crate::memory::{Holder, Lease};
use crate::threads::Bell;

/// Bytes of the output buffer that a context keeps for the next page.
const KEPT: usize = 2 << 20;

/// Contexts of one level, lent and taken back.
pub(super) struct Compressors {
    level: i32,
    /// Bytes that a context works in.
    bytes: usize,
    holder: Holder,
    shelf: Mutex<Shelf>,
    returned: Bell,
}

#[derive(Default)]
struct Shelf {
    idle: Vec<Kit>,
    made: usize,
}

/// A context and what it writes to.
struct Kit {
    zstd: Compressor<'static>,
    out: Vec<u8>,
    _lease: Lease,
}

/// A kit that goes back to the shelf, whatever happens to its borrower.
struct Lent<'a> {
    kit: Option<Kit>,
    owner: &'a Compressors,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(mut kit) = self.kit.take() {
            if kit.out.capacity() > KEPT {
                kit.out = Vec::new();
            }
            self.owner.shelf.lock().unwrap_or_else(PoisonError::into_inner).idle.push(kit);
            self.owner.returned.ring();
        }
    }
}

impl Compressors {
    /// No context yet; each will lease `bytes`.
    pub(super) fn new(level: i32, bytes: usize, holder: Holder) -> Self {
        Self { level, bytes, holder, shelf: Mutex::default(), returned: Bell::new() }
    }

    /// Compresses `plain` and hands the result to `then`.
    ///
    /// # Errors
    /// [`crate::error::Error::MemoryLimit`] where not even one context fits; those of `then`.
    pub(super) fn compress<T>(&self, plain: &[u8], then: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        let mut lent = Lent { kit: Some(self.take()?), owner: self };
        let Some(Kit { zstd, out, .. }) = &mut lent.kit else { return Err(Error::Cancelled) };
        out.clear();
        out.reserve(compress_bound(plain.len()));
        zstd.compress_to_buffer(plain, out)?;
        then(out)
    }

    /// An idle context, or a new one where memory allows; waits for another's otherwise.
    fn take(&self) -> Result<Kit> {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(kit) = shelf.idle.pop() {
                return Ok(kit);
            }
            let lease =
                if shelf.made == 0 { Some(self.holder.lease(self.bytes)?) } else { self.holder.try_lease(self.bytes) };
            if let Some(lease) = lease {
                let kit = Kit { zstd: Compressor::new(self.level)?, out: Vec::new(), _lease: lease };
                shelf.made += 1;
                return Ok(kit);
            }
            shelf = self.returned.wait(shelf);
        }
    }
}
