//! The crate's decoder is the oracle: the same rows for every shape, page, codec, window and selection.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, FixedSizeBinaryArray, FixedSizeListArray, Float64Array,
    GenericListArray, Int16Array, Int32Array, Int64Array, MapArray, OffsetSizeTrait, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{concat, filter};
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::properties::{WriterProperties, WriterVersion};

use super::super::codec::{Codec, Desk};
use super::super::flat::Selection;
use super::super::layout::Layout;
use super::super::pages::{Chunk, Pages};
use crate::error::{Error, Result};
use crate::memory::MemoryPool;
use crate::source::read_at::InMemory;

/// A cheap source of numbers that look random.
pub(super) struct Random(pub u64);

impl Random {
    pub(super) fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.next(n) == 0
    }
}

/// A type nested `depth` times at most.
fn dtype(random: &mut Random, depth: usize) -> DataType {
    if depth == 0 {
        return match random.next(9) {
            0 => DataType::Int32,
            1 => DataType::Utf8,
            2 => DataType::Boolean,
            3 => DataType::Float64,
            4 => DataType::Timestamp(TimeUnit::Microsecond, None),
            5 => DataType::Int16,
            6 => DataType::Decimal128(20, 2),
            7 => DataType::FixedSizeBinary(5),
            _ => DataType::Int64,
        };
    }
    let mut field = |name: &str| {
        let depth = depth - 1 - random.next(2).min(depth - 1);
        let to = dtype(random, depth);
        Field::new(name, to, random.next(3) > 0)
    };
    let first = field("element");
    let more = [field("b"), field("c")];
    match random.next(8) {
        0 => DataType::LargeList(Arc::new(first)),
        // the nulls that stand in for a list that is not there are elements
        7 => DataType::FixedSizeList(Arc::new(first.with_nullable(true)), 1 + random.next(3) as i32),
        1 | 2 => {
            let count = random.next(3);
            DataType::Struct(std::iter::once(first.with_name("a")).chain(more.into_iter().take(count)).collect())
        }
        3 => {
            let [value, _] = more;
            let key = Field::new("key", [DataType::Utf8, DataType::Int64][random.next(2)].clone(), false);
            let entry = DataType::Struct(Fields::from(vec![key, value.with_name("value")]));
            DataType::Map(Arc::new(Field::new("key_value", entry, false)), false)
        }
        _ => DataType::List(Arc::new(first)),
    }
}

/// Whether each of `len` is there: in runs, here and there, or nowhere.
fn nulls(random: &mut Random, len: usize, nullable: bool) -> Option<NullBuffer> {
    if !nullable {
        return None;
    }
    let style = random.next(5);
    let mut last = true;
    let valid = (0..len).map(|_| match style {
        0 => true,
        1 => random.next(3) > 0,
        2 => false,
        _ => {
            if random.one_in(40) {
                last = !last;
            }
            last
        }
    });
    Some(NullBuffer::from(valid.collect::<Vec<_>>()))
}

/// Where each of `len` lists begins, and the last one ends.
fn offsets<O: OffsetSizeTrait>(random: &mut Random, len: usize) -> OffsetBuffer<O> {
    let style = random.next(4);
    OffsetBuffer::from_lengths((0..len).map(|_| match style {
        0 => 1,
        1 => random.next(4),
        2 if random.one_in(30) => random.next(300),
        2 => 0,
        _ => [0, 0, 1, 2, 9][random.next(5)],
    }))
}

fn list<O: OffsetSizeTrait>(random: &mut Random, element: &Arc<Field>, len: usize, nullable: bool) -> ArrayRef {
    let offsets = offsets::<O>(random, len);
    let items = offsets[len].as_usize();
    let items = values(random, element.data_type(), items, element.is_nullable());
    Arc::new(GenericListArray::try_new(element.clone(), offsets, items, nulls(random, len, nullable)).expect("a list"))
}

