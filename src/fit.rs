//! Batches of one file, made to fit the schema that the whole source announced.
//!
//! Files of one source may order their columns differently, lack some, have more, or store them in a type that the
//! announced one holds without loss (`int32` in `int64`, a date in a timestamp, text in another layout). [`Fit`] is
//! the recipe for one file, made once from its schema; [`Fit::apply`] costs nothing for columns that fit already.

use std::collections::{HashMap, VecDeque};
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, RecordBatch, UInt64Array, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::batch;
use crate::dtype::{dtype_name, supertype};
use crate::error::{Error, Result, listed};

/// What happens where a file lacks a column of the first file (`missing_columns`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// An error.
    #[default]
    Raise,
    /// The column is null.
    Insert,
}

/// What happens where a file has a column that the first has not (`extra_columns`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extra {
    /// An error.
    #[default]
    Raise,
    /// The column is not read.
    Ignore,
    /// Every batch has the column, null where a file lacks it.
    Insert,
}

impl Missing {
    /// The option's value, as users write it.
    ///
    /// # Errors
    /// [`Error::Value`] listing what there is.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "raise" => Ok(Missing::Raise),
            "insert" => Ok(Missing::Insert),
            _ => Err(Error::Value(format!("`missing_columns`: expected \"raise\" or \"insert\", found `{text}`"))),
        }
    }
}

impl Extra {
    /// The option's value, as users write it.
    ///
    /// # Errors
    /// [`Error::Value`] listing what there is.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "raise" => Ok(Extra::Raise),
            "ignore" => Ok(Extra::Ignore),
            "insert" => Ok(Extra::Insert),
            _ => Err(Error::Value(format!(
                "`extra_columns`: expected \"raise\", \"ignore\" or \"insert\", found `{text}`"
            ))),
        }
    }
}

/// Where a column of the announced schema comes from.
#[derive(Debug)]
enum Origin {
    /// A column of the file, as it is.
    File(usize),
    /// A column of the file, cast.
    Cast(usize),
    /// Nowhere: null.
    Null,
    /// One value for the whole file; the longest column of it made so far is kept, and cut to length.
    Constant(Mutex<ArrayRef>),
}

/// The recipe for one file.
#[derive(Debug)]
pub struct Fit {
    target: SchemaRef,
    columns: Vec<Origin>,
    file: String,
    as_is: bool,
}

impl Fit {
    /// The recipe that turns batches of `file`'s schema into batches of `target`. `constants` are arrays of one row
    /// that stand for a whole column; they win over a column of the file.
    ///
    /// # Errors
    /// [`Error::Schema`] naming file and column: one that is missing or extra and must not be, or whose type the
    /// announced one does not hold.
    pub fn new(
        file: &Schema,
        target: &SchemaRef,
        constants: &[(String, ArrayRef)],
        missing: Missing,
        extra: Extra,
        file_name: &str,
    ) -> Result<Self> {
        let constant = |name: &str| constants.iter().find(|(n, _)| n == name).map(|(_, value)| value);
        let mut left: HashMap<&str, VecDeque<usize>> = HashMap::new();
        for (i, field) in file.fields().iter().enumerate() {
            left.entry(field.name()).or_default().push_back(i);
        }
        let mut columns = Vec::with_capacity(target.fields().len());
        for field in target.fields() {
            if let Some(value) = constant(field.name()) {
                columns.push(Origin::Constant(Mutex::new(value.clone())));
                continue;
            }
            let found = left.get_mut(field.name().as_str()).and_then(VecDeque::pop_front);
            columns.push(match found {
                Some(i) => {
                    let found = file.field(i).data_type();
                    if found == field.data_type() {
                        Origin::File(i)
                    } else if widens(found, field.data_type()) {
                        Origin::Cast(i)
                    } else {
                        return Err(misfit(file_name, field, found));
                    }
                }
                None if missing == Missing::Insert => Origin::Null,
                None => return Err(lacks(file_name, field.name(), file)),
            });
        }
        if extra == Extra::Raise {
            let more: Vec<&str> = file
                .fields()
                .iter()
                .enumerate()
                .filter(|(i, f)| left.get(f.name().as_str()).is_some_and(|l| l.contains(i)))
                .map(|(_, f)| f.name().as_str())
                .filter(|name| constant(name).is_none())
                .collect();
            if !more.is_empty() {
                return Err(beyond(file_name, &more));
            }
        }
        let as_is = columns.len() == file.fields().len()
            && columns.iter().enumerate().all(|(i, c)| matches!(c, Origin::File(j) if i == *j));
        Ok(Self { target: target.clone(), columns, file: file_name.to_owned(), as_is })
    }

