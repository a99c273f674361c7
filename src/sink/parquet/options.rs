//! What a caller may say about a Parquet file, checked.

use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::{ARROW_SCHEMA_META_KEY, encode_arrow_schema};
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnPath, SchemaDescriptor};

use super::compress::Compressors;
use super::lane::Dictionary;
use super::pages::Press;
use crate::context::Context;
use crate::dtype::dtype_name;
use crate::error::{Error, Result};
use crate::memory::Holder;

/// Rows of a row group where nobody says otherwise.
const ROW_GROUP_SIZE: usize = 262_144;
/// Bytes of rows of a row group where nobody says otherwise.
const ROW_GROUP_BYTES: usize = 64 << 20;
/// Bytes of a page, and of a dictionary, where memory allows.
const PAGE_BYTES: usize = 1 << 20;
/// The smallest pages and dictionaries that are worth their headers.
const SMALLEST_PAGE: usize = 8 << 10;
/// A column costs about this much more with a dictionary, however small.
const DICTIONARY_COST: usize = 128 << 10;
/// Values that a bloom filter is made for at most: about 5 MiB.
const BLOOM_VALUES: usize = 4 << 20;

/// What may go into dictionaries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DictionaryOption {
    /// Every column where a sample says that it pays.
    Sampled,
    /// No column.
    Never,
    /// These columns, and no other.
    Columns(Vec<String>),
}

impl DictionaryOption {
    /// What it says of a column.
    pub(super) fn of(&self, name: &str) -> Dictionary {
        match self {
            Self::Sampled => Dictionary::Sampled,
            Self::Columns(names) if names.iter().any(|n| n == name) => Dictionary::Always,
            Self::Never | Self::Columns(_) => Dictionary::Never,
        }
    }
}

/// The options of `write_parquet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParquetOptions {
    /// `zstd`, `snappy`, `gzip`, `brotli`, `lz4` (raw), or none of them.
    pub compression: Option<String>,
    /// The level, for `zstd` (1 to 22; 1 where nothing is said), `gzip` (0 to 9; 6) and `brotli` (0 to 11; 1).
    pub compression_level: Option<i64>,
    /// The most rows of a row group. Without it and `row_group_bytes`: 262,144.
    pub row_group_size: Option<usize>,
    /// The bytes of rows, not yet encoded, that end a row group. Without it and `row_group_size`: 64 MiB.
    pub row_group_bytes: Option<usize>,
    /// Whether row groups and pages carry smallest and largest values.
    pub statistics: bool,
    /// The columns that get a bloom filter.
    pub bloom_filters: Vec<String>,
    /// Which columns are written as a dictionary.
    pub dictionary: DictionaryOption,
    /// Whether each page has its CRC-32.
    pub page_checksums: bool,
    /// The columns that the rows are sorted by, ascending, nulls first. It is checked, and noted in the file.
    pub sorted_by: Vec<String>,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self {
            compression: Some("zstd".into()),
            compression_level: None,
            row_group_size: None,
            row_group_bytes: None,
            statistics: true,
            bloom_filters: Vec::new(),
            dictionary: DictionaryOption::Sampled,
            page_checksums: true,
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

    /// The most rows, and the bytes that end a row group. What is said rules alone; where nothing is, both. Memory has
    /// no say: small row groups cost more of it in the end, by what the footer notes of each.
    pub(super) fn row_group_limits(&self) -> (usize, usize) {
        match (self.row_group_size, self.row_group_bytes) {
            (None, None) => (ROW_GROUP_SIZE, ROW_GROUP_BYTES),
            (rows, bytes) => (rows.unwrap_or(usize::MAX), bytes.unwrap_or(usize::MAX)),
        }
    }

    /// What is done to finished pages. They may hold an eighth of the memory limit.
    pub(super) fn press(&self, holder: &Holder, context: &Context) -> Result<Press> {
        let codec = self.codec()?;
        let zstd = match codec {
            Compression::ZSTD(level) => {
                Some(Compressors::new(level.compression_level(), self.codec_bytes(), holder.clone()))
            }
            _ => None,
        };
        let share = context.memory.limit().map(|limit| limit / 8);
        let holder = context.memory.holder("parquet pages", share);
        Ok(Press { codec, zstd, checksums: self.page_checksums, holder })
    }

    /// The properties of the file: what goes into its footer.
    pub(super) fn of_file(
        &self,
        announced: &Schema,
        written: &Schema,
        descriptor: &SchemaDescriptor,
    ) -> Result<WriterProperties> {
        if self.row_group_size == Some(0) || self.row_group_bytes == Some(0) {
            return Err(Error::Value("`row_group_size` and `row_group_bytes` must be at least 1, found 0".into()));
        }
        if let DictionaryOption::Columns(names) = &self.dictionary {
            for name in names {
                known(announced, name, "dictionary")?;
            }
        }
        let statistics = if self.statistics { EnabledStatistics::Page } else { EnabledStatistics::None };
        // what zstd compresses comes to us plain; see `compress`
        let codec = match self.codec()? {
            Compression::ZSTD(_) => Compression::UNCOMPRESSED,
            other => other,
        };
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("batchstream version ", env!("CARGO_PKG_VERSION")).into())
            .set_compression(codec)
            .set_statistics_enabled(statistics)
            .set_key_value_metadata(Some(vec![KeyValue::new(
                ARROW_SCHEMA_META_KEY.to_owned(),
                encode_arrow_schema(written),
            )]));
        let most = self.row_group_limits().0.min(BLOOM_VALUES) as u64;
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

/// The properties of the encoders of a file with so many `leaves`, whose pages and dictionaries must fit into memory
/// together.
pub(super) fn of_columns(of_file: &WriterProperties, leaves: usize, context: &Context) -> WriterProperties {
    let share = context.memory.limit().map_or(usize::MAX, |limit| limit / 8 / leaves.max(1));
    let page = (share / 4).clamp(SMALLEST_PAGE, PAGE_BYTES);
    of_file
        .clone()
        .into_builder()
        .set_key_value_metadata(None)
        .set_sorting_columns(None)
        .set_data_page_size_limit(page)
        .set_dictionary_page_size_limit(page)
        .set_dictionary_enabled(share >= DICTIONARY_COST)
        .build()
}

/// The column `name`, which an option speaks of.
fn known<'a>(schema: &'a Schema, name: &str, option: &str) -> Result<&'a Field> {
    let names = || schema.fields().iter().map(|f| f.name().as_str());
    schema.field_with_name(name).map_err(|_| Error::no_column(name, names()).context(format!("`{option}`")))
}

/// The same, where the column must not be nested.
fn flat<'a>(schema: &'a Schema, name: &str, option: &str) -> Result<&'a Field> {
    let field = known(schema, name, option)?;
    if field.data_type().is_nested() {
        return Err(Error::Value(format!(
            "`{option}`: column `{name}` is {}, which is nested",
            dtype_name(field.data_type())
        )));
    }
    Ok(field)
}
