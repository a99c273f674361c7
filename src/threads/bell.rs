//! A condition variable that costs nothing while nobody waits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::Duration;

/// Wakes those who wait for what a mutex guards. As a [`Condvar`], but ringing for nobody is no system call, and no
/// worker of ours dies with the lock, so that poisoning says nothing.
///
/// Whoever rings must have changed what the mutex guards, under the mutex: a thread that looked before is counted then.
#[derive(Debug, Default)]
pub struct Bell {
    condvar: Condvar,
    waiting: AtomicUsize,
}

impl Bell {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self { condvar: Condvar::new(), waiting: AtomicUsize::new(0) }
    }

    /// Lets go of the lock until somebody rings; may return for no reason.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let guard = self.condvar.wait(guard).unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        guard
    }

    /// As `wait`, for `most` at the longest.
    pub fn wait_for<'a, T>(&self, guard: MutexGuard<'a, T>, most: Duration) -> MutexGuard<'a, T> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let guard = self.condvar.wait_timeout(guard, most).unwrap_or_else(PoisonError::into_inner).0;
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        guard
    }

    /// Wakes all who wait.
    pub fn ring(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.condvar.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};
    use std::thread;

    use super::*;

    /// Two threads that take turns: each ring that went unheard would stop both.
    #[test]
    fn nobody_who_waits_is_missed() {
        const TURNS: usize = 20_000;
        let (turn, bell) = (Mutex::new(0), Bell::new());
        let take_turns = |mine: usize| {
            for i in (mine..TURNS).step_by(2) {
                let mut now = turn.lock().expect("no panic");
                while *now != i {
                    now = bell.wait(now);
                }
                *now += 1;
                drop(now);
                bell.ring();
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| take_turns(1));
            take_turns(0);
        });
        assert_eq!(*turn.lock().expect("no panic"), TURNS);
        assert_eq!(bell.waiting.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn one_ring_wakes_all() {
        let (open, bell) = (Mutex::new(false), Bell::new());
        let (sender, arrived) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..3 {
                let sender = sender.clone();
                scope.spawn(|| {
                    let mut now = open.lock().expect("no panic");
                    sender.send(()).expect("heard");
                    drop(sender);
                    while !*now {
                        now = bell.wait_for(now, Duration::from_secs(3600));
                    }
                });
            }
            (0..3).for_each(|_| arrived.recv().expect("all come"));
            // each has let go of the lock by waiting
            *open.lock().expect("no panic") = true;
            bell.ring();
        });
    }
}
