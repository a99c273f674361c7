//! Columns out of fields: one tight loop a column and block, straight into Arrow's layout.
//!
//! A column sees the fields of a block of records at once, so that what depends on its type is decided once a block
//! and not once a field. Text is copied into its final place; nothing is allocated for a single field.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::types::{
    ArrowPrimitiveType, ByteArrayType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Float16Type, Float32Type, Float64Type, GenericBinaryType, GenericStringType, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, GenericByteArray, NullArray, NullBufferBuilder, PrimitiveArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{ArrowNativeType, DataType, TimeUnit};

use crate::dtype::dtype_name;
use crate::error::{Error, Result};
use crate::format::CsvDialect;

use super::number;
use super::split::{Field, unescape};
use super::time::{self, Moment, Patterns};

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
    macro_rules! integer {
        ($type:ty, $parse:path) => {
            by.number::<$type>(|b, s, e| $parse(b, s, e).and_then(|v| v.try_into().ok()))
        };
    }
    Ok(match dtype {
        DataType::Boolean => Box::new(Bools { by, values: BooleanBufferBuilder::new(0), valid: Valid::default() }),
        DataType::Int8 => integer!(Int8Type, number::int64),
        DataType::Int16 => integer!(Int16Type, number::int64),
        DataType::Int32 => integer!(Int32Type, number::int64),
        DataType::Int64 => by.number::<Int64Type>(number::int64),
        DataType::UInt8 => integer!(UInt8Type, number::uint64),
        DataType::UInt16 => integer!(UInt16Type, number::uint64),
        DataType::UInt32 => integer!(UInt32Type, number::uint64),
        DataType::UInt64 => by.number::<UInt64Type>(number::uint64),
        DataType::Null => Box::new(Nothing { by, rows: 0 }),
        DataType::Float16 => by.number::<Float16Type>(number::float16),
        DataType::Float32 => by.number::<Float32Type>(number::float32),
        DataType::Float64 => by.number::<Float64Type>(number::float64),
        DataType::Decimal32(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            by.number::<Decimal32Type>(move |b, s, e| number::decimal(&b[s..e], precision, scale)?.try_into().ok())
        }
        DataType::Decimal64(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            by.number::<Decimal64Type>(move |b, s, e| number::decimal(&b[s..e], precision, scale)?.try_into().ok())
        }
        DataType::Decimal128(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            by.number::<Decimal128Type>(move |b, s, e| number::decimal(&b[s..e], precision, scale))
        }
        DataType::Decimal256(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            by.number::<Decimal256Type>(move |b, s, e| number::wide_decimal(&b[s..e], precision, scale))
        }
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
            let zone = zone.as_deref().map(time::zone).transpose()?;
            match unit {
                TimeUnit::Second => by.timestamp::<TimestampSecondType>(*unit, zone),
                TimeUnit::Millisecond => by.timestamp::<TimestampMillisecondType>(*unit, zone),
                TimeUnit::Microsecond => by.timestamp::<TimestampMicrosecondType>(*unit, zone),
                TimeUnit::Nanosecond => by.timestamp::<TimestampNanosecondType>(*unit, zone),
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
struct By {
    column: usize,
    nulls: Nulls,
    writing: Arc<Writing>,
    dtype: DataType,
}

impl By {
    fn number<T: ArrowPrimitiveType>(
        self,
        parse: impl Fn(&[u8], usize, usize) -> Option<T::Native> + Copy + Send + 'static,
    ) -> Box<dyn Fill> {
        let fast = self.writing.plain_numbers();
        let slow = move |text: &[u8], writing: &Writing, out: &mut Vec<u8>| {
            let text = writing.number(text, out)?;
            parse(text, 0, text.len())
        };
        Box::new(Primitives::<T, _, _>::new(self, fast, parse, slow))
    }

    fn temporal<T: ArrowPrimitiveType>(
        self,
        parse: impl Fn(&[u8]) -> Option<T::Native> + Send + 'static,
        slow: impl Fn(&[u8], &Writing) -> Option<T::Native> + Send + 'static,
    ) -> Box<dyn Fill> {
        let fast = self.writing.patterns.is_empty();
        let parse = move |b: &[u8], s: usize, e: usize| parse(&b[s..e]);
        Box::new(Primitives::<T, _, _>::new(self, fast, parse, move |text, writing, _| slow(text, writing)))
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

    fn timestamp<T: ArrowPrimitiveType<Native = i64>>(self, unit: TimeUnit, zone: Option<Tz>) -> Box<dyn Fill> {
        let convert = move |moment: Moment| {
            let seconds = match &zone {
                None if moment.offset.is_some() => return None,
                None => moment.seconds,
                Some(zone) => time::in_zone(moment, *zone)?,
            };
            time::in_unit(seconds, moment.nanos, unit)
        };
        self.temporal::<T>(
            move |text| convert(time::moment(text)?),
            move |text, writing| convert(writing.moment(text)?),
        )
    }

    fn text<T: ByteArrayType>(self) -> Box<dyn Fill> {
        let offsets = vec![T::Offset::default()];
        Box::new(Text::<T> { by: self, offsets, values: Vec::new(), valid: Valid::default() })
    }

    fn fields<'a>(&self, rows: Rows<'a>) -> impl Iterator<Item = Field> + use<'a> {
        let column = self.column;
        rows.fields.chunks_exact(rows.width).filter_map(move |record| record.get(column).copied())
    }
}

/// The nulls of a column; free as long as there is none.
#[derive(Debug)]
struct Valid {
    nulls: NullBufferBuilder,
    /// Values since the last null.
    run: usize,
}

impl Default for Valid {
    fn default() -> Self {
        Self { nulls: NullBufferBuilder::new(0), run: 0 }
    }
}

impl Valid {
    fn null(&mut self) {
        self.nulls.append_n_non_nulls(self.run);
        self.nulls.append_null();
        self.run = 0;
    }

    fn finish(&mut self) -> Option<arrow::buffer::NullBuffer> {
        self.nulls.append_n_non_nulls(self.run);
        self.run = 0;
        self.nulls.finish()
    }
}

/// Values of one width.
struct Primitives<T: ArrowPrimitiveType, P, S> {
    by: By,
    /// Whether `parse` may be tried first.
    fast: bool,
    parse: P,
    slow: S,
    values: Vec<T::Native>,
    valid: Valid,
    scratch: Vec<u8>,
    rewritten: Vec<u8>,
}

impl<T, P, S> Primitives<T, P, S>
where
    T: ArrowPrimitiveType,
    P: Fn(&[u8], usize, usize) -> Option<T::Native> + Send,
    S: Fn(&[u8], &Writing, &mut Vec<u8>) -> Option<T::Native> + Send,
{
    fn new(by: By, fast: bool, parse: P, slow: S) -> Self {
        let (values, scratch, rewritten) = (Vec::new(), Vec::new(), Vec::new());
        Self { by, fast, parse, slow, values, valid: Valid::default(), scratch, rewritten }
    }

    /// A field that the fast path did not take: `Ok(None)` is null.
    #[inline(never)]
    fn other(&mut self, rows: Rows<'_>, field: Field) -> Result<Option<T::Native>, ()> {
        let mut text = &rows.bytes[field.start()..field.end()];
        if field.is_raw() {
            self.scratch.clear();
            unescape(rows.dialect, text, &mut self.scratch);
            text = &self.scratch;
            if self.by.nulls.has(text) {
                return Ok(None);
            }
        }
        (self.slow)(text.trim_ascii(), &self.by.writing, &mut self.rewritten).map(Some).ok_or(())
    }
}

impl<T, P, S> Fill for Primitives<T, P, S>
where
    T: ArrowPrimitiveType,
    P: Fn(&[u8], usize, usize) -> Option<T::Native> + Send,
    S: Fn(&[u8], &Writing, &mut Vec<u8>) -> Option<T::Native> + Send,
{
    fn reserve(&mut self, rows: usize) {
        self.values.reserve_exact(rows);
    }

    fn fill(&mut self, rows: Rows<'_>, bad: &mut dyn FnMut(usize) -> bool) {
        for (row, field) in self.by.fields(rows).enumerate() {
            let (start, end) = (field.start(), field.end());
            if !field.is_raw() {
                if self.by.nulls.has(&rows.bytes[start..end]) {
                    self.values.push(T::Native::default());
                    self.valid.null();
                    continue;
                }
                if self.fast
                    && let Some(value) = (self.parse)(rows.bytes, start, end)
                {
                    self.values.push(value);
                    self.valid.run += 1;
                    continue;
                }
            }
            let value = self.other(rows, field);
            if value.is_err() && !bad(row) {
                return;
            }
            if let Ok(Some(value)) = value {
                self.values.push(value);
                self.valid.run += 1;
            } else {
                self.values.push(T::Native::default());
                self.valid.null();
            }
        }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let values = ScalarBuffer::from(snug(std::mem::take(&mut self.values)));
        let array = PrimitiveArray::<T>::try_new(values, self.valid.finish())?;
        Ok(Arc::new(array.with_data_type(self.by.dtype.clone())))
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

/// Text or bytes. Its UTF-8 is checked before, by record.
struct Text<T: ByteArrayType> {
    by: By,
    offsets: Vec<T::Offset>,
    values: Vec<u8>,
    valid: Valid,
}

impl<T: ByteArrayType> Fill for Text<T> {
    fn reserve(&mut self, rows: usize) {
        self.offsets.reserve_exact(rows);
    }

    fn fill(&mut self, rows: Rows<'_>, _: &mut dyn FnMut(usize) -> bool) {
        let bytes: usize = self.by.fields(rows).map(Field::len).sum();
        self.values.reserve(bytes);
        for field in self.by.fields(rows) {
            let text = &rows.bytes[field.start()..field.end()];
            if !field.is_quoted() && self.by.nulls.has(text) {
                self.valid.null();
            } else {
                if field.is_raw() {
                    unescape(rows.dialect, text, &mut self.values);
                } else {
                    self.values.extend_from_slice(text);
                }
                self.valid.run += 1;
            }
            // A piece is at most 1 GiB and a batch within it, so that 32 bits do.
            self.offsets.push(T::Offset::from_usize(self.values.len()).unwrap_or_default());
        }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let values = snug(std::mem::take(&mut self.values));
        let offsets = snug(std::mem::replace(&mut self.offsets, vec![T::Offset::default()]));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(Arc::new(GenericByteArray::<T>::try_new(offsets, Buffer::from_vec(values), self.valid.finish())?))
    }
}

/// Gives back room beyond an eighth of what is used: a batch may be held for long.
fn snug<T>(mut values: Vec<T>) -> Vec<T> {
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
