//! The operators, one file each.
//!
//! | file | kind | holds |
//! |---|---|---|
//! | `exchange` | the threads of a run | batches made ahead |
//! | `stepped` | pieces with steps on them | small batches of one piece, to put together |
//! | `filter` | step | nothing |
//! | `project` | step: select, with_columns, rename, drop, cast, fill_null | nothing |
//! | `head` | in order: head, skip | nothing |
//! | `row_index` | in order | a counter |
//! | `rebatch` | in order | up to one batch of the size asked for |
//! | `map` | in order: the caller's functions on batches | one batch |
//! | `aggregate` | blocking, one row | one state an aggregate |
//!
//! A *step* keeps nothing between batches and runs on any worker; what goes *in order* is a plain iterator on the
//! consumer's thread.

pub mod aggregate;
pub mod exchange;
pub mod filter;
pub mod head;
pub mod map;
pub mod project;
pub mod rebatch;
pub mod row_index;
pub mod stepped;
