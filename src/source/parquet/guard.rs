//! A decoder that panics is a damaged file.
//!
//! The crate asserts what a hostile page or footer can break. Nothing of its state is used again after that, so the
//! panic is taken as what it means, and nothing is printed about it.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use parquet::errors::ParquetError;

use crate::error::{Error, Result};

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// What the crate says of damaged bytes, also where it calls them I/O errors: it reads no file here.
pub fn damaged(error: ParquetError) -> Error {
    match Error::from(error) {
        Error::Io { source, .. } => Error::Format(source.to_string()),
        other => other,
    }
}

/// Runs `decode`; a panic within is [`Error::Format`] saying that `what` contradicts itself. What `decode` changed must
/// not be used after an error.
///
/// # Errors
/// Those of `decode`, and the one above.
pub fn guarded<T>(what: &str, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !DECODING.get() {
                before(info);
            }
        }));
    });
    let outer = DECODING.replace(true);
    let out = panic::catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(outer);
    out.unwrap_or_else(|_| Err(Error::Format(format!("its {what} contradicts itself; the file is damaged"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_damage_and_an_error_stays_what_it_is() {
        assert_eq!(guarded("page", || Ok(7)).expect("no panic"), 7);
        let e = guarded("page", || -> Result<()> { panic!("index out of bounds") }).expect_err("a panic");
        assert_eq!(e.to_string(), "its page contradicts itself; the file is damaged");
        assert!(matches!(guarded("page", || -> Result<()> { Err(Error::Cancelled) }), Err(Error::Cancelled)));
        assert!(!DECODING.get());
    }
}
