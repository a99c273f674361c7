//! Aggregates end to end.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int8Array, Int64Array,
    RecordBatch, StringArray, UInt64Array,
};
use arrow::datatypes::Int8Type;

use super::*;
use crate::expr::Operator;
use crate::expr::convert::{convert, shown};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).expect("a batch")
}

/// Every cut of the batch into two batches, and into two states that merge, gives what one batch gives.
fn answer(expr: &Expr, batch: &RecordBatch) -> Result<(DataType, String)> {
    let aggregation = resolve_aggregates(std::slice::from_ref(expr), &batch.schema())?;
    let whole = {
        let mut state = aggregation.start()?;
        state.update(batch)?;
        state.finish()?
    };
    for cut in 0..=batch.num_rows() {
        let (first, second) = (batch.slice(0, cut), batch.slice(cut, batch.num_rows() - cut));
        let mut one = aggregation.start()?;
        one.update(&first)?;
        let mut other = aggregation.start()?;
        other.update(&second)?;
        one.merge(other)?;
        assert!(one.bytes() > 0);
        assert_eq!(shown(one.finish()?.column(0), 0), shown(whole.column(0), 0), "{expr} cut at {cut}");
        let mut both = aggregation.start()?;
        both.update(&first)?;
        both.update(&second)?;
        assert_eq!(shown(both.finish()?.column(0), 0), shown(whole.column(0), 0), "{expr} cut at {cut}");
    }
    assert_eq!(whole.schema(), aggregation.schema());
    let text = convert(whole.column(0), &DataType::Utf8, false, "").unwrap_or_else(|_| whole.column(0).clone());
    Ok((aggregation.schema().field(0).data_type().clone(), shown(&text, 0)))
}

fn of(aggregate: Aggregate, array: ArrayRef) -> (String, String) {
    let (dtype, value) = answer(&Expr::col("x").aggregate(aggregate), &batch(vec![("x", array)])).expect("an answer");
    (dtype_name(&dtype), value)
}

fn is(found: (String, String), dtype: &str, value: &str) {
    assert_eq!((found.0.as_str(), found.1.as_str()), (dtype, value));
}

#[test]
fn integers() {
    let x: ArrayRef = Arc::new(Int8Array::from(vec![Some(100), Some(-7), None, Some(100)]));
    is(of(Aggregate::Sum, x.clone()), "int64", "193");
    is(of(Aggregate::Mean, x.clone()), "float64", "64.33333333333333");
    is(of(Aggregate::Min, x.clone()), "int8", "-7");
    is(of(Aggregate::Max, x.clone()), "int8", "100");
    is(of(Aggregate::Count, x.clone()), "int64", "3");
    is(of(Aggregate::NUnique, x.clone()), "int64", "3");
    is(of(Aggregate::First, x.clone()), "int8", "100");
    is(of(Aggregate::Last, x.clone()), "int8", "100");
    is(of(Aggregate::Median, x.clone()), "float64", "100.0");
    is(of(Aggregate::Quantile(0.25, Interpolation::Linear), x.clone()), "float64", "46.5");
    is(of(Aggregate::Quantile(0.25, Interpolation::Nearest), x.clone()), "float64", "100.0");
    is(of(Aggregate::Quantile(0.25, Interpolation::Lower), x.clone()), "float64", "-7.0");
    is(of(Aggregate::Std(0), Arc::new(Int8Array::from(vec![1, 3]))), "float64", "1.0");
    is(of(Aggregate::Var(1), Arc::new(Int8Array::from(vec![1, 3]))), "float64", "2.0");
    is(of(Aggregate::Sum, Arc::new(UInt64Array::from(vec![u64::MAX]))), "uint64", "18446744073709551615");
}

#[test]
fn nothing_at_all() {
    for x in [Arc::new(Int64Array::from(Vec::<i64>::new())) as ArrayRef, Arc::new(Int64Array::from(vec![None]))] {
        let rows = x.len();
        is(of(Aggregate::Sum, x.clone()), "int64", "0");
        is(of(Aggregate::Mean, x.clone()), "float64", "null");
        is(of(Aggregate::Min, x.clone()), "int64", "null");
        is(of(Aggregate::Max, x.clone()), "int64", "null");
        is(of(Aggregate::Median, x.clone()), "float64", "null");
        is(of(Aggregate::Std(1), x.clone()), "float64", "null");
        is(of(Aggregate::First, x.clone()), "int64", "null");
        is(of(Aggregate::Count, x.clone()), "int64", "0");
        is(of(Aggregate::NUnique, x), "int64", &rows.to_string());
    }
    is(of(Aggregate::Any, Arc::new(BooleanArray::from(vec![None]))), "bool", "false");
    is(of(Aggregate::All, Arc::new(BooleanArray::from(vec![None]))), "bool", "true");
    is(of(Aggregate::Std(1), Arc::new(Float64Array::from(vec![1.0]))), "float64", "null");
}

