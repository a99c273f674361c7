//! Any bytes, read as CSV and held against a reference that reads them one at a time.

#![no_main]

#[path = "../records.rs"]
mod records;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    records::check(bytes);
});
