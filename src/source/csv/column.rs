//! Columns out of fields: one tight loop a column and block, straight into Arrow's layout.
//!
//! A column sees the fields of a block of records at once, so that what depends on its type is decided once a block
//! and not once a field. Text is copied into its final place; nothing is allocated for a single field.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::types::{
    ArrowPrimitiveType, ByteArrayType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Float16Type, Float32Type, Float64Type, GenericBinaryType, GenericStringType, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder, NullArray, NullBufferBuilder};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};

use crate::dtype::dtype_name;
use crate::error::{Error, Result};
use crate::format::CsvDialect;

use super::index::Field;
use super::number;
use super::text::Text;
use super::time::{self, Moment, Patterns};
use super::unescape::unescape;
use super::values::{Decimals, Halves, Numbers, Parse, Stamps, Temporal, Values};

/// Which texts of a column are null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nulls {
    empty: bool,
    others: Vec<Box<[u8]>>,
}

impl Nulls {
    /// Those in `texts`.
    pub(super) fn new(texts: &[String]) -> Self {
        Self {
            empty: texts.iter().any(String::is_empty),
            others: texts.iter().filter(|t| !t.is_empty()).map(|t| t.as_bytes().into()).collect(),
        }
    }

    /// The same, and the empty text.
    fn and_empty(&self) -> Self {
        Self { empty: true, ..self.clone() }
    }

    /// Whether `text` is one of them.
    #[inline(always)]
    pub(super) fn has(&self, text: &[u8]) -> bool {
        if text.is_empty() { self.empty } else { !self.others.is_empty() && self.others.iter().any(|n| **n == *text) }
    }

    /// Whether no text that is written stands for a null.
    pub(super) fn are_empty(&self) -> bool {
        self.others.is_empty()
    }
}

/// How values are written in a file, beside their nulls.
#[derive(Debug, Clone)]
pub(super) struct Writing {
    /// The decimal mark.
    pub(super) decimal: u8,
    /// The mark between thousands.
    pub(super) thousands: Option<u8>,
    /// Texts that mean true; `None`: `true` in any case, and `1`.
    pub(super) truths: Option<Vec<String>>,
    /// Texts that mean false; `None`: `false` in any case, and `0`.
    pub(super) lies: Option<Vec<String>>,
    /// The caller's patterns for dates and times.
    pub(super) patterns: Patterns,
}

impl Writing {
    /// Whether numbers are written as in source code.
    pub(super) fn plain_numbers(&self) -> bool {
        self.decimal == b'.' && self.thousands.is_none()
    }

    /// A number as it is written in source code, through `out` where it is not.
    pub(super) fn number<'a>(&self, text: &'a [u8], out: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        if self.plain_numbers() {
            return Some(text);
        }
        number::normal(text, self.decimal, self.thousands, out)?;
        Some(out)
    }

    /// True or false.
    pub(super) fn bool(&self, text: &[u8]) -> Option<bool> {
        let is = |words: &Option<Vec<String>>, word: &[u8], digit: &[u8]| match words {
            Some(words) => words.iter().any(|w| w.as_bytes() == text),
            None => text.eq_ignore_ascii_case(word) || text == digit,
        };
        if is(&self.truths, b"true", b"1") { Some(true) } else { is(&self.lies, b"false", b"0").then_some(false) }
    }

    /// A point in time.
    pub(super) fn moment(&self, text: &[u8]) -> Option<Moment> {
        if !self.patterns.is_empty()
            && let Some(found) = self.patterns.moment(text)
        {
            return Some(found);
        }
        time::moment(text)
    }

    /// A time of day, in nanoseconds.
    pub(super) fn time(&self, text: &[u8]) -> Option<i64> {
        if !self.patterns.is_empty()
            && let Some(found) = self.patterns.time(text)
        {
            return Some(found);
        }
        time::time(text)
    }
}

/// The records of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    /// The piece.
    pub(super) bytes: &'a [u8],
    /// Whether all of it is UTF-8.
    pub(super) is_text: bool,
    /// Their fields, record after record.
    pub(super) fields: &'a [Field],
    /// Fields of a record.
    pub(super) width: usize,
    /// How they are quoted.
    pub(super) dialect: &'a CsvDialect,
}

/// Builds one column of a batch.
pub(super) trait Fill: Send {
    /// Makes room for `rows` rows.
    fn reserve(&mut self, rows: usize);

