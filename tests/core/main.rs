//! What must hold of the core as a whole; the tests of a part stand at the foot of its file.

mod corpus;
mod hostile;
mod layers;
mod numbers;
mod records;

/// The extension's allocator, which counts; built as an extension, the crate brings it along.
#[cfg(not(feature = "python"))]
#[global_allocator]
static ALLOCATOR: batchstream::alloc::Recycling = batchstream::alloc::Recycling;
