//! One column of a batch, ready to be written cell by cell.

use std::io::Write;

use arrow::array::{Array, ArrayRef, ArrowNumericType, AsArray, GenericStringArray, OffsetSizeTrait};
use arrow::compute::{max, min};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Field, Float16Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::moment::{self, Zone};
use crate::dtype::dtype_name;
use crate::error::{Error, Result};

/// Every character that numbers, bools, dates and times are written with.
const PLAIN: &[u8] = b"0123456789+-.:eE TZnaifNtrul s";

const DAY_MS: i64 = 86_400_000;

/// What delimits, what is quoted and what is null.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) delimiter: u8,
    quote: Option<u8>,
    null: Vec<u8>,
    /// The bytes that a field may not hold unquoted.
    special: [bool; 256],
    /// Whether cells that are not text can be taken for something else.
    odd: bool,
}

impl Rules {
    pub(super) fn new(delimiter: u8, quote: Option<u8>, null: Vec<u8>) -> Self {
        let mut special = [false; 256];
        // a zero byte outside quotes is taken for damage
        for byte in [Some(delimiter), quote, Some(b'\r'), Some(b'\n'), Some(0)].into_iter().flatten() {
            special[usize::from(byte)] = true;
        }
        let plain = |b: &u8| PLAIN.contains(b);
        let odd =
            plain(&delimiter) || quote.as_ref().is_some_and(plain) || (!null.is_empty() && null.iter().all(plain));
        Self { delimiter, quote, null, special, odd }
    }

    /// Quotes the field that begins at `start`, if it could be taken for something else.
    ///
    /// # Errors
    /// [`Error::Value`] naming the column, where nothing may be quoted.
    pub(super) fn protect(&self, out: &mut Vec<u8>, start: usize, column: &str) -> Result<()> {
        let field = out.get(start..).unwrap_or_default();
        let special = field.iter().any(|b| self.special[usize::from(*b)]);
        if !special && !field.is_empty() && field != self.null {
            return Ok(());
        }
        let Some(quote) = self.quote else {
            // an empty text without quotes is only wrong where it means null
            if !special && field != self.null {
                return Ok(());
            }
            let text = String::from_utf8_lossy(field).escape_debug().to_string();
            return Err(Error::value_in(
                column,
                text.clone(),
                format!(
                    "column `{column}`: `{text}` must be quoted; pass a quote_char, or another delimiter or null_value"
                ),
            ));
        };
        // spread the field from its end, so that nothing is overwritten before it was moved
        let end = out.len();
        let doubled = out.iter().skip(start).filter(|b| **b == quote).count();
        out.resize(end + doubled + 2, quote);
        let mut to = out.len() - 1;
        for from in (start..end).rev() {
            to -= 1;
            out[to] = out[from];
            if out[from] == quote {
                to -= 1;
                out[to] = quote;
            }
        }
        out[start] = quote;
        Ok(())
    }
}

/// Writes the value of a row, which is not null.
type WriteCell<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

/// A column: its nulls, and how its values are written.
pub(super) struct Cells<'a> {
    name: &'a str,
    nulls: Option<arrow::buffer::NullBuffer>,
    write: WriteCell<'a>,
    /// Whether a value may have to be quoted.
    protect: bool,
    bound: usize,
}

/// Whether text can hold the column at all.
///
/// # Errors
/// [`Error::Schema`] naming it.
pub(super) fn check(field: &Field) -> Result<()> {
    use DataType as T;
    let mut inner = field.data_type();
    while let T::Dictionary(_, value) = inner {
        inner = value;
    }
    if let T::RunEndEncoded(_, value) = inner {
        inner = value.data_type();
    }
    let why = match inner {
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => {
            "bytes are not text; cast it to \"string\""
        }
        T::Union(..) | T::Interval(_) => "there is no text for it; drop it",
        t if t.is_nested() => "nested values have no text; select its parts, or write Parquet",
        _ => return Ok(()),
    };
    Err(Error::Schema(format!("column `{}`: CSV cannot hold {}: {why}", field.name(), dtype_name(field.data_type()))))
}