    /// The schema of what [`Fit::apply`] gives.
    pub fn schema(&self) -> &SchemaRef {
        &self.target
    }

    /// The batch with the announced schema; the number of rows stays, also where there are no columns.
    ///
    /// # Errors
    /// A value that overflows where its type only nearly fits (a date beyond what nanoseconds reach).
    pub fn apply(&self, batch: RecordBatch) -> Result<RecordBatch> {
        if self.as_is && batch.schema_ref() == &self.target {
            return Ok(batch);
        }
        let rows = batch.num_rows();
        let mut columns = Vec::with_capacity(self.columns.len());
        for (field, from) in self.target.fields().iter().zip(&self.columns) {
            let at = |i: &usize| {
                batch.columns().get(*i).ok_or_else(|| {
                    Error::Format(format!(
                        "{}: a batch has {} columns, fewer than its file",
                        self.file,
                        batch.num_columns()
                    ))
                })
            };
            let column = match from {
                Origin::File(i) => at(i)?.clone(),
                Origin::Cast(i) => self.cast(at(i)?, field)?,
                Origin::Null => new_null_array(field.data_type(), rows),
                Origin::Constant(longest) => repeated(longest, rows)?,
            };
            // names and metadata inside nested types may differ: the announced ones hold
            columns.push(if column.data_type() == field.data_type() { column } else { self.cast(&column, field)? });
        }
        batch::with_columns(self.target.clone(), columns, rows)
    }

    fn cast(&self, column: &ArrayRef, field: &Field) -> Result<ArrayRef> {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(column, field.data_type(), &options).map_err(|e| {
            Error::Schema(format!(
                "{}: column `{}`: a value of type {} does not fit {}: {e}",
                self.file,
                field.name(),
                dtype_name(column.data_type()),
                dtype_name(field.data_type()),
            ))
        })
    }

    /// About how many bytes [`Fit::apply`] adds to a batch of `rows` rows: columns that are cast, null or constant.
    pub fn growth(&self, rows: usize) -> usize {
        let fields = self.target.fields().iter();
        let grown = fields.zip(&self.columns).map(|(field, from)| match from {
            Origin::File(_) => 0,
            Origin::Cast(_) | Origin::Null => width(field.data_type()),
            Origin::Constant(value) => {
                let value = value.lock().unwrap_or_else(PoisonError::into_inner);
                value.slice(0, value.len().min(1)).to_data().get_slice_memory_size().unwrap_or(16).max(1)
            }
        });
        grown.fold(0usize, |sum, w| sum.saturating_add(w.saturating_mul(rows)))
    }
}

/// Bytes of a value, as far as the type tells.
fn width(data_type: &DataType) -> usize {
    data_type.primitive_width().unwrap_or(16)
}

/// `rows` rows of the one value in `longest`.
fn repeated(longest: &Mutex<ArrayRef>, rows: usize) -> Result<ArrayRef> {
    let mut longest = longest.lock().unwrap_or_else(PoisonError::into_inner);
    if longest.len() < rows {
        let first = UInt64Array::from_value(0, rows);
        *longest = take(longest.as_ref(), &first, None)?;
    }
    Ok(longest.slice(0, rows))
}

fn misfit(file: &str, field: &Field, found: &DataType) -> Error {
    let wider = dtype_name(&supertype(field.data_type(), found).unwrap_or(DataType::Utf8));
    Error::Schema(format!(
        "{file}: column `{}`: expected {}, found {}, which it does not hold without loss; pass dtypes={{\"{0}\": {wider:?}}}",
        field.name(),
        dtype_name(field.data_type()),
        dtype_name(found),
    ))
}

/// The error for a column that a file has not got.
pub(super) fn lacks(file: &str, column: impl Display, schema: &Schema) -> Error {
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    Error::Schema(format!(
        "{file}: column `{column}` of the first file is missing (columns: {}); pass missing_columns=\"insert\" for nulls",
        listed(&names),
    ))
}

/// The error for columns that only a later file has.
pub(super) fn beyond(file: &str, columns: &[&str]) -> Error {
    Error::Schema(format!(
        "{file}: the first file has no column {}; pass extra_columns=\"ignore\" or \"insert\"",
        listed(columns),
    ))
}

/// Types nested deeper than this are taken to differ unless they are equal.
const DEEPEST: usize = 64;

/// Whether every value of `from` is one of `to` too, so that a cast loses nothing. Nanoseconds reach less far than
/// dates and seconds; a value beyond them is an error when it is met.
pub fn widens(from: &DataType, to: &DataType) -> bool {
    widens_at(from, to, 0)
}

