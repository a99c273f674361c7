//! Who goes first where there are more threads than cores: the consumer, then the workers.
//!
//! With as many workers as cores the consumer shares one with a worker. While it is kept waiting there, the other workers
//! fill the queue and stop, and their cores idle: on two cores a tenth of the time of a Parquet loop. Two things keep it
//! waiting, for some 3 ms each time. It wakes while the worker has not finished its time slice: a thread with a shorter
//! slice of its own goes first (Linux 6.12 and later: `sched_runtime` of `sched_setattr(2)` for threads of the normal
//! policy), so the waiting consumer has a short one, and its own again as soon as it goes on. And it wakes a worker, which
//! Linux lets run at once as it has slept longer: a thread of the policy `SCHED_BATCH` does not come before another when
//! it wakes (`sched(7)`), so the workers have that. What the consumer does outside of the wait is scheduled as ever.
//! Where there is no such thing, nothing happens.

/// While it lives, the thread that made it has a short slice. Costs three system calls.
#[derive(Debug)]
pub struct Short(#[cfg(target_os = "linux")] Option<linux::Attributes>);

impl Short {
    /// Makes this thread's slice short, if it is an ordinary one.
    #[cfg(target_os = "linux")]
    pub fn begin() -> Self {
        Self(linux::shortened())
    }

    /// Does nothing.
    #[cfg(not(target_os = "linux"))]
    pub fn begin() -> Self {
        Self()
    }
}

/// From now on this thread does not take the core from another when it wakes. Its share of the cores is as before.
pub fn yield_to_others() {
    #[cfg(target_os = "linux")]
    linux::batch();
}

#[cfg(target_os = "linux")]
impl Drop for Short {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            linux::set(before);
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    /// The shortest slice that there is, in ns.
    pub const SHORTEST: u64 = 100_000;

    /// `struct sched_attr`, as its first version had it.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub struct Attributes {
        size: u32,
        pub policy: u32,
        flags: u64,
        pub nice: i32,
        priority: u32,
        pub runtime: u64,
        deadline: u64,
        period: u64,
    }

    const SIZE: u32 = 48;
    /// `SCHED_OTHER`.
    const NORMAL: u32 = 0;
    /// `SCHED_BATCH`.
    pub const BATCH: u32 = 3;

    /// Gives this thread the policy `SCHED_BATCH`, if it has that of ordinary ones.
    pub fn batch() {
        if let Some(ordinary) = get().filter(|a| a.policy == NORMAL && a.flags == 0) {
            set(&Attributes { size: SIZE, policy: BATCH, ..ordinary });
        }
    }

    /// Those of this thread.
    pub fn get() -> Option<Attributes> {
        let mut found = Attributes::default();
        // SAFETY: the kernel writes at most `SIZE` bytes, which `found` has; 0 is this thread.
        let failed = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut found, SIZE, 0) };
        (failed == 0).then_some(found)
    }

    /// Whether this thread has these now.
    pub fn set(attributes: &Attributes) -> bool {
        // SAFETY: the kernel reads as many bytes as `size` says; 0 is this thread.
        unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const *attributes, 0) == 0 }
    }

    /// Gives this thread a short slice; what it had before. `None` where it has no slice of its own to begin with (an older
    /// system), a short one, or another policy.
    pub fn shortened() -> Option<Attributes> {
        let before = get().filter(|a| a.policy == NORMAL && a.flags == 0 && a.runtime > SHORTEST)?;
        let before = Attributes { size: SIZE, ..before };
        set(&Attributes { runtime: SHORTEST, ..before }).then_some(before)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_short_for_a_while_and_then_as_before() {
        let before = linux::get();
        let short = Short::begin();
        if short.0.is_some() {
            assert_eq!(linux::get().map(|a| a.runtime), Some(linux::SHORTEST));
            // within a wait nothing is left to shorten
            assert!(Short::begin().0.is_none());
        }
        drop(short);
        assert_eq!(linux::get(), before);
    }

    #[test]
    fn workers_are_ordinary_but_for_their_policy() {
        let ordinary = linux::get();
        let worker = crate::threads::worker("test".into(), move || {
            if let (Some(before), Some(now)) = (ordinary, linux::get())
                && before.policy == 0
            {
                assert_eq!((now.policy, now.nice), (linux::BATCH, before.nice));
            }
        });
        worker.expect("a thread").join().expect("as it should be");
    }
}
