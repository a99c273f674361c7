//! Counts, `any` and `all`, and the number of different values, which holds each of them once.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::DataType;

use super::fold::{Accumulator, Fold, one};
use crate::error::{Error, Result};
use crate::expr::bits::{Keys, keys};

/// The number of rows, or of those that are not null.
pub(super) fn count(present: bool) -> Box<dyn Accumulator> {
    one(Count { present })
}

struct Count {
    present: bool,
}

impl Fold for Count {
    type Cell = i64;

    fn dtype(&self) -> DataType {
        DataType::Int64
    }

    fn enter(&self, cell: &mut i64, values: &ArrayRef, rows: usize) -> Result<()> {
        let counted = if self.present { values.len() - values.logical_null_count() } else { rows };
        *cell += i64::try_from(counted).unwrap_or(i64::MAX);
        Ok(())
    }

    fn join(&self, cell: &mut i64, later: i64) -> Result<()> {
        *cell += later;
        Ok(())
    }

    fn answer(&self, cell: i64) -> Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from(vec![cell])))
    }
}

/// `any` or `all`; none for what is not boolean.
pub(super) fn truth(dtype: &DataType, all: bool) -> Option<Box<dyn Accumulator>> {
    matches!(dtype, DataType::Boolean | DataType::Null).then(|| one(Truth { all }))
}

struct Truth {
    all: bool,
}

impl Fold for Truth {
    /// Whether the answer was settled: a true for `any`, a false for `all`.
    type Cell = bool;

    fn dtype(&self) -> DataType {
        DataType::Boolean
    }

    fn enter(&self, cell: &mut bool, values: &ArrayRef, _rows: usize) -> Result<()> {
        if let Some(bools) = values.as_boolean_opt() {
            *cell |= if self.all { bools.false_count() > 0 } else { bools.true_count() > 0 };
        }
        Ok(())
    }

    fn join(&self, cell: &mut bool, later: bool) -> Result<()> {
        *cell |= later;
        Ok(())
    }

    fn answer(&self, cell: bool) -> Result<ArrayRef> {
        Ok(Arc::new(BooleanArray::from(vec![cell != self.all])))
    }
}

/// The number of different values; none for types without equality.
pub(super) fn different(dtype: &DataType) -> Option<Box<dyn Accumulator>> {
    keys(&arrow::array::new_empty_array(dtype)).ok()?;
    Some(one(Different))
}

/// Mixes 64 bits by one wide multiplication, seeded by the process so that no input is slow on purpose.
#[derive(Clone)]
struct Mixing(u64);

impl Default for Mixing {
    fn default() -> Self {
        Mixing(RandomState::new().build_hasher().finish() | 1)
    }
}

impl BuildHasher for Mixing {
    type Hasher = Mixed;

    fn build_hasher(&self) -> Mixed {
        Mixed { seed: self.0, state: 0 }
    }
}

struct Mixed {
    seed: u64,
    state: u64,
}

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.state
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let wide = u128::from(self.state ^ value ^ self.seed) * 0x9E37_79B9_7F4A_7C15;
        let low = u64::try_from(wide & u128::from(u64::MAX)).unwrap_or_default();
        self.state = low ^ u64::try_from(wide >> 64).unwrap_or_default();
    }
}

/// What has been seen.
#[derive(Default)]
struct Seen {
    null: bool,
    bits: HashSet<u64, Mixing>,
    wide: HashSet<i128>,
    bytes: HashSet<Box<[u8]>>,
    length: usize,
}

impl Seen {
    fn insert(&mut self, value: &[u8]) {
        if !self.bytes.contains(value) {
            self.length += value.len();
            self.bytes.insert(value.into());
        }
    }
}

struct Different;

impl Fold for Different {
    type Cell = Seen;

    fn dtype(&self) -> DataType {
        DataType::Int64
    }

    fn enter(&self, cell: &mut Seen, values: &ArrayRef, _rows: usize) -> Result<()> {
        let nulls = values.logical_nulls().filter(|n| n.null_count() > 0);
        cell.null |= nulls.is_some();
        let valid = |row: &usize| nulls.as_ref().is_none_or(|n| n.is_valid(*row));
        let rows = (0..values.len()).filter(valid);
        match keys(values)? {
            Keys::Bits(bits) => cell.bits.extend(rows.filter_map(|r| bits.get(r))),
            Keys::Wide(wide) => cell.wide.extend(rows.filter_map(|r| wide.get(r))),
            Keys::Text(text) => rows.for_each(|r| cell.insert(text.value(r).as_bytes())),
            Keys::Bytes(bytes) => rows.for_each(|r| cell.insert(bytes.value(r))),
            Keys::Rows(encoded) => rows.for_each(|r| cell.insert(encoded.row(r).as_ref())),
        }
        Ok(())
    }

    fn join(&self, cell: &mut Seen, later: Seen) -> Result<()> {
        cell.null |= later.null;
        cell.bits.extend(later.bits);
        cell.wide.extend(later.wide);
        for value in later.bytes {
            cell.length += value.len();
            let length = value.len();
            if !cell.bytes.insert(value) {
                cell.length -= length;
            }
        }
        Ok(())
    }

    fn answer(&self, cell: Seen) -> Result<ArrayRef> {
        let count = usize::from(cell.null) + cell.bits.len() + cell.wide.len() + cell.bytes.len();
        let count = i64::try_from(count).map_err(|_| Error::Stream("n_unique exceeds int64".into()))?;
        Ok(Arc::new(Int64Array::from(vec![count])))
    }

    fn bytes(&self, cell: &Seen) -> usize {
        // a table keeps a byte of its own a slot and fills 7 of 8; an allocation takes about 16 bytes more
        let slots = |capacity: usize, size: usize| capacity / 7 * 8 * (size + 1);
        slots(cell.bits.capacity(), 8)
            + slots(cell.wide.capacity(), 16)
            + slots(cell.bytes.capacity(), 16)
            + cell.bytes.len() * 16
            + cell.length
    }
}