fn widens_at(from: &DataType, to: &DataType, depth: usize) -> bool {
    use DataType as T;
    use TimeUnit::{Microsecond, Millisecond, Nanosecond};
    let inner = |from: &DataType, to: &DataType| depth < DEEPEST && widens_at(from, to, depth + 1);
    if from == to {
        return true;
    }
    match (from, to) {
        (T::Null, _) => !matches!(to, T::Union(..)),
        (T::Dictionary(_, from), T::Dictionary(_, to)) => inner(from, to),
        (T::Dictionary(_, from), _) => inner(from, to),
        (_, T::Dictionary(_, to)) => text(from) && text(to),
        (T::RunEndEncoded(_, from), _) => inner(from.data_type(), to),
        (T::Utf8 | T::LargeUtf8 | T::Utf8View, _) => text(to),
        (T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_), _) => {
            matches!(to, T::Binary | T::LargeBinary | T::BinaryView)
        }
        (T::Date32, T::Date64 | T::Timestamp(_, None))
        | (T::Date64, T::Timestamp(Millisecond | Microsecond | Nanosecond, None)) => true,
        (T::Timestamp(from, from_zone), T::Timestamp(to, to_zone)) => {
            finer(*from) <= finer(*to) && from_zone.is_some() == to_zone.is_some()
        }
        (T::Duration(from), T::Duration(to)) | (T::Time32(from) | T::Time64(from), T::Time32(to) | T::Time64(to)) => {
            finer(*from) <= finer(*to)
        }
        (
            T::List(from) | T::LargeList(from) | T::ListView(from) | T::LargeListView(from),
            T::List(to) | T::LargeList(to) | T::ListView(to) | T::LargeListView(to),
        )
        | (T::FixedSizeList(from, _), T::List(to) | T::LargeList(to)) => inner(from.data_type(), to.data_type()),
        (T::FixedSizeList(from, n), T::FixedSizeList(to, m)) => n == m && inner(from.data_type(), to.data_type()),
        (T::Struct(from), T::Struct(to)) => {
            let fields = || from.iter().zip(to);
            from.len() == to.len() && fields().all(|(f, t)| f.name() == t.name() && inner(f.data_type(), t.data_type()))
        }
        // the entries of a map are a key and a value, whatever they are called
        (T::Map(from, a), T::Map(to, b)) => match (from.data_type(), to.data_type()) {
            (T::Struct(from), T::Struct(to)) if a == b && from.len() == to.len() => {
                from.iter().zip(to).all(|(f, t)| inner(f.data_type(), t.data_type()))
            }
            _ => false,
        },
        _ => numbers_widen(from, to),
    }
}

/// The same column, and all that is nested in lists and structs of it, where nulls are allowed: another file of the
/// source may have some.
pub(super) fn nullable(field: &Field) -> Field {
    nullable_at(field, 0)
}

fn nullable_at(field: &Field, depth: usize) -> Field {
    use DataType as T;
    let inner = |f: &Arc<Field>| Arc::new(if depth < DEEPEST { nullable_at(f, depth + 1) } else { f.as_ref().clone() });
    let data_type = match field.data_type() {
        T::List(f) => T::List(inner(f)),
        T::LargeList(f) => T::LargeList(inner(f)),
        T::FixedSizeList(f, n) => T::FixedSizeList(inner(f), *n),
        T::Struct(fields) => T::Struct(fields.iter().map(inner).collect()),
        other => other.clone(),
    };
    field.clone().with_data_type(data_type).with_nullable(true)
}

fn text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn finer(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}

/// What a number type holds: bits of exact integers, whether with sign; and for decimals and floats what lies behind
/// the point.
fn numbers_widen(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    match (decimal(from), decimal(to)) {
        (Some((p, s)), Some((q, t))) => t >= s && i16::from(q) - i16::from(t) >= i16::from(p) - i16::from(s),
        (None, Some((q, t))) => integer(from).is_some_and(|(bits, signed)| {
            let digits = match (bits, signed) {
                (8, _) => 3,
                (16, _) => 5,
                (32, _) => 10,
                (_, true) => 19,
                (_, false) => 20,
            };
            i16::from(q) - i16::from(t) >= digits && t >= 0
        }),
        (Some(_), None) => false,
        (None, None) => match (integer(from), integer(to)) {
            (Some((from, false)), Some((to, true))) => from < to,
            (Some((from, a)), Some((to, b))) => a == b && from <= to,
            (Some((bits, _)), None) => match to {
                T::Float64 => bits <= 32,
                T::Float32 => bits <= 16,
                T::Float16 => bits <= 8,
                _ => false,
            },
            (None, _) => matches!((from, to), (T::Float16, T::Float32 | T::Float64) | (T::Float32, T::Float64)),
        },
    }
}

