//! Expressions: what a user writes about columns, from the tree to the answer.
//!
//! An [`Expr`] is a description without types. [`resolve`] reads it against a schema: names and types are settled there,
//! and all type errors come from there, at the line that built the chain. What it gives, a [`Typed`], evaluates batch by
//! batch on any thread. Aggregates ([`resolve_aggregates`]) keep a mergeable state instead.
//!
//! | file | |
//! |---|---|
//! | `mod` | the tree |
//! | [`literal`] | constants, and which types hold them |
//! | `show` | an expression as the user would type it |
//! | [`typing`] | names and types resolved: [`Typed`] |
//! | `arithmetic`, `span`, `compare`, `logic`, `branch`, `convert` | the kernels, a family a file; `span` is time's |
//! | `wall` | what a clock on the wall shows, zone by zone |
//! | `bits` | values as keys that compare by equality |
//! | [`functions`] | one row a function: string, temporal, numeric |
//! | [`mask`] | the rows that satisfy predicates |
//! | [`aggregate`] | states that merge |
//! | [`parse`] | `filter("fare < 10")` |
//! | [`prune`] | what statistics can rule out |
//!
//! # Meaning
//!
//! - Comparisons and logic treat null as SQL does. NaN equals NaN and is greater than every number; `-0.0` equals `0.0`.
//! - Integer overflow, and integer `//` or `%` by zero, are errors that name the expression and the values.
//! - `/` is true division in float64 (float32 between float32 values); `//` rounds down and `%` takes the sign of the
//!   divisor, as in Python.
//! - Literals adapt to the column that they meet: `col("u8") + 1` is uint8, `col("u8") + 300` uint16.

pub mod aggregate;
pub mod functions;
pub mod literal;
pub mod mask;
pub mod parse;
pub mod prune;
mod rename;
pub mod typing;

mod arithmetic;
mod bits;
mod branch;
mod compare;
mod convert;
mod logic;
mod show;
mod span;
mod wall;

use std::ops::Deref;
use std::sync::Arc;

use arrow::datatypes::DataType;

use crate::error::{Error, Result};

pub use aggregate::{Aggregate, Aggregation, Interpolation, resolve_aggregates};
pub use functions::Function;
pub use literal::Literal;
pub use parse::parse_predicate;
pub use prune::{ColumnStats, may_match};
pub use typing::{Typed, resolve, resolve_all, resolve_predicate};

/// Expressions nested deeper than this are refused, so that no walk over one can exhaust the stack. A chain of operators,
/// which leans to the left, is one level.
pub const MAX_NESTING: u32 = 128;
/// Chains of operators longer than this are refused.
pub const MAX_DEPTH: u32 = 1_000;
/// Expressions of more parts than this are refused; shared parts count each time that they are used.
pub const MAX_SIZE: u32 = 200_000;

/// An expression as the user wrote it: cheap to clone, parts are shared.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A column by name.
    Column(String),
    /// A constant.
    Literal(Literal),
    /// `left op right`.
    Binary {
        /// The operator.
        op: Operator,
        /// Its left side.
        left: Sub,
        /// Its right side.
        right: Sub,
    },
    /// `~input`: logical not, or the bits of an integer flipped.
    Not(Sub),
    /// `-input`.
    Negate(Sub),
    /// A function of the registry; its options (patterns, flags, formats) are literal arguments.
    Function {
        /// The row of the registry.
        function: &'static Function,
        /// Its arguments, the input first.
        args: Vec<Sub>,
    },
    /// The input as another type.
    Cast {
        /// What is converted.
        input: Sub,
        /// The type that it becomes.
        to: DataType,
        /// Whether a value that does not fit is an error; else it becomes null.
        strict: bool,
    },
    /// The input under another name.
    Alias {
        /// What is named.
        input: Sub,
        /// The name.
        name: String,
    },
    /// Whether the input is one of some constants.
    IsIn {
        /// What is looked for.
        input: Sub,
        /// Where.
        values: Vec<Literal>,
    },
    /// The value of the first branch whose condition is true.
    When {
        /// Conditions and their values, in order.
        branches: Vec<(Sub, Sub)>,
        /// The value where no condition is true; null without it.
        otherwise: Option<Sub>,
    },
    /// A summary of all rows; only `agg` takes it.
    Aggregate {
        /// Which.
        aggregate: Aggregate,
        /// Of what; none for the number of rows.
        input: Option<Sub>,
    },
}

/// A part of an expression: shared, and knowing its own depth and size so that limits cost nothing to check.
#[derive(Clone)]
pub struct Sub(Arc<Part>);