#[test]
fn a_sum_overflows_at_the_end_only() {
    let x: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, 1, -1]));
    is(of(Aggregate::Sum, x), "int64", "9223372036854775807");
    let batch = batch(vec![("x", Arc::new(Int64Array::from(vec![i64::MAX, 1])))]);
    let failed = answer(&Expr::col("x").aggregate(Aggregate::Sum), &batch).expect_err("one too many");
    assert_eq!(
        failed.to_string(),
        "`col(\"x\").sum()`: 9223372036854775808 overflows int64; cast to float64 or a decimal first"
    );
}

#[test]
fn nan_is_no_extreme() {
    let x: ArrayRef = Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(1.0), None, Some(-2.0), Some(f64::NAN)]));
    is(of(Aggregate::Max, x.clone()), "float64", "1.0");
    is(of(Aggregate::Min, x.clone()), "float64", "-2.0");
    is(of(Aggregate::NUnique, x), "int64", "4");
    is(of(Aggregate::Max, Arc::new(Float64Array::from(vec![f64::NAN]))), "float64", "NaN");
}

#[test]
fn text_decimals_dates() {
    let text: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), None, Some("a"), Some("b")]));
    is(of(Aggregate::Min, text.clone()), "string", "a");
    is(of(Aggregate::Max, text.clone()), "string", "b");
    is(of(Aggregate::NUnique, text), "int64", "3");
    let coded: DictionaryArray<Int8Type> = vec![Some("b"), None, Some("a")].into_iter().collect();
    is(of(Aggregate::Max, Arc::new(coded)), "string", "b");
    let dec = Decimal128Array::from(vec![125, -350]).with_precision_and_scale(5, 2).expect("fits");
    let dec: ArrayRef = Arc::new(dec);
    is(of(Aggregate::Sum, dec.clone()), "decimal128(38, 2)", "-2.25");
    is(of(Aggregate::Min, dec.clone()), "decimal128(5, 2)", "-3.50");
    is(of(Aggregate::Mean, dec), "float64", "-1.125");
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![19753, -1]));
    is(of(Aggregate::Mean, dates.clone()), "timestamp[us]", "1997-01-15 00:00:00.000000");
    is(of(Aggregate::Median, dates.clone()), "timestamp[us]", "1997-01-15 00:00:00.000000");
    is(of(Aggregate::Max, dates), "date32", "2024-01-31");
}

#[test]
fn arithmetic_around_aggregates() {
    let batch = batch(vec![
        ("a", Arc::new(Int64Array::from(vec![1, 2, 6]))),
        ("b", Arc::new(Int64Array::from(vec![Some(1), None, Some(1)]))),
    ]);
    let (a, b) = (Expr::col("a"), Expr::col("b"));
    let mean = a.clone().aggregate(Aggregate::Sum).binary(Operator::Divide, b.clone().aggregate(Aggregate::Count));
    assert_eq!(answer(&mean, &batch).expect("an answer"), (DataType::Float64, "4.5".into()));
    assert_eq!(mean.output_name(), "a");
    let of_expr = a.clone().binary(Operator::Multiply, Expr::lit(2i64)).aggregate(Aggregate::Max);
    assert_eq!(answer(&of_expr, &batch).expect("an answer").1, "12");
    let len = Expr::Aggregate { aggregate: Aggregate::Len, input: None };
    assert_eq!(answer(&len, &batch).expect("an answer").1, "3");
    let schema = batch.schema();
    let refused = |exprs: &[Expr]| resolve_aggregates(exprs, &schema).expect_err("refused").to_string();
    assert!(refused(std::slice::from_ref(&a)).contains("has a value a row"));
    assert!(
        refused(&[a.clone().aggregate(Aggregate::Sum).aggregate(Aggregate::Max)]).contains("aggregate of an aggregate")
    );
    assert!(
        refused(&[a.clone().aggregate(Aggregate::Sum), a.clone().aggregate(Aggregate::Max)])
            .contains("two results are named `a`")
    );
    assert!(
        refused(&[a.clone().aggregate(Aggregate::Any)]).contains("`col(\"a\").any()`: int64 has no such aggregate")
    );
    let wrong =
        a.clone().aggregate(Aggregate::Sum).and(b.aggregate(Aggregate::Max).binary(Operator::Eq, Expr::lit(1i64)));
    assert!(refused(&[wrong]).starts_with("`col(\"a\").sum() & (col(\"b\").max() == 1)`"));
    assert!(refused(&[Expr::col("c").aggregate(Aggregate::Sum)]).contains("column `c` not found"));
}

#[test]
fn quantile_words() {
    assert!(Aggregate::parse("quantile", Some(1.5), None).expect_err("beyond 1").to_string().contains("found `1.5`"));
    assert!(Aggregate::parse("quantile", Some(0.5), Some("best")).is_err());
    assert!(matches!(Aggregate::parse("approx_n_unique", None, None), Err(Error::NotImplemented(_))));
    assert_eq!(Aggregate::parse("std", None, None).expect("a word"), Aggregate::Std(1));
}
