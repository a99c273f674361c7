//! The allocator of this extension: it counts what is live, and keeps freed large blocks for the next batch.
//!
//! A streaming run allocates the same large buffers again and again; handing each back to the system costs a page
//! fault per 4 KiB on the next one (measured on a Parquet loop: a third of the CPU time). Blocks of 32 KiB – 8 MiB
//! are rounded up to a size class (at most a quarter more, untouched pages cost nothing), mapped on their own, and
//! up to [`KEPT`] bytes of freed ones are kept while a run is live. Everything else goes to the system's allocator.
//!
//! The one lock is only ever *tried*: who does not get it goes to the system, so a child made by `fork` while
//! another thread held it cannot hang; who holds it when the last run ends clears the shelf in place of the one who could
//! not. Blocks under [`COUNTED`] bytes are not counted: two threads adding to one
//! counter for every small allocation would cost more than the figure is worth.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Bytes of freed blocks kept at most.
pub const KEPT: usize = 22 << 20;
/// Blocks smaller than this are not counted.
pub const COUNTED: usize = 4 << 10;

const SMALLEST: usize = 32 << 10;
const LARGEST: usize = 8 << 20;
const DOUBLINGS: usize = (LARGEST / SMALLEST).ilog2() as usize;
const CLASSES: usize = DOUBLINGS * 4 + 1;
const SLOTS: usize = 64;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static SHELF: Shelf = Shelf::new();

/// Bytes in counted blocks now.
pub fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// The most bytes that were in counted blocks at once.
pub fn peak() -> usize {
    PEAK.load(Ordering::Relaxed)
}

/// Bytes of freed blocks that are kept.
pub fn kept() -> usize {
    SHELF.kept.load(Ordering::Relaxed)
}

/// Blocks are kept while at least one of these lives.
#[derive(Debug)]
pub struct Running(());

impl Running {
    /// A run begins.
    pub fn new() -> Self {
        SHELF.begin();
        Self(())
    }
}

impl Default for Running {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        SHELF.end();
    }
}

/// The allocator itself.
pub struct Recycling;

/// The class that holds `size` bytes, if blocks of that size are kept.
fn class_of(layout: Layout) -> Option<usize> {
    let size = layout.size();
    if !(SMALLEST..=LARGEST).contains(&size) || layout.align() > 4096 {
        return None;
    }
    // four steps between two powers of two: 32, 40, 48, 56, 64, 80 … KiB
    let power = (size - 1).max(SMALLEST).ilog2() as usize - SMALLEST.ilog2() as usize;
    let step = (SMALLEST << power) / 4;
    let above = size.saturating_sub(SMALLEST << power).div_ceil(step);
    Some(power * 4 + above)
}

fn bytes_of(class: usize) -> usize {
    let base = SMALLEST << (class / 4);
    base + base / 4 * (class % 4)
}

fn count_in(bytes: usize) {
    if bytes >= COUNTED {
        let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if live > PEAK.load(Ordering::Relaxed) {
            PEAK.fetch_max(live, Ordering::Relaxed);
        }
    }
}

fn count_out(bytes: usize) {
    if bytes >= COUNTED {
        LIVE.fetch_sub(bytes, Ordering::Relaxed);
    }
}

struct Stacks {
    len: [usize; CLASSES],
    block: [[*mut u8; SLOTS]; CLASSES],
}

/// Freed blocks. A run that ends says so before it tries the lock, and who gives the lock back looks for that: whatever
/// their order, which all threads see as one (`SeqCst`), one of the two clears the shelf.
struct Shelf {
    runs: AtomicUsize,
    locked: AtomicBool,
    kept: AtomicUsize,
    state: std::cell::UnsafeCell<Stacks>,
}

// SAFETY: `state` is only touched between a successful exchange of `locked` and its release (`Shelf::with`).
unsafe impl Sync for Shelf {}

impl Shelf {
    #[expect(clippy::large_stack_arrays, reason = "part of a static")]
    const fn new() -> Self {
        Self {
            runs: AtomicUsize::new(0),
            locked: AtomicBool::new(false),
            kept: AtomicUsize::new(0),
            state: std::cell::UnsafeCell::new(Stacks { len: [0; CLASSES], block: [[null_mut(); SLOTS]; CLASSES] }),
        }
    }

    /// A run begins.
    fn begin(&self) {
        self.runs.fetch_add(1, Ordering::SeqCst);
    }

    /// A run ends; with the last one nothing is kept any more.
    fn end(&self) {
        self.runs.fetch_sub(1, Ordering::SeqCst);
        self.clear_if_idle();
    }

    /// Does `work` unless somebody else is at it.
    fn with<T>(&self, work: impl FnOnce(&mut Stacks) -> T) -> Option<T> {
        let out = self.hold(work);
        self.clear_if_idle();
        out
    }

    fn hold<T>(&self, work: impl FnOnce(&mut Stacks) -> T) -> Option<T> {
        self.locked.compare_exchange(false, true, Ordering::SeqCst, Ordering::Relaxed).ok()?;
        // SAFETY: the flag was false and is now ours; nobody else touches the state until it is released.
        let out = work(unsafe { &mut *self.state.get() });
        self.locked.store(false, Ordering::SeqCst);
        Some(out)
    }

    fn take(&self, class: usize) -> Option<*mut u8> {
        if self.kept.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.with(|s| {
            s.len[class] = s.len[class].checked_sub(1)?;
            self.kept.fetch_sub(bytes_of(class), Ordering::Relaxed);
            Some(s.block[class][s.len[class]])
        })?
    }

