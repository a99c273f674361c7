//! Bytes of anybody's, read as Parquet through the public API; the fuzz targets and `tests/core` share it.
//!
//! Whatever the bytes are, they give rows or an error that a user may see. A panic within our own files is a bug even
//! where it would come out as damage; the crate's own panics are taken for damage (`src/source/parquet/guard.rs`).

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Once};

use batchstream::context::Context;
use batchstream::error::Error;
use batchstream::expr::parse_predicate;
use batchstream::options::Options;
use batchstream::piece::{Pushdown, Source};
use batchstream::source::parquet::ParquetSource;
use batchstream::source::read_at::InMemory;
use batchstream::stage::exchange;
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaDataBuilder, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::SchemaDescriptor;

/// The budget of a run.
pub const LIMIT: usize = 4 << 20;
/// Rows that are read of a file at most: a few bytes can stand for 2³¹ of them.
const ROWS: usize = 100_000;

static OUR_PANICS: AtomicUsize = AtomicUsize::new(0);

/// What came of reading a file twice, the second time with a predicate: the rows, or the error's text.
pub type Outcome = [Result<usize, String>; 2];

/// Reads `bytes` as a Parquet file.
///
/// # Panics
/// Whatever is a bug.
pub fn file(bytes: &[u8]) -> Outcome {
    watch();
    let before = OUR_PANICS.load(Relaxed);
    let out = [false, true].map(|filtered| read(bytes, filtered).map_err(said));
    assert_eq!(OUR_PANICS.load(Relaxed), before, "a panic of ours, taken for damage: {out:?}");
    out
}

/// Reads `bytes` as the pages of a column; the first two bytes choose its type and codec, and its number of rows.
///
/// # Panics
/// Whatever is a bug.
pub fn pages(bytes: &[u8]) -> Outcome {
    let (head, body) = bytes.split_at(bytes.len().min(2));
    let of = |at: usize| head.get(at).copied().unwrap_or(0);
    let (choice, rows) = (usize::from(of(0)), i64::from(of(1)));
    file(&around(body, TYPES[choice % 8], CODECS[choice / 8 % 4], [rows, rows]))
}

/// Panics of ours are counted. The hook stands in front of the one that keeps silent about the crate's.
fn watch() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let _ = ParquetSource::open(Arc::new(InMemory::new("x", vec![0; 16])));
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let file = info.location().map_or("", |at| at.file());
            if file.contains("src/source/") || file.contains("src/stage/") {
                OUR_PANICS.fetch_add(1, Relaxed);
                eprintln!("{info}");
            }
            before(info);
        }));
    });
}

fn read(bytes: &[u8], filtered: bool) -> Result<usize, Error> {
    let mut source: Arc<dyn Source> = ParquetSource::open(Arc::new(InMemory::new("x.parquet", bytes.to_vec())))?;
    let schema = source.schema();
    if let Some(first) = schema.fields().first().filter(|_| filtered) {
        let quoted = first.name().replace('"', "\"\"");
        let predicate = parse_predicate(&format!("\"{quoted}\" is not null"));
        let wish = Pushdown { predicates: predicate.into_iter().collect(), ..Pushdown::default() };
        source = source.push(&wish)?.source;
    }
    let options =
        Options { threads: 1, prefetch: Some(0), batch_size: 1_000, memory_limit: Some(LIMIT), ..Options::default() };
    let context = Context::new(options.check()?, || Ok(()));
    let pieces = source.start(None, &context)?;
    let mut rows = 0;
    for held in exchange::rows(pieces, false, &context) {
        let batch = held?.batch;
        assert!(batch.num_rows() <= 1_000, "a batch of {} rows", batch.num_rows());
        for column in batch.columns() {
            column.to_data().validate_full().unwrap_or_else(|e| panic!("{}: {e}", column.data_type()));
        }
        rows += batch.num_rows();
        if rows > ROWS {
            break;
        }
    }
    assert!(context.memory.peak() <= LIMIT);
    Ok(rows)
}

/// The text of an error that a damaged file may give.
fn said(error: Error) -> String {
    let text = error.to_string();
    let allowed = matches!(
        error,
        Error::Format(_) | Error::MemoryLimit(_) | Error::Schema(_) | Error::NotImplemented(_) | Error::Parse { .. }
    );
    assert!(allowed && !text.contains("please report"), "{error:?}");
    text
}

const TYPES: [&str; 8] = [
    "message m { optional int64 a; }",
    "message m { optional binary a (UTF8); }",
    "message m { optional int32 a; }",
    "message m { optional boolean a; }",
    "message m { required double a; }",
    "message m { optional fixed_len_byte_array(5) a; }",
    "message m { optional int96 a; }",
    "message m { optional group a (LIST) { repeated group list { optional int32 element; } } }",
];
const CODECS: [Compression; 4] =
    [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::LZ4_RAW, Compression::LZ4];

/// A Parquet file whose one column chunk is `body`: so many rows, and so many values.
///
/// # Panics
/// For a message type that is none.
pub fn around(body: &[u8], text: &str, codec: Compression, [rows, values]: [i64; 2]) -> Vec<u8> {
    let root = Arc::new(parse_message_type(text).expect("a schema"));
    let schema = Arc::new(SchemaDescriptor::new(root));
    let stored = i64::try_from(body.len()).expect("a short file");
    let column = ColumnChunkMetaData::builder(schema.column(0))
        .set_encodings(vec![Encoding::PLAIN, Encoding::RLE])
        .set_compression(codec)
        .set_num_values(values)
        .set_total_compressed_size(stored)
        .set_total_uncompressed_size(stored.max(1 << 16))
        .set_data_page_offset(4)
        .build()
        .expect("a column");
    let group = RowGroupMetaData::builder(schema.clone())
        .set_num_rows(rows)
        .set_total_byte_size(stored)
        .add_column_metadata(column)
        .build()
        .expect("a row group");
    let file = FileMetaData::new(1, rows, None, None, schema, None);
    let footer = ParquetMetaDataBuilder::new(file).add_row_group(group).build();
    let mut out = [&b"PAR1"[..], body].concat();
    ParquetMetaDataWriter::new(&mut out, &footer).finish().expect("a footer");
    out
}
