//! The file's end, held back until it is complete: the order of floating-point statistics is put right in it.
//!
//! The crate says of floating-point columns that their smallest and largest values follow IEEE 754's total order, a
//! recent addition to the format. Readers that do not know it (pyarrow among them) then ignore the statistics. What
//! the crate notes satisfies the older rule as well, in which −0 counts as less than +0 and NaN is neither smallest nor
//! largest; where there is nothing but NaN, which the older rule has no words for, [`without_nan`] leaves both out. So
//! the columns are said to follow that rule, which every reader knows.
//!
//! The orders are the last field of the footer, three bytes a column: a union's field, 1 for the type's own order or 2
//! for the total order, around an empty struct.

use std::io::{self, Write};

use arrow::datatypes::{ArrowPrimitiveType, Float16Type};
use parquet::basic::LogicalType;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;

use crate::error::Result;

type Half = <Float16Type as ArrowPrimitiveType>::Native;

/// The stop of the footer's struct, its length, and the magic number.
const AFTER: usize = 1 + 4 + 4;
const TYPE_ORDER: [u8; 3] = [0x1c, 0, 0];
const TOTAL_ORDER: [u8; 3] = [0x2c, 0, 0];
/// Bytes beyond the orders that are held back before they are passed on.
const SLACK: usize = 64 << 10;

/// Takes NaN out of what is noted of a column: as its smallest and largest value, and with it the index of pages where
/// one holds nothing else.
pub(super) fn without_nan(mut close: ColumnCloseResult) -> Result<ColumnCloseResult> {
    let half = close.metadata.column_descr().logical_type_ref() == Some(&LogicalType::Float16);
    let half_nan = |bytes: &[u8]| half && bytes.try_into().is_ok_and(|bytes| Half::from_le_bytes(bytes).is_nan());
    let nulls = |found: &Statistics| found.null_count_opt();
    let replaced = match close.metadata.statistics() {
        Some(found @ Statistics::Float(of)) if of.min_opt().is_some_and(|min| min.is_nan()) => {
            Some(Statistics::float(None, None, None, nulls(found), false))
        }
        Some(found @ Statistics::Double(of)) if of.min_opt().is_some_and(|min| min.is_nan()) => {
            Some(Statistics::double(None, None, None, nulls(found), false))
        }
        Some(found @ Statistics::FixedLenByteArray(_)) if found.min_bytes_opt().is_some_and(half_nan) => {
            Some(Statistics::fixed_len_byte_array(None, None, None, nulls(found), false))
        }
        _ => None,
    };
    if let Some(statistics) = replaced {
        close.metadata = close.metadata.into_builder().set_statistics(statistics).build()?;
    }
    let unordered = match &close.column_index {
        Some(ColumnIndexMetaData::FLOAT(index)) => index.min_values_iter().flatten().any(|min| min.is_nan()),
        Some(ColumnIndexMetaData::DOUBLE(index)) => index.min_values_iter().flatten().any(|min| min.is_nan()),
        Some(ColumnIndexMetaData::FIXED_LEN_BYTE_ARRAY(index)) => index.min_values_iter().flatten().any(half_nan),
        _ => false,
    };
    if unordered {
        close.column_index = None;
    }
    Ok(close)
}

/// The last bytes of a file with so many leaves.
pub(super) struct Tail {
    orders: usize,
    held: Vec<u8>,
}

impl Tail {
    pub(super) fn new(leaves: usize) -> Self {
        Self { orders: leaves * TYPE_ORDER.len(), held: Vec::new() }
    }

    /// Takes `bytes` and passes on what cannot be part of the orders.
    pub(super) fn write(&mut self, bytes: &[u8], to: &mut impl Write) -> io::Result<()> {
        self.held.extend_from_slice(bytes);
        let keep = self.orders + AFTER;
        if self.held.len() > keep + SLACK {
            let surplus = self.held.len() - keep;
            to.write_all(&self.held[..surplus])?;
            self.held.drain(..surplus);
        }
        Ok(())
    }

    /// Passes on the rest. A footer that ends otherwise than expected goes out as it is.
    pub(super) fn end(mut self, to: &mut impl Write) -> io::Result<()> {
        let end = self.held.len().saturating_sub(AFTER);
        let orders = self.held.get_mut(end.saturating_sub(self.orders)..end).unwrap_or_default();
        if orders.len() == self.orders
            && orders.chunks_exact(3).all(|order| order[0] & 0x0f == 0x0c && order[1..] == [0, 0])
        {
            for order in orders.chunks_exact_mut(3).filter(|order| **order == TOTAL_ORDER) {
                order.copy_from_slice(&TYPE_ORDER);
            }
        }
        to.write_all(&self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(leaves: usize, writes: &[&[u8]]) -> Vec<u8> {
        let (mut tail, mut out) = (Tail::new(leaves), Vec::new());
        for bytes in writes {
            tail.write(bytes, &mut out).expect("memory");
        }
        tail.end(&mut out).expect("memory");
        out
    }

    #[test]
    fn only_the_orders_change() {
        let long = vec![0x2c; 3 * SLACK];
        let end = *b"\x2c\0\0\x1c\0\0\x2c\0\0\0\x09\0\0\0PAR1";
        let out = through(3, &[&long, &end[..5], &end[5..]]);
        assert_eq!(out[..long.len()], long);
        assert_eq!(out[long.len()..], *b"\x1c\0\0\x1c\0\0\x1c\0\0\0\x09\0\0\0PAR1");
    }

    #[test]
    fn another_end_goes_out_as_it_came() {
        for end in [&b"\x2c\0\x01\0\x09\0\0\0PAR1"[..], b"PAR1", b""] {
            assert_eq!(through(1, &[end]), end);
        }
    }
}
