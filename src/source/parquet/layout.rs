//! What a file's columns are called, how they are announced, how they are decoded, and what a row of them takes.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Type as Physical;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::compact::schema_depth;
use super::guard::guarded;
use super::narrow::{Narrowed, narrow};
use super::types;
use super::wellformed::checked;
use crate::dtype::{MAX_TYPE_DEPTH, announced};
use crate::error::{Context as _, Error, Result};
use crate::source::read_at::ReadAt;

/// A root column of the file.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its position among the root columns.
    pub root: usize,
    /// Its leaves among all leaf columns.
    pub leaves: Range<usize>,
    /// What it is announced as.
    pub announced: DataType,
    /// Bytes that a decoded row takes, a row group at a time.
    bytes: Arc<[usize]>,
}

impl Column {
    /// Bytes that a row of row group `part` takes decoded, by the footer; for text an estimate.
    pub fn row_bytes(&self, part: usize) -> usize {
        self.bytes.get(part).copied().unwrap_or(16)
    }
}

/// The footer of a file, read once.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The footer, with the types that are decoded to: text as views into the pages, so that a short dictionary
    /// cannot grow into gigabytes before anybody knows the sizes.
    pub metadata: ArrowReaderMetadata,
    /// All root columns, in file order.
    pub columns: Vec<Column>,
    /// What is announced.
    pub schema: SchemaRef,
    /// The columns of which some leaves are left out.
    pub narrowed: Vec<Narrowed>,
}

/// The tail of every Parquet file: the footer's length and the magic bytes.
const TAIL: u64 = 8;
/// Groups within groups that a schema may have: a list takes two, a map two.
const DEEPEST: usize = 2 * MAX_TYPE_DEPTH + 2;

impl Layout {
    /// Reads the footer of `at`; columns that a path of `wanted` leads into have only the leaves that it leads to.
    ///
    /// # Errors
    /// [`Error::Format`] for whatever is no Parquet file; [`Error::ColumnNotFound`] for a path that ends nowhere.
    pub fn read(at: &dyn ReadAt, wanted: &[String]) -> Result<Self> {
        guarded("footer", || Self::read_unguarded(at, wanted)).map_err(|e| match e {
            Error::Format(what) if !what.starts_with(at.name()) => Error::Format(format!("{}: {what}", at.name())),
            e => e,
        })
    }

    fn read_unguarded(at: &dyn ReadAt, wanted: &[String]) -> Result<Self> {
        let footer = types::without_intervals(footer(at)?).context(|| at.name())?;
        let options = || ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Skip);
        let found = types::columns(&footer).context(|| at.name())?;
        let (footer, found, narrowed) = narrow(footer, found, wanted).context(|| at.name())?;
        let footer = Arc::new(footer);
        let wanted = Arc::new(Schema::new(found.iter().map(|f| decoded(f)).collect::<Fields>()));
        // a type that the crate cannot decode to is decoded as the file has it, and cast
        let metadata = ArrowReaderMetadata::try_new(footer.clone(), options().with_schema(wanted))
            .or_else(|_| ArrowReaderMetadata::try_new(footer, options().with_skip_arrow_metadata(true)))
            .context(|| at.name())?;
        let columns = columns(&metadata, &found)?;
        let fields: Vec<Field> = columns
            .iter()
            .zip(&found)
            .map(|(c, f)| Field::new(&c.name, c.announced.clone(), true).with_metadata(f.metadata().clone()))
            .collect();
        if let Some(twice) = fields.iter().enumerate().find(|(i, f)| fields[..*i].iter().any(|g| g.name() == f.name()))
        {
            return Err(Error::Schema(format!(
                "{}: two columns are called `{}`; read it with another tool and give one a new name",
                at.name(),
                twice.1.name()
            )));
        }
        Ok(Self { metadata, columns, schema: Arc::new(Schema::new(fields)), narrowed })
    }

    /// The footer itself.
    pub fn footer(&self) -> &Arc<ParquetMetaData> {
        self.metadata.metadata()
    }
}

