//! Functions of text.
pub(super) const FUNCTIONS: &[super::Function] = &[];
