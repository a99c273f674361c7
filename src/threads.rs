//! What the threads of a run share: how workers are started, who of them goes first, how they wait for each other.

mod bell;
mod turns;

use std::io;
use std::thread::{Builder, JoinHandle};

pub use self::bell::Bell;
pub use self::turns::Short;

/// A worker called `name`, for work that a consumer waits for: it never takes the core from a thread that is at work.
///
/// # Errors
/// The system's, where there can be no more threads.
pub fn worker(name: String, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name).spawn(|| {
        turns::yield_to_others();
        work();
    })
}