fn footer(at: &dyn ReadAt) -> Result<ParquetMetaData> {
    let (name, size) = (at.name(), at.size());
    let bad = |what: String| Error::Format(format!("{name}: {what}"));
    if size < TAIL + 4 {
        return Err(bad(format!("expected a Parquet file, found {size} bytes; the smallest has 12")));
    }
    let mut tail = [0; 8];
    at.read_exact_at(&mut tail, size - TAIL)?;
    match &tail[4..] {
        b"PAR1" => {}
        b"PARE" => return Err(bad("its footer is encrypted, which is not supported".into())),
        _ => {
            let mut head = [0; 4];
            at.read_exact_at(&mut head, 0)?;
            let what =
                if &head == b"PAR1" { "a Parquet file that ends too early (truncated)" } else { "something else" };
            return Err(bad(format!("expected a Parquet file, found {what}")));
        }
    }
    let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    if length > size - TAIL {
        return Err(bad(format!("its footer announces {length} bytes, the file has {size}")));
    }
    let length = usize::try_from(length).map_err(|_| bad("footer too long".into()))?;
    let mut bytes = vec![0; length];
    at.read_exact_at(&mut bytes, size - TAIL - length as u64)?;
    let depth = schema_depth(&bytes, DEEPEST).ok_or_else(|| bad("its footer has no schema that can be read".into()))?;
    if depth > DEEPEST {
        return Err(bad(format!("its columns are nested deeper than {DEEPEST} groups")));
    }
    let footer = ParquetMetaDataReader::decode_metadata(&bytes).context(|| format!("{name}: footer"))?;
    checked(footer, size).context(|| name)
}

/// The type that a root column is decoded to.
fn decoded(field: &Field) -> Field {
    let to = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        other => other.clone(),
    };
    field.clone().with_data_type(to)
}

fn columns(metadata: &ArrowReaderMetadata, found: &Fields) -> Result<Vec<Column>> {
    let footer = metadata.metadata();
    let descriptor = footer.file_metadata().schema_descr();
    let mut columns: Vec<Column> = found
        .iter()
        .enumerate()
        .map(|(root, field)| Column {
            name: field.name().clone(),
            root,
            leaves: 0..0,
            announced: announced(field.data_type()),
            bytes: Arc::new([]),
        })
        .collect();
    for leaf in 0..descriptor.num_columns() {
        let root = descriptor.get_column_root_idx(leaf);
        let column = columns.get_mut(root).ok_or_else(|| Error::Format("a leaf without a root column".into()))?;
        let first = if column.leaves.is_empty() { leaf } else { column.leaves.start };
        column.leaves = first..leaf + 1;
    }
    for column in &mut columns {
        let leaves = column.leaves.clone();
        let kind = column.announced.clone();
        column.bytes = footer.row_groups().iter().map(|group| row_bytes(&kind, group, leaves.clone())).collect();
    }
    Ok(columns)
}

/// Bytes of a decoded row: the width where there is one, else what the footer says of the pages, at least 16.
fn row_bytes(kind: &DataType, group: &parquet::file::metadata::RowGroupMetaData, leaves: Range<usize>) -> usize {
    if let Some(width) = kind.primitive_width() {
        return width;
    }
    match kind {
        DataType::Boolean | DataType::Null => return 1,
        DataType::FixedSizeBinary(width) => return usize::try_from(*width).unwrap_or(0).clamp(1, 1 << 30),
        _ => {}
    }
    let rows = u64::try_from(group.num_rows()).unwrap_or(0).max(1);
    let bytes: u64 = leaves
        .map(|leaf| {
            let column = group.column(leaf);
            let text = column.unencoded_byte_array_data_bytes().and_then(|b| u64::try_from(b).ok());
            let values = u64::try_from(column.num_values()).unwrap_or(0);
            let stored = u64::try_from(column.uncompressed_size()).unwrap_or(0);
            // values that repeat take no bytes in the file
            let width = match column.column_type() {
                Physical::BOOLEAN => 1,
                Physical::INT32 | Physical::FLOAT => 4,
                _ => 8,
            };
            let least = values.saturating_mul(width);
            text.map_or(stored.max(least), |text| text.saturating_add(least))
        })
        .fold(0, u64::saturating_add);
    usize::try_from(bytes / rows).unwrap_or(usize::MAX).clamp(16, 1 << 30)
}
