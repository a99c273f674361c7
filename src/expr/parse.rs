//! Text predicates.

use super::Expr;
use crate::error::{Error, Result};

/// `fare < 10 and zone like 'A%'` as the expression that the operators would give.
///
/// # Errors
/// [`Error::Value`] pointing at the place.
pub fn parse_predicate(_text: &str) -> Result<Expr> {
    Err(Error::NotImplemented("text predicates".into()))
}
