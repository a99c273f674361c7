//! Which kind of value a flat column has, by what is stored and what is announced.

use arrow::datatypes::DataType;
use parquet::basic::Type;
use parquet::file::metadata::ColumnChunkMetaData;

use super::boolean::Booleans;
use super::column::Kind;
use super::fixed::Fixed;
use super::form::{Form, eights, fours, length, ones, sixteens, thirty_twos, twos};
use super::text::Text;
use super::wide::Wide;
use crate::memory::Holder;

/// What is done with values of whichever kind it is.
pub trait Use {
    /// What comes of it.
    type Out;

    /// Does it.
    fn with<K: Kind + 'static>(self, kind: K) -> Self::Out;
}

/// Uses the kind that the values of `column`, announced as `to`, have; what it takes beside its pages and the rows that are
/// read is leased of `holder`; some rows of text with more than `wide` bytes are told. `None` where only the crate decodes such values.
pub fn kind<U: Use>(
    column: &ColumnChunkMetaData,
    to: &DataType,
    holder: &Holder,
    wide: usize,
    used: U,
) -> Option<U::Out> {
    Some(match (column.column_type(), to) {
        (Type::BOOLEAN, DataType::Boolean) => used.with(Booleans::default()),
        (Type::BYTE_ARRAY, DataType::Utf8 | DataType::Binary) => used.with(Text::new(to, holder.empty(), wide)),
        (_, DataType::FixedSizeBinary(announced)) => {
            let stored = length(column).filter(|stored| usize::try_from(*announced) == Ok(*stored))?;
            // bytes are a number's where it is stored in memory as it is in the file
            match stored {
                1 if LITTLE => used.with(Fixed::<u8>::new(to, Form::same(column)?, holder.clone())),
                2 if LITTLE => used.with(Fixed::<u16>::new(to, Form::same(column)?, holder.clone())),
                4 if LITTLE => used.with(Fixed::<u32>::new(to, Form::same(column)?, holder.clone())),
                8 if LITTLE => used.with(Fixed::<u64>::new(to, Form::same(column)?, holder.clone())),
                16 if LITTLE => used.with(Fixed::<u128>::new(to, Form::same(column)?, holder.clone())),
                _ => used.with(Wide::new(to, Form::same(column)?)),
            }
        }
        _ => match to.primitive_width()? {
            1 => used.with(Fixed::new(to, ones(column, to)?, holder.clone())),
            2 => used.with(Fixed::new(to, twos(column, to)?, holder.clone())),
            4 => used.with(Fixed::new(to, fours(column, to)?, holder.clone())),
            8 => used.with(Fixed::new(to, eights(column, to)?, holder.clone())),
            16 => used.with(Fixed::new(to, sixteens(column, to)?, holder.clone())),
            32 => used.with(Fixed::new(to, thirty_twos(column, to)?, holder.clone())),
            _ => return None,
        },
    })
}

const LITTLE: bool = cfg!(target_endian = "little");
