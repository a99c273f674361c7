//! What the values of a file become in an Arrow buffer.
//!
//! A file has few widths: small integers are stored in four bytes, decimals in four, eight, or as many as they need, the
//! highest first. Where the bytes are not those of the announced type already, a [`Form`] names a loop that appends the
//! one to the other. It takes a stretch of values at a time, so that one call by pointer is paid for many of them, and the
//! rest of the decoder is compiled once for each width of an Arrow value rather than once for each pair of types.

use arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, TimeUnit, i256,
    validate_decimal_precision_and_scale,
};
use parquet::basic::Type;
use parquet::file::metadata::ColumnChunkMetaData;

use super::as_stored;

/// Appends what stored values, of so many bytes each and one behind the other, become.
pub type Read<W> = fn(&[u8], usize, &mut Vec<W>);

/// How the values of a column are stored, and what they become.
#[derive(Clone, Copy)]
pub struct Form<W> {
    /// Bytes of a stored value, one at least.
    pub width: usize,
    /// What it takes; `None` where the bytes stay as they are.
    pub read: Option<Read<W>>,
    /// Whether the stored ones are whole numbers, which may be written as differences.
    pub whole: bool,
    /// Whether their bytes may be written as streams.
    pub split: bool,
}

impl<W> Form<W> {
    fn of(column: &ColumnChunkMetaData, read: Option<Read<W>>) -> Option<Self> {
        let physical = column.column_type();
        let width = match physical {
            Type::INT32 | Type::FLOAT => 4,
            Type::INT64 | Type::DOUBLE => 8,
            Type::INT96 => 12,
            _ => length(column)?,
        };
        let whole = matches!(physical, Type::INT32 | Type::INT64);
        // as a value may have any width, the block of them that is put together must have a bound
        Some(Self { width, read, whole, split: physical != Type::INT96 && width <= 1024 })
    }

    /// Values of `column` that stay as they are.
    pub fn same(column: &ColumnChunkMetaData) -> Option<Self> {
        Self::of(column, None)
    }

    fn by(column: &ColumnChunkMetaData, read: Read<W>) -> Option<Self> {
        Self::of(column, Some(read))
    }
}

/// Bytes of a value of fixed length; `None` for other columns, and where there would be no byte.
pub fn length(column: &ColumnChunkMetaData) -> Option<usize> {
    let fixed = column.column_type() == Type::FIXED_LEN_BYTE_ARRAY;
    usize::try_from(column.column_descr().type_length()).ok().filter(|length| fixed && *length > 0)
}

/// For what is announced as one byte wide; `None`, as below, where only the crate knows how.
pub fn ones(column: &ColumnChunkMetaData, to: &DataType) -> Option<Form<u8>> {
    match (column.column_type(), to) {
        // beyond its range a number keeps its lowest bits
        (Type::INT32, DataType::Int8 | DataType::UInt8) => {
            Form::by(column, |from, _, to| to.extend(from.as_chunks::<4>().0.iter().map(|[lowest, ..]| *lowest)))
        }
        _ => None,
    }
}

/// For two bytes.
pub fn twos(column: &ColumnChunkMetaData, to: &DataType) -> Option<Form<u16>> {
    match (column.column_type(), to) {
        (Type::INT32, DataType::Int16 | DataType::UInt16) => Form::by(column, |from, _, to| {
            to.extend(from.as_chunks::<4>().0.iter().map(|[a, b, ..]| u16::from_le_bytes([*a, *b])));
        }),
        (Type::FIXED_LEN_BYTE_ARRAY, DataType::Float16) if length(column) == Some(2) => Form::same(column),
        _ => None,
    }
}

/// For four bytes.
pub fn fours(column: &ColumnChunkMetaData, to: &DataType) -> Option<Form<u32>> {
    match (column.column_type(), to) {
        (_, to) if as_stored(column, to) => Form::same(column),
        (Type::INT32, DataType::Decimal32(..)) if sound(to) => Form::same(column),
        (Type::FIXED_LEN_BYTE_ARRAY, DataType::Decimal32(..)) if sound(to) && length(column)? <= 4 => {
            Form::by(column, |from, width, to| {
                extended::<4, _>(from, width, to, |four, unused| (i32::from_be_bytes(four) >> unused).cast_unsigned());
            })
        }
        _ => None,
    }
}

/// For eight bytes.
pub fn eights(column: &ColumnChunkMetaData, to: &DataType) -> Option<Form<u64>> {
    match (column.column_type(), to) {
        (_, to) if as_stored(column, to) => Form::same(column),
        (Type::INT64, DataType::Decimal64(..)) if sound(to) => Form::same(column),
        (Type::INT32, DataType::Decimal64(..)) if sound(to) => {
            Form::by(column, |from, _, to| to.extend(ints(from).map(|n| i64::from(n).cast_unsigned())))
        }
        (Type::FIXED_LEN_BYTE_ARRAY, DataType::Decimal64(..)) if sound(to) && length(column)? <= 8 => {
            Form::by(column, |from, width, to| {
                extended::<8, _>(from, width, to, |eight, unused| {
                    (i64::from_be_bytes(eight) >> unused).cast_unsigned()
                });
            })
        }
        (Type::INT96, DataType::Timestamp(TimeUnit::Nanosecond, _)) => {
            Form::by(column, |from, _, to| to.extend(from.as_chunks().0.iter().map(nanoseconds)))
        }
        _ => None,
    }
}

