//! Bloom filters: a column chunk's own word on which values it does not have.
//!
//! The filter of Parquet (split blocks; `BloomFilter.md` of the format) sets eight bits in one block of 32 bytes a value,
//! and the upper half of the value's hash says in which. So a look-up reads the header and that one block, however large
//! the filter is, and nothing is allocated by what a file says of its size.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use parquet::basic::Type;
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::ColumnChunkMetaData;
use twox_hash::XxHash64;

use super::super::compact::{Fields, I32, STOP, STRUCT};
use super::super::flat::{as_stored, is_flat};
use crate::error::Result;
use crate::source::read_at::ReadAt;

/// Bytes of a block.
const BLOCK: usize = 32;
/// Bytes read for a header, which takes about 15.
const HEADER: usize = 64;

/// Whether the filter of `column` says that it has `value` nowhere; false where there is no filter, or none that can be
/// read. `value` is a row of the announced type.
///
/// # Errors
/// A file that cannot be read.
pub fn lacks(at: &dyn ReadAt, column: &ColumnChunkMetaData, value: &ArrayRef) -> Result<bool> {
    let Some((bytes, filter)) = stored(column, value).zip(Filter::of(at, column)?) else { return Ok(false) };
    let hash = XxHash64::oneshot(0, &bytes);
    // the upper half of the hash, scaled to the number of blocks
    let block = ((hash >> 32) * filter.blocks) >> 32;
    let mut found = [0; BLOCK];
    at.read_exact_at(&mut found, filter.start + block * BLOCK as u64)?;
    Ok(!Sbbf::new(&found).check(bytes.as_slice()))
}

/// Whether `column` has a filter.
pub fn has_filter(column: &ColumnChunkMetaData) -> bool {
    column.bloom_filter_offset().is_some() && is_flat(column)
}

/// Where the blocks of a filter are.
struct Filter {
    start: u64,
    blocks: u64,
}

impl Filter {
    /// The filter of `column`, if it is of the one kind that there is.
    fn of(at: &dyn ReadAt, column: &ColumnChunkMetaData) -> Result<Option<Self>> {
        let Some(offset) = column.bloom_filter_offset().and_then(|o| u64::try_from(o).ok()) else { return Ok(None) };
        let room = at.size().saturating_sub(offset);
        let room = match column.bloom_filter_length() {
            Some(length) => room.min(u64::try_from(length).unwrap_or(0)),
            None => room,
        };
        let mut head = [0; HEADER];
        let head = &mut head[..usize::try_from(room).unwrap_or(HEADER).min(HEADER)];
        at.read_exact_at(head, offset)?;
        let Some((header, bytes)) = header(head) else { return Ok(None) };
        let blocks = bytes / BLOCK as u64;
        let fits = blocks > 0 && bytes.is_multiple_of(BLOCK as u64) && header + bytes <= room;
        Ok(fits.then_some(Self { start: offset + header, blocks }))
    }
}

/// The bytes of a filter's header, and of its blocks.
fn header(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut fields = Fields::of(bytes);
    if fields.next()? != (I32, 1) {
        return None;
    }
    let blocks = u64::try_from(fields.i32()?).ok()?;
    // algorithm, hash, compression: unions of which only the first member is known
    for union in 2..=4 {
        if fields.next()? != (STRUCT, union) {
            return None;
        }
        let mut inner = fields.inner();
        if inner.next()? != (STRUCT, 1) {
            return None;
        }
        inner.skip(STRUCT)?;
        if inner.next()?.0 != STOP {
            return None;
        }
        fields.behind(&inner);
    }
    if fields.next()?.0 != STOP {
        return None;
    }
    Some(((bytes.len() - fields.left()) as u64, blocks))
}

/// `value` as the column stores it, PLAIN and without a length: what the writer hashed. `None` where that is not certain.
fn stored(column: &ColumnChunkMetaData, value: &ArrayRef) -> Option<Vec<u8>> {
    if value.len() != 1 || value.is_null(0) {
        return None;
    }
    let number = match (column.column_type(), value.data_type()) {
        (Type::BYTE_ARRAY, DataType::Utf8) => return Some(value.as_string::<i32>().value(0).as_bytes().to_vec()),
        (Type::BYTE_ARRAY, DataType::Binary) => return Some(value.as_binary::<i32>().value(0).to_vec()),
        (Type::FIXED_LEN_BYTE_ARRAY, DataType::FixedSizeBinary(_)) => {
            return Some(value.as_fixed_size_binary().value(0).to_vec());
        }
        (_, to) => integer(column, to, value),
    }?;
    let bytes = number.to_le_bytes();
    match column.column_type() {
        // the sign, or its absence, is in the bits that both widths share
        Type::INT32 => Some(bytes[..4].to_vec()),
        Type::INT64 => Some(bytes[..8].to_vec()),
        Type::FIXED_LEN_BYTE_ARRAY => {
            let length = usize::try_from(column.column_descr().type_length()).ok().filter(|n| (1..=16).contains(n))?;
            Some(number.to_be_bytes()[16 - length..].to_vec())
        }
        _ => None,
    }
}

/// The number that `value` of type `to` is in the file.
fn integer(column: &ColumnChunkMetaData, to: &DataType, value: &ArrayRef) -> Option<i128> {
    fn number<T: ArrowPrimitiveType>(value: &ArrayRef) -> Option<i128>
    where
        T::Native: Into<i128>,
    {
        value.as_primitive_opt::<T>().map(|v| v.value(0).into())
    }
    match to {
        DataType::Int8 => number::<Int8Type>(value),
        DataType::Int16 => number::<Int16Type>(value),
        DataType::Int32 => number::<Int32Type>(value),
        DataType::Int64 => number::<Int64Type>(value),
        DataType::UInt8 => number::<UInt8Type>(value),
        DataType::UInt16 => number::<UInt16Type>(value),
        DataType::UInt32 => number::<UInt32Type>(value),
        DataType::UInt64 => number::<UInt64Type>(value),
        DataType::Date32 => number::<Date32Type>(value),
        DataType::Decimal128(..) => number::<Decimal128Type>(value),
        DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) if as_stored(column, to) => {
            number::<Int64Type>(&cast(value, &DataType::Int64).ok()?)
        }
        _ => None,
    }
}
