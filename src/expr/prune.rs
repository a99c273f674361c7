//! What statistics can rule out: row groups and files without a row that a predicate keeps.
//!
//! A predicate is judged for all rows at once: can it be true for some, can it be false for some? Comparisons are
//! evaluated on the bounds themselves, by the kernels that evaluate rows, so that both mean the same. Whatever is not
//! understood can be both. The answer errs on one side only: rows are never lost, at worst they are read in vain.
//!
//! Statistics of floats leave NaN out, and here NaN is greater than every number: an upper bound of a float column counts
//! only where another condition (`x < 10`, `~x.is_nan()`) keeps NaN away. Bounds of text may be cut short, as long as they
//! are bounds.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Schema};

use super::typing::resolve;
use super::{Expr, Literal, Operator};
use crate::dtype::{announced, value_type};

/// Statistics of rows that have not been read. Bounds hold for every value that is neither null nor NaN; a column that has
/// one value everywhere (a Hive partition) has equal bounds.
pub trait ColumnStats {
    /// A lower bound of the column: an array of one row, of the column's type.
    fn min(&self, column: &str) -> Option<ArrayRef>;
    /// An upper bound.
    fn max(&self, column: &str) -> Option<ArrayRef>;
    /// How many of the rows are null in the column.
    fn null_count(&self, column: &str) -> Option<u64>;
    /// How many rows there are.
    fn row_count(&self) -> Option<u64>;

    /// Whether it is known that no row has `value`, an array of one row of the column's type: a Bloom filter says so.
    /// Asked only where the bounds leave it open.
    fn lacks(&self, column: &str, value: &ArrayRef) -> bool {
        let _ = (column, value);
        false
    }
}

/// Whether a row that all of `predicates` keep can be among the rows; false only where statistics exclude it. `schema`
/// is the schema that the predicates resolve against.
pub fn may_match(predicates: &[Expr], schema: &Schema, stats: &dyn ColumnStats) -> bool {
    if stats.row_count() == Some(0) {
        return false;
    }
    // only rows that satisfy every conjunct count, so what one of them says of NaN holds for all
    let conjuncts: Vec<Expr> = predicates.iter().flat_map(Expr::conjuncts).collect();
    let numbers = conjuncts.iter().filter_map(never_nan).collect();
    let judge = Judge { schema, stats, numbers };
    conjuncts.iter().all(|c| judge.judge(c).truth)
}

