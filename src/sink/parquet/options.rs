//! What a caller may say about a Parquet file, checked; and what Parquet can hold.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date64Type, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::{ARROW_SCHEMA_META_KEY, ArrowSchemaConverter, encode_arrow_schema};
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnPath, SchemaDescriptor};

use crate::dtype::dtype_name;
use crate::error::{Error, Result, listed};

/// Rows of a row group where nobody says otherwise.
const ROW_GROUP_SIZE: usize = 262_144;
/// Types nested deeper than this are refused.
const DEEPEST: usize = 64;
const DAY_MS: i64 = 86_400_000;

/// The options of `write_parquet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParquetOptions {
    /// `zstd`, `snappy`, `gzip`, `brotli`, `lz4` (raw), or none of them.
    pub compression: Option<String>,
    /// The level, for `zstd` (1 to 22; 1 where nothing is said), `gzip` (0 to 9; 6) and `brotli` (0 to 11; 1).
    pub compression_level: Option<i64>,
    /// The most rows of a row group.
    pub row_group_size: usize,
    /// The bytes of rows, not yet encoded, that end a row group; `None`: 64 MiB or an eighth of the memory limit.
    pub row_group_bytes: Option<usize>,
    /// Whether row groups and pages carry smallest and largest values.
    pub statistics: bool,
    /// The columns that get a bloom filter.
    pub bloom_filters: Vec<String>,
    /// Whether values that repeat are written as a dictionary.
    pub dictionary: bool,
    /// Checksums of pages. `None`: where they can be written, which is nowhere yet.
    pub page_checksums: Option<bool>,
    /// The columns that the rows are sorted by, ascending, nulls first. It is checked, and noted in the file.
    pub sorted_by: Vec<String>,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self {
            compression: Some("zstd".into()),
            compression_level: None,
            row_group_size: ROW_GROUP_SIZE,
            row_group_bytes: None,
            statistics: true,
            bloom_filters: Vec::new(),
            dictionary: true,
            page_checksums: None,
            sorted_by: Vec::new(),
        }
    }
}

impl ParquetOptions {
    /// The compression and its level.
    fn codec(&self) -> Result<Compression> {
        let name = self.compression.as_deref().unwrap_or("none");
        let level = |lowest: i64, default: i64, highest: i64| -> Result<i64> {
            let level = self.compression_level.unwrap_or(default);
            if (lowest..=highest).contains(&level) {
                Ok(level)
            } else {
                Err(Error::Value(format!("`compression_level` of {name} must be {lowest} to {highest}, found {level}")))
            }
        };
        // each level was checked, so the narrowing loses nothing
        let small = |level: i64| u32::try_from(level).unwrap_or_default();
        let codec = match name {
            "zstd" => Compression::ZSTD(ZstdLevel::try_new(i32::try_from(level(1, 1, 22)?).unwrap_or(1))?),
            "gzip" => Compression::GZIP(GzipLevel::try_new(small(level(0, 6, 9)?))?),
            "brotli" => Compression::BROTLI(BrotliLevel::try_new(small(level(0, 1, 11)?))?),
            "snappy" => Compression::SNAPPY,
            "lz4" | "lz4_raw" => Compression::LZ4_RAW,
            "none" | "uncompressed" => Compression::UNCOMPRESSED,
            _ => {
                return Err(Error::Value(format!(
                    "`compression`: expected \"zstd\", \"snappy\", \"gzip\", \"brotli\", \"lz4\" or None, found `{name}`"
                )));
            }
        };
        let levelled = matches!(codec, Compression::ZSTD(_) | Compression::GZIP(_) | Compression::BROTLI(_));
        match self.compression_level {
            Some(level) if !levelled => {
                Err(Error::Value(format!("`compression_level`: {name} has no levels, found {level}; leave it out")))
            }
            _ => Ok(codec),
        }
    }

    /// Bytes that one compressor works in: they are the C library's, and leased by this table.
    pub(super) fn codec_bytes(&self) -> usize {
        let level = self.compression_level.unwrap_or(1);
        match self.compression.as_deref() {
            Some("zstd") if level <= 4 => 3 << 20,
            Some("zstd") if level <= 9 => 8 << 20,
            Some("zstd") if level <= 15 => 20 << 20,
            Some("zstd") => 48 << 20,
            Some("brotli") => 24 << 20,
            _ => 1 << 20,
        }
    }

    /// The writer's properties.
    pub(super) fn properties(&self, announced: &Schema, written: &SchemaRef) -> Result<WriterProperties> {
        if self.row_group_size == 0 || self.row_group_bytes == Some(0) {
            return Err(Error::Value("`row_group_size` and `row_group_bytes` must be at least 1, found 0".into()));
        }
        if self.page_checksums == Some(true) {
            return Err(Error::NotImplemented("page_checksums=True is not built yet; leave it out".into()));
        }
        let statistics = if self.statistics { EnabledStatistics::Page } else { EnabledStatistics::None };
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("batchstream version ", env!("CARGO_PKG_VERSION")).into())
            .set_compression(self.codec()?)
            .set_dictionary_enabled(self.dictionary)
            .set_statistics_enabled(statistics)
            .set_max_row_group_row_count(Some(self.row_group_size))
            .set_key_value_metadata(Some(vec![KeyValue::new(
                ARROW_SCHEMA_META_KEY.to_owned(),
                encode_arrow_schema(written),
            )]));
        let most = self.row_group_size as u64;
        for name in &self.bloom_filters {
            let field = flat(announced, name, "bloom_filters")?;
            if *field.data_type() == DataType::Boolean {
                return Err(Error::Value(format!("`bloom_filters`: column `{name}` is bool, which needs none")));
            }
            let path = ColumnPath::new(vec![name.clone()]);
            properties = properties
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_fpp(path.clone(), 0.01)
                .set_column_bloom_filter_max_ndv(path, most);
        }
        if !self.sorted_by.is_empty() {
            let descriptor = converted(written)?;
            let leaf = |name: &String| {
                flat(announced, name, "sorted_by")?;
                let at = descriptor.columns().iter().position(|c| c.path().parts() == [name.clone()]);
                let column_idx = at.and_then(|at| i32::try_from(at).ok()).unwrap_or_default();
                Ok(SortingColumn { column_idx, descending: false, nulls_first: true })
            };
            let columns = self.sorted_by.iter().map(leaf).collect::<Result<Vec<_>>>()?;
            properties = properties.set_sorting_columns(Some(columns));
        }
        Ok(properties.build())
    }
}

/// The column `name`, which an option speaks of and which must not be nested.
fn flat<'a>(schema: &'a Schema, name: &str, option: &str) -> Result<&'a Field> {
    let names = || schema.fields().iter().map(|f| f.name().as_str());
    let field =
        schema.field_with_name(name).map_err(|_| Error::no_column(name, names()).context(format!("`{option}`")))?;
    if field.data_type().is_nested() {
        return Err(Error::Value(format!(
            "`{option}`: column `{name}` is {}, which is nested",
            dtype_name(field.data_type())
        )));
    }
    Ok(field)
}

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