struct Part {
    expr: Expr,
    extent: Extent,
}

/// How large an expression is.
#[derive(Clone, Copy, Default)]
struct Extent {
    /// Parts above one another.
    depth: u32,
    /// The same, where a chain of operators counts once.
    nesting: u32,
    /// All parts; shared ones as often as they are used.
    size: u32,
}

impl Sub {
    /// Wraps `expr` as a part of another.
    pub fn new(expr: Expr) -> Self {
        let extent = expr.extent();
        Sub(Arc::new(Part { expr, extent }))
    }
}

impl Deref for Sub {
    type Target = Expr;

    fn deref(&self) -> &Expr {
        &self.0.expr
    }
}

impl From<Expr> for Sub {
    fn from(expr: Expr) -> Self {
        Sub::new(expr)
    }
}

impl PartialEq for Sub {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.expr == other.0.expr
    }
}

impl std::fmt::Debug for Sub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.expr.fmt(f)
    }
}

/// What stands between two expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `+`: sum, or two texts joined.
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`: true division.
    Divide,
    /// `//`: division rounded down.
    FloorDivide,
    /// `%`: what `//` leaves.
    Remainder,
    /// `**`
    Power,
    /// `==`
    Eq,
    /// `!=`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
    /// `&`: three-valued on booleans, bitwise on integers.
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
}

impl Operator {
    /// Every operator.
    pub const ALL: [Operator; 16] = [
        Operator::Add,
        Operator::Subtract,
        Operator::Multiply,
        Operator::Divide,
        Operator::FloorDivide,
        Operator::Remainder,
        Operator::Power,
        Operator::Eq,
        Operator::NotEq,
        Operator::Lt,
        Operator::LtEq,
        Operator::Gt,
        Operator::GtEq,
        Operator::And,
        Operator::Or,
        Operator::Xor,
    ];

    /// As Python writes it.
    pub fn symbol(self) -> &'static str {
        match self {
            Operator::Add => "+",
            Operator::Subtract => "-",
            Operator::Multiply => "*",
            Operator::Divide => "/",
            Operator::FloorDivide => "//",
            Operator::Remainder => "%",
            Operator::Power => "**",
            Operator::Eq => "==",
            Operator::NotEq => "!=",
            Operator::Lt => "<",
            Operator::LtEq => "<=",
            Operator::Gt => ">",
            Operator::GtEq => ">=",
            Operator::And => "&",
            Operator::Or => "|",
            Operator::Xor => "^",
        }
    }

    /// The operator that Python writes so.
    pub fn from_symbol(symbol: &str) -> Option<Operator> {
        Operator::ALL.into_iter().find(|op| op.symbol() == symbol)
    }

    /// Whether it compares, giving booleans.
    pub fn compares(self) -> bool {
        use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
        matches!(self, Eq | NotEq | Lt | LtEq | Gt | GtEq)
    }

    /// The comparison with its sides exchanged: `a < b` is `b > a`.
    #[must_use]
    pub fn mirrored(self) -> Self {
        match self {
            Operator::Lt => Operator::Gt,
            Operator::LtEq => Operator::GtEq,
            Operator::Gt => Operator::Lt,
            Operator::GtEq => Operator::LtEq,
            other => other,
        }
    }

    /// The comparison that is true exactly where this one is false.
    #[must_use]
    pub fn negated(self) -> Option<Self> {
        Some(match self {
            Operator::Eq => Operator::NotEq,
            Operator::NotEq => Operator::Eq,
            Operator::Lt => Operator::GtEq,
            Operator::LtEq => Operator::Gt,
            Operator::Gt => Operator::LtEq,
            Operator::GtEq => Operator::Lt,
            _ => return None,
        })
    }
}

impl Expr {
    /// A column by name.
    pub fn col(name: impl Into<String>) -> Expr {
        Expr::Column(name.into())
    }

    /// A constant.
    pub fn lit(value: impl Into<Literal>) -> Expr {
        Expr::Literal(value.into())
    }

    /// `self op right`.
    #[must_use]
    pub fn binary(self, op: Operator, right: Expr) -> Expr {
        Expr::Binary { op, left: self.into(), right: right.into() }
    }

    /// `self & right`.
    #[must_use]
    pub fn and(self, right: Expr) -> Expr {
        self.binary(Operator::And, right)
    }

    /// `self | right`.
    #[must_use]
    pub fn or(self, right: Expr) -> Expr {
        self.binary(Operator::Or, right)
    }

    /// `~self`.
    #[must_use]
    pub fn negated(self) -> Expr {
        Expr::Not(self.into())
    }

