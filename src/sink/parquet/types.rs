//! What Parquet can hold, and as what.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date64Type, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowSchemaConverter;
use parquet::schema::types::SchemaDescriptor;

use crate::dtype::dtype_name;
use crate::error::{Error, Result, listed};

/// Types nested deeper than this are refused.
const DEEPEST: usize = 64;
const DAY_MS: i64 = 86_400_000;

/// The Parquet schema, or the first column that it cannot hold.
pub(super) fn converted(written: &Schema) -> Result<SchemaDescriptor> {
    let convert = |schema: &Schema| ArrowSchemaConverter::new().convert(schema);
    convert(written).map_err(|whole| {
        let fields = written.fields().iter();
        let found = fields.map(|f| (f, convert(&Schema::new(vec![f.clone()])))).find_map(|(f, r)| Some((f, r.err()?)));
        match found {
            Some((field, e)) => refused(field, &e.to_string()),
            None => Error::Schema(format!("Parquet cannot hold this schema: {whole}")),
        }
    })
}

fn refused(field: &Field, why: &str) -> Error {
    Error::Schema(format!(
        "column `{}`: Parquet has no type for {}: {why}; cast or drop it first",
        field.name(),
        dtype_name(field.data_type()),
    ))
}

/// The schema in types that Parquet has, and in the layouts that other readers know.
pub(super) fn written_schema(schema: &Schema) -> Result<SchemaRef> {
    if schema.fields().is_empty() {
        return Err(Error::Schema("a Parquet file needs at least one column, found none".into()));
    }
    let mut names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    names.sort_unstable();
    let twice: Vec<&str> = names.windows(2).filter(|w| w[0] == w[1]).map(|w| w[0]).collect();
    if !twice.is_empty() {
        return Err(Error::Schema(format!("two columns are called {}; rename or drop one", listed(&twice))));
    }
    let fields = schema.fields().iter().map(|f| Ok(Arc::new(written_field(f, f, 0)?))).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())))
}

/// `field` as it is written; `top` is the column that it is part of.
fn written_field(field: &Field, top: &Field, depth: usize) -> Result<Field> {
    Ok(field.clone().with_data_type(written_type(field.data_type(), top, depth)?))
}

fn written_type(data_type: &DataType, top: &Field, depth: usize) -> Result<DataType> {
    use DataType as T;
    if depth > DEEPEST {
        return Err(refused(top, "it is nested too deeply"));
    }
    let inner = |f: &Arc<Field>| Ok::<_, Error>(Arc::new(written_field(f, top, depth + 1)?));
    Ok(match data_type {
        T::Utf8View => T::Utf8,
        T::BinaryView => T::Binary,
        T::Timestamp(TimeUnit::Second, zone) => T::Timestamp(TimeUnit::Millisecond, zone.clone()),
        T::Time32(TimeUnit::Second) => T::Time32(TimeUnit::Millisecond),
        T::Date64 => T::Date32,
        T::Decimal32(p, s) | T::Decimal64(p, s) => T::Decimal128(*p, *s),
        T::RunEndEncoded(_, values) => written_type(values.data_type(), top, depth + 1)?,
        T::Dictionary(key, value) => T::Dictionary(key.clone(), Box::new(written_type(value, top, depth + 1)?)),
        T::List(f) | T::ListView(f) => T::List(inner(f)?),
        T::LargeList(f) | T::LargeListView(f) => T::LargeList(inner(f)?),
        T::FixedSizeList(f, n) => T::FixedSizeList(inner(f)?, *n),
        T::Map(entries, sorted) => T::Map(Arc::new(map_entries(entries, top, depth)?), *sorted),
        T::Struct(fields) => T::Struct(fields.iter().map(inner).collect::<Result<Vec<_>>>()?.into()),
        T::Union(..) => return Err(refused(top, "it is a union")),
        T::Interval(_) => return Err(refused(top, "calendar intervals are read alike by no two readers")),
        other => other.clone(),
    })
}

/// The entries of a map, under the names that the format prescribes.
fn map_entries(entries: &Field, top: &Field, depth: usize) -> Result<Field> {
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(refused(top, "its entries are no pairs"));
    };
    let pair = fields.iter().zip(["key", "value"]);
    let pair = pair.map(|(f, name)| Ok(Arc::new(written_field(f, top, depth + 1)?.with_name(name))));
    let pair = pair.collect::<Result<Vec<_>>>()?;
    Ok(Field::new("key_value", DataType::Struct(pair.into()), false))
}

/// Refuses values that the cast to the written type would change without a word.
pub(super) fn check_values(name: &str, column: &ArrayRef) -> Result<()> {
    if let Some(days) = column.as_primitive_opt::<Date64Type>()
        && let Some(odd) = days.iter().flatten().find(|ms| ms.rem_euclid(DAY_MS) != 0)
    {
        return Err(Error::value_in(
            name,
            odd.to_string(),
            format!("column `{name}`: {odd} ms is not a whole day, which date64 must be; cast it to \"timestamp[ms]\""),
        ));
    }
    Ok(())
}