    /// Appends the values of a block. A value that does not fit becomes null, and `bad` is told its row in the block
    /// and whether to go on.
    fn fill(&mut self, rows: Rows<'_>, bad: &mut dyn FnMut(usize) -> bool);

    /// The values so far; begins anew.
    ///
    /// # Errors
    /// [`Error::Schema`] where a dictionary has too few keys.
    fn finish(&mut self) -> Result<ArrayRef>;
}

/// Field `column` of a file as a column of `dtype`.
///
/// # Errors
/// [`Error::NotImplemented`] for a type that no text is read as.
pub(super) fn column(column: usize, dtype: &DataType, nulls: &Nulls, writing: &Arc<Writing>) -> Result<Box<dyn Fill>> {
    // Nothing but text can be empty and no null.
    let nulls = if is_text(dtype) { nulls.clone() } else { nulls.and_empty() };
    let by = By { column, nulls, writing: writing.clone(), dtype: dtype.clone() };
    Ok(match dtype {
        DataType::Boolean => Box::new(Bools { by, values: BooleanBufferBuilder::new(0), valid: Valid::default() }),
        DataType::Int8 => by.values::<Int8Type>(Numbers),
        DataType::Int16 => by.values::<Int16Type>(Numbers),
        DataType::Int32 => by.values::<Int32Type>(Numbers),
        DataType::Int64 => by.values::<Int64Type>(Numbers),
        DataType::UInt8 => by.values::<UInt8Type>(Numbers),
        DataType::UInt16 => by.values::<UInt16Type>(Numbers),
        DataType::UInt32 => by.values::<UInt32Type>(Numbers),
        DataType::UInt64 => by.values::<UInt64Type>(Numbers),
        DataType::Null => Box::new(Nothing { by, rows: 0 }),
        DataType::Float16 => by.values::<Float16Type>(Halves),
        DataType::Float32 => by.values::<Float32Type>(Numbers),
        DataType::Float64 => by.values::<Float64Type>(Numbers),
        DataType::Decimal32(precision, scale) => by.values::<Decimal32Type>(Decimals(*precision, *scale)),
        DataType::Decimal64(precision, scale) => by.values::<Decimal64Type>(Decimals(*precision, *scale)),
        DataType::Decimal128(precision, scale) => by.values::<Decimal128Type>(Decimals(*precision, *scale)),
        DataType::Decimal256(precision, scale) => by.values::<Decimal256Type>(Decimals(*precision, *scale)),
        DataType::Date64 => by.temporal::<Date64Type>(date64, |text, writing| {
            let moment = writing.moment(text)?;
            let fits = moment.offset.is_none();
            fits.then(|| time::in_unit(moment.seconds, moment.nanos, TimeUnit::Millisecond))?
        }),
        DataType::Duration(TimeUnit::Second) => by.duration::<DurationSecondType>(TimeUnit::Second),
        DataType::Duration(TimeUnit::Millisecond) => by.duration::<DurationMillisecondType>(TimeUnit::Millisecond),
        DataType::Duration(TimeUnit::Microsecond) => by.duration::<DurationMicrosecondType>(TimeUnit::Microsecond),
        DataType::Duration(TimeUnit::Nanosecond) => by.duration::<DurationNanosecondType>(TimeUnit::Nanosecond),
        DataType::Date32 => by.temporal::<Date32Type>(time::date, |text, writing| {
            let moment = writing.moment(text)?;
            (!moment.timed).then(|| i32::try_from(moment.seconds.div_euclid(86_400)).ok())?
        }),
        DataType::Time32(TimeUnit::Second) => by.time_of_day::<Time32SecondType>(1_000_000_000),
        DataType::Time32(TimeUnit::Millisecond) => by.time_of_day::<Time32MillisecondType>(1_000_000),
        DataType::Time64(TimeUnit::Microsecond) => by.time_of_day::<Time64MicrosecondType>(1_000),
        DataType::Time64(TimeUnit::Nanosecond) => by.time_of_day::<Time64NanosecondType>(1),
        DataType::Timestamp(unit, zone) => {
            let stamps = Stamps::new(*unit, zone.as_deref().map(time::zone).transpose()?);
            match unit {
                TimeUnit::Second => by.values::<TimestampSecondType>(stamps),
                TimeUnit::Millisecond => by.values::<TimestampMillisecondType>(stamps),
                TimeUnit::Microsecond => by.values::<TimestampMicrosecondType>(stamps),
                TimeUnit::Nanosecond => by.values::<TimestampNanosecondType>(stamps),
            }
        }
        DataType::Utf8 => by.text::<GenericStringType<i32>>(),
        DataType::LargeUtf8 => by.text::<GenericStringType<i64>>(),
        DataType::Binary => by.text::<GenericBinaryType<i32>>(),
        DataType::LargeBinary => by.text::<GenericBinaryType<i64>>(),
        DataType::Utf8View => Box::new(Cast { inner: by.text::<GenericStringType<i32>>(), to: dtype.clone() }),
        DataType::BinaryView => Box::new(Cast { inner: by.text::<GenericBinaryType<i32>>(), to: dtype.clone() }),
        DataType::Dictionary(_, value) if matches!(**value, DataType::Utf8 | DataType::LargeUtf8) => {
            Box::new(Cast { inner: by.text::<GenericStringType<i32>>(), to: dtype.clone() })
        }
        DataType::Dictionary(_, value) if value.is_primitive() || **value == DataType::Boolean => {
            Box::new(Cast { inner: self::column(by.column, value, &by.nulls, writing)?, to: dtype.clone() })
        }
        other => {
            return Err(Error::NotImplemented(format!(
                "a csv column of type {other} is not built; read it as \"string\""
            )));
        }
    })
}

fn date64(text: &[u8]) -> Option<i64> {
    let moment = time::moment(text).filter(|m| m.offset.is_none())?;
    time::in_unit(moment.seconds, moment.nanos, TimeUnit::Millisecond)
}

/// An upper bound of the bytes that a row of a column takes, its text left out of account.
pub(super) fn fixed_bytes(dtype: &DataType) -> usize {
    match dtype {
        DataType::Utf8View | DataType::BinaryView => 16 + 4 + 1,
        DataType::LargeUtf8 | DataType::LargeBinary => 8 + 1,
        DataType::Dictionary(_, value) => 8 + 4 + 4 + 1 + value.primitive_width().unwrap_or(0),
        other => other.primitive_width().unwrap_or(4) + 1,
    }
}

/// Whether a column holds fields as they stand.
fn is_text(dtype: &DataType) -> bool {
    match dtype {
        DataType::Dictionary(_, value) => is_text(value),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        other => is_binary(other),
    }
}

/// Whether any bytes may stand in a column.
pub(super) fn is_binary(dtype: &DataType) -> bool {
    matches!(dtype, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// What a value of a type looks like, for messages.
pub(super) fn expected(dtype: &DataType) -> String {
    match dtype {
        DataType::Boolean => "true or false".into(),
        DataType::Int64 => "an integer".into(),
        DataType::UInt64 => "an integer that is not negative".into(),
        d if d.is_integer() => format!("an integer that fits {}", format!("{d}").to_lowercase()),
        DataType::Null => "nothing: a column of dtype null holds nulls only".into(),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "a number".into(),
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            format!("a number that fits {}", dtype_name(dtype))
        }
        DataType::Date32 => "a date (YYYY-MM-DD)".into(),
        DataType::Date64 => "a date or a timestamp to the millisecond".into(),
        DataType::Duration(unit) => format!("a duration (H:MM:SS), to the {}", named(*unit)),
        DataType::Dictionary(_, value) => expected(value),
        DataType::Time32(_) | DataType::Time64(_) => "a time (HH:MM:SS)".into(),
        DataType::Timestamp(unit, None) => format!("a timestamp without offset, to the {}", named(*unit)),
        DataType::Timestamp(unit, Some(zone)) => {
            format!("a timestamp that the clocks of {zone} show, to the {}", named(*unit))
        }
        _ => "text".into(),
    }
}

fn named(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "second",
        TimeUnit::Millisecond => "millisecond",
        TimeUnit::Microsecond => "microsecond",
        TimeUnit::Nanosecond => "nanosecond",
    }
}

/// What all columns need to know.
#[derive(Debug)]
pub(super) struct By {
    pub(super) column: usize,
    pub(super) nulls: Nulls,
    pub(super) writing: Arc<Writing>,
    pub(super) dtype: DataType,
}

impl By {
    fn values<T: ArrowPrimitiveType>(self, parse: impl Parse<T::Native>) -> Box<dyn Fill> {
        Box::new(Values::<T, _>::new(self, parse))
    }

