//! Levels and pages made by hand: what the format's own words say, and what no writer of today writes.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, Field};
use arrow::util::display::array_value_to_string;
use parquet::basic::Repetition;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;

use super::super::header;
use super::super::tests::forged;
use super::tests::{Random, Way, check, decoded, file, oracle, values};
use crate::error::Error;

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
        let shown: Vec<String> = (0..2).map(|i| array_value_to_string(&found, i).expect("text")).collect();
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
                for outer in 0..=random.next(3) {
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
    let forged = forged(&bytes, |footer| {
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
                let shown = (0..found.len()).map(|i| array_value_to_string(&found, i).expect("text"));
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
        match decoded(&file, &way) {
            Err(e) => assert!(matches!(e, Error::MemoryLimit(_)), "{e:?}"),
            // what belongs to no list takes no room
            Ok(found) => assert_eq!((definition, found.expect("ours").0.null_count()), (0, 3)),
        }
        // who does not want the row needs no room for it
        way.passed = 1;
        let (found, _) = decoded(&file, &way).expect("two rows").expect("ours");
        assert_eq!(found.len(), 2);
    }
}

/// The levels of each leaf: repetition and definition.
#[derive(Default)]
struct Shredded {
    leaves: Vec<(Vec<i16>, Vec<i16>)>,
    next: usize,
}

impl Shredded {
    /// One field, by the rules of the paper: there or not, once or several times, as chance has it.
    fn field(&mut self, random: &mut Random, of: &Type, repetition: i16, lists: i16, there: i16) {
        match of.get_basic_info().repetition() {
            Repetition::REQUIRED => self.content(random, of, repetition, lists, there),
            Repetition::OPTIONAL if random.one_in(3) => self.absent(of, repetition, there),
            Repetition::OPTIONAL => self.content(random, of, repetition, lists, there + 1),
            Repetition::REPEATED => match random.next(4) {
                0 => self.absent(of, repetition, there),
                many => {
                    let first = self.next;
                    for i in 0..many {
                        self.next = first;
                        let repetition = if i == 0 { repetition } else { lists + 1 };
                        self.content(random, of, repetition, lists + 1, there + 1);
                    }
                }
            },
        }
    }

    fn content(&mut self, random: &mut Random, of: &Type, repetition: i16, lists: i16, there: i16) {
        if of.is_primitive() {
            return self.absent(of, repetition, there);
        }
        for field in of.get_fields() {
            self.field(random, field, repetition, lists, there);
        }
    }

    /// The same levels for every leaf of a field.
    fn absent(&mut self, of: &Type, repetition: i16, there: i16) {
        if of.is_primitive() {
            self.leaves.resize_with(self.leaves.len().max(self.next + 1), Default::default);
            let (repetitions, definitions) = &mut self.leaves[self.next];
            repetitions.push(repetition);
            definitions.push(there);
            self.next += 1;
            return;
        }
        for field in of.get_fields() {
            self.absent(field, repetition, there);
        }
    }
}

/// The ways to write lists and maps that the format knows, also those that it tells only readers of.
const WAYS: [&str; 17] = [
    "optional group a (LIST) { repeated group list { optional int64 element; } }",
    "required group a (LIST) { repeated group list { required int64 element; } }",
    "optional group a (LIST) { repeated int64 element; }",
    "required group a (LIST) { repeated int64 element; }",
    "optional group a (LIST) { repeated group element { required int64 x; optional int64 y; } }",
    "optional group a (LIST) { repeated group array { required int64 x; } }",
    "optional group a (LIST) { repeated group a_tuple { optional int64 x; } }",
    "optional group a (LIST) { repeated group element { required int64 x; } }",
    "optional group a (LIST) { repeated group list { repeated int64 element; } }",
    "optional group a (LIST) { repeated group array { repeated int64 element; } }",
    "optional group a (LIST) { repeated group array (LIST) { repeated int64 element; } }",
    "repeated int64 a;",
    "repeated group a { required int64 x; optional int64 y; repeated int64 z; }",
    "optional group a (MAP) { repeated group key_value { required int64 key; } }",
    "optional group a (MAP_KEY_VALUE) { repeated group map { required int64 key; optional int64 value; } }",
    "required group a (MAP) { repeated group entry { required int64 key; optional group value { repeated int64 x; } } }",
    "optional group a { required group b { optional int64 x; required int64 y; } repeated group c { repeated int64 z; } }",
];

#[test]
fn every_way_to_write_a_list_is_read_as_the_crate_reads_it() {
    let mut random = Random(40_692);
    for way in WAYS {
        let schema = Arc::new(parse_message_type(&format!("message m {{ {way} }}")).expect("a schema"));
        let mut levels = Shredded::default();
        for _ in 0..200 {
            levels.next = 0;
            levels.field(&mut random, &schema.get_fields()[0], 0, 0, 0);
        }
        let mut bytes = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).expect("a writer");
        let highest: Vec<i16> = writer.schema_descr().columns().iter().map(|c| c.max_def_level()).collect();
        let mut group = writer.next_row_group().expect("a row group");
        for ((repetition, definition), highest) in levels.leaves.iter().zip(highest) {
            let count = definition.iter().filter(|level| **level == highest).count() as i64;
            let numbers: Vec<i64> = (0..count).collect();
            let mut column = group.next_column().expect("open").expect("a column");
            let written = column.typed::<Int64Type>().write_batch(&numbers, Some(definition), Some(repetition));
            written.expect("levels");
            column.close().expect("a column");
        }
        group.close().expect("a row group");
        writer.close().expect("a footer");
        for steps in [vec![1000], vec![1], vec![7, 2]] {
            for passed in [0, 3] {
                check(&bytes, &oracle(&bytes), &Way { passed, steps: steps.clone(), ..Way::default() }, way);
            }
        }
    }
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