    /// The expression under another name.
    #[must_use]
    pub fn alias(self, name: impl Into<String>) -> Expr {
        Expr::Alias { input: self.into(), name: name.into() }
    }

    /// The expression as another type; a value that does not fit is an error where `strict`, else null.
    #[must_use]
    pub fn cast(self, to: DataType, strict: bool) -> Expr {
        Expr::Cast { input: self.into(), to, strict }
    }

    /// A function of the registry by name, with the input as first argument.
    ///
    /// # Errors
    /// [`Error::NotImplemented`] for a name that the registry lacks, [`Error::Type`] for a wrong number of arguments.
    pub fn call(name: &str, args: Vec<Expr>) -> Result<Expr> {
        let function = functions::find(name)?;
        function.check_count(args.len())?;
        Ok(Expr::Function { function, args: args.into_iter().map(Sub::new).collect() })
    }

    /// `lower <= self <= upper`; `closed` tells which bounds belong: `both`, `left`, `right`, `none`.
    ///
    /// # Errors
    /// [`Error::Value`] for another `closed`.
    pub fn between(self, lower: Expr, upper: Expr, closed: &str) -> Result<Expr> {
        let (low, high) = match closed {
            "both" => (Operator::GtEq, Operator::LtEq),
            "left" => (Operator::GtEq, Operator::Lt),
            "right" => (Operator::Gt, Operator::LtEq),
            "none" => (Operator::Gt, Operator::Lt),
            other => {
                return Err(Error::Value(format!(
                    "closed: expected `both`, `left`, `right` or `none`, found `{other}`"
                )));
            }
        };
        let input = Sub::new(self);
        let side = |op, bound: Expr| Expr::Binary { op, left: input.clone(), right: bound.into() };
        Ok(side(low, lower).and(side(high, upper)))
    }

    /// A summary of the expression over all rows.
    #[must_use]
    pub fn aggregate(self, aggregate: Aggregate) -> Expr {
        Expr::Aggregate { aggregate, input: Some(self.into()) }
    }

    /// The parts directly below.
    pub fn parts(&self) -> Vec<&Sub> {
        match self {
            Expr::Column(_) | Expr::Literal(_) => vec![],
            Expr::Binary { left, right, .. } => vec![left, right],
            Expr::Not(input)
            | Expr::Negate(input)
            | Expr::Cast { input, .. }
            | Expr::Alias { input, .. }
            | Expr::IsIn { input, .. } => vec![input],
            Expr::Function { args, .. } => args.iter().collect(),
            Expr::When { branches, otherwise } => {
                branches.iter().flat_map(|(c, v)| [c, v]).chain(otherwise.as_ref()).collect()
            }
            Expr::Aggregate { input, .. } => input.iter().collect(),
        }
    }

    /// How large the tree is; costs nothing.
    fn extent(&self) -> Extent {
        let own = match self {
            Expr::IsIn { values, .. } => u32::try_from(values.len() / 64).unwrap_or(u32::MAX),
            _ => 0,
        };
        let mut whole = Extent { depth: 0, nesting: 0, size: own };
        for (index, part) in self.parts().into_iter().enumerate() {
            let Extent { depth, nesting, size } = part.0.extent;
            let chained = index == 0 && matches!((self, &**part), (Expr::Binary { .. }, Expr::Binary { .. }));
            whole.depth = whole.depth.max(depth);
            whole.nesting = whole.nesting.max(if chained { nesting - 1 } else { nesting });
            whole.size = whole.size.saturating_add(size);
        }
        Extent { depth: whole.depth + 1, nesting: whole.nesting + 1, size: whole.size.saturating_add(1) }
    }

    /// Refuses an expression beyond [`MAX_NESTING`], [`MAX_DEPTH`] or [`MAX_SIZE`]; costs nothing.
    ///
    /// # Errors
    /// [`Error::Value`] saying which limit was passed.
    pub fn check_extent(&self) -> Result<()> {
        let Extent { depth, nesting, size } = self.extent();
        if nesting > MAX_NESTING || depth > MAX_DEPTH {
            let (what, limit) = if nesting > MAX_NESTING {
                ("nests deeper than", MAX_NESTING)
            } else {
                ("chains more than", MAX_DEPTH)
            };
            return Err(Error::Value(format!(
                "the expression {what} {limit} levels; use is_in for many values, or several filter() or with_columns() calls"
            )));
        }
        if size > MAX_SIZE {
            return Err(Error::Value(format!(
                "the expression has more than {MAX_SIZE} parts; use is_in for many values, or with_columns() for what repeats"
            )));
        }
        Ok(())
    }

