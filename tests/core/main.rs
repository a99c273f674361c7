//! What must hold of the core as a whole; the tests of a part stand at the foot of its file.

mod hostile;
mod layers;

/// The extension's allocator, which counts.
#[global_allocator]
static ALLOCATOR: batchstream::alloc::Recycling = batchstream::alloc::Recycling;