impl<'a> Cells<'a> {
    pub(super) fn new(name: &'a str, array: &'a ArrayRef, rules: &Rules) -> Result<Self> {
        let rows = array.len();
        let Column { write, width, text } = column(name, array.as_ref())?;
        let protect = text || rules.odd;
        let quotes = match (rules.quote, text) {
            (Some(quote), true) => quotes_in(array.as_ref(), quote),
            _ => 0,
        };
        let each = rules.null.len() + if protect { 2 } else { 0 };
        let bound = width.saturating_add(quotes).saturating_add(rows.saturating_mul(each));
        Ok(Self { name, nulls: array.logical_nulls(), write, protect, bound })
    }

    /// An upper bound of the bytes of all cells.
    pub(super) fn bound(&self) -> usize {
        self.bound
    }

    /// Appends the cell of `row`.
    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>, rules: &Rules) -> Result<()> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            out.extend_from_slice(&rules.null);
            return Ok(());
        }
        let start = out.len();
        (self.write)(row, out);
        if self.protect { rules.protect(out, start, self.name) } else { Ok(()) }
    }
}

/// How values are written, how many bytes all of them take at most, and whether they are text.
struct Column<'a> {
    write: WriteCell<'a>,
    width: usize,
    text: bool,
}

fn column<'a>(name: &str, array: &'a dyn Array) -> Result<Column<'a>> {
    use DataType as T;
    let rows = array.len();
    let fixed = |each: usize, write: WriteCell<'a>| Column { write, width: rows.saturating_mul(each), text: false };
    Ok(match array.data_type() {
        T::Null => fixed(0, Box::new(|_, _| {})),
        T::Boolean => {
            let array = array.as_boolean();
            fixed(5, Box::new(|row, out| out.extend_from_slice(if array.value(row) { b"true" } else { b"false" })))
        }
        T::Int8 => signed::<Int8Type>(array),
        T::Int16 => signed::<Int16Type>(array),
        T::Int32 => signed::<Int32Type>(array),
        T::Int64 => signed::<Int64Type>(array),
        T::UInt8 => unsigned::<UInt8Type>(array),
        T::UInt16 => unsigned::<UInt16Type>(array),
        T::UInt32 => unsigned::<UInt32Type>(array),
        T::UInt64 => unsigned::<UInt64Type>(array),
        T::Float16 => {
            let array = array.as_primitive::<Float16Type>();
            fixed(
                24,
                Box::new(|row, out| float(f64::from(f32::from(array.value(row))), f32::from(array.value(row)), out)),
            )
        }
        T::Float32 => {
            let array = array.as_primitive::<Float32Type>();
            fixed(24, Box::new(|row, out| float(f64::from(array.value(row)), array.value(row), out)))
        }
        T::Float64 => {
            let array = array.as_primitive::<Float64Type>();
            fixed(26, Box::new(|row, out| float(array.value(row), array.value(row), out)))
        }
        T::Utf8 => text(array.as_string::<i32>().iter_bytes_len(), |row| array.as_string::<i32>().value(row)),
        T::LargeUtf8 => text(array.as_string::<i64>().iter_bytes_len(), |row| array.as_string::<i64>().value(row)),
        T::Utf8View => {
            let array = array.as_string_view();
            let bytes =
                array.views().iter().fold(0usize, |sum, view| sum.saturating_add((view & 0xffff_ffff) as usize));
            text(bytes, |row| array.value(row))
        }
        T::Dictionary(..) => dictionary(name, array)?,
        T::Date32 => {
            let array = array.as_primitive::<Date32Type>();
            fixed(20, Box::new(|row, out| moment::date(i64::from(array.value(row)), out)))
        }
        T::Date64 => {
            let array = array.as_primitive::<Date64Type>();
            fixed(
                44,
                Box::new(|row, out| match array.value(row) {
                    whole if whole % DAY_MS == 0 => moment::date(whole / DAY_MS, out),
                    part => moment::timestamp(part, TimeUnit::Millisecond, &Zone::None, out),
                }),
            )
        }
        T::Timestamp(unit, zone) => {
            let (unit, zone) =
                (*unit, Zone::parse(zone.as_deref()).map_err(|e| e.context(format!("column `{name}`")))?);
            let value = ticks(array);
            fixed(52, Box::new(move |row, out| moment::timestamp(value(row), unit, &zone, out)))
        }
        T::Time32(unit) | T::Time64(unit) => {
            let (unit, value) = (*unit, ticks(array));
            fixed(32, Box::new(move |row, out| moment::clock(value(row), unit, out)))
        }
        T::Duration(unit) => {
            let (unit, value) = (*unit, ticks(array));
            fixed(36, Box::new(move |row, out| moment::clock(value(row), unit, out)))
        }
        T::Decimal32(p, s) => {
            let (array, s) = (array.as_primitive::<Decimal32Type>(), *s);
            fixed(decimal_width(*p, s), Box::new(move |row, out| decimal(i128::from(array.value(row)), s, out)))
        }
        T::Decimal64(p, s) => {
            let (array, s) = (array.as_primitive::<Decimal64Type>(), *s);
            fixed(decimal_width(*p, s), Box::new(move |row, out| decimal(i128::from(array.value(row)), s, out)))
        }
        T::Decimal128(p, s) => {
            let (array, s) = (array.as_primitive::<Decimal128Type>(), *s);
            fixed(decimal_width(*p, s), Box::new(move |row, out| decimal(array.value(row), s, out)))
        }
        T::Decimal256(p, s) => {
            let (array, s) = (array.as_primitive::<Decimal256Type>(), *s);
            fixed(
                decimal_width(*p, s),
                Box::new(move |row, out| {
                    let value = array.value(row);
                    let digits = value.to_string();
                    scaled(digits.trim_start_matches('-').as_bytes(), digits.starts_with('-'), s, out);
                }),
            )
        }
        other => return Err(Error::Schema(format!("column `{name}`: CSV cannot hold {}", dtype_name(other)))),
    })
}