    /// The parts of the tree, parents first, left to right.
    fn walk(&self) -> Walk<'_> {
        Walk { waiting: vec![self] }
    }

    /// The columns referred to, each once, in order of first use.
    pub fn columns(&self) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        self.walk()
            .filter_map(|e| match e {
                Expr::Column(name) if seen.insert(name.as_str()) => Some(name.clone()),
                _ => None,
            })
            .collect()
    }

    /// What `&` joins at the top, left to right: every one must hold.
    pub fn conjuncts(&self) -> Vec<Expr> {
        let mut out = Vec::new();
        let mut waiting = vec![self];
        while let Some(expr) = waiting.pop() {
            match expr {
                Expr::Binary { op: Operator::And, left, right } => waiting.extend([&**right, &**left]),
                other => out.push(other.clone()),
            }
        }
        out
    }

    /// Whether an aggregate is anywhere in it.
    pub fn contains_aggregate(&self) -> bool {
        self.walk().any(|e| matches!(e, Expr::Aggregate { .. }))
    }

    /// The name of the result: the alias, else that of the first column (of the first value with one, for `when`),
    /// else `len` or `literal`.
    pub fn output_name(&self) -> String {
        match self {
            Expr::Alias { name, .. } => name.clone(),
            other => other.root_name().unwrap_or_else(|| {
                let len = |e: &Expr| matches!(e, Expr::Aggregate { aggregate: Aggregate::Len, .. });
                if self.walk().any(len) { "len".into() } else { "literal".into() }
            }),
        }
    }

    fn root_name(&self) -> Option<String> {
        let mut waiting = vec![self];
        while let Some(expr) = waiting.pop() {
            match expr {
                Expr::Column(name) | Expr::Alias { name, .. } => return Some(name.clone()),
                Expr::When { branches, otherwise } => {
                    waiting.extend(otherwise.iter().map(|e| &**e));
                    waiting.extend(branches.iter().rev().map(|(_, value)| &**value));
                }
                other => waiting.extend(other.parts().into_iter().rev().map(|p| &**p)),
            }
        }
        None
    }
}

struct Walk<'a> {
    waiting: Vec<&'a Expr>,
}

impl<'a> Iterator for Walk<'a> {
    type Item = &'a Expr;

    fn next(&mut self) -> Option<&'a Expr> {
        let expr = self.waiting.pop()?;
        self.waiting.extend(expr.parts().into_iter().rev().map(|p| &**p));
        Some(expr)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod end_to_end;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_first_column() {
        let e = Expr::lit(1i64).binary(Operator::Add, Expr::col("x"));
        assert_eq!(e.output_name(), "x");
        assert_eq!(e.clone().alias("y").output_name(), "y");
        assert_eq!(Expr::lit(1i64).output_name(), "literal");
        let when = Expr::When {
            branches: vec![(Expr::col("a").into(), Expr::lit(1i64).into())],
            otherwise: Some(Expr::col("b").into()),
        };
        assert_eq!(when.output_name(), "b");
        assert_eq!(Expr::Aggregate { aggregate: Aggregate::Len, input: None }.output_name(), "len");
    }

    #[test]
    fn conjuncts_keep_their_order() {
        let [a, b, c] = ["a", "b", "c"].map(Expr::col);
        let all = a.clone().and(b.clone().and(c.clone()));
        assert_eq!(all.conjuncts(), vec![a.clone(), b.clone(), c.clone()]);
        assert_eq!(a.clone().and(b.clone()).and(c).columns(), ["a", "b", "c"]);
        assert_eq!(a.clone().or(b.clone()).conjuncts(), vec![a.or(b)]);
    }

    #[test]
    fn a_doubling_expression_is_refused_at_once() {
        let mut e = Expr::col("x");
        for _ in 0..100 {
            let part = Sub::new(e);
            e = Expr::Binary { op: Operator::Add, left: part.clone(), right: part };
        }
        assert!(e.check_extent().expect_err("2^100 parts").to_string().contains("parts"));
    }

    #[test]
    fn a_deep_expression_is_refused() {
        let mut e = Expr::col("x");
        for _ in 0..MAX_NESTING {
            e = e.negated();
        }
        assert!(e.check_extent().expect_err("too deep").to_string().contains("deeper than 128"));
        let mut e = Expr::col("x");
        for _ in 1..MAX_DEPTH {
            e = e.and(Expr::col("x"));
        }
        e.check_extent().expect("a long chain is not deep");
        assert!(e.and(Expr::col("x")).check_extent().expect_err("too long").to_string().contains("chains more than"));
    }
}