    fn put(&self, class: usize, block: *mut u8) -> bool {
        let bytes = bytes_of(class);
        if self.runs.load(Ordering::Relaxed) == 0 || self.kept.load(Ordering::Relaxed) + bytes > KEPT {
            return false;
        }
        self.with(|s| {
            let fits = s.len[class] < SLOTS;
            if fits {
                s.block[class][s.len[class]] = block;
                s.len[class] += 1;
                self.kept.fetch_add(bytes, Ordering::SeqCst);
            }
            fits
        })
        .unwrap_or(false)
    }

    /// Gives all blocks back where no run is live; or leaves it to who has the lock.
    fn clear_if_idle(&self) {
        if self.runs.load(Ordering::SeqCst) > 0 || self.kept.load(Ordering::SeqCst) == 0 {
            return;
        }
        self.hold(|s| {
            for class in 0..CLASSES {
                while s.len[class] > 0 {
                    s.len[class] -= 1;
                    unmap(s.block[class][s.len[class]], bytes_of(class));
                }
            }
            self.kept.store(0, Ordering::Relaxed);
        });
    }
}

fn map(bytes: usize) -> *mut u8 {
    // SAFETY: a fresh private anonymous mapping touches no existing memory.
    let at = unsafe {
        libc::mmap(
            null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if at == libc::MAP_FAILED { null_mut() } else { at.cast() }
}

fn unmap(block: *mut u8, bytes: usize) {
    // SAFETY: called with a block of `map` of just this size, which nobody uses any more.
    unsafe { libc::munmap(block.cast(), bytes) };
}

// SAFETY: blocks come from `map` (page-aligned, at least `layout.size()` bytes, as `class_of` rounds up) or from the
// system's allocator; which of the two is decided by the layout alone, so `dealloc` gives a block back to where it
// came from. A block is on the shelf only while nobody owns it.
unsafe impl GlobalAlloc for Recycling {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_in(layout.size());
        match class_of(layout) {
            Some(class) => SHELF.take(class).unwrap_or_else(|| map(bytes_of(class))),
            // SAFETY: the caller's promises about `layout` are the system allocator's.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_in(layout.size());
        match class_of(layout) {
            Some(class) => match SHELF.take(class) {
                Some(block) => {
                    // SAFETY: a kept block of this class has at least `layout.size()` bytes.
                    unsafe { block.write_bytes(0, layout.size()) };
                    block
                }
                None => map(bytes_of(class)),
            },
            // SAFETY: as above.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count_out(layout.size());
        match class_of(layout) {
            Some(class) => {
                if !SHELF.put(class, block) {
                    unmap(block, bytes_of(class));
                }
            }
            // SAFETY: a layout without a class was allocated by the system.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size`, rounded up to the alignment, does not overflow.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class_of(layout), class_of(wanted)) {
            (None, None) => {
                count_out(layout.size());
                count_in(size);
                // SAFETY: both layouts are the system's.
                unsafe { System.realloc(block, layout, size) }
            }
            (Some(old), Some(new)) if old == new => {
                count_out(layout.size());
                count_in(size);
                block
            }
            _ => {
                // SAFETY: a new block of `size` bytes, filled with what both have room for; then the old one goes
                // back by its own layout.
                unsafe {
                    let fresh = self.alloc(wanted);
                    if !fresh.is_null() {
                        std::ptr::copy_nonoverlapping(block, fresh, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    fresh
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_their_sizes() {
        for size in (SMALLEST..=LARGEST).step_by(4_099).chain([SMALLEST, LARGEST, LARGEST - 1, SMALLEST + 1]) {
            let class = class_of(Layout::from_size_align(size, 64).expect("a layout")).expect("in range");
            assert!(class < CLASSES);
            assert!(bytes_of(class) >= size, "{size} in {}", bytes_of(class));
            assert!(bytes_of(class) <= size + size / 4 + 4096, "{size} wastes {}", bytes_of(class));
        }
        assert_eq!(class_of(Layout::from_size_align(SMALLEST - 1, 8).expect("a layout")), None);
        assert_eq!(class_of(Layout::from_size_align(LARGEST + 1, 8).expect("a layout")), None);
    }

    #[test]
    fn growing_across_every_border_keeps_the_bytes() {
        let mut bytes: Vec<u8> = Vec::new();
        for i in 0..(10 << 20) {
            #[expect(clippy::cast_possible_truncation, reason = "the low byte is meant")]
            bytes.push((i * 31) as u8);
        }
        assert!(bytes.iter().enumerate().all(|(i, b)| *b == (i * 31) as u8));
        bytes.truncate(200 << 10);
        bytes.shrink_to_fit();
        assert!(bytes.iter().enumerate().all(|(i, b)| *b == (i * 31) as u8));
    }

    #[test]
    fn nothing_is_kept_behind_the_last_run() {
        static OWN: Shelf = Shelf::new();
        let keeps = || {
            assert!(OWN.put(0, map(bytes_of(0))));
            assert_eq!(OWN.kept.load(Ordering::SeqCst), bytes_of(0));
        };
        OWN.begin();
        OWN.begin();
        keeps();
        OWN.end();
        assert!(OWN.kept.load(Ordering::SeqCst) > 0, "a run is live");
        OWN.end();
        assert_eq!(OWN.kept.load(Ordering::SeqCst), 0);
        // the last run ends while somebody else has the shelf
        OWN.begin();
        keeps();
        OWN.with(|_| OWN.end());
        assert_eq!(OWN.kept.load(Ordering::SeqCst), 0);
        let late = map(bytes_of(0));
        assert!(!OWN.put(0, late), "no run is live");
        unmap(late, bytes_of(0));
    }

    #[test]
    fn zeroed_blocks_are_zero_also_when_kept() {
        let _run = Running::new();
        for _ in 0..4 {
            let mut block = vec![0u8; 300 << 10];
            assert!(block.iter().all(|b| *b == 0));
            block.fill(7);
        }
    }
}