/// The bytes of all values, those of nulls included.
trait TextBytes {
    fn iter_bytes_len(&self) -> usize;
}

impl<O: OffsetSizeTrait> TextBytes for GenericStringArray<O> {
    fn iter_bytes_len(&self) -> usize {
        match (self.value_offsets().first(), self.value_offsets().last()) {
            (Some(first), Some(last)) => last.as_usize() - first.as_usize(),
            _ => 0,
        }
    }
}

fn text<'a>(bytes: usize, value: impl Fn(usize) -> &'a str + 'a) -> Column<'a> {
    let write: WriteCell = Box::new(move |row, out| out.extend_from_slice(value(row).as_bytes()));
    Column { write, width: bytes, text: true }
}

/// Quotes to be doubled.
fn quotes_in(array: &dyn Array, quote: u8) -> usize {
    let count = |text: &str| text.bytes().filter(|b| *b == quote).count();
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().flatten().map(count).sum(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().flatten().map(count).sum(),
        DataType::Utf8View => array.as_string_view().iter().flatten().map(count).sum(),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            quotes_in(dictionary.values().as_ref(), quote).saturating_mul(array.len())
        }
        _ => 0,
    }
}

fn dictionary<'a>(name: &str, array: &'a dyn Array) -> Result<Column<'a>> {
    let dictionary = array.as_any_dictionary();
    let values = dictionary.values();
    if values.is_empty() {
        return Ok(Column { write: Box::new(|_, _| {}), width: 0, text: false });
    }
    let Column { write, text, .. } = column(name, values.as_ref())?;
    // the longest value, as often as there are rows
    let mut longest = 0;
    let mut cell = Vec::new();
    for i in (0..values.len()).filter(|i| values.is_valid(*i)) {
        cell.clear();
        write(i, &mut cell);
        longest = longest.max(cell.len());
    }
    let keys = dictionary.normalized_keys();
    let width = longest.saturating_mul(array.len());
    Ok(Column { write: Box::new(move |row, out| write(keys.get(row).copied().unwrap_or(0), out)), width, text })
}