fn integer(data_type: &DataType) -> Option<(u8, bool)> {
    use DataType as T;
    Some(match data_type {
        T::Int8 => (8, true),
        T::Int16 => (16, true),
        T::Int32 => (32, true),
        T::Int64 => (64, true),
        T::UInt8 => (8, false),
        T::UInt16 => (16, false),
        T::UInt32 => (32, false),
        T::UInt64 => (64, false),
        _ => return None,
    })
}

fn decimal(data_type: &DataType) -> Option<(u8, i8)> {
    use DataType as T;
    match data_type {
        T::Decimal32(p, s) | T::Decimal64(p, s) | T::Decimal128(p, s) | T::Decimal256(p, s) => Some((*p, *s)),
        _ => None,
    }
}

/// The schema of several: the columns of `first`, then those of `more` that it has not got. A column keeps the type
/// of the first schema that has it.
pub fn union(first: &Schema, more: &Schema) -> Schema {
    let mut fields: Vec<Arc<Field>> = first.fields().iter().cloned().collect();
    fields.extend(more.fields().iter().filter(|f| first.field_with_name(f.name()).is_err()).cloned());
    Schema::new_with_metadata(fields, first.metadata().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        Date32Array, DictionaryArray, Float64Array, Int32Array, Int64Array, StringArray, StringViewArray,
        TimestampNanosecondArray,
    };
    use arrow::datatypes::Int32Type;

    fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
        Arc::new(Schema::new(fields.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>()))
    }

    fn fit(batch: &RecordBatch, target: &SchemaRef, missing: Missing, extra: Extra) -> Result<RecordBatch> {
        Fit::new(batch.schema_ref(), target, &[], missing, extra, "b.parquet")?.apply(batch.clone())
    }

    #[test]
    fn columns_are_ordered_by_name_and_widened() {
        let dictionary: DictionaryArray<Int32Type> = vec!["x", "y", "x"].into_iter().collect();
        let batch = RecordBatch::try_from_iter([
            ("s", Arc::new(StringViewArray::from(vec!["a", "b", "c"])) as ArrayRef),
            ("d", Arc::new(dictionary)),
            ("i", Arc::new(Int32Array::from(vec![1, 2, 3]))),
            ("t", Arc::new(Date32Array::from(vec![0, 1, 2]))),
        ])
        .expect("one length");
        let target = schema(&[
            ("i", DataType::Int64),
            ("s", DataType::Utf8),
            ("d", DataType::Utf8),
            ("t", DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ]);
        let out = fit(&batch, &target, Missing::Raise, Extra::Raise).expect("fits");
        assert_eq!(out.schema_ref(), &target);
        assert_eq!(out.column(0).as_ref(), &Int64Array::from(vec![1, 2, 3]));
        assert_eq!(out.column(1).as_ref(), &StringArray::from(vec!["a", "b", "c"]));
        assert_eq!(out.column(2).as_ref(), &StringArray::from(vec!["x", "y", "x"]));
        let day = 86_400_000_000_000;
        assert_eq!(out.column(3).as_ref(), &TimestampNanosecondArray::from(vec![0, day, 2 * day]));
    }

    #[test]
    fn a_type_that_does_not_hold_the_other_is_refused_by_name() {
        let batch = RecordBatch::try_from_iter([("x", Arc::new(Float64Array::from(vec![1.5])) as ArrayRef)])
            .expect("one column");
        let e = fit(&batch, &schema(&[("x", DataType::Int64)]), Missing::Raise, Extra::Raise).expect_err("no");
        assert_eq!(
            e.to_string(),
            "b.parquet: column `x`: expected int64, found float64, which it does not hold without loss; \
             pass dtypes={\"x\": \"float64\"}"
        );
    }

    #[test]
    fn a_value_beyond_nanoseconds_is_an_error() {
        let batch = RecordBatch::try_from_iter([("t", Arc::new(Date32Array::from(vec![2_000_000])) as ArrayRef)])
            .expect("one column");
        let target = schema(&[("t", DataType::Timestamp(TimeUnit::Nanosecond, None))]);
        let e = fit(&batch, &target, Missing::Raise, Extra::Raise).expect_err("year 7445");
        assert!(matches!(&e, Error::Schema(m) if m.starts_with("b.parquet: column `t`")), "{e}");
    }

    #[test]
    fn missing_and_extra_columns_do_what_the_options_say() {
        let batch = RecordBatch::try_from_iter([
            ("a", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef),
            ("z", Arc::new(Int32Array::from(vec![3, 4]))),
        ])
        .expect("one length");
        let target = schema(&[("a", DataType::Int32), ("b", DataType::Utf8)]);
        let e = fit(&batch, &target, Missing::Raise, Extra::Ignore).expect_err("no b");
        assert!(e.to_string().contains("`b` of the first file is missing"), "{e}");
        let e = fit(&batch, &target, Missing::Insert, Extra::Raise).expect_err("z");
        assert!(e.to_string().contains("no column `z`"), "{e}");
        let out = fit(&batch, &target, Missing::Insert, Extra::Ignore).expect("both allowed");
        assert_eq!((out.num_columns(), out.column(1).null_count()), (2, 2));
    }

    #[test]
    fn constants_fill_columns_and_win_over_the_file() {
        let batch = RecordBatch::try_from_iter([
            ("a", Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef),
            ("year", Arc::new(Int32Array::from(vec![0, 0, 0]))),
        ])
        .expect("one length");
        let target = schema(&[("a", DataType::Int32), ("year", DataType::Int64), ("city", DataType::Utf8)]);
        let constants = [
            ("year".to_owned(), Arc::new(Int64Array::from(vec![2024])) as ArrayRef),
            ("city".to_owned(), Arc::new(StringArray::from(vec![None::<&str>])) as ArrayRef),
        ];
        let fit = Fit::new(batch.schema_ref(), &target, &constants, Missing::Raise, Extra::Raise, "f").expect("fits");
        for rows in [3, 1, 0, 2] {
            let out = fit.apply(batch.slice(0, rows)).expect("applies");
            assert_eq!(out.column(1).as_ref(), &Int64Array::from(vec![2024; rows]));
            assert_eq!(out.column(2).null_count(), rows);
        }
    }

    #[test]
    fn no_columns_keep_their_rows() {
        let none = schema(&[]);
        let batch = batch::without_columns(none.clone(), 7).expect("rows alone");
        let fit = Fit::new(&none, &none, &[], Missing::Raise, Extra::Raise, "f").expect("fits");
        assert_eq!(fit.apply(batch).expect("applies").num_rows(), 7);
        let some = RecordBatch::try_from_iter([("a", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef)]).expect("a");
        let fit = Fit::new(some.schema_ref(), &none, &[], Missing::Raise, Extra::Ignore, "f").expect("fits");
        assert_eq!(fit.apply(some).expect("applies").num_rows(), 2);
    }

    #[test]
    fn two_columns_of_one_name_pair_up_in_order() {
        let two = schema(&[("x", DataType::Int32), ("x", DataType::Int32)]);
        let columns = vec![Arc::new(Int32Array::from(vec![1])) as ArrayRef, Arc::new(Int32Array::from(vec![2]))];
        let batch = RecordBatch::try_new(two.clone(), columns).expect("two");
        let out = fit(&batch, &two, Missing::Raise, Extra::Raise).expect("fits");
        assert_eq!(out, batch);
    }

    #[test]
    fn the_ladder_of_types() {
        use DataType as T;
        let zone = |u, z: Option<&str>| T::Timestamp(u, z.map(Into::into));
        let yes = [
            (T::UInt32, T::Int64),
            (T::Int32, T::Float64),
            (T::Int64, T::Decimal128(19, 0)),
            (T::Decimal128(10, 2), T::Decimal128(12, 3)),
            (T::Float32, T::Float64),
            (T::Null, T::Utf8),
            (T::Time32(TimeUnit::Second), T::Time64(TimeUnit::Nanosecond)),
            (zone(TimeUnit::Second, Some("UTC")), zone(TimeUnit::Microsecond, Some("Europe/Berlin"))),
            (T::List(Arc::new(Field::new("element", T::Int32, true))), T::new_large_list(T::Int64, true)),
        ];
        for (from, to) in yes {
            assert!(widens(&from, &to), "{from} → {to}");
            assert!(arrow::compute::can_cast_types(&from, &to), "{from} → {to}");
            assert!(!widens(&to, &from) || from.is_nested(), "{to} → {from}");
        }
        let no = [
            (T::Int64, T::Float64),
            (T::UInt64, T::Int64),
            (T::Int32, T::UInt64),
            (T::Int64, T::Utf8),
            (T::Boolean, T::Int64),
            (T::Utf8, T::Binary),
            (T::Decimal128(12, 2), T::Decimal128(12, 3)),
            (zone(TimeUnit::Second, None), zone(TimeUnit::Second, Some("UTC"))),
        ];
        for (from, to) in no {
            assert!(!widens(&from, &to), "{from} → {to}");
        }
    }
}