/// The column that is not NaN in any row that `conjunct` keeps.
fn never_nan(conjunct: &Expr) -> Option<String> {
    let number = |e: &Expr| matches!(e, Expr::Literal(l) if !matches!(l, Literal::Float(v) if v.is_nan()));
    match conjunct {
        Expr::Binary { op: Operator::Lt | Operator::LtEq | Operator::Eq, left, right } if number(right) => {
            match &**left {
                Expr::Column(name) => Some(name.clone()),
                _ => None,
            }
        }
        Expr::Binary { op: Operator::Gt | Operator::GtEq | Operator::Eq, left, right } if number(left) => {
            match &**right {
                Expr::Column(name) => Some(name.clone()),
                _ => None,
            }
        }
        Expr::IsIn { input, values } if values.iter().all(|v| number(&Expr::Literal(v.clone()))) => match &**input {
            Expr::Column(name) => Some(name.clone()),
            _ => None,
        },
        Expr::Not(input) => match &**input {
            Expr::Function { function, args } if function.name == "is_nan" => match args.first().map(|a| &**a) {
                Some(Expr::Column(name)) => Some(name.clone()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// What an expression can be among the rows. It can also be null, which keeps no row and needs no flag.
#[derive(Debug, Clone, Copy)]
struct Can {
    truth: bool,
    falsehood: bool,
}

impl Can {
    const BOTH: Can = Can { truth: true, falsehood: true };
    const NEITHER: Can = Can { truth: false, falsehood: false };
}

struct Judge<'a> {
    schema: &'a Schema,
    stats: &'a dyn ColumnStats,
    /// Columns without NaN in the rows that count.
    numbers: HashSet<String>,
}

/// The bounds of one side of a comparison.
struct Bounds {
    low: Option<ArrayRef>,
    high: Option<ArrayRef>,
}

impl Judge<'_> {
    /// Depth is bounded by the expression's own limit; chains are walked along their left side.
    fn judge(&self, expr: &Expr) -> Can {
        let mut spine = Vec::new();
        let mut first = expr;
        while let Expr::Binary { op: op @ (Operator::And | Operator::Or), left, right } = first {
            spine.push((*op, right));
            first = left;
        }
        let mut can = self.single(first);
        while let Some((op, right)) = spine.pop() {
            let other = self.judge(right);
            can = match op {
                Operator::And => Can { truth: can.truth && other.truth, falsehood: can.falsehood || other.falsehood },
                _ => Can { truth: can.truth || other.truth, falsehood: can.falsehood && other.falsehood },
            };
        }
        can
    }

    #[inline(never)]
    fn single(&self, expr: &Expr) -> Can {
        match expr {
            Expr::Not(input) if self.is_bool(input) => {
                let can = self.judge(input);
                Can { truth: can.falsehood, falsehood: can.truth }
            }
            Expr::Alias { input, .. } => self.judge(input),
            Expr::Literal(Literal::Bool(v)) => Can { truth: *v, falsehood: !*v },
            Expr::Literal(Literal::Null) => Can::NEITHER,
            Expr::Column(_) => self.compared(Operator::Eq, expr, &Expr::lit(true)),
            Expr::Binary { op, left, right } if op.compares() => self.compared(*op, left, right),
            Expr::IsIn { input, values } => self.listed(input, values),
            Expr::Function { function, args } => match (function.name, args.as_slice()) {
                ("is_null", [input]) => self.nullness(input),
                ("is_not_null", [input]) => {
                    let can = self.nullness(input);
                    Can { truth: can.falsehood, falsehood: can.truth }
                }
                ("str.starts_with", [input, prefix]) => self.prefixed(input, prefix),
                _ => Can::BOTH,
            },
            _ => Can::BOTH,
        }
    }

    fn is_bool(&self, expr: &Expr) -> bool {
        resolve(expr, self.schema).is_ok_and(|t| *value_type(t.dtype()) == DataType::Boolean)
    }

    fn all_null(&self, name: &str) -> bool {
        matches!((self.stats.null_count(name), self.stats.row_count()), (Some(n), Some(rows)) if n >= rows)
    }

    fn nullness(&self, input: &Expr) -> Can {
        let Expr::Column(name) = input else { return Can::BOTH };
        match (self.stats.null_count(name), self.stats.row_count()) {
            (Some(0), _) => Can { truth: false, falsehood: true },
            (Some(n), Some(rows)) if n >= rows => Can { truth: true, falsehood: false },
            _ => Can::BOTH,
        }
    }

    /// The bounds of a column or constant; `None` for what is neither.
    fn bounds(&self, expr: &Expr) -> Option<Bounds> {
        match expr {
            Expr::Column(name) => {
                let dtype = announced(value_type(self.schema.field_with_name(name).ok()?.data_type()));
                // a bound of another type is no bound: converting it may not keep the order
                let fits = |a: &ArrayRef| {
                    let own = announced(value_type(a.data_type()));
                    a.len() == 1 && a.is_valid(0) && (own == dtype)
                };
                let plain = |a: ArrayRef| super::convert::convert(&a, &dtype, true, name).ok();
                let low = self.stats.min(name).filter(fits).and_then(plain);
                let high = self.stats.max(name).filter(fits).and_then(plain);
                // NaN may be among the values, and as a bound it says nothing
                let float = dtype.is_floating();
                let low = low.filter(|l| !float || !is_nan(l));
                let high = high.filter(|h| !float || (self.numbers.contains(name) && !is_nan(h)));
                Some(Bounds { low, high })
            }
            Expr::Literal(literal) => {
                let array = literal.array().ok()?;
                Some(Bounds { low: Some(array.clone()), high: Some(array) })
            }
            Expr::Alias { input, .. } => self.bounds(input),
            _ => None,
        }
    }

    /// `left op right`, with a column or constant on either side.
    fn compared(&self, op: Operator, left: &Expr, right: &Expr) -> Can {
        for side in [left, right] {
            match side {
                Expr::Column(name) if self.all_null(name) => return Can::NEITHER,
                Expr::Literal(Literal::Null) => return Can::NEITHER,
                _ => {}
            }
        }
        let (Some(l), Some(r)) = (self.bounds(left), self.bounds(right)) else { return Can::BOTH };
        // the sides at given bounds: whether `op` holds between them; unknown where a bound is
        let holds = |op: Operator, a: &Option<ArrayRef>, b: &Option<ArrayRef>| -> Option<bool> {
            Self::holds(op, (left, a.as_ref()?), (right, b.as_ref()?))
        };
        let never = |known: Option<bool>| known == Some(false);
        match op {
            // some a < b only if the lowest a is below the highest b
            Operator::Lt | Operator::LtEq => Can {
                truth: !never(holds(op, &l.low, &r.high)),
                falsehood: !op.negated().is_some_and(|not| never(holds(not, &l.high, &r.low))),
            },
            Operator::Gt | Operator::GtEq => Can {
                truth: !never(holds(op, &l.high, &r.low)),
                falsehood: !op.negated().is_some_and(|not| never(holds(not, &l.low, &r.high))),
            },
            Operator::Eq | Operator::NotEq => {
                let apart =
                    never(holds(Operator::LtEq, &l.low, &r.high)) || never(holds(Operator::GtEq, &l.high, &r.low));
                let fixed = |b: &Bounds, side: &Expr| matches!(side, Expr::Literal(_)) || Self::constant(b, side);
                let same = fixed(&l, left) && fixed(&r, right) && holds(Operator::Eq, &l.low, &r.low) == Some(true);
                let apart = apart || (!same && self.lacks(left, right));
                let equal = Can { truth: !apart, falsehood: !same };
                if op == Operator::Eq { equal } else { Can { truth: equal.falsehood, falsehood: equal.truth } }
            }
            _ => Can::BOTH,
        }
    }

    /// Whether it is known that the column on one side has nowhere the constant on the other.
    ///
    /// The constant is looked for as the one value of the column's type that equals it. Where floats take part, several
    /// values may do so, and where no value does, nothing is said.
    fn lacks(&self, left: &Expr, right: &Expr) -> bool {
        let found = || -> Option<bool> {
            let ((Expr::Column(name), Expr::Literal(literal)) | (Expr::Literal(literal), Expr::Column(name))) =
                (left, right)
            else {
                return None;
            };
            let column = &Expr::col(name);
            let dtype = announced(value_type(self.schema.field_with_name(name).ok()?.data_type()));
            let (met, _) = literal.meet(&dtype).ok()?;
            if dtype.is_floating() || matches!(met, Literal::Float(_) | Literal::Null) {
                return None;
            }
            let value = met.array_of(&dtype).ok().filter(|value| value.is_valid(0))?;
            let constant = Expr::Literal(literal.clone());
            let same = Self::holds(Operator::Eq, (column, &value), (&constant, &value)) == Some(true);
            Some(same && self.stats.lacks(name, &value))
        };
        found().unwrap_or(false)
    }

    /// Whether a column has one value everywhere that is not null.
    fn constant(bounds: &Bounds, side: &Expr) -> bool {
        match (&bounds.low, &bounds.high) {
            (Some(low), Some(high)) => Self::holds(Operator::Eq, (side, low), (side, high)) == Some(true),
            _ => false,
        }
    }

    /// `op` between two values, each standing for its side: the kernels of rows on a batch of one row.
    fn holds(op: Operator, (left, a): (&Expr, &ArrayRef), (right, b): (&Expr, &ArrayRef)) -> Option<bool> {
        let mut fields = Vec::new();
        let mut columns: Vec<ArrayRef> = Vec::new();
        let mut stand_in = |side: &Expr, value: &ArrayRef| {
            if let Expr::Literal(_) = side {
                return side.clone();
            }
            let name = format!("\u{1}{}", fields.len());
            fields.push(arrow::datatypes::Field::new(&name, value.data_type().clone(), true));
            columns.push(value.clone());
            Expr::Column(name)
        };
        let expr = stand_in(left, a).binary(op, stand_in(right, b));
        if columns.is_empty() {
            columns.push(new_null_array(&DataType::Null, 1));
            fields.push(arrow::datatypes::Field::new("\u{1}", DataType::Null, true));
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).ok()?;
        let found = resolve(&expr, &batch.schema()).ok()?.eval(&batch).ok()?;
        let found = found.as_any().downcast_ref::<BooleanArray>()?;
        (found.len() == 1 && found.is_valid(0)).then(|| found.value(0))
    }

    fn listed(&self, input: &Expr, values: &[Literal]) -> Can {
        let Expr::Column(name) = input else { return Can::BOTH };
        if self.all_null(name) {
            return Can::NEITHER;
        }
        let mut can = Can { truth: false, falsehood: true };
        // a long list is judged by what it takes to read the rows
        if values.len() > 1_000 {
            return Can::BOTH;
        }
        for value in values {
            let one = self.compared(Operator::Eq, input, &Expr::Literal(value.clone()));
            can.truth |= one.truth;
            can.falsehood &= one.falsehood || one.truth;
        }
        // a null in the list makes what is not found unknown; saying "can be false" then only reads in vain
        Can { truth: can.truth, falsehood: can.falsehood || values.is_empty() }
    }

    fn prefixed(&self, input: &Expr, prefix: &Expr) -> Can {
        let (Expr::Column(name), Expr::Literal(Literal::Text(prefix))) = (input, prefix) else { return Can::BOTH };
        if self.all_null(name) {
            return Can::NEITHER;
        }
        let text = |bound: Option<ArrayRef>| -> Option<String> {
            let bound = super::convert::convert(&bound?, &DataType::Utf8, true, name).ok()?;
            let bound = bound.as_any().downcast_ref::<arrow::array::StringArray>()?;
            bound.is_valid(0).then(|| bound.value(0).to_owned())
        };
        let Some(Bounds { low, high }) = self.bounds(input) else { return Can::BOTH };
        let (low, high) = (text(low), text(high));
        // all text with the prefix lies between it and its last continuation
        let above = low.is_some_and(|low| low.as_bytes() > prefix.as_bytes() && !low.starts_with(prefix.as_str()));
        let below = high.is_some_and(|high| high.as_bytes() < prefix.as_bytes());
        Can { truth: !above && !below, falsehood: true }
    }
}

fn is_nan(bound: &ArrayRef) -> bool {
    let is_nan = |bound: &ArrayRef| -> Option<bool> {
        let wide = arrow::compute::cast(bound, &DataType::Float64).ok()?;
        let wide = wide.as_any().downcast_ref::<arrow::array::Float64Array>()?;
        Some(wide.is_valid(0) && wide.value(0).is_nan())
    };
    is_nan(bound).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{parse_predicate, resolve_predicate};
    use arrow::array::{Date32Array, Float64Array, Int64Array, StringArray, UInt8Array, UInt64Array};
    use arrow::compute::{max as greatest, min as least};

    /// Statistics as a Parquet file has them: NaN left out, text cut to two bytes, the upper bound rounded up.
    struct Of<'a> {
        batch: &'a RecordBatch,
        nulls: bool,
        /// Whether it knows which values are there.
        filters: bool,
    }

    fn cut(text: &str, up: bool) -> String {
        let mut cut: String = text.chars().take(2).collect();
        if up && text.chars().count() > 2 {
            cut.push('\u{10FFFF}');
        }
        cut
    }

    impl Of<'_> {
        fn bound(&self, column: &str, up: bool) -> Option<ArrayRef> {
            let array = self.batch.column_by_name(column)?;
            macro_rules! primitive {
                ($t:ty) => {{
                    let a = array.as_any().downcast_ref::<$t>().expect("its type");
                    let v = if up { greatest(a) } else { least(a) }?;
                    Arc::new(<$t>::from(vec![v])) as ArrayRef
                }};
            }
            Some(match array.data_type() {
                DataType::Int64 => primitive!(Int64Array),
                DataType::UInt8 => primitive!(UInt8Array),
                DataType::UInt64 => primitive!(UInt64Array),
                DataType::Date32 => primitive!(Date32Array),
                DataType::Float64 => {
                    let a = array.as_any().downcast_ref::<Float64Array>().expect("its type");
                    let values = a.iter().flatten().filter(|v| !v.is_nan());
                    let v = values.reduce(|a, b| if up == (b > a) { b } else { a })?;
                    Arc::new(Float64Array::from(vec![v]))
                }
                DataType::Utf8 => {
                    let a = array.as_any().downcast_ref::<StringArray>().expect("its type");
                    let v = if up { a.iter().flatten().max()? } else { a.iter().flatten().min()? };
                    Arc::new(StringArray::from(vec![cut(v, up)]))
                }
                DataType::Boolean => {
                    let a = array.as_any().downcast_ref::<BooleanArray>().expect("its type");
                    let v = if up { a.iter().flatten().max()? } else { a.iter().flatten().min()? };
                    Arc::new(BooleanArray::from(vec![v]))
                }
                _ => return None,
            })
        }
    }

    impl ColumnStats for Of<'_> {
        fn min(&self, column: &str) -> Option<ArrayRef> {
            self.bound(column, false)
        }
        fn max(&self, column: &str) -> Option<ArrayRef> {
            self.bound(column, true)
        }
        fn null_count(&self, column: &str) -> Option<u64> {
            self.nulls.then(|| self.batch.column_by_name(column).map(|a| a.null_count() as u64)).flatten()
        }
        fn row_count(&self) -> Option<u64> {
            Some(self.batch.num_rows() as u64)
        }
        fn lacks(&self, column: &str, value: &ArrayRef) -> bool {
            let Some(array) = self.batch.column_by_name(column).filter(|_| self.filters) else { return false };
            assert_eq!((array.data_type(), value.len()), (value.data_type(), 1), "a value of the column's type");
            !(0..array.len()).any(|i| array.slice(i, 1).as_ref() == value.as_ref())
        }
    }

    /// A small generator of numbers (Marsaglia's xorshift), so that a failure repeats.
    struct Random(u64);

    impl Random {
        fn next(&mut self, below: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % below
        }

        fn of<T: Copy>(&mut self, choices: &[T]) -> T {
            choices[usize::try_from(self.next(choices.len() as u64)).expect("small")]
        }
    }

    const COLUMNS: [&str; 7] = ["i", "u", "w", "f", "s", "d", "b"];

    fn batch(random: &mut Random) -> RecordBatch {
        let rows = random.of(&[0, 1, 2, 3]);
        macro_rules! column {
            ($t:ty, $choices:expr) => {{
                let values: Vec<_> =
                    (0..rows).map(|_| if random.next(4) == 0 { None } else { Some(random.of($choices)) }).collect();
                Arc::new(<$t>::from(values)) as ArrayRef
            }};
        }
        RecordBatch::try_from_iter_with_nullable([
            ("i", column!(Int64Array, &[-3, 0, 1, 2, 300, i64::MAX]), true),
            ("u", column!(UInt8Array, &[0, 1, 2, 255]), true),
            ("w", column!(UInt64Array, &[0, 1, 1 << 63, u64::MAX]), true),
            ("f", column!(Float64Array, &[-0.0, 0.0, 1.5, f64::NAN, f64::INFINITY, -2.0]), true),
            ("s", column!(StringArray, &["", "a", "ab", "abc", "abd", "b", "zz\u{10FFFF}"]), true),
            ("d", column!(Date32Array, &[-1, 0, 19753]), true),
            ("b", column!(BooleanArray, &[true, false]), true),
        ])
        .expect("columns of one length")
    }

    fn constant(random: &mut Random, column: &str) -> String {
        match column {
            "f" => random.of(&["-0.0", "0", "1.5", "2", "-2.0"]).into(),
            "s" => random.of(&["''", "'a'", "'ab'", "'abc'", "'abe'", "'c'"]).into(),
            "d" => random.of(&["'1970-01-01'", "'2024-01-31'", "'1969-12-31'", "'2024-01-31 12:00'"]).into(),
            "b" => random.of(&["true", "false"]).into(),
            _ => random.of(&["0", "1", "2", "300", "1.5", "-3", "9223372036854775808", "18446744073709551615"]).into(),
        }
    }

    fn predicate(random: &mut Random, depth: u32) -> String {
        if depth > 0 && random.next(2) == 0 {
            let (a, b) = (predicate(random, depth - 1), predicate(random, depth - 1));
            return match random.next(3) {
                0 => format!("({a}) and ({b})"),
                1 => format!("({a}) or ({b})"),
                _ => format!("not ({a})"),
            };
        }
        let column = random.of(&COLUMNS);
        let op = random.of(&["=", "<>", "<", "<=", ">", ">="]);
        let other = constant(random, column);
        match random.next(9) {
            0 => format!("{column} is null"),
            1 => format!("{column} is not null"),
            2 => format!("{column} in ({other}, {})", constant(random, column)),
            3 => format!("{column} not in ({other}, null)"),
            4 => format!("{column} between {other} and {}", constant(random, column)),
            5 if column == "s" => format!("s like '{}%'", random.of(&["", "a", "ab", "abc", "b", "zz"])),
            6 => {
                let (a, b) = (random.of(&["i", "u", "w", "f"]), random.of(&["i", "u", "w", "f"]));
                format!("{a} {op} {b}")
            }
            7 => format!("{other} {op} {column}"),
            8 => "b".into(),
            _ => format!("{column} {op} {other}"),
        }
    }

    #[test]
    fn no_row_is_ever_lost() {
        let mut random = Random(0x2545_F491_4F6C_DD1D);
        let (mut pruned, mut kept, mut resolved) = (0, 0, 0);
        for _ in 0..6_000 {
            let batch = batch(&mut random);
            let text = predicate(&mut random, 2);
            let expr = parse_predicate(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
            let Ok(typed) = resolve_predicate(&expr, &batch.schema()) else { continue };
            resolved += 1;
            let matches = typed.mask(&batch).unwrap_or_else(|e| panic!("{text}: {e}")).true_count();
            for nulls in [false, true] {
                let stats = Of { batch: &batch, nulls, filters: nulls };
                let may = may_match(std::slice::from_ref(&expr), &batch.schema(), &stats);
                assert!(may || matches == 0, "{text} loses {matches} rows of {batch:?}");
                if may { kept += 1 } else { pruned += 1 }
            }
        }
        assert!(resolved > 5_000, "{resolved} predicates resolved");
        assert!(pruned > 1_500, "{pruned} pruned, {kept} kept");
    }

    #[test]
    fn a_value_that_a_filter_lacks_is_pruned() {
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("i", Arc::new(Int64Array::from(vec![Some(10), Some(20), None])) as ArrayRef, true),
            ("f", Arc::new(Float64Array::from(vec![10.0, 20.0, 30.0])), true),
            ("s", Arc::new(StringArray::from(vec!["ma", "mz", "ma"])), true),
            ("d", Arc::new(Date32Array::from(vec![0, 10, 19753])), true),
        ])
        .expect("a batch");
        for (text, expected) in [
            ("i = 15", false),
            ("15 = i", false),
            ("i = 20", true),
            ("i in (11, 12, 13)", false),
            ("i in (11, 20)", true),
            ("i = 15.0", true), // as floats, large integers would be equal that are not
            ("not i <> 15", false),
            ("i <> 15", true),
            ("i = 15 or i = 16", false),
            ("i = 15 or i is null", true),
            ("i = 20 and s = 'mb'", false),
            ("s = 'mb'", false),
            ("s = 'mz'", true),
            ("s not in ('mb')", true),
            ("d = '1970-01-03'", false),
            ("d = '1970-01-11'", true),
            ("f = 15", true),
        ] {
            let stats = Of { batch: &batch, nulls: true, filters: true };
            let may = may_match(&[parse_predicate(text).expect("parses")], &batch.schema(), &stats);
            assert_eq!(may, expected, "{text}");
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_pruned() {
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("i", Arc::new(Int64Array::from(vec![10, 20])) as ArrayRef, true),
            ("f", Arc::new(Float64Array::from(vec![10.0, 20.0])), true),
            ("s", Arc::new(StringArray::from(vec!["ma", "mz"])), true),
            ("n", Arc::new(Int64Array::from(vec![None, None])), true),
            ("year", Arc::new(Int64Array::from(vec![2024, 2024])), true),
        ])
        .expect("a batch");
        let may = |text: &str| {
            let stats = Of { batch: &batch, nulls: true, filters: false };
            may_match(&[parse_predicate(text).expect("parses")], &batch.schema(), &stats)
        };
        for (text, expected) in [
            ("i < 10", false),
            ("i <= 10", true),
            ("i > 20", false),
            ("i = 15", true),
            ("i = 9", false),
            ("i = 9.5", false),
            ("i in (1, 2, 30)", false),
            ("i in (1, 15)", true),
            ("i between 21 and 30", false),
            ("not (i >= 10)", false),
            ("f < 10", false),
            ("f > 20", true), // NaN would match
            ("f = 30", false),
            ("f between 30 and 40", false),
            ("f > 20 and i = 15", true),
            ("not f <= 20", true),
            ("s like 'n%'", false),
            ("s like 'm%'", true),
            ("s < 'ma'", false),
            ("n = 1", false),
            ("n is null", true),
            ("n is not null", false),
            ("i is null", false),
            ("year = 2023", false),
            ("year <> 2024", false),
            ("not year = 2024", false),
            ("year <> 2023", true),
            ("i = 15 and year = 2023", false),
            ("i = 9 or year = 2024", true),
            ("i + 1 = 0", true),
            ("false", false),
            ("null", false),
        ] {
            assert_eq!(may(text), expected, "{text}");
        }
    }
}
