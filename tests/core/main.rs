//! What must hold of the core as a whole; the tests of a part stand at the foot of its file.

mod layers;
