//! Expressions end to end: resolved, evaluated, refused.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
    Int8Array, Int64Array, RecordBatch, StringArray, StringViewArray, TimestampMillisecondArray, TimestampSecondArray,
    UInt8Array, UInt64Array,
};
use arrow::datatypes::{DataType, Int8Type};

use super::*;
use crate::dtype::{dtype_name, parse_dtype};
use crate::expr::convert::{convert, shown};

fn col(name: &str) -> Expr {
    Expr::col(name)
}

fn lit(value: impl Into<Literal>) -> Expr {
    Expr::lit(value)
}

fn op(left: Expr, symbol: &str, right: Expr) -> Expr {
    left.binary(Operator::from_symbol(symbol).expect("an operator"), right)
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    Expr::call(name, args).expect("in the registry")
}

fn rows() -> RecordBatch {
    let codes: DictionaryArray<Int8Type> = vec![Some("a"), None, Some("b")].into_iter().collect();
    let decimals = Decimal128Array::from(vec![Some(125), Some(-350), None]).with_precision_and_scale(5, 2);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i", Arc::new(Int64Array::from(vec![Some(7), Some(-7), None]))),
        ("z", Arc::new(Int64Array::from(vec![Some(2), Some(0), Some(3)]))),
        ("u8", Arc::new(UInt8Array::from(vec![Some(44), Some(255), None]))),
        ("i8", Arc::new(Int8Array::from(vec![Some(-128), Some(127), None]))),
        ("u64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), Some(7), None]))),
        ("f", Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(-0.0), None]))),
        ("f32", Arc::new(Float32Array::from(vec![Some(0.1), Some(2.5), None]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("s", Arc::new(StringArray::from(vec![Some("ab"), Some("Zz"), None]))),
        ("v", Arc::new(StringViewArray::from(vec![Some("ab"), Some("a text longer than twelve"), None]))),
        ("c", Arc::new(codes)),
        ("d", Arc::new(Date32Array::from(vec![Some(19753), Some(-1), None]))),
        ("ts", Arc::new(TimestampSecondArray::from(vec![Some(1_706_659_200), Some(i64::MAX / 2), None]))),
        ("ms", Arc::new(TimestampMillisecondArray::from(vec![Some(1_706_659_200_000), Some(-1), None]))),
        ("dec", Arc::new(decimals.expect("fits"))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).expect("one length")
}

/// The answer as text: its type, and its values.
fn answer(expr: &Expr) -> Result<String> {
    let batch = rows();
    let typed = resolve(expr, &batch.schema())?;
    let array = typed.eval(&batch)?;
    assert_eq!(array.data_type(), typed.dtype(), "{expr}");
    assert_eq!(array.len(), batch.num_rows(), "{expr}");
    assert!(typed.nullable() || array.null_count() == 0, "{expr}");
    // cut into two, it is the same
    let (first, second) = (typed.eval(&batch.slice(0, 1))?, typed.eval(&batch.slice(1, 2))?);
    let joined = arrow::compute::concat(&[first.as_ref(), second.as_ref()])?;
    let text = |a: &ArrayRef| (0..a.len()).map(|i| shown(a, i)).collect::<Vec<_>>().join(" ");
    assert_eq!(text(&joined), text(&array), "{expr}");
    assert_eq!(resolve(expr, &batch.schema())?.eval(&batch.slice(0, 0))?.len(), 0);
    Ok(format!("{}: {}", dtype_name(array.data_type()), text(&array)))
}

fn is(expr: Expr, expected: &str) {
    match answer(&expr) {
        Ok(found) => assert_eq!(found, expected, "{expr}"),
        Err(e) => panic!("{expr}: {e}"),
    }
}

fn error(expr: &Expr) -> Error {
    match answer(expr) {
        Ok(found) => panic!("{expr} is {found}"),
        Err(e) => e,
    }
}

fn refused(expr: Expr, part: &str) {
    let e = error(&expr);
    assert!(matches!(e, Error::Schema(_) | Error::ColumnNotFound(_)), "{expr}: {e:?}");
    assert!(e.to_string().contains(part), "{expr}: {e}");
}

#[test]
fn arithmetic() {
    is(op(col("i"), "+", lit(1i64)), "int64: 8 -6 null");
    is(op(col("i"), "//", lit(2i64)), "int64: 3 -4 null");
    is(op(col("i"), "%", lit(4i64)), "int64: 3 1 null");
    is(op(col("i"), "%", lit(-4i64)), "int64: -1 -3 null");
    is(op(col("i"), "/", col("z")), "float64: 3.5 -inf null");
    is(op(lit(2i64), "**", lit(10i64)), "int64: 1024 1024 1024");
    is(op(col("i"), "**", lit(2i64)), "int64: 49 49 null");
    is(op(col("u8"), "+", lit(300i64)), "uint16: 344 555 null");
    is(op(col("u8"), "-", lit(-1i64)), "int16: 45 256 null");
    is(op(col("f32"), "*", lit(2.0)), "float32: 0.2 5.0 null");
    is(op(col("f32"), "*", col("i")), "float64: 0.7000000104308128 -17.5 null");
    is(op(col("i"), "+", Expr::lit(Literal::Null)), "int64: null null null");
    is(op(col("s"), "+", lit("!")), "string: ab! Zz! null");
    is(op(lit(7.0), "%", lit(-4.0)), "float64: -1.0 -1.0 -1.0");
    is(op(lit(1.0), "//", lit(0.1)), "float64: 9.0 9.0 9.0");
    is(op(col("dec"), "+", lit(1i64)), "decimal128(6, 2): 2.25 -2.50 null");
    is(op(col("dec"), "*", col("dec")), "decimal128(11, 4): 1.5625 12.2500 null");
    is(op(col("dec"), "//", lit(1i64)), "decimal128(38, 2): 1.00 -4.00 null");
    is(op(col("dec"), "%", lit(-1i64)), "decimal128(38, 2): -0.75 -0.50 null");
    is(op(col("dec"), "/", lit(2i64)), "float64: 0.625 -1.75 null");
    is(Expr::Negate(col("dec").into()), "decimal128(5, 2): -1.25 3.50 null");
    is(op(col("b"), "+", col("b")), "int64: 2 0 null");
    refused(op(col("s"), "+", lit(1i64)), "string does not go with int64");
    refused(op(col("d"), "*", lit(2i64)), "date32 does not go with int64");
    refused(Expr::Negate(col("u8").into()), "uint8 has no negative numbers");
}

#[test]
fn arithmetic_that_overflows() {
    let says = |expr: Expr, message: &str| assert_eq!(error(&expr).to_string(), message);
    says(
        op(col("u8"), "+", lit(1i64)),
        "`col(\"u8\") + 1`: 255 + 1 overflows uint8; cast a side to a wider type first",
    );
    says(
        op(col("i"), "//", col("z")),
        "`col(\"i\") // col(\"z\")`: -7 // 0 divides an integer by zero; use `/`, cast to float64, or exclude the zeros with \
         when() or filter()",
    );
    for (expr, part) in [
        (op(col("i"), "%", col("z")), "-7 % 0 divides"),
        (Expr::Negate(col("i8").into()), "-(-128) overflows int8"),
        (call("abs", vec![col("i8")]), "abs(-128) overflows int8"),
        (op(col("i"), "*", lit(i64::MAX)), "overflows int64"),
        (op(col("i8"), "**", lit(2i64)), "-128 ** 2 overflows int8"),
        (op(col("i"), "**", lit(-1i64)), "expected an exponent of 0 or more"),
        (op(col("u64"), "+", col("i")), "cannot cast `18446744073709551615` to int64"),
        (op(col("dec"), "//", lit(0i64)), "divided by zero"),
        (op(op(col("ts"), "-", col("ms")), "*", lit(i64::MAX)), "overflows"),
    ] {
        assert!(error(&expr).to_string().contains(part), "{expr}: {}", error(&expr));
    }
    is(op(col("i8"), "%", lit(-1i64)), "int8: 0 0 null");
}

#[test]
fn comparisons() {
    is(op(col("u8"), "==", lit(300i64)), "bool: false false null");
    is(op(col("u8"), "<", lit(300i64)), "bool: true true null");
    is(op(col("u8"), ">", lit(-1i64)), "bool: true true null");
    is(op(col("u64"), ">", col("i")), "bool: true true null");
    is(op(col("u64"), ">", lit(-3i64)), "bool: true true null");
    is(op(col("i"), "<", lit(6.5)), "bool: false true null");
    is(op(col("f32"), "==", lit(0.1)), "bool: true false null");
    is(op(col("f"), "==", lit(0.0)), "bool: false true null");
    is(op(col("f"), "==", lit(f64::NAN)), "bool: true false null");
    is(op(col("f"), ">", lit(1e300)), "bool: true false null");
    is(op(col("f"), "<", lit(1.0)), "bool: false true null");
    is(op(col("f"), "!=", col("f")), "bool: false false null");
    is(op(lit(1.0), "<=", col("f")), "bool: true false null");
    is(op(col("s"), ">", lit("a")), "bool: true false null");
    is(op(col("c"), "==", lit("a")), "bool: true null false");
    is(op(lit("a"), "<", col("c")), "bool: false null true");
    is(op(col("c"), "==", col("s")), "bool: false null null");
    is(op(col("b"), "==", lit(true)), "bool: true false null");
    is(op(col("dec"), "==", lit(1.25)), "bool: true false null");
    is(op(col("dec"), "<", Expr::Literal(Literal::Decimal { value: 1250, scale: 3 })), "bool: false true null");
    is(op(col("dec"), "==", lit("1.250")), "bool: true false null");
    is(op(col("v"), "==", col("s")), "bool: true false null");
    is(op(col("i"), "==", Expr::Literal(Literal::Null)), "bool: null null null");
    refused(op(col("s"), "==", lit(1i64)), "string does not go with int64; cast one side");
    refused(op(col("i"), "==", lit("1")), "int64 does not go with string");
}

#[test]
fn comparisons_in_time() {
    is(op(col("d"), "==", lit("2024-01-31")), "bool: true false null");
    is(op(col("d"), "<", lit("2024-01-31 12:00")), "bool: true true null");
    is(op(col("d"), "==", lit("2024-01-31 00:00:00")), "bool: true false null");
    is(op(col("ts"), "==", col("d")), "bool: true false null");
    // 2^62 seconds do not fit in milliseconds
    is(op(col("ts"), ">", col("ms")), "bool: false true null");
    is(op(col("ts"), ">", lit("2024-01-31 00:00:00.000001")), "bool: false true null");
    is(op(col("ms"), ">=", lit("2024-01-31")), "bool: true false null");
    refused(op(col("d"), "<", lit("31.1.2024")), "expected text that reads as date32, found `31.1.2024`");
    refused(op(col("ts"), "<", lit("2024-01-31 00:00+01:00")), "without offset");
    let utc = Expr::Literal(Literal::Timestamp {
        value: 0,
        unit: arrow::datatypes::TimeUnit::Microsecond,
        tz: Some("UTC".into()),
    });
    refused(op(col("ts"), "<", utc), "one has a time zone, the other has none");
    refused(op(col("s"), "<", col("d")), ".str.to_date()");
    is(op(col("d"), "-", lit("2024-01-30")), "duration[us]: PT86400S -PT1706659200S null");
    is(
        op(col("d"), "+", Expr::Literal(Literal::Duration { value: -5, unit: arrow::datatypes::TimeUnit::Second })),
        "date32: 2024-01-30 1969-12-30 null",
    );
}

#[test]
fn logic_is_three_valued() {
    let null = Expr::Literal(Literal::Null);
    is(op(col("b"), "&", null.clone()), "bool: null false null");
    is(op(col("b"), "|", null.clone()), "bool: true null null");
    is(op(col("b"), "^", lit(true)), "bool: false true null");
    is(col("b").negated(), "bool: false true null");
    is(op(col("i"), "&", lit(3i64)), "int64: 3 1 null");
    is(col("i").negated(), "int64: -8 6 null");
    refused(op(col("i"), "&", op(col("b"), "==", lit(true))), "put each comparison in parentheses");
    // the right side is evaluated only where the left leaves the answer open
    let safe = op(op(col("z"), "!=", lit(0i64)), "&", op(op(lit(10i64), "//", col("z")), ">", lit(3i64)));
    is(safe.clone(), "bool: true false false");
    is(
        op(op(col("z"), "==", lit(0i64)), "|", op(op(lit(10i64), "//", col("z")), ">", lit(3i64))),
        "bool: true true false",
    );
    is(op(safe, "&", col("b")), "bool: true false false");
}

#[test]
fn branches_evaluate_their_own_rows() {
    let guard = op(col("z"), "!=", lit(0i64));
    let when = |otherwise: Option<Expr>| Expr::When {
        branches: vec![(guard.clone().into(), op(lit(10i64), "//", col("z")).into())],
        otherwise: otherwise.map(Sub::new),
    };
    is(when(None), "int64: 5 null 3");
    is(when(Some(lit(0.5))), "float64: 5.0 0.5 3.0");
    is(when(Some(col("i8"))), "int64: 5 127 3");
    refused(when(Some(col("s"))), "expected values of one type, found int64 and string");
    let nested = Expr::When {
        branches: vec![
            (op(col("i"), ">", lit(0i64)).into(), lit("up").into()),
            (op(col("i"), "<", lit(0i64)).into(), when(None).cast(DataType::Utf8, true).into()),
        ],
        otherwise: Some(lit("none").into()),
    };
    is(nested, "string: up null none");
    is(call("coalesce", vec![col("i"), col("z")]), "int64: 7 -7 3");
    is(call("fill_null", vec![col("u8"), lit(300i64)]), "uint16: 44 255 300");
    is(call("fill_null", vec![col("c"), lit("?")]), "string: a ? b");
    is(call("fill_null", vec![col("d"), lit("2024-02-01")]), "date32: 2024-01-31 1969-12-31 2024-02-01");
}

#[test]
fn membership() {
    let within = |name: &str, values: Vec<Literal>| Expr::IsIn { input: col(name).into(), values };
    is(within("i", vec![7i64.into(), 300i64.into()]), "bool: true false null");
    is(within("i", vec![7.0.into(), 0.5.into()]), "bool: true false null");
    is(within("i", vec![1i64.into(), Literal::Null]), "bool: null null null");
    is(within("i", vec![7i64.into(), Literal::Null]), "bool: true null null");
    is(within("u8", vec![300i64.into(), (-1i64).into(), 44i64.into()]), "bool: true false null");
    is(within("u64", vec![u64::MAX.into(), (-1i64).into()]), "bool: true false null");
    is(within("f", vec![0.0.into(), f64::NAN.into()]), "bool: true true null");
    is(within("f32", vec![0.1.into()]), "bool: true false null");
    is(within("s", vec!["ab".into()]), "bool: true false null");
    is(within("c", vec!["b".into(), "x".into()]), "bool: false null true");
    is(within("d", vec!["2024-01-31".into(), "2024-01-31 12:00".into()]), "bool: true false null");
    is(within("dec", vec![1.25.into(), Literal::Decimal { value: 12_501, scale: 4 }]), "bool: true false null");
    is(within("b", vec![false.into()]), "bool: false true null");
    is(within("i", vec![]), "bool: false false null");
    is(within("i", (0..100i64).map(Literal::from).collect()), "bool: true false null");
    refused(within("i", vec!["x".into()]), "int64 does not go with string");
}

#[test]
fn casts() {
    let cast = |name: &str, dtype: &str, strict: bool| col(name).cast(parse_dtype(dtype).expect("a dtype"), strict);
    is(cast("i", "string", true), "string: 7 -7 null");
    is(cast("i", "uint8", false), "uint8: 7 null null");
    is(cast("s", "int64", false), "int64: null null null");
    is(cast("b", "int8", true), "int8: 1 0 null");
    is(cast("i", "bool", true), "bool: true true null");
    is(cast("dec", "float64", true), "float64: 1.25 -3.5 null");
    is(cast("dec", "string", true), "string: 1.25 -3.50 null");
    is(cast("c", "string", true), "string: a null b");
    is(cast("s", "dictionary<int8, string>", true), "dictionary<int8, string>: ab Zz null");
    is(cast("d", "timestamp[ms]", true), "timestamp[ms]: 2024-01-31T00:00:00 1969-12-31T00:00:00 null");
    is(cast("ms", "date32", true), "date32: 2024-01-31 1969-12-31 null");
    is(cast("v", "large_string", true), "string: ab a text longer than twelve null");
    let e = error(&cast("i", "uint8", true));
    assert_eq!(e.to_string(), "column `i`: cannot cast `-7` to uint8; strict=False makes it null");
    let Error::Parse { place, .. } = e else { panic!("a parse error") };
    assert_eq!((place.column.as_deref(), place.value.as_deref()), (Some("i"), Some("-7")));
    refused(cast("b", "date32", true), "bool cannot be cast to date32");
    for (text, dtype) in
        [(" 12", "int64"), ("12 ", "float64"), ("1.0", "int64"), (" true", "bool"), (" 2024-01-31", "date32")]
    {
        let expr = lit(text).cast(parse_dtype(dtype).expect("a dtype"), true);
        assert!(error(&expr).to_string().contains("cannot cast"), "{text}");
    }
    is(lit(1.5e30).cast(DataType::Utf8, true), "string: 1.5e+30 1.5e+30 1.5e+30");
    is(lit("1e3").cast(DataType::Float64, true), "float64: 1000.0 1000.0 1000.0");
}

#[test]
fn functions() {
    is(call("round", vec![lit(2.5)]), "float64: 2.0 2.0 2.0");
    is(call("round", vec![lit(2.675), lit(2i64)]), "float64: 2.68 2.68 2.68");
    is(call("round", vec![col("dec"), lit(1i64)]), "decimal128(5, 2): 1.20 -3.50 null");
    is(call("floor", vec![col("dec")]), "decimal128(5, 2): 1.00 -4.00 null");
    is(call("ceil", vec![col("dec")]), "decimal128(5, 2): 2.00 -3.00 null");
    is(call("sign", vec![col("dec")]), "decimal128(5, 2): 1.00 -1.00 null");
    is(call("abs", vec![col("dec")]), "decimal128(5, 2): 1.25 3.50 null");
    is(call("sign", vec![col("i8")]), "int8: -1 1 null");
    is(call("sqrt", vec![lit(2i64)]), "float64: 1.4142135623730951 1.4142135623730951 1.4142135623730951");
    is(call("log", vec![lit(8i64), lit(2i64)]), "float64: 3.0 3.0 3.0");
    is(call("clip", vec![col("i"), lit(0i64), lit(5i64)]), "int64: 5 0 null");
    is(call("clip", vec![col("i8"), lit(-1000i64), lit(5i64)]), "int8: -128 5 null");
    is(call("clip", vec![col("f"), lit(1i64), lit(2i64)]), "float64: NaN 1.0 null");
    is(call("is_nan", vec![col("f")]), "bool: true false null");
    is(call("is_null", vec![col("c")]), "bool: false true false");
    is(call("str.len_bytes", vec![lit("ñ")]), "uint32: 2 2 2");
    is(call("str.to_uppercase", vec![col("c")]), "string: A null B");
    is(call("str.strip_chars", vec![lit(" x ")]), "string: x x x");
    is(call("str.contains", vec![col("s"), lit("^.b$")]), "bool: true false null");
    is(call("str.contains", vec![lit("a.b"), lit("."), lit(true)]), "bool: true true true");
    is(call("str.replace_all", vec![col("s"), lit("(z)"), lit("<$1>")]), "string: ab Z<z> null");
    is(call("str.replace", vec![lit("aa"), lit("a"), lit("$0"), lit(true)]), "string: $0a $0a $0a");
    is(call("str.extract", vec![col("s"), lit("(b)")]), "string: b null null");
    is(call("str.split", vec![lit("a,b,"), lit(",")]), "list<string>: [a, b, ] [a, b, ] [a, b, ]");
    is(call("concat_str", vec![col("i"), col("s"), lit("-"), lit(false)]), "string: 7-ab -7-Zz null");
    is(call("concat_str", vec![col("i"), col("z"), lit("-"), lit(true)]), "string: 7-2 -7-0 3");
    is(call("str.to_date", vec![lit("31.01.2024"), lit("%d.%m.%Y")]), "date32: 2024-01-31 2024-01-31 2024-01-31");
    is(call("dt.year", vec![col("d")]), "int32: 2024 1969 null");
    is(call("dt.week", vec![col("d")]), "int8: 5 1 null");
    is(call("dt.epoch", vec![col("ms"), lit("s")]), "int64: 1706659200 -1 null");
    is(call("dt.strftime", vec![col("d"), lit("%d.%m.%y")]), "string: 31.01.24 31.12.69 null");
    is(call("from_epoch", vec![col("i"), lit("d")]), "date32: 1970-01-08 1969-12-25 null");
    assert!(matches!(error(&call("str.contains", vec![col("s"), lit("(")])), Error::Value(_)));
    assert!(matches!(error(&call("str.contains", vec![col("s"), col("c")])), Error::NotImplemented(_)));
    refused(call("str.len_chars", vec![col("i")]), "expected string, found int64");
    refused(call("dt.hour", vec![col("d")]), "expected a timestamp or time, found date32");
    assert!(Expr::call("str.contains", vec![col("s")]).is_err());
}

#[test]
fn time_zones() {
    let berlin = col("ms").cast(parse_dtype("timestamp[ms, tz=Europe/Berlin]").expect("a dtype"), true);
    is(call("dt.hour", vec![berlin.clone()]), "int8: 1 0 null");
    is(call("dt.date", vec![berlin.clone()]), "date32: 2024-01-31 1970-01-01 null");
    is(
        call("dt.strftime", vec![berlin.clone(), lit("%F %H:%M %z %Z")]),
        "string: 2024-01-31 01:00 +0100 CET 1970-01-01 00:59 +0100 CET null",
    );
    is(op(berlin.clone(), "==", lit("2024-01-31 01:00")), "bool: true false null");
    is(op(berlin.clone(), "==", lit("2024-01-31T00:00:00Z")), "bool: true false null");
    is(
        call("dt.truncate", vec![berlin, lit("1d")]).cast(DataType::Utf8, true),
        "string: 2024-01-31 00:00:00.000+01:00 1970-01-01 00:00:00.000+01:00 null",
    );
}

#[test]
fn names_are_found_where_the_chain_is_built() {
    refused(col("pirce"), "column `pirce` not found");
    refused(col("i").aggregate(Aggregate::Sum), "use .agg(col(\"i\").sum()) instead");
    let schema = rows().schema();
    let e = resolve_predicate(&op(col("i"), "+", lit(1i64)), &schema).expect_err("a number");
    assert!(e.to_string().starts_with("filter: expected a predicate (bool), found `col(\"i\") + 1`, which is int64"));
    let e = resolve_all(&[col("i"), op(col("i"), "+", lit(1i64))], &schema).expect_err("twice");
    assert!(e.to_string().starts_with("two results are named `i`"), "{e}");
    let all = resolve_all(&[col("i"), col("z").alias("y")], &schema).expect("resolves");
    assert_eq!(all.iter().map(|t| t.field().name().as_str()).collect::<Vec<_>>(), ["i", "y"]);
    assert_eq!(all[0].plain_column(), Some(0));
    let batch = rows();
    let passed = all[0].eval(&batch).expect("passes");
    assert!(Arc::ptr_eq(&passed, batch.column(0)), "a plain column is not copied");
}

#[test]
fn a_batch_of_another_shape_is_an_error() {
    let typed = resolve(&col("dec"), &rows().schema()).expect("resolves");
    assert!(typed.eval(&rows().project(&[0, 1]).expect("two columns")).is_err());
    let typed = resolve(&col("i"), &rows().schema()).expect("resolves");
    assert!(typed.eval(&rows().project(&[8]).expect("text")).is_err());
}

#[test]
fn deep_expressions_do_not_exhaust_the_stack() {
    // half of what a thread gets by default, and unoptimized
    let small = std::thread::Builder::new().stack_size(1 << 20);
    small.spawn(walk_deep_expressions).expect("a thread").join().expect("no error");
}

fn walk_deep_expressions() {
    let deep = |times: u32, wrap: &dyn Fn(Expr) -> Expr, seed: Expr| {
        let mut expr = seed;
        for _ in 0..times - 3 {
            expr = wrap(expr);
        }
        expr.check_extent().expect("within the limits");
        expr
    };
    let batch = rows();
    let schema = batch.schema();
    let shapes: Vec<Expr> = vec![
        deep(MAX_DEPTH, &|e| op(e, "+", col("f")), col("f")),
        deep(MAX_DEPTH, &|e| op(e, "&", col("b")), col("b")),
        deep(MAX_DEPTH, &|e| op(e, "|", op(col("i"), "==", lit(1i64))), col("b")),
        deep(MAX_NESTING, &Expr::negated, col("b")),
        deep(MAX_NESTING, &|e| Expr::Negate(e.into()), col("f")),
        deep(MAX_NESTING, &|e| op(col("f"), "+", e), col("f")),
        deep(MAX_NESTING, &|e| op(col("b"), "|", e), col("b")),
        deep(MAX_NESTING, &|e| call("abs", vec![e]), col("f")),
        deep(MAX_NESTING, &|e| call("coalesce", vec![col("f"), e]), col("f")),
        deep(MAX_NESTING, &|e| e.alias("x"), col("b")),
        deep(MAX_NESTING, &|e| e.cast(DataType::Float64, true), col("f32")),
        deep(MAX_NESTING, &|e| Expr::When { branches: vec![(col("b").into(), e.into())], otherwise: None }, col("f")),
        deep(MAX_NESTING / 2, &|e| op(op(lit(1i64), "//", col("z")), "==", e.cast(DataType::Int64, true)), lit(1i64)),
        deep(
            MAX_NESTING / 3,
            &|e| op(op(col("z"), "!=", lit(0i64)), "&", op(op(lit(1i64), "//", col("z")), "==", lit(1i64)).and(e)),
            col("b"),
        ),
    ];
    for expr in &shapes {
        let typed = resolve(expr, &schema).expect("resolves");
        // division by zero is an answer too
        let _ = typed.eval(&batch);
        assert!(!expr.to_string().is_empty());
        assert_eq!(expr, &expr.clone());
        assert!(!expr.columns().is_empty() && !expr.conjuncts().is_empty() && !expr.output_name().is_empty());
        may_match(std::slice::from_ref(expr), &schema, &Nothing);
        resolve_aggregates(&[expr.clone().aggregate(Aggregate::First)], &schema).expect("resolves");
        assert!(!format!("{expr:?}").is_empty());
    }
    let sum = || col("i").aggregate(Aggregate::Sum);
    for around in
        [deep(MAX_NESTING, &|e| Expr::Negate(e.into()), sum()), deep(MAX_DEPTH, &|e| op(e, "-", lit(1i64)), sum())]
    {
        let aggregation = resolve_aggregates(&[around], &schema).expect("resolves");
        let mut state = aggregation.start().expect("starts");
        state.update(&batch).expect("updates");
        assert_eq!(state.finish().expect("finishes").num_rows(), 1);
    }
}

struct Nothing;

impl ColumnStats for Nothing {
    fn min(&self, _: &str) -> Option<ArrayRef> {
        None
    }
    fn max(&self, _: &str) -> Option<ArrayRef> {
        None
    }
    fn null_count(&self, _: &str) -> Option<u64> {
        None
    }
    fn row_count(&self) -> Option<u64> {
        None
    }
}

#[test]
fn literals_adapt() {
    let array = Literal::Int(7).array_of(&DataType::UInt8).expect("fits");
    assert_eq!(Literal::of_row(&array, 0), Some(Literal::Int(7)));
    let text = convert(&array, &DataType::Utf8, true, "x").expect("converts");
    assert_eq!(Literal::of_row(&text, 0), Some(Literal::Text("7".into())));
    assert_eq!(Literal::of_row(&text, 1), None);
}