/// `len` values of `to`.
pub(super) fn values(random: &mut Random, to: &DataType, len: usize, nullable: bool) -> ArrayRef {
    let of = nulls(random, len, nullable);
    let distinct = [3, 200, 1 << 20][random.next(3)];
    let number = |random: &mut Random| i64::try_from(random.next(distinct)).expect("small");
    match to {
        DataType::Int32 => {
            Arc::new(Int32Array::new((0..len).map(|_| number(random) as i32).collect::<Vec<_>>().into(), of))
        }
        DataType::Int64 => Arc::new(Int64Array::new((0..len).map(|_| number(random)).collect::<Vec<_>>().into(), of)),
        DataType::Int16 => {
            Arc::new(Int16Array::new((0..len).map(|_| number(random) as i16).collect::<Vec<_>>().into(), of))
        }
        DataType::Decimal128(..) => {
            let numbers = (0..len).map(|_| i128::from(number(random)) - 100).collect::<Vec<_>>();
            Arc::new(Decimal128Array::new(numbers.into(), of).with_data_type(to.clone()))
        }
        DataType::FixedSizeBinary(width) => {
            let bytes: Vec<u8> = (0..len).flat_map(|_| number(random).to_le_bytes()[..5].to_vec()).collect();
            Arc::new(FixedSizeBinaryArray::new(*width, bytes.into(), of))
        }
        DataType::Timestamp(..) => {
            Arc::new(TimestampMicrosecondArray::new((0..len).map(|_| number(random)).collect::<Vec<_>>().into(), of))
        }
        DataType::Float64 => {
            Arc::new(Float64Array::new((0..len).map(|_| number(random) as f64).collect::<Vec<_>>().into(), of))
        }
        DataType::Boolean => {
            Arc::new(BooleanArray::new((0..len).map(|_| random.one_in(3)).collect::<Vec<_>>().into(), of))
        }
        DataType::Utf8 => {
            let text = |i| "é".repeat(random.next(20)) + &random.next(distinct + i % 2).to_string();
            let all: Vec<String> = (0..len).map(text).collect();
            let valid = |i: usize| of.as_ref().is_none_or(|of| of.is_valid(i));
            Arc::new(all.iter().enumerate().map(|(i, s)| valid(i).then_some(s)).collect::<StringArray>())
        }
        DataType::List(element) => list::<i32>(random, element, len, nullable),
        DataType::LargeList(element) => list::<i64>(random, element, len, nullable),
        DataType::FixedSizeList(element, size) => {
            let items = values(random, element.data_type(), len * *size as usize, element.is_nullable());
            Arc::new(FixedSizeListArray::try_new(element.clone(), *size, items, of).expect("a list"))
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().map(|f| values(random, f.data_type(), len, f.is_nullable())).collect();
            Arc::new(StructArray::try_new(fields.clone(), columns, of).expect("a struct"))
        }
        DataType::Map(entry, sorted) => {
            let offsets = offsets::<i32>(random, len);
            let entries = offsets[len] as usize;
            let entries = values(random, entry.data_type(), entries, false);
            let entries = entries.as_any().downcast_ref::<StructArray>().expect("a struct").clone();
            Arc::new(MapArray::try_new(entry.clone(), offsets, entries, of, *sorted).expect("a map"))
        }
        other => unreachable!("{other}"),
    }
}

pub(super) fn file(column: &ArrayRef, nullable: bool, properties: WriterProperties) -> Vec<u8> {
    let schema = Arc::new(Schema::new(vec![Field::new("x", column.data_type().clone(), nullable)]));
    let batch = RecordBatch::try_new(schema, vec![column.clone()]).expect("one column");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a footer");
    bytes
}

pub(super) fn oracle(bytes: &[u8]) -> ArrayRef {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::copy_from_slice(bytes)).expect("a file");
    let batches: Vec<ArrayRef> =
        builder.build().expect("a reader").map(|b| b.expect("rows").column(0).clone()).collect();
    concat(&batches.iter().map(AsRef::as_ref).collect::<Vec<_>>()).expect("one type")
}

/// How a column is read.
#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    /// Rows that are only passed, and then again behind each that many windows.
    pub passed: usize,
    /// Rows of the windows, over and over.
    pub steps: Vec<usize>,
    pub mask: Option<BooleanArray>,
    /// Pages that are read instead of the file's, and how they are stored.
    pub pages: Option<Vec<u8>>,
    pub limit: Option<usize>,
    /// Whether pages are taken off, and some of them read by others.
    pub helped: bool,
    /// Bytes that are too many for a window, which is left out then.
    pub wide: Option<usize>,
}

