//! Any bytes, read as the pages of a column whose footer is right: what a fuzzer of whole files seldom gets to.

#![no_main]

#[path = "../hostile.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hostile::pages(bytes);
});
