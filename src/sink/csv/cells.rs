//! One column of a batch, and what writes its cells.

use arrow::array::{Array, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Field, Float16Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::digits::{self, TEN_16};
use super::floats::{self, Floats};
use super::moment::{self, Dates, Stamps, Zone};
use super::slots::{ASIDE, Fill, Room, Rows, SLOT, Slot, Values, aside_at};
use super::text::{Shape, Strings, Texts, quoted};
use crate::dtype::dtype_name;
use crate::error::{Error, Result};
use crate::memory::Lease;

/// Every character that numbers, bools, dates and times are written with.
const PLAIN: &[u8] = b"0123456789+-.:eE TZnaifNtrul s";

const DAY_MS: i64 = 86_400_000;

/// What delimits, what is quoted and what is null.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
    pub(super) null: Vec<u8>,
    /// The bytes that a field may not hold unquoted.
    pub(super) special: [bool; 256],
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
        match self.shape(field) {
            Shape::Plain => Ok(()),
            Shape::Quoted { quote, doubled } => {
                let field = field.to_vec();
                out.resize(start + field.len() + doubled + 2, quote);
                quoted(&field, quote, &mut out[start..]);
                Ok(())
            }
            Shape::Impossible => Err(impossible(field, column)),
        }
    }
}

/// The error of a field that would have to be quoted.
pub(super) fn impossible(field: &[u8], column: &str) -> Error {
    let text = String::from_utf8_lossy(field).escape_debug().to_string();
    Error::value_in(
        column,
        text.clone(),
        format!("column `{column}`: `{text}` must be quoted; pass a quote_char, or another delimiter or null_value"),
    )
}

/// A column: its nulls, and what writes its values.
pub(super) struct Cells<'a> {
    name: &'a str,
    nulls: Option<NullBuffer>,
    fill: Box<dyn Fill + 'a>,
    /// Whether values that are not text have to be looked at too.
    protect: bool,
    aside: usize,
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
    /// What is made for the column as a whole is leased by growing `lease`.
    ///
    /// # Errors
    /// [`Error::Schema`] naming the column that text cannot hold; [`Error::MemoryLimit`].
    pub(super) fn new(name: &'a str, array: &'a dyn Array, rules: &'a Rules, lease: &mut Lease) -> Result<Self> {
        let Column { fill, width, text } = column(name, array, rules, lease)?;
        let protect = rules.odd && !text;
        let width = (if protect { 2 * width + 2 } else { width }).max(rules.null.len());
        let aside = if width > SLOT { width } else { 0 };
        Ok(Self { name, nulls: array.logical_nulls(), fill, protect, aside })
    }

    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    /// The most bytes that a cell takes aside.
    pub(super) fn aside(&self) -> usize {
        self.aside
    }

    /// The text of a row whose cell says so.
    pub(super) fn text(&self, row: usize) -> &[u8] {
        self.fill.text(row)
    }

    /// Fills `room` with the cells of the rows from `first`.
    ///
    /// # Errors
    /// [`Error::Value`] naming the column, where nothing may be quoted and a value would have to be.
    pub(super) fn fill(&mut self, first: usize, room: &mut Room<'_>, rules: &Rules) -> Result<()> {
        self.fill.fill(first, room);
        let nulls = self.nulls.as_ref().filter(|nulls| nulls.null_count() > 0);
        if self.protect {
            let mut cell = Vec::new();
            for i in (0..room.lens.len()).filter(|i| nulls.is_none_or(|nulls| nulls.is_valid(first + i))) {
                cell.clear();
                cell.extend_from_slice(room.cell(i).unwrap_or_default());
                rules.protect(&mut cell, 0, self.name)?;
                room.put(i, &cell);
            }
        }
        if let Some(nulls) = nulls {
            let nulls = nulls.slice(first, room.lens.len());
            for i in (!nulls.inner()).set_indices() {
                room.put(i, &rules.null);
            }
        }
        Ok(())
    }
}

/// What writes a column, the bytes of a cell that is not text at most, and whether they are text.
struct Column<'a> {
    fill: Box<dyn Fill + 'a>,
    width: usize,
    text: bool,
}

impl<'a> Column<'a> {
    fn new(width: usize, fill: impl Fill + 'a) -> Self {
        Self { fill: Box::new(fill), width, text: false }
    }

    fn text<A: Strings>(array: &'a A, rules: &'a Rules) -> Self {
        Self { fill: Box::new(Texts { array, rules }), width: 0, text: true }
    }

    fn values<T: Copy + 'a>(values: &'a [T], write: impl FnMut(T, &mut Slot) -> usize + 'a) -> Self {
        Self::new(SLOT, Values { values, write })
    }
}