/// The rows of the only column, and which of them were read. `None` where it is the crate's.
pub(super) fn decoded(bytes: &[u8], way: &Way) -> Result<Option<(ArrayRef, BooleanArray)>> {
    let layout = Layout::read(&InMemory::new("x", bytes.to_vec()), &[])?;
    let group = layout.footer().row_group(0);
    let holder = MemoryPool::new(way.limit).holder("pages", None);
    let rows = usize::try_from(group.num_rows()).expect("rows");
    let stored = way.pages.clone().unwrap_or_else(|| bytes.to_vec());
    let length = stored.len() as u64;
    let at = Arc::new(InMemory::new("x", stored));
    let pages = |leaf: usize| {
        let mut chunk = Chunk::of(group.column(leaf))?;
        if way.pages.is_some() {
            chunk = Chunk { start: 0, end: length, codec: Codec::Plain, uncompressed: length, ..chunk };
        }
        Ok(Pages::new(at.clone(), chunk, Arc::new(Desk::new(holder.clone())), holder.empty()))
    };
    let Some(mut column) =
        super::open(group, &layout.columns[0], pages, &holder, 0, rows, way.wide.unwrap_or(usize::MAX))?
    else {
        return Ok(None);
    };
    let (mut out, mut read, mut at) = (vec![arrow::array::new_empty_array(&layout.columns[0].announced)], vec![], 0);
    for (turn, step) in way.steps.iter().cycle().enumerate() {
        if way.passed > 0 && turn % 4 == 0 {
            let n = way.passed.min(rows - at);
            column.skip(n);
            read.extend(std::iter::repeat_n(false, n));
            at += n;
        }
        if at == rows {
            break;
        }
        let n = (*step).min(rows - at);
        let keep = way.mask.as_ref().map(|mask| mask.slice(at, n));
        if way.helped {
            // what they cannot read is for the column to tell
            column.soon(2 * n).iter().rev().step_by(2).for_each(|page| _ = page.prepare());
        }
        column.prepare(n)?;
        let found = match column.read(n, keep.as_ref().map(Selection::new).as_ref()) {
            Err(Error::Wide) if way.wide.is_some() && n > 1 => {
                read.extend(std::iter::repeat_n(false, n));
                at += n;
                continue;
            }
            found => found?,
        };
        let Some(found) = found else { return Ok(None) };
        found.to_data().validate_full().expect("a sound array");
        assert_eq!(found.data_type(), &layout.columns[0].announced);
        match &keep {
            Some(keep) => read.extend((0..n).map(|i| keep.value(i))),
            None => read.extend(std::iter::repeat_n(true, n)),
        }
        out.push(found);
        at += n;
        if at == rows {
            break;
        }
    }
    drop(column);
    assert_eq!(holder.held(), 0);
    let out = concat(&out.iter().map(AsRef::as_ref).collect::<Vec<_>>()).expect("one type");
    Ok(Some((out, read.into())))
}

fn properties(random: &mut Random) -> WriterProperties {
    let version = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0][random.next(2)];
    let codecs = [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())];
    // the second version of the writer would choose encodings that are the crate's alone
    WriterProperties::builder()
        .set_writer_version(version)
        .set_encoding(Encoding::PLAIN)
        .set_compression(codecs[random.next(3)])
        .set_dictionary_enabled(random.next(3) > 0)
        .set_dictionary_page_size_limit([100, 1 << 20][random.next(2)])
        .set_data_page_size_limit([50, 1000, 1 << 20][random.next(3)])
        .set_data_page_row_count_limit([3, 100, 20_000][random.next(3)])
        .set_write_batch_size([1, 7, 100, 1024][random.next(4)])
        .build()
}

pub(super) fn check(bytes: &[u8], expected: &ArrayRef, way: &Way, what: &str) {
    let (found, read) =
        decoded(bytes, way).unwrap_or_else(|e| panic!("{what}: {e}")).unwrap_or_else(|| panic!("{what}"));
    let expected = filter(expected, &read).expect("a filter");
    let expected = arrow::compute::cast(&expected, found.data_type()).expect("the same layout");
    assert!(*found == *expected, "{what} {:?} {}", way.steps, way.passed);
}