/// The raw value of a column of moments.
fn ticks<'a>(array: &'a dyn Array) -> Box<dyn Fn(usize) -> i64 + 'a> {
    macro_rules! of {
        ($($kind:pat => $type:ty),* $(,)?) => {
            match array.data_type() {
                $($kind => {
                    let values = array.as_primitive::<$type>().values();
                    Box::new(|row| values.get(row).copied().map(i64::from).unwrap_or_default())
                })*
                _ => Box::new(|_| 0),
            }
        };
    }
    use DataType::{Duration, Time32, Time64, Timestamp};
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    of! {
        Timestamp(Second, _) => TimestampSecondType,
        Timestamp(Millisecond, _) => TimestampMillisecondType,
        Timestamp(Microsecond, _) => TimestampMicrosecondType,
        Timestamp(Nanosecond, _) => TimestampNanosecondType,
        Time32(Second) => Time32SecondType,
        Time32(Millisecond) => Time32MillisecondType,
        Time64(Microsecond) => Time64MicrosecondType,
        Time64(Nanosecond) => Time64NanosecondType,
        Duration(Second) => DurationSecondType,
        Duration(Millisecond) => DurationMillisecondType,
        Duration(Microsecond) => DurationMicrosecondType,
        Duration(Nanosecond) => DurationNanosecondType,
    }
}

fn signed<T: ArrowNumericType>(array: &dyn Array) -> Column<'_>
where
    T::Native: Into<i64>,
{
    let array = array.as_primitive::<T>();
    let ends = [min(array), max(array)].into_iter().flatten().map(|v| digits(v.into().unsigned_abs()) + 1);
    let width = ends.max().unwrap_or(0).saturating_mul(array.len());
    let values = array.values();
    let write: WriteCell = Box::new(move |row, out| {
        let value: i64 = values.get(row).copied().map(Into::into).unwrap_or_default();
        if value < 0 {
            out.push(b'-');
        }
        integer(value.unsigned_abs(), out);
    });
    Column { write, width, text: false }
}

fn unsigned<T: ArrowNumericType>(array: &dyn Array) -> Column<'_>
where
    T::Native: Into<u64>,
{
    let array = array.as_primitive::<T>();
    let width = max(array).map_or(0, |v| digits(v.into())).saturating_mul(array.len());
    let values = array.values();
    let write: WriteCell =
        Box::new(move |row, out| integer(values.get(row).copied().map(Into::into).unwrap_or_default(), out));
    Column { write, width, text: false }
}

fn digits(value: u64) -> usize {
    value.checked_ilog10().unwrap_or(0) as usize + 1
}

/// `00` to `99`, one after the other.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut i = 0u8;
    while i < 100 {
        pairs[i as usize] = [b'0' + i / 10, b'0' + i % 10];
        i += 1;
    }
    pairs
};

/// Decimal digits, two at a time.
#[expect(clippy::cast_possible_truncation, reason = "what is cast is less than 100")]
pub(super) fn integer(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    while value >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if value >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[value as usize]);
    } else {
        at -= 1;
        digits[at] = b'0' + value as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

/// The shortest digits that read back as the same number, by the standard library's `Debug`: `1.0`, `1e16`.
fn float(value: f64, narrow: impl std::fmt::Debug, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"nan");
    } else {
        // a Vec takes everything
        let _ = write!(out, "{narrow:?}");
    }
}

fn decimal_width(precision: u8, scale: i8) -> usize {
    usize::from(precision) + usize::from(scale.unsigned_abs()) + 3
}

fn decimal(value: i128, scale: i8, out: &mut Vec<u8>) {
    let mut digits = [0u8; 40];
    let mut at = digits.len();
    let mut left = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    scaled(&digits[at..], value < 0, scale, out);
}

/// Digits with the point `scale` places from their end.
fn scaled(digits: &[u8], negative: bool, scale: i8, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    let places = usize::from(scale.unsigned_abs());
    if scale <= 0 {
        out.extend_from_slice(digits);
        if digits != b"0" {
            out.extend(std::iter::repeat_n(b'0', places));
        }
        return;
    }
    let whole = digits.len().saturating_sub(places);
    if whole == 0 {
        out.push(b'0');
    }
    out.extend_from_slice(&digits[..whole]);
    out.push(b'.');
    out.extend(std::iter::repeat_n(b'0', places.saturating_sub(digits.len())));
    out.extend_from_slice(&digits[whole..]);
}