    fn temporal<T: ArrowPrimitiveType>(
        self,
        parse: impl Fn(&[u8]) -> Option<T::Native> + Send + 'static,
        slow: impl Fn(&[u8], &Writing) -> Option<T::Native> + Send + 'static,
    ) -> Box<dyn Fill> {
        self.values::<T>(Temporal { parse, slow })
    }

    fn time_of_day<T: ArrowPrimitiveType<Native: TryFrom<i64>>>(self, unit: i64) -> Box<dyn Fill> {
        let whole = move |nanos: i64| {
            if nanos % unit == 0 { T::Native::try_from(nanos / unit).ok() } else { None }
        };
        self.temporal::<T>(move |text| whole(time::time(text)?), move |text, writing| whole(writing.time(text)?))
    }

    fn duration<T: ArrowPrimitiveType<Native = i64>>(self, unit: TimeUnit) -> Box<dyn Fill> {
        self.temporal::<T>(move |text| time::duration(text, unit), move |text, _| time::duration(text, unit))
    }

    fn text<T: ByteArrayType>(self) -> Box<dyn Fill> {
        Box::new(Text::<T>::new(self))
    }

    /// The column's fields in `rows`.
    #[inline(always)]
    pub(super) fn fields<'a>(&self, rows: Rows<'a>) -> impl ExactSizeIterator<Item = Field> + use<'a> {
        rows.fields.get(self.column..).unwrap_or_default().iter().step_by(rows.width).copied()
    }
}

