//! What the columns of a file are: by the file's own types, and by the Arrow schema that its writer may have left.
//!
//! The embedded Arrow schema says what Parquet's types cannot: a time zone, a duration, a dictionary of text, a list's
//! layout. It is advice, and it may be wrong: an edited file, or a writer that changed the unit. So each column starts
//! from its Parquet type and takes from the advice only what does not contradict it, as pyarrow does. What the
//! advice cannot say is decoded as found and cast when a batch is formed.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, TimeUnit};
use parquet::arrow::{ARROW_SCHEMA_META_KEY, parquet_to_arrow_schema};
use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::file::metadata::{FileMetaData, KeyValue, ParquetMetaData};
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use crate::dtype::MAX_TYPE_DEPTH;
use crate::error::{Error, Result};

/// The footer with `INTERVAL` columns as the 12 bytes that they are, so that none is decoded to a type without
/// months. Those of a file whose Arrow schema comes from the same crate keep the interval that it names.
///
/// # Errors
/// A schema that cannot be built again.
pub fn without_intervals(footer: ParquetMetaData) -> Result<ParquetMetaData> {
    let file = footer.file_metadata();
    let ours = file.created_by().is_some_and(|by| by.starts_with("parquet-rs"));
    let named = ours && advice(&footer).is_some_and(|all| all.iter().any(|kv| kv.key == ARROW_SCHEMA_META_KEY));
    if named || !file.schema_descr().columns().iter().any(|c| c.converted_type() == ConvertedType::INTERVAL) {
        return Ok(footer);
    }
    let schema = SchemaDescriptor::new(bare(&file.schema_descr().root_schema_ptr(), &is_interval)?);
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(ToOwned::to_owned),
        file.key_value_metadata().cloned(),
        Arc::new(schema),
        file.column_orders().cloned(),
    );
    Ok(ParquetMetaData::new(file, footer.row_groups().to_vec()))
}

/// The root columns of a file, each in the type that it is announced and, text apart, decoded as.
///
/// # Errors
/// [`Error::Format`] for types that contradict themselves, or that are nested deeper than anybody reads.
pub fn columns(footer: &ParquetMetaData) -> Result<Fields> {
    let descriptor = footer.file_metadata().schema_descr();
    let own = parquet_to_arrow_schema(descriptor, None)?;
    if let Some(deep) = own.fields().iter().find(|f| deeper(f.data_type(), MAX_TYPE_DEPTH)) {
        return Err(Error::Format(format!("column `{}` is nested deeper than {MAX_TYPE_DEPTH} levels", deep.name())));
    }
    // a time zone is advised with the unit that the writer had, which the file's own unit would overrule unseen
    let open = SchemaDescriptor::new(bare(&descriptor.root_schema_ptr(), &is_timestamp)?);
    let advised = parquet_to_arrow_schema(&open, advice(footer)).unwrap_or_else(|_| own.clone());
    let logical = descriptor.root_schema().get_fields();
    Ok(own
        .fields()
        .iter()
        .zip(advised.fields())
        .zip(logical)
        .map(|((own, advised), logical)| named_extension(settled(own, advised), logical))
        .collect())
}

fn advice(footer: &ParquetMetaData) -> Option<&Vec<KeyValue>> {
    footer.file_metadata().key_value_metadata()
}

fn is_interval(leaf: &Type) -> bool {
    leaf.get_basic_info().converted_type() == ConvertedType::INTERVAL
}

fn is_timestamp(leaf: &Type) -> bool {
    let info = leaf.get_basic_info();
    let converted = matches!(info.converted_type(), ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS);
    leaf.get_physical_type() == Physical::INT64
        && (converted || matches!(info.logical_type_ref(), Some(LogicalType::Timestamp(_))))
}

/// `of` with the annotations taken off those leaves that `strip` names.
fn bare(of: &TypePtr, strip: &dyn Fn(&Type) -> bool) -> Result<TypePtr> {
    match of.as_ref() {
        Type::GroupType { basic_info, fields } => {
            let fields = fields.iter().map(|f| bare(f, strip)).collect::<Result<_>>()?;
            Ok(Arc::new(Type::GroupType { basic_info: basic_info.clone(), fields }))
        }
        leaf @ Type::PrimitiveType { basic_info, physical_type, type_length, .. } if strip(leaf) => {
            let id = basic_info.has_id().then(|| basic_info.id());
            let mut builder =
                Type::primitive_type_builder(leaf.name(), *physical_type).with_length(*type_length).with_id(id);
            if basic_info.has_repetition() {
                builder = builder.with_repetition(basic_info.repetition());
            }
            Ok(Arc::new(builder.build()?))
        }
        Type::PrimitiveType { .. } => Ok(of.clone()),
    }
}