#[test]
fn the_same_as_the_crate_for_every_shape_window_and_page() {
    let mut random = Random(88_172_645_463_325_252);
    for round in 0..160 {
        let (depth, nullable) = (1 + round % 4, random.next(3) > 0);
        let to = dtype(&mut random, depth);
        let rows = [1, 30, 700, 3000][random.next(if depth < 4 { 4 } else { 3 })];
        let column = values(&mut random, &to, rows, nullable);
        let bytes = file(&column, nullable, properties(&mut random));
        let expected = oracle(&bytes);
        let what = format!("{round} {to} {nullable} {rows}");
        for steps in [&[1][..], &[2], &[7], &[1000], &[1, 90, 3]] {
            for passed in [0, 1, 50, 400] {
                if rows > 700 && steps[0] < 3 && passed < 50 {
                    continue;
                }
                let way = Way { passed, steps: steps.to_vec(), helped: (passed + steps[0]) % 2 == 1, ..Way::default() };
                check(&bytes, &expected, &way, &what);
            }
        }
        let mask = (0..rows).map(|i| Some(i / 64 % 3 < 2 && random.one_in(3))).collect::<BooleanArray>();
        check(&bytes, &expected, &Way { steps: vec![100], mask: Some(mask), ..Way::default() }, &what);
    }
}

#[test]
fn behind_rows_that_are_too_wide_it_goes_on() {
    let mut random = Random(4_242);
    let mut wide = 0;
    for round in 0..120 {
        let to = dtype(&mut random, 1 + round % 3);
        let column = values(&mut random, &to, 3000, true);
        let bytes = file(&column, true, properties(&mut random));
        let expected = oracle(&bytes);
        for steps in [&[200][..], &[40, 700, 1]] {
            for limit in [6_000, 12_000, 24_000] {
                let way = Way { steps: steps.to_vec(), wide: Some(limit), ..Way::default() };
                check(&bytes, &expected, &way, &format!("{round} {to} {limit}"));
                let (_, read) = decoded(&bytes, &way).expect("reads").expect("ours");
                wide += usize::from(read.false_count() > 0 && read.true_count() > 0);
            }
        }
    }
    assert!(wide > 100, "{wide}");
}

#[test]
fn damage_is_told_and_never_more() {
    let mut random = Random(521_288_629);
    let (mut failed, mut all) = (0, 0);
    for round in 0..60 {
        let to = dtype(&mut random, 1 + round % 3);
        let column = values(&mut random, &to, 40, true);
        let bytes = file(&column, true, properties(&mut random));
        let end = Layout::read(&InMemory::new("x", bytes.clone()), &[]).expect("a file");
        let columns = end.footer().row_group(0).columns();
        let end: usize = columns
            .iter()
            .map(ColumnChunkMetaData::byte_range)
            .map(|(start, len)| (start + len) as usize)
            .max()
            .unwrap_or(4);
        for _ in 0..60 {
            let mut damaged = bytes.clone();
            for _ in 0..=random.next(3) {
                let at = 4 + random.next(end - 4);
                if random.one_in(4) {
                    damaged[at..end].fill(random.next(256) as u8);
                } else {
                    damaged[at] ^= 1 << random.next(8);
                }
            }
            let (passed, helped) = (random.next(3), random.one_in(2));
            let way = Way { steps: vec![1, 9], passed, helped, limit: Some(16 << 20), ..Way::default() };
            all += 1;
            match decoded(&damaged, &way) {
                Err(Error::Format(_) | Error::MemoryLimit(_) | Error::Io { .. }) => failed += 1,
                Err(e) => panic!("{to}: {e:?}"),
                Ok(_) => {}
            }
        }
    }
    assert!(failed > all / 5, "{failed} of {all}");
}

#[test]
fn what_only_the_crate_reads_is_left_to_it() {
    let mut random = Random(9);
    for (to, ours) in [
        (DataType::Int64, true),
        (DataType::new_list(DataType::Int16, true), true),
        (DataType::new_fixed_size_list(DataType::Int64, 2, true), true),
        (DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), false),
    ] {
        let lists = arrow::array::new_null_array(&DataType::new_list(to.clone(), true), 20);
        let bytes = file(&lists, true, WriterProperties::default());
        let found = decoded(&bytes, &Way { steps: vec![7], ..Way::default() }).expect("opens");
        assert_eq!(found.is_some(), ours, "{to}");
    }
    // a leaf whose pages are written in another encoding, beside one that is not
    let fields = vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)];
    let column = values(&mut random, &DataType::Struct(fields.into()), 30, true);
    let strange = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_column_encoding(
            parquet::schema::types::ColumnPath::from(vec!["x".to_owned(), "b".to_owned()]),
            Encoding::DELTA_BYTE_ARRAY,
        )
        .build();
    let bytes = file(&column, true, strange);
    let found = decoded(&bytes, &Way { steps: vec![7], ..Way::default() }).expect("opens");
    assert!(found.is_none());
}