/// For sixteen bytes.
pub fn sixteens(column: &ColumnChunkMetaData, to: &DataType) -> Option<Form<u128>> {
    match (column.column_type(), to) {
        (_, DataType::Decimal128(..)) if !sound(to) => None,
        (Type::INT32, DataType::Decimal128(..)) => {
            Form::by(column, |from, _, to| to.extend(ints(from).map(|n| i128::from(n).cast_unsigned())))
        }
        (Type::INT64, DataType::Decimal128(..)) => {
            Form::by(column, |from, _, to| to.extend(longs(from).map(|n| i128::from(n).cast_unsigned())))
        }
        (Type::FIXED_LEN_BYTE_ARRAY, DataType::Decimal128(..)) => match length(column)? {
            1..=8 => Form::by(column, |from, width, to| {
                extended::<8, _>(from, width, to, |eight, unused| {
                    i128::from(i64::from_be_bytes(eight) >> unused).cast_unsigned()
                });
            }),
            9..=16 => Form::by(column, |from, width, to| {
                extended::<16, _>(from, width, to, |sixteen, unused| {
                    (i128::from_be_bytes(sixteen) >> unused).cast_unsigned()
                });
            }),
            _ => None,
        },
        _ => None,
    }
}

/// For thirty-two bytes.
pub fn thirty_twos(column: &ColumnChunkMetaData, to: &DataType) -> Option<Form<i256>> {
    match (column.column_type(), to) {
        (_, DataType::Decimal256(..)) if !sound(to) => None,
        (Type::INT32, DataType::Decimal256(..)) => {
            Form::by(column, |from, _, to| to.extend(ints(from).map(|n| i256::from_i128(n.into()))))
        }
        (Type::INT64, DataType::Decimal256(..)) => {
            Form::by(column, |from, _, to| to.extend(longs(from).map(|n| i256::from_i128(n.into()))))
        }
        (Type::FIXED_LEN_BYTE_ARRAY, DataType::Decimal256(..)) => match length(column)? {
            1..=16 => Form::by(column, |from, width, to| {
                extended::<16, _>(from, width, to, |sixteen, unused| {
                    i256::from_i128(i128::from_be_bytes(sixteen) >> unused)
                });
            }),
            // the sign is in the upper half, which has a byte at least
            17..=32 => Form::by(column, |from, width, to| {
                let unused = 8 * (32 - width);
                to.extend(from.chunks_exact(width).map(|value| {
                    let high = value.first_chunk().map_or(0, |sixteen| i128::from_be_bytes(*sixteen) >> unused);
                    let low = value.last_chunk().map_or(0, |sixteen| u128::from_be_bytes(*sixteen));
                    i256::from_parts(low, high)
                }));
            }),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a decimal of type `to` can be; those that cannot are the crate's to refuse.
fn sound(to: &DataType) -> bool {
    match to {
        DataType::Decimal32(p, s) => validate_decimal_precision_and_scale::<Decimal32Type>(*p, *s).is_ok(),
        DataType::Decimal64(p, s) => validate_decimal_precision_and_scale::<Decimal64Type>(*p, *s).is_ok(),
        DataType::Decimal128(p, s) => validate_decimal_precision_and_scale::<Decimal128Type>(*p, *s).is_ok(),
        DataType::Decimal256(p, s) => validate_decimal_precision_and_scale::<Decimal256Type>(*p, *s).is_ok(),
        _ => false,
    }
}

fn ints(from: &[u8]) -> impl ExactSizeIterator<Item = i32> + '_ {
    from.as_chunks().0.iter().map(|four| i32::from_le_bytes(*four))
}

fn longs(from: &[u8]) -> impl ExactSizeIterator<Item = i64> + '_ {
    from.as_chunks().0.iter().map(|eight| i64::from_le_bytes(*eight))
}

/// Appends numbers of `width` bytes, `N` at most, the highest first. `of` makes one of `N` bytes, of which so many bits at
/// the end are none of its own: they are those of the next number, which is cheaper than to copy those that are.
#[inline(always)]
fn extended<const N: usize, W>(from: &[u8], width: usize, to: &mut Vec<W>, of: impl Fn([u8; N], usize) -> W) {
    let unused = 8 * (N - width);
    let count = from.len() / width;
    // those that have `N` bytes from their first on
    let long = (from.len() + width).saturating_sub(N) / width;
    to.extend((0..long).map(|i| of(from[i * width..].first_chunk().copied().unwrap_or([0; N]), unused)));
    to.extend(from.chunks_exact(width).take(count).skip(long).map(|value| {
        let mut padded = [0; N];
        padded[..width].copy_from_slice(value);
        of(padded, unused)
    }));
}

/// Days from the Julian calendar's first to 1970.
const JULIAN: i64 = 2_440_588;
/// Nanoseconds of a day.
const DAY: i64 = 86_400_000_000_000;

/// Nanoseconds since 1970 of those of a day, and then the day; what is out of range wraps, as the crate has it.
fn nanoseconds(stored: &[u8; 12]) -> u64 {
    let within = i64::from_le_bytes(std::array::from_fn(|i| stored[i]));
    let days = i64::from(i32::from_le_bytes(std::array::from_fn(|i| stored[8 + i]))) - JULIAN;
    days.wrapping_mul(DAY).wrapping_add(within).cast_unsigned()
}