fn column<'a>(name: &str, array: &'a dyn Array, rules: &'a Rules, lease: &mut Lease) -> Result<Column<'a>> {
    use DataType as T;
    Ok(match array.data_type() {
        T::Null => Column::new(0, Rows { write: |_, _: &mut Vec<u8>| {} }),
        T::Boolean => Column::new(SLOT, Bools { values: array.as_boolean().values() }),
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
            let write = |row: usize, out: &mut Vec<u8>| floats::searched(f32::from(array.value(row)), out);
            Column::new(SLOT, Rows { write })
        }
        T::Float32 => Column::new(SLOT, Floats::new(array.as_primitive::<Float32Type>().values())),
        T::Float64 => Column::new(SLOT, Floats::new(array.as_primitive::<Float64Type>().values())),
        T::Utf8 => Column::text(array.as_string::<i32>(), rules),
        T::LargeUtf8 => Column::text(array.as_string::<i64>(), rules),
        T::Utf8View => Column::text(array.as_string_view(), rules),
        T::Dictionary(..) => dictionary(name, array, rules, lease)?,
        T::Date32 => Column::new(SLOT, Dates::new(array.as_primitive::<Date32Type>().values())),
        T::Date64 => {
            let array = array.as_primitive::<Date64Type>();
            let write = |row: usize, out: &mut Vec<u8>| match array.value(row) {
                whole if whole % DAY_MS == 0 => moment::date(whole / DAY_MS, out),
                part => moment::timestamp(part, TimeUnit::Millisecond, &Zone::None, out),
            };
            Column::new(44, Rows { write })
        }
        T::Timestamp(unit, zone) => {
            let (unit, zone) =
                (*unit, Zone::parse(zone.as_deref()).map_err(|e| e.context(format!("column `{name}`")))?);
            let values = ticks(array);
            match unit {
                TimeUnit::Second => Column::new(52, Stamps::<1>::new(values, unit, zone)),
                TimeUnit::Millisecond => Column::new(52, Stamps::<1_000>::new(values, unit, zone)),
                TimeUnit::Microsecond => Column::new(52, Stamps::<1_000_000>::new(values, unit, zone)),
                TimeUnit::Nanosecond => Column::new(52, Stamps::<1_000_000_000>::new(values, unit, zone)),
            }
        }
        T::Time32(unit) => {
            let (unit, values) = (*unit, ticks_32(array));
            let write = move |row: usize, out: &mut Vec<u8>| moment::clock(i64::from(values[row]), unit, out);
            Column::new(SLOT, Rows { write })
        }
        T::Time64(unit) | T::Duration(unit) => {
            let (unit, values) = (*unit, ticks(array));
            Column::new(36, Rows { write: move |row: usize, out: &mut Vec<u8>| moment::clock(values[row], unit, out) })
        }
        T::Decimal32(p, s) => decimals(array.as_primitive::<Decimal32Type>(), *p, *s),
        T::Decimal64(p, s) => decimals(array.as_primitive::<Decimal64Type>(), *p, *s),
        T::Decimal128(p, s) => decimals(array.as_primitive::<Decimal128Type>(), *p, *s),
        T::Decimal256(p, s) => {
            let (array, s) = (array.as_primitive::<Decimal256Type>(), *s);
            let write = move |row: usize, out: &mut Vec<u8>| {
                let digits = array.value(row).to_string();
                scaled(digits.trim_start_matches('-').as_bytes(), digits.starts_with('-'), s, out);
            };
            Column::new(decimal_width(*p, s), Rows { write })
        }
        other => return Err(Error::Schema(format!("column `{name}`: CSV cannot hold {}", dtype_name(other)))),
    })
}

/// `true` or `false`.
struct Bools<'a> {
    values: &'a BooleanBuffer,
}

impl Fill for Bools<'_> {
    fn fill(&mut self, first: usize, room: &mut Room<'_>) {
        for (i, (slot, len)) in room.slots.iter_mut().zip(room.lens.iter_mut()).enumerate() {
            let value = self.values.value(first + i);
            slot[..8].copy_from_slice(if value { b"true    " } else { b"false   " });
            *len = 5 - u8::from(value);
        }
    }
}

/// A column of codes. Where there are no more values than rows, each is written, and quoted, once.
struct Coded<'a> {
    keys: Vec<usize>,
    values: Box<dyn Fill + 'a>,
    written: Option<Written>,
}

/// The cells of a dictionary.
struct Written {
    slots: Vec<Slot>,
    lens: Vec<u8>,
    aside: Vec<u8>,
}

impl Fill for Coded<'_> {
    fn fill(&mut self, first: usize, room: &mut Room<'_>) {
        for i in 0..room.lens.len() {
            let key = self.keys[first + i];
            let Some(written) = &self.written else {
                let one = i..=i;
                let (slots, lens) = (&mut room.slots[one.clone()], &mut room.lens[one]);
                self.values.fill(key, &mut Room { slots, lens, aside: room.aside });
                continue;
            };
            let (slot, len) = (&written.slots[key], written.lens[key]);
            if len == ASIDE {
                room.put(i, aside_at(slot, &written.aside));
            } else {
                (room.slots[i], room.lens[i]) = (*slot, len);
            }
        }
    }

    fn text(&self, row: usize) -> &[u8] {
        self.values.text(self.keys[row])
    }
}