fn deeper(dtype: &DataType, left: usize) -> bool {
    let within = |f: &FieldRef| left == 0 || deeper(f.data_type(), left - 1);
    match dtype {
        DataType::List(f) | DataType::Map(f, _) => within(f),
        DataType::Struct(fields) => fields.iter().any(within),
        _ => false,
    }
}

fn settled(own: &FieldRef, advised: &FieldRef) -> Field {
    own.as_ref()
        .clone()
        .with_data_type(settled_type(own.data_type(), advised.data_type()))
        .with_metadata(advised.metadata().clone())
}

/// What is left of advice that was given for a column whose own type is `own`.
fn settled_type(own: &DataType, advised: &DataType) -> DataType {
    use DataType::{
        Binary, BinaryView, Date64, Decimal32, Decimal64, Decimal128, Decimal256, Dictionary, Duration, FixedSizeList,
        Int32, Int64, Interval, LargeBinary, LargeList, LargeListView, LargeUtf8, List, ListView, Map, Struct, Time32,
        Timestamp, Utf8, Utf8View,
    };
    let item = |own: &FieldRef, advised: &FieldRef| Arc::new(settled(own, advised));
    match (own, advised) {
        (Timestamp(unit, Some(_)), Timestamp(_, Some(zone))) => Timestamp(*unit, Some(zone.clone())),
        // what Parquet has no word for; some writers leave it bare
        (Int64, Duration(_) | Timestamp(TimeUnit::Second, _) | Date64)
        | (Int32, Time32(TimeUnit::Second))
        | (Interval(IntervalUnit::DayTime), Interval(_)) => advised.clone(),
        (Utf8, LargeUtf8 | Utf8View) | (Binary, LargeBinary | BinaryView) => advised.clone(),
        (
            Decimal128(digits, scale),
            Decimal32(other, places) | Decimal64(other, places) | Decimal256(other, places),
        ) if (digits, scale) == (other, places) => advised.clone(),
        // dictionaries of anything but text save nothing, and most cannot be decoded as such
        (Utf8, Dictionary(key, value)) if matches!(**value, Utf8 | LargeUtf8 | Utf8View) => {
            Dictionary(key.clone(), Box::new(Utf8))
        }
        (Binary, Dictionary(key, value)) if matches!(**value, Binary | LargeBinary | BinaryView) => {
            Dictionary(key.clone(), Box::new(Binary))
        }
        (own, Dictionary(_, value)) => settled_type(own, value),
        (List(o), List(a)) => List(item(o, a)),
        (List(o), LargeList(a)) => LargeList(item(o, a)),
        (List(o), ListView(a)) => ListView(item(o, a)),
        (List(o), LargeListView(a)) => LargeListView(item(o, a)),
        (List(o), FixedSizeList(a, n)) => FixedSizeList(item(o, a), *n),
        (Map(o, sorted), Map(a, says)) => Map(item(o, a), *sorted || *says),
        (Struct(own), Struct(advised))
            if own.len() == advised.len() && own.iter().zip(advised).all(|(o, a)| o.name() == a.name()) =>
        {
            Struct(own.iter().zip(advised).map(|(o, a)| settled(o, a)).collect())
        }
        _ => own.clone(),
    }
}

/// The name that Arrow has for a logical type it stores as something plainer.
fn named_extension(field: Field, logical: &Type) -> Field {
    let info = logical.get_basic_info();
    let name = match (info.logical_type_ref(), info.converted_type(), field.data_type()) {
        (Some(LogicalType::Uuid), _, DataType::FixedSizeBinary(16)) => "arrow.uuid",
        (Some(LogicalType::Json), _, DataType::Utf8) | (None, ConvertedType::JSON, DataType::Utf8) => "arrow.json",
        _ => return field,
    };
    let mut metadata = field.metadata().clone();
    for (key, value) in [("ARROW:extension:name", name), ("ARROW:extension:metadata", "")] {
        if metadata.get(key).is_none() {
            metadata.insert(key.to_owned(), value.to_owned());
        }
    }
    field.with_metadata(metadata)
}