/// The nulls of a column; free as long as there is none.
#[derive(Debug)]
pub(super) struct Valid {
    nulls: NullBufferBuilder,
    /// Values since the last null.
    pub(super) run: usize,
}

impl Default for Valid {
    fn default() -> Self {
        Self { nulls: NullBufferBuilder::new(0), run: 0 }
    }
}

impl Valid {
    /// A null comes.
    pub(super) fn null(&mut self) {
        self.nulls.append_n_non_nulls(self.run);
        self.nulls.append_null();
        self.run = 0;
    }

    /// The nulls so far; begins anew.
    pub(super) fn finish(&mut self) -> Option<NullBuffer> {
        self.nulls.append_n_non_nulls(self.run);
        self.run = 0;
        self.nulls.finish()
    }
}

/// Nulls and nothing else.
struct Nothing {
    by: By,
    rows: usize,
}

impl Fill for Nothing {
    fn reserve(&mut self, _: usize) {}

    fn fill(&mut self, rows: Rows<'_>, bad: &mut dyn FnMut(usize) -> bool) {
        for (row, field) in self.by.fields(rows).enumerate() {
            let null = self.by.nulls.has(&field.value(rows.dialect, rows.bytes));
            if !null && !bad(row) {
                return;
            }
            self.rows += 1;
        }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(NullArray::new(std::mem::take(&mut self.rows))))
    }
}

/// True and false.
struct Bools {
    by: By,
    values: BooleanBufferBuilder,
    valid: Valid,
}

impl Fill for Bools {
    fn reserve(&mut self, rows: usize) {
        self.values.reserve(rows);
    }

    fn fill(&mut self, rows: Rows<'_>, bad: &mut dyn FnMut(usize) -> bool) {
        let mut scratch = Vec::new();
        for (row, field) in self.by.fields(rows).enumerate() {
            let mut text = &rows.bytes[field.start()..field.end()];
            if field.is_raw() {
                scratch.clear();
                unescape(rows.dialect, text, &mut scratch);
                text = &scratch;
            }
            let value = match text {
                _ if self.by.nulls.has(text) => None,
                b"true" if self.by.writing.truths.is_none() => Some(true),
                b"false" if self.by.writing.lies.is_none() => Some(false),
                _ => {
                    let value = self.by.writing.bool(text).or_else(|| self.by.writing.bool(text.trim_ascii()));
                    if value.is_none() && !bad(row) {
                        return;
                    }
                    value
                }
            };
            self.values.append(value.unwrap_or(false));
            if value.is_some() {
                self.valid.run += 1;
            } else {
                self.valid.null();
            }
        }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(BooleanArray::new(self.values.finish(), self.valid.finish())))
    }
}

/// Gives back room beyond an eighth of what is used: a batch may be held for long.
pub(super) fn snug<T>(mut values: Vec<T>) -> Vec<T> {
    if values.capacity() > values.len() / 8 * 9 + 64 {
        values.shrink_to_fit();
    }
    values
}

/// A column that is made of another.
struct Cast {
    inner: Box<dyn Fill>,
    to: DataType,
}

impl Fill for Cast {
    fn reserve(&mut self, rows: usize) {
        self.inner.reserve(rows);
    }

    fn fill(&mut self, rows: Rows<'_>, bad: &mut dyn FnMut(usize) -> bool) {
        self.inner.fill(rows, bad);
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let text = self.inner.finish()?;
        cast(&text, &self.to).map_err(|e| Error::Schema(format!("expected values that fit {}: {e}", self.to)))
    }
}
