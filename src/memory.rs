//! The budget of a run: every byte that it may hold is leased here before it is allocated.
//!
//! A [`MemoryPool`] has one limit. Each part of a run that holds memory is a [`Holder`] with a name, and with a
//! cap (its *share*) where one was set; it gives out [`Lease`]s, which are given back on drop. Nothing waits here:
//! a lease is granted or refused at once, and who is refused decides whether to wait, spill or fail.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::error::{Error, Result};

/// The memory of one run.
#[derive(Debug)]
pub struct MemoryPool {
    limit: usize,
    held: AtomicUsize,
    peak: AtomicUsize,
    exported: AtomicUsize,
    holders: Mutex<Vec<Arc<Counters>>>,
}

#[derive(Debug)]
struct Counters {
    name: String,
    cap: AtomicUsize,
    held: AtomicUsize,
    peak: AtomicUsize,
}

/// A named part of a run that holds memory, up to its share.
#[derive(Debug, Clone)]
pub struct Holder {
    pool: Arc<MemoryPool>,
    counters: Arc<Counters>,
}

/// Bytes granted to a holder; given back on drop.
#[derive(Debug)]
pub struct Lease {
    holder: Holder,
    bytes: usize,
}

/// Bytes that were handed to the caller: counted apart, held by nobody's limit.
#[derive(Debug)]
pub struct Exported {
    pool: Arc<MemoryPool>,
    bytes: usize,
}

impl MemoryPool {
    /// A pool of `limit` bytes; `None` is no limit.
    pub fn new(limit: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.unwrap_or(usize::MAX),
            held: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            exported: AtomicUsize::new(0),
            holders: Mutex::new(Vec::new()),
        })
    }

    /// The limit in bytes, if there is one.
    pub fn limit(&self) -> Option<usize> {
        (self.limit != usize::MAX).then_some(self.limit)
    }

    /// Bytes leased now.
    pub fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// The most bytes that were leased at once.
    pub fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }

    /// Bytes in the caller's hands.
    pub fn exported(&self) -> usize {
        self.exported.load(Relaxed)
    }

    /// The holder called `name`; `cap` is its share of the limit. Without one (whatever is free), parts of a run
    /// that do the same work, file after file, are one holder.
    pub fn holder(self: &Arc<Self>, name: impl Into<String>, cap: Option<usize>) -> Holder {
        let name = name.into();
        let mut holders = self.holders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = holders.iter().find(|c| c.name == name && cap.is_none());
        if let Some(counters) = known {
            return Holder { pool: self.clone(), counters: counters.clone() };
        }
        let counters = Arc::new(Counters {
            name,
            cap: AtomicUsize::new(cap.unwrap_or(usize::MAX)),
            held: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        });
        holders.push(counters.clone());
        Holder { pool: self.clone(), counters }
    }

    /// Who holds how many bytes, and the most it ever held.
    pub fn holders(&self) -> Vec<(String, usize, usize)> {
        let holders = self.holders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        holders.iter().map(|c| (c.name.clone(), c.held.load(Relaxed), c.peak.load(Relaxed))).collect()
    }

    /// Counts `bytes` as handed to the caller until the guard is dropped.
    pub fn export(self: &Arc<Self>, bytes: usize) -> Exported {
        self.exported.fetch_add(bytes, Relaxed);
        Exported { pool: self.clone(), bytes }
    }

    fn refused(&self, name: &str, bytes: usize) -> Error {
        let held: Vec<String> = self
            .holders()
            .into_iter()
            .filter(|h| h.1 > 0)
            .map(|(name, bytes, _)| format!("{name} {}", in_mib(bytes)))
            .collect();
        let held = if held.is_empty() { "nothing yet".to_owned() } else { held.join(", ") };
        Error::MemoryLimit(format!(
            "{name} needs {} MiB more, limit is {} MiB (held: {held}); raise memory_limit",
            in_mib(bytes),
            in_mib(self.limit),
        ))
    }
}

fn in_mib(bytes: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal of a size for a reader")]
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib >= 1.0 && mib.fract() < 0.05 { format!("{mib:.0}") } else { format!("{mib:.1}") }
}

/// Adds `bytes` unless that would pass `limit`.
fn take(counter: &AtomicUsize, bytes: usize, limit: usize) -> bool {
    counter.fetch_update(Relaxed, Relaxed, |held| held.checked_add(bytes).filter(|total| *total <= limit)).is_ok()
}

impl Holder {
    /// The holder's name, as errors and stats show it.
    pub fn name(&self) -> &str {
        &self.counters.name
    }

    /// The pool that this holder leases from.
    pub fn pool(&self) -> &Arc<MemoryPool> {
        &self.pool
    }

    /// Bytes leased by this holder now.
    pub fn held(&self) -> usize {
        self.counters.held.load(Relaxed)
    }

    /// Its share in bytes: the cap, or all of the limit.
    pub fn share(&self) -> usize {
        self.counters.cap.load(Relaxed).min(self.pool.limit)
    }

    /// A lease of `bytes` if both the share and the pool have room, else `None`.
    pub fn try_lease(&self, bytes: usize) -> Option<Lease> {
        let counters = &self.counters;
        if !take(&counters.held, bytes, counters.cap.load(Relaxed)) {
            return None;
        }
        if !take(&self.pool.held, bytes, self.pool.limit) {
            counters.held.fetch_sub(bytes, Relaxed);
            return None;
        }
        counters.peak.fetch_max(counters.held.load(Relaxed), Relaxed);
        self.pool.peak.fetch_max(self.pool.held.load(Relaxed), Relaxed);
        Some(Lease { holder: self.clone(), bytes })
    }

