//! Expressions.

/// An expression as the user wrote it.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A column by name.
    Column(String),
}
