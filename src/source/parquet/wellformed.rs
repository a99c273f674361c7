//! What a footer must not say: the crate takes sizes, counts and offsets as they come, and some of them on trust.

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataBuilder, RowGroupMetaData};

use crate::error::{Error, Result};

/// The magic bytes that a file begins with: no page can start before their end.
const MAGIC: i64 = 4;

/// `footer` of a file of `size` bytes, once its counts and offsets agree with each other.
///
/// Some writers fill in a dictionary offset although there is no dictionary; such an offset is dropped.
///
/// # Errors
/// [`Error::Format`] naming the row group and column that cannot be as the footer says.
pub fn checked(footer: ParquetMetaData, size: u64) -> Result<ParquetMetaData> {
    let leaves = footer.file_metadata().schema_descr().num_columns();
    let mut idle = false;
    for (i, group) in footer.row_groups().iter().enumerate() {
        if group.num_rows() < 0 || group.num_columns() != leaves {
            return Err(Error::Format(format!("row group {i}: its metadata does not fit the schema")));
        }
        for column in group.columns() {
            check(column, group, size).map_err(|what| {
                Error::Format(format!("row group {i}: column `{}`: {what}", column.column_path().string()))
            })?;
            idle |= column.dictionary_page_offset().is_some() && dictionary_offset(column).is_none();
        }
    }
    if !idle {
        return Ok(footer);
    }
    let mut builder: ParquetMetaDataBuilder = footer.into_builder();
    for group in builder.take_row_groups() {
        let columns = group
            .columns()
            .iter()
            .map(|column| column.clone().into_builder().set_dictionary_page_offset(dictionary_offset(column)).build());
        let columns = columns.collect::<parquet::errors::Result<Vec<_>>>()?;
        builder = builder.add_row_group(group.into_builder().set_column_metadata(columns).build()?);
    }
    Ok(builder.build())
}

/// Where the dictionary starts, if it can be one: before the data.
fn dictionary_offset(column: &ColumnChunkMetaData) -> Option<i64> {
    column.dictionary_page_offset().filter(|at| *at >= MAGIC && *at < column.data_page_offset())
}

fn check(column: &ColumnChunkMetaData, group: &RowGroupMetaData, size: u64) -> Result<(), String> {
    let (rows, values) = (group.num_rows(), column.num_values());
    let flat = column.column_descr().max_rep_level() == 0;
    if values < rows || (flat && values != rows) {
        return Err(format!("{values} values announced for {rows} rows"));
    }
    if values == 0 {
        return Ok(());
    }
    let start = dictionary_offset(column).unwrap_or(column.data_page_offset());
    let (data, stored) = (column.data_page_offset(), column.compressed_size());
    let end = u64::try_from(start).ok().zip(u64::try_from(stored).ok()).and_then(|(at, len)| at.checked_add(len));
    if start < MAGIC || end.is_none_or(|end| end > size || u64::try_from(data).is_ok_and(|data| data > end)) {
        return Err(format!("lies outside the file ({stored} bytes from byte {start} of {size})"));
    }
    if column.uncompressed_size() < 0 {
        return Err(format!("takes {} bytes uncompressed", column.uncompressed_size()));
    }
    Ok(())
}