    /// A lease of `bytes`, beyond the share if need be, but never beyond the limit.
    ///
    /// # Errors
    /// [`Error::MemoryLimit`] naming every holder.
    pub fn lease(&self, bytes: usize) -> Result<Lease> {
        if !take(&self.pool.held, bytes, self.pool.limit) {
            return Err(self.pool.refused(&self.counters.name, bytes));
        }
        self.counters.held.fetch_add(bytes, Relaxed);
        self.counters.peak.fetch_max(self.counters.held.load(Relaxed), Relaxed);
        self.pool.peak.fetch_max(self.pool.held.load(Relaxed), Relaxed);
        Ok(Lease { holder: self.clone(), bytes })
    }

    /// A lease of nothing, to grow later.
    pub fn empty(&self) -> Lease {
        Lease { holder: self.clone(), bytes: 0 }
    }
}

impl Lease {
    /// Bytes granted.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Who holds it.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// Makes the lease exactly `bytes`, growing (within the limit) or shrinking.
    ///
    /// # Errors
    /// [`Error::MemoryLimit`] if it would have to grow beyond the limit; the lease is then as it was.
    pub fn resize(&mut self, bytes: usize) -> Result<()> {
        if bytes > self.bytes {
            let mut more = self.holder.lease(bytes - self.bytes)?;
            self.bytes = bytes;
            more.bytes = 0;
        } else {
            self.give_back(self.bytes - bytes);
        }
        Ok(())
    }

    /// Cuts `bytes` off into a lease of their own; grows first where there are fewer.
    ///
    /// # Errors
    /// [`Error::MemoryLimit`] if it would have to grow beyond the limit.
    pub fn split(&mut self, bytes: usize) -> Result<Lease> {
        if bytes > self.bytes {
            self.resize(bytes)?;
        }
        self.bytes -= bytes;
        Ok(Lease { holder: self.holder.clone(), bytes })
    }

    /// The same bytes in the name of `holder`, which has the same pool: nothing is freed in between, so nothing can
    /// be refused.
    #[must_use]
    pub fn pass_to(mut self, holder: &Holder) -> Lease {
        let bytes = std::mem::take(&mut self.bytes);
        self.holder.counters.held.fetch_sub(bytes, Relaxed);
        holder.counters.held.fetch_add(bytes, Relaxed);
        holder.counters.peak.fetch_max(holder.counters.held.load(Relaxed), Relaxed);
        Lease { holder: holder.clone(), bytes }
    }

    fn give_back(&mut self, bytes: usize) {
        self.holder.counters.held.fetch_sub(bytes, Relaxed);
        self.holder.pool.held.fetch_sub(bytes, Relaxed);
        self.bytes -= bytes;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

impl Exported {
    /// How many they are.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Exported {
    fn drop(&mut self) {
        self.pool.exported.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_comes_back_on_drop_and_the_peak_stays() {
        let pool = MemoryPool::new(Some(100));
        let holder = pool.holder("reader", None);
        let lease = holder.try_lease(60).expect("room");
        assert!(holder.try_lease(41).is_none());
        assert_eq!((pool.held(), holder.held()), (60, 60));
        drop(lease);
        assert_eq!((pool.held(), holder.held(), pool.peak()), (0, 0, 60));
    }

    #[test]
    fn a_refusal_names_the_holders() {
        let pool = MemoryPool::new(Some(64 << 20));
        let join = pool.holder("join", None);
        let _state = join.lease(58 << 20).expect("room");
        let e = pool.holder("parquet source", None).lease(18 << 20).expect_err("full");
        assert_eq!(
            e.to_string(),
            "parquet source needs 18 MiB more, limit is 64 MiB (held: join 58); raise memory_limit"
        );
    }

    #[test]
    fn a_share_binds_try_lease_only() {
        let pool = MemoryPool::new(Some(100));
        let holder = pool.holder("window", Some(10));
        assert!(holder.try_lease(11).is_none());
        assert_eq!(holder.lease(11).expect("the limit has room").bytes(), 11);
    }

    #[test]
    fn a_lease_passes_to_another_holder_of_a_full_pool() {
        let pool = MemoryPool::new(Some(100));
        let (reader, sink) = (pool.holder("reader", Some(100)), pool.holder("sink", Some(10)));
        let lease = reader.lease(100).expect("room").pass_to(&sink);
        assert_eq!((reader.held(), sink.held(), pool.held()), (0, 100, 100));
        drop(lease);
        assert_eq!((sink.held(), pool.held()), (0, 0));
    }

    #[test]
    fn split_and_resize_keep_the_sum() {
        let pool = MemoryPool::new(Some(100));
        let mut lease = pool.holder("x", None).lease(30).expect("room");
        let part = lease.split(10).expect("has them");
        assert_eq!((lease.bytes(), part.bytes(), pool.held()), (20, 10, 30));
        drop(part);
        let part = lease.split(50).expect("grows");
        assert_eq!((lease.bytes(), part.bytes(), pool.held()), (0, 50, 50));
        assert!(lease.resize(51).is_err());
        assert_eq!(pool.held(), 50, "a refused growth changes nothing");
        lease.resize(40).expect("fits");
        drop((lease, part));
        assert_eq!(pool.held(), 0);
    }
}
