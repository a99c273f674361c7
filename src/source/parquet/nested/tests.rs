//! The crate's decoder is the oracle: the same rows for every shape, page, codec, window and selection.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, GenericListArray, Int32Array, Int64Array, MapArray, OffsetSizeTrait,
    RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{concat, filter};
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::super::codec::{Codec, Desk};
use super::super::flat::Selection;
use super::super::header;
use super::super::layout::Layout;
use super::super::pages::{Chunk, Pages};
use crate::error::{Error, Result};
use crate::memory::MemoryPool;
use crate::source::read_at::InMemory;

/// A cheap source of numbers that look random.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.next(n) == 0
    }
}

/// A type nested `depth` times at most.
fn dtype(random: &mut Random, depth: usize) -> DataType {
    if depth == 0 {
        return match random.next(6) {
            0 => DataType::Int32,
            1 => DataType::Utf8,
            2 => DataType::Boolean,
            3 => DataType::Float64,
            4 => DataType::Timestamp(TimeUnit::Microsecond, None),
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
    match random.next(7) {
        0 => DataType::LargeList(Arc::new(first)),
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
fn values(random: &mut Random, to: &DataType, len: usize, nullable: bool) -> ArrayRef {
    let of = nulls(random, len, nullable);
    let distinct = [3, 200, 1 << 20][random.next(3)];
    let number = |random: &mut Random| i64::try_from(random.next(distinct)).expect("small");
    match to {
        DataType::Int32 => {
            Arc::new(Int32Array::new((0..len).map(|_| number(random) as i32).collect::<Vec<_>>().into(), of))
        }
        DataType::Int64 => Arc::new(Int64Array::new((0..len).map(|_| number(random)).collect::<Vec<_>>().into(), of)),
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

fn file(column: &ArrayRef, nullable: bool, properties: WriterProperties) -> Vec<u8> {
    let schema = Arc::new(Schema::new(vec![Field::new("x", column.data_type().clone(), nullable)]));
    let batch = RecordBatch::try_new(schema, vec![column.clone()]).expect("one column");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a footer");
    bytes
}

fn oracle(bytes: &[u8]) -> ArrayRef {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::copy_from_slice(bytes)).expect("a file");
    let batches: Vec<ArrayRef> =
        builder.build().expect("a reader").map(|b| b.expect("rows").column(0).clone()).collect();
    concat(&batches.iter().map(AsRef::as_ref).collect::<Vec<_>>()).expect("one type")
}

/// How a column is read.
#[derive(Debug, Clone, Default)]
struct Way {
    /// Rows that are only passed, and then again behind each that many windows.
    passed: usize,
    /// Rows of the windows, over and over.
    steps: Vec<usize>,
    mask: Option<BooleanArray>,
    /// Pages that are read instead of the file's, and how they are stored.
    pages: Option<Vec<u8>>,
    limit: Option<usize>,
}

/// The rows of the only column, and which of them were read. `None` where it is the crate's.
fn decoded(bytes: &[u8], way: &Way) -> Result<Option<(ArrayRef, BooleanArray)>> {
    let layout = Layout::read(&InMemory::new("x", bytes.to_vec()))?;
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
    let Some(mut column) = super::open(group, &layout.columns[0], pages, &holder, 0, rows)? else { return Ok(None) };
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
        column.prepare(n)?;
        let Some(found) = column.read(n, keep.as_ref().map(Selection::new).as_ref())? else { return Ok(None) };
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

fn check(bytes: &[u8], expected: &ArrayRef, way: &Way, what: &str) {
    let (found, read) =
        decoded(bytes, way).unwrap_or_else(|e| panic!("{what}: {e}")).unwrap_or_else(|| panic!("{what}"));
    let expected = filter(expected, &read).expect("a filter");
    let expected = arrow::compute::cast(&expected, found.data_type()).expect("the same layout");
    assert!(*found == *expected, "{what} {:?} {}", way.steps, way.passed);
}

#[test]
fn the_same_as_the_crate_for_every_shape_window_and_page() {
    let mut random = Random(88_172_645_463_325_252);
    for round in 0..400 {
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
                let way = Way { passed, steps: steps.to_vec(), ..Way::default() };
                check(&bytes, &expected, &way, &what);
            }
        }
        let mask = (0..rows).map(|i| Some(i / 64 % 3 < 2 && random.one_in(3))).collect::<BooleanArray>();
        check(&bytes, &expected, &Way { steps: vec![100], mask: Some(mask), ..Way::default() }, &what);
    }
}

/// The two documents of the paper (Melnik et al., 2010, figures 2 and 3), by the levels that it gives.
#[test]
fn the_documents_of_the_paper_are_put_together() {
    let text = "message Document {
        required group doc {
            required int64 DocId;
            optional group Links { repeated int64 Backward; repeated int64 Forward; }
            repeated group Name {
                repeated group Language { required binary Code (UTF8); optional binary Country (UTF8); }
                optional binary Url (UTF8);
            }
        }
    }";
    let mut bytes = Vec::new();
    let schema = Arc::new(parse_message_type(text).expect("a schema"));
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).expect("a writer");
    let mut group = writer.next_row_group().expect("a row group");
    let mut numbers = |values: &[i64], definition: &[i16], repetition: &[i16]| {
        let mut column = group.next_column().expect("open").expect("a column");
        let levels = (!definition.is_empty()).then_some((definition, repetition));
        let (definition, repetition) = levels.unzip();
        column.typed::<Int64Type>().write_batch(values, definition, repetition).expect("levels");
        column.close().expect("a column");
    };
    numbers(&[10, 20], &[], &[]);
    numbers(&[10, 30], &[1, 2, 2], &[0, 0, 1]);
    numbers(&[20, 40, 60, 80], &[2, 2, 2, 2], &[0, 1, 1, 0]);
    let mut texts = |values: &[&str], definition: &[i16], repetition: &[i16]| {
        let values: Vec<ByteArray> = values.iter().map(|text| ByteArray::from(*text)).collect();
        let mut column = group.next_column().expect("open").expect("a column");
        column.typed::<ByteArrayType>().write_batch(&values, Some(definition), Some(repetition)).expect("levels");
        column.close().expect("a column");
    };
    texts(&["en-us", "en", "en-gb"], &[2, 2, 1, 2, 1], &[0, 2, 1, 1, 0]);
    texts(&["us", "gb"], &[3, 2, 1, 3, 1], &[0, 2, 1, 1, 0]);
    texts(&["http://A", "http://B", "http://C"], &[2, 2, 1, 2], &[0, 1, 1, 0]);
    group.close().expect("a row group");
    writer.close().expect("a footer");
    for steps in [vec![2], vec![1]] {
        let way = Way { steps, ..Way::default() };
        let (found, _) = decoded(&bytes, &way).expect("reads").expect("ours");
        let shown: Vec<String> =
            (0..2).map(|i| arrow::util::display::array_value_to_string(&found, i).expect("text")).collect();
        assert_eq!(
            shown,
            [
                "{DocId: 10, Links: {Backward: [], Forward: [20, 40, 60]}, Name: [{Language: [{Code: en-us, Country: us}, \
                 {Code: en, Country: }], Url: http://A}, {Language: [], Url: http://B}, {Language: [{Code: en-gb, Country: \
                 gb}], Url: }]}",
                "{DocId: 20, Links: {Backward: [10, 30], Forward: [80]}, Name: [{Language: [], Url: http://C}]}",
            ]
        );
        check(&bytes, &oracle(&bytes), &way, "the paper");
    }
}

/// The levels of a page as runs of one value, four bytes of length in front.
fn runs(levels: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 4];
    for run in levels.chunk_by(|a, b| a == b) {
        let mut head = run.len() << 1;
        while head >= 0x80 {
            out.push(head as u8 | 0x80);
            head >>= 7;
        }
        out.extend([head as u8, run[0]]);
    }
    let length = (out.len() as u32 - 4).to_le_bytes();
    out[..4].copy_from_slice(&length);
    out
}

/// A page of the first version: PLAIN numbers, each its position, with their levels.
fn page(levels: &[(u8, u8)], first: i64, highest: u8) -> Vec<u8> {
    let (repetition, definition): (Vec<u8>, Vec<u8>) = levels.iter().copied().unzip();
    let mut body = [runs(&repetition), runs(&definition)].concat();
    let values = definition.iter().filter(|level| **level == highest).count();
    for value in (first..).take(values) {
        body.extend(value.to_le_bytes());
    }
    let (size, count) = (body.len() as i32, levels.len() as i32);
    [header::written(0, size, size, &[count, 0, 3, 3]), body].concat()
}

/// A list of lists of numbers, as a file of which the pages are not used, and its levels: repetition and definition.
fn lists(random: &mut Random, rows: usize) -> (Vec<u8>, Vec<(u8, u8)>) {
    let inner = Arc::new(Field::new("element", DataType::Int64, true));
    let outer = Arc::new(Field::new("element", DataType::List(inner), true));
    let mut levels = Vec::new();
    for _ in 0..rows {
        let first = levels.len();
        match random.next(6) {
            0 => levels.push((0, 0)),
            1 => levels.push((0, 1)),
            _ => {
                for outer in 0..1 + random.next(3) {
                    let began = u8::from(outer > 0);
                    match random.next(5) {
                        0 => levels.push((began, 2)),
                        1 => levels.push((began, 3)),
                        _ => {
                            let count = if random.one_in(20) { 3000 } else { 1 + random.next(4) };
                            let valid = 4 + u8::from(random.next(3) > 0);
                            levels.extend((0..count).map(|i| (if i == 0 { began } else { 2 }, valid)));
                        }
                    }
                }
            }
        }
        levels[first].0 = 0;
    }
    let column = values(&mut Random(3), &DataType::List(outer), rows, true);
    // as many values as there are levels, so that pages of as many are believed
    let plain = WriterProperties::builder().set_dictionary_enabled(false).build();
    let bytes = file(&column, true, plain);
    let forged = super::super::tests::forged(&bytes, |footer| {
        let mut builder = footer.into_builder();
        for group in builder.take_row_groups() {
            let column = group.column(0).clone().into_builder().set_num_values(1 << 30).build().expect("a column");
            let group = group.into_builder().set_column_metadata(vec![column]).build().expect("a row group");
            builder = builder.add_row_group(group);
        }
        builder.build()
    });
    (forged, levels)
}

/// Row by row, as text: how a reader of the format's own words would put levels together.
fn by_the_book(levels: &[(u8, u8)]) -> Vec<String> {
    let (mut out, mut value) = (Vec::new(), 0);
    for row in levels.chunk_by(|_, next| next.0 != 0) {
        if row[0].1 < 2 {
            out.push(["", "[]"][usize::from(row[0].1)].to_owned());
            continue;
        }
        let inner = row.chunk_by(|_, next| next.0 == 2).map(|inner| {
            if inner[0].1 < 4 {
                return ["", "[]"][usize::from(inner[0].1 - 2)].to_owned();
            }
            let numbers = inner.iter().map(|(_, definition)| {
                if *definition < 5 {
                    return String::new();
                }
                value += 1;
                (value - 1).to_string()
            });
            format!("[{}]", numbers.collect::<Vec<_>>().join(", "))
        });
        out.push(format!("[{}]", inner.collect::<Vec<_>>().join(", ")));
    }
    out
}

#[test]
fn a_row_may_go_on_in_the_next_pages() {
    let mut random = Random(2_463_534_242);
    for (rows, size) in [(1, 1), (2, 3), (60, 1), (200, 7), (400, 100), (900, 1024), (300, 5000), (300, 1 << 20)] {
        let (file, levels) = lists(&mut random, rows);
        let (mut pages, mut first) = (Vec::new(), 0);
        for some in levels.chunks(size) {
            pages.extend(page(some, first, 5));
            first += some.iter().filter(|level| level.1 == 5).count() as i64;
            if random.one_in(3) {
                pages.extend(page(&[], 0, 5));
            }
        }
        let expected = by_the_book(&levels);
        for steps in [vec![1], vec![2], vec![7], vec![1000], vec![13, 1]] {
            for passed in [0, 1, 30] {
                let way = Way { passed, steps: steps.clone(), pages: Some(pages.clone()), ..Way::default() };
                let (found, read) = decoded(&file, &way).expect("reads").expect("ours");
                let shown =
                    (0..found.len()).map(|i| arrow::util::display::array_value_to_string(&found, i).expect("text"));
                let expected = (0..rows).filter(|i| read.value(*i)).map(|i| expected[i].clone());
                assert!(shown.eq(expected), "{rows} {size} {steps:?} {passed}");
            }
        }
    }
}

#[test]
fn rows_too_many_or_too_few_are_damage() {
    let (file, levels) = lists(&mut Random(77), 50);
    let read = |levels: &[(u8, u8)]| {
        let way = Way { steps: vec![20], pages: Some(page(levels, 0, 5)), ..Way::default() };
        decoded(&file, &way).map(|found| found.map(|(found, _)| found.len()))
    };
    assert_eq!(read(&levels).expect("fifty rows"), Some(50));
    let e = read(&[&levels[..], &[(0, 0)]].concat()).expect_err("one more");
    assert!(matches!(&e, Error::Format(what) if what == "has more rows than the 50 of its row group"), "{e:?}");
    let cut = levels.iter().rposition(|level| level.0 == 0).expect("a row");
    let e = read(&levels[..cut]).expect_err("one less");
    assert!(matches!(&e, Error::Format(what) if what == "expected 10 more rows, found 9"), "{e:?}");
    let e = read(&levels[1..]).map(|rows| assert_eq!(rows, Some(49)));
    assert!(e.is_err(), "no row is begun, or one is missing");
    let e = read(&[&[(2, 5)], &levels[..]].concat()).expect_err("no first row");
    assert!(matches!(&e, Error::Format(what) if what == "begins within a row"), "{e:?}");
    let e = read(&[&levels[..cut], &[(0, 6)]].concat()).expect_err("a level of six");
    assert!(matches!(&e, Error::Format(what) if what == "level 6 found, expected at most 5"), "{e:?}");
}

#[test]
fn a_run_that_stands_for_more_than_there_is_room_for_is_told_at_once() {
    let (file, _) = lists(&mut Random(1), 3);
    let most = (1_usize << 30) - 3;
    let head = |count: usize, level: u8| {
        let mut out = Vec::new();
        let mut head = count << 1;
        while head >= 0x80 {
            out.push(head as u8 | 0x80);
            head >>= 7;
        }
        out.extend([head as u8, level]);
        out
    };
    let sized = |bytes: Vec<u8>| [(bytes.len() as u32).to_le_bytes().to_vec(), bytes].concat();
    // the first row has them all; as values that are null, as lists that are, as nothing at all
    for (repetition, definition) in [(2, 4), (1, 2), (2, 0)] {
        let repetition = sized([head(1, 0), head(most, repetition), head(2, 0)].concat());
        let body = [repetition, sized(head(most + 3, definition))].concat();
        let size = body.len() as i32;
        let pages = [header::written(0, size, size, &[most as i32 + 3, 0, 3, 3]), body].concat();
        let mut way = Way { steps: vec![1], pages: Some(pages), limit: Some(8 << 20), ..Way::default() };
        let e = decoded(&file, &way).expect_err("gigabytes");
        assert!(matches!(e, Error::MemoryLimit(_)), "{e:?}");
        // who does not want the row needs no room for it
        way.passed = 1;
        let (found, _) = decoded(&file, &way).expect("two rows").expect("ours");
        assert_eq!(found.len(), 2);
    }
}

#[test]
fn damage_is_told_and_never_more() {
    let mut random = Random(521_288_629);
    let (mut failed, mut all) = (0, 0);
    for round in 0..60 {
        let to = dtype(&mut random, 1 + round % 3);
        let column = values(&mut random, &to, 40, true);
        let bytes = file(&column, true, properties(&mut random));
        let end = Layout::read(&InMemory::new("x", bytes.clone())).expect("a file");
        let columns = end.footer().row_group(0).columns();
        let end: usize =
            columns.iter().map(|c| c.byte_range()).map(|(start, len)| (start + len) as usize).max().unwrap_or(4);
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
            let way = Way { steps: vec![1, 9], passed: random.next(3), limit: Some(16 << 20), ..Way::default() };
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
fn a_map_with_a_null_key_is_damage() {
    let text = "message m { optional group m (MAP) { repeated group key_value {
        optional binary key (UTF8); optional int64 value; } } }";
    let mut bytes = Vec::new();
    let schema = Arc::new(parse_message_type(text).expect("a schema"));
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).expect("a writer");
    let mut group = writer.next_row_group().expect("a row group");
    let mut keys = group.next_column().expect("open").expect("a column");
    let text = [ByteArray::from("a")];
    keys.typed::<ByteArrayType>().write_batch(&text, Some(&[3, 0, 2]), Some(&[0, 0, 0])).expect("levels");
    keys.close().expect("a column");
    let mut numbers = group.next_column().expect("open").expect("a column");
    numbers.typed::<Int64Type>().write_batch(&[7], Some(&[3, 0, 2]), Some(&[0, 0, 0])).expect("levels");
    numbers.close().expect("a column");
    group.close().expect("a row group");
    writer.close().expect("a footer");
    let way = Way { steps: vec![2], ..Way::default() };
    let e = decoded(&bytes, &way).expect_err("the third row's key is null");
    assert!(matches!(&e, Error::Format(what) if what == "a map has a null key"), "{e:?}");
}

#[test]
fn what_only_the_crate_reads_is_left_to_it() {
    let mut random = Random(9);
    for (to, ours) in [
        (DataType::Int64, true),
        (DataType::Int16, false),
        (DataType::Decimal128(20, 2), false),
        (DataType::new_list(DataType::Int16, true), false),
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