fn dictionary<'a>(name: &str, array: &'a dyn Array, rules: &'a Rules, lease: &mut Lease) -> Result<Column<'a>> {
    let dictionary = array.as_any_dictionary();
    let values = dictionary.values();
    if values.is_empty() {
        return Ok(Column::new(0, Rows { write: |_, _: &mut Vec<u8>| {} }));
    }
    let Column { fill: mut inner, width, text } = column(name, values.as_ref(), rules, lease)?;
    let each = size_of::<Slot>() + 1 + if width > SLOT { width } else { 0 };
    let once = values.len() <= array.len();
    let bytes = if once { values.len().saturating_mul(each) } else { 0 };
    let keys = array.len().saturating_mul(size_of::<usize>());
    lease.resize(lease.bytes().saturating_add(bytes).saturating_add(keys))?;
    let written = once.then(|| {
        let (mut slots, mut lens) = (vec![Slot::default(); values.len()], vec![0; values.len()]);
        let mut aside = Vec::new();
        inner.fill(0, &mut Room { slots: &mut slots, lens: &mut lens, aside: &mut aside });
        Written { slots, lens, aside }
    });
    let fill = Coded { keys: dictionary.normalized_keys(), values: inner, written };
    Ok(Column { fill: Box::new(fill), width, text })
}

/// The raw values of a column of moments.
fn ticks(array: &dyn Array) -> &[i64] {
    macro_rules! of {
        ($($kind:pat => $type:ty),* $(,)?) => {
            match array.data_type() {
                $($kind => array.as_primitive::<$type>().values(),)*
                _ => &[],
            }
        };
    }
    use DataType::{Duration, Time64, Timestamp};
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    of! {
        Timestamp(Second, _) => TimestampSecondType,
        Timestamp(Millisecond, _) => TimestampMillisecondType,
        Timestamp(Microsecond, _) => TimestampMicrosecondType,
        Timestamp(Nanosecond, _) => TimestampNanosecondType,
        Time64(Microsecond) => Time64MicrosecondType,
        Time64(Nanosecond) => Time64NanosecondType,
        Duration(Second) => DurationSecondType,
        Duration(Millisecond) => DurationMillisecondType,
        Duration(Microsecond) => DurationMicrosecondType,
        Duration(Nanosecond) => DurationNanosecondType,
    }
}

/// The same of times of four bytes.
fn ticks_32(array: &dyn Array) -> &[i32] {
    match array.data_type() {
        DataType::Time32(TimeUnit::Second) => array.as_primitive::<Time32SecondType>().values(),
        _ => array.as_primitive::<Time32MillisecondType>().values(),
    }
}

fn signed<T: ArrowPrimitiveType>(array: &dyn Array) -> Column<'_>
where
    T::Native: Into<i64>,
{
    Column::values(array.as_primitive::<T>().values(), |value, slot| digits::signed(value.into(), slot))
}

fn unsigned<T: ArrowPrimitiveType>(array: &dyn Array) -> Column<'_>
where
    T::Native: Into<u64>,
{
    Column::values(array.as_primitive::<T>().values(), |value, slot| digits::unsigned(value.into(), slot))
}

fn decimal_width(precision: u8, scale: i8) -> usize {
    usize::from(precision) + usize::from(scale.unsigned_abs()) + 3
}

/// A column of decimals, most of which have no more digits than fit a word.
struct Decimals<'a, T> {
    values: &'a [T],
    scale: i8,
}

impl<T: Copy + Into<i128>> Fill for Decimals<'_, T> {
    #[expect(clippy::cast_possible_truncation, reason = "up to 32")]
    fn fill(&mut self, first: usize, room: &mut Room<'_>) {
        let values = self.values.get(first..).unwrap_or_default();
        let places = u32::try_from(self.scale).ok().filter(|places| (1..=15).contains(places));
        for (i, value) in values.iter().take(room.lens.len()).enumerate() {
            let value: i128 = (*value).into();
            let short = u64::try_from(value.unsigned_abs()).ok().filter(|value| *value < TEN_16);
            if let (Some(short), Some(places)) = (short, places) {
                room.lens[i] = digits::fixed::<false>(short, places, value < 0, &mut room.slots[i]) as u8;
            } else {
                let mut cell = Vec::new();
                let digits = value.unsigned_abs().to_string();
                scaled(digits.as_bytes(), value < 0, self.scale, &mut cell);
                room.put(i, &cell);
            }
        }
    }
}

fn decimals<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, precision: u8, scale: i8) -> Column<'_>
where
    T::Native: Into<i128>,
{
    Column::new(decimal_width(precision, scale), Decimals { values: array.values(), scale })
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
