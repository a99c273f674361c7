//! Where an error says that something stands, for every size of pieces.

use super::*;

/// The place that the error of `text` names, and its message.
fn place(text: &[u8], options: &CsvOptions) -> (crate::error::Place, String) {
    match rows_of(text, options).map(|_| ()) {
        Err(Error::Parse { place, message }) => (*place, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_escaped_line_end_is_a_line() {
    let escaped = with(|o| o.escape_char = Some("\\".into()));
    for end in ["\n", "\r", "\r\n"] {
        let text = format!("a,b{end}1,\"x\\{end}\\\\\"{end}2,\"y\\{end}{end}z\"{end}3{end}");
        let (place, message) = place(text.as_bytes(), &escaped);
        assert_eq!(place.line, Some(7), "{text:?} {message}");
        assert_eq!(place.offset, Some((text.len() - end.len() - 1) as u64));
    }
}

#[test]
fn a_header_is_where_it_begins() {
    let comments = with(|o| o.comment_prefix = Some("#".into()));
    let (found, message) = place(b"#c\n\n#d\r\na,\"b\n1,2\n", &comments);
    assert_eq!((found.line, found.offset), (Some(4), Some(10)), "{message}");
    assert!(message.starts_with("t.csv:4: the quote that opens here"), "{message}");
    let (found, message) = place(b"\n\na,\xe9\n", &CsvOptions::default());
    assert_eq!((found.line, found.offset, found.column.as_deref()), (Some(3), Some(2), Some("column_1")), "{message}");
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Utf8, true)]));
    let e = err(b"\n#c\na,b\n", &with(|o| (o.comment_prefix, o.schema) = (Some("#".into()), Some(schema))));
    assert!(e.starts_with("t.csv:3: expected a header of 1 columns"), "{e}");
}

#[test]
fn comments_and_blank_lines_before_the_first_record() {
    let comments = |header| with(|o| (o.comment_prefix, o.has_header) = (Some("#".into()), Some(header)));
    let parts: [&[u8]; 5] = [b"#c\n", b"\n", b"#d\n", b"a,b\n", b"1,2\n"];
    for (header, count) in [(true, 1), (false, 2)] {
        let source = CsvSource::open(live(&parts, 9), comments(header)).expect("opens");
        assert_eq!(whole(source).expect("reads").num_rows(), count);
        let text = ["# long\n".repeat(30_000).as_bytes(), b"a,b\n1,2\n"].concat();
        assert_eq!(rows_by(&text, &comments(header), 1..2).expect("reads").1.len(), count);
    }
    // More of them than a record may be long.
    let text = ["#".repeat(1 << 10).as_bytes(), b"\n"].concat().repeat(65 << 10);
    let text = [&text, b"a,b\n1,x\n2\n".as_slice()].concat();
    let source = CsvSource::open(input(&text), comments(true)).expect("a header behind them");
    assert!(whole(source).expect_err("ragged").to_string().starts_with("t.csv:66563: expected 2 fields"));
}

#[test]
fn what_is_left_of_a_compressed_file_is_no_text() {
    for (name, bytes) in [
        ("t.csv.gz", b"\x1f".as_slice()),
        ("t.csv.zst", b"("),
        ("t.csv.zst", b"(\xb5/"),
        ("t.csv.bz2", b"BZ"),
        ("t.csv.bz2", b"BZh91AY&S"),
    ] {
        let input = Input::Seekable(Arc::new(InMemory::new(name, bytes.to_vec())));
        let e = CsvSource::open(input, CsvOptions::default()).expect_err("truncated");
        assert!(matches!(&e, Error::Format(m) if m.contains("truncated")), "{e}");
    }
    assert_eq!(ok("(", &CsvOptions::default()).0, "( Utf8");
    let named = Input::Seekable(Arc::new(InMemory::new("t.csv.bz2", b"BZh,a\n1,2\n".to_vec())));
    assert_eq!(whole(CsvSource::open(named, CsvOptions::default()).expect("text")).expect("reads").num_rows(), 1);
}

#[test]
fn a_bad_record_shows_its_line() {
    assert_eq!(place(b"a,b\n1,2\n3\r\n", &CsvOptions::default()).0.value.as_deref(), Some("3"));
    assert_eq!(place(b"a,b\n1,\"2\n3\n", &CsvOptions::default()).0.value.as_deref(), Some("\"2"));
}

#[test]
fn what_is_no_utf_8_text_is_told_at_the_first_line() {
    let (found, message) = place(b"a\0,\0b\0\n\x001\0,\x002\0\n", &CsvOptions::default());
    assert_eq!((found.line, found.column.as_deref(), found.value.as_deref()), (Some(1), Some("column_0"), Some("a\0")));
    assert!(message.contains("zero byte") && message.contains("new_columns"), "{message}");
    let renamed = with(|o| o.new_columns = Some(vec!["a".into()]));
    assert_eq!(ok("a\0,b\n1,\"x\0y\"\n", &renamed).1, rows(&[&["1", "x\0y"]]), "what is quoted is meant");
    let (found, message) = place(b"a,b\n1,2\n3,x\0\n", &CsvOptions::default());
    assert_eq!((found.line, found.column.as_deref()), (Some(3), Some("b")), "{message}");
    assert!(message.contains("found a zero byte outside quotes"), "{message}");
}
