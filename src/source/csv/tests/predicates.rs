//! Predicates that the reader applies.

use super::*;

#[test]
fn predicates_leave_what_a_filter_would() {
    let text: String = (0..3000).fold("a,b,c\n".to_owned(), |t, i| {
        let name = if i % 7 == 0 { String::new() } else { format!("\"n\"\"{i}\"") };
        t + &format!("{i},{name},{}\n", i % 10)
    });
    let source = |columns: Option<Vec<String>>| {
        let options = with(|o| o.columns = columns);
        CsvSource::with_piece_bytes(input(text.as_bytes()), options, Some(5000)).expect("opens")
    };
    for (predicate, expected) in [
        ("c > 7", 600),
        ("c > 7 and b is not null", 514),
        ("a < 10", 10),
        ("b is null", 429),
        ("a < 0", 0),
        ("a >= 0", 3000),
        ("c = 3 and a > 2990", 1),
    ] {
        let parsed = crate::expr::parse_predicate(predicate).expect("a predicate");
        let typed = |schema: &Schema| crate::expr::resolve_predicate(&parsed, schema).expect("fits");
        for columns in [None, Some(vec!["c".to_owned(), "b".to_owned(), "a".to_owned()])] {
            let all = whole(source(columns.clone())).expect("reads");
            let mask = crate::expr::mask::mask(&[typed(&all.schema())], &all).expect("judges");
            let filtered = arrow::compute::filter_record_batch(&all, &mask).expect("filters");
            assert_eq!(filtered.num_rows(), expected, "{predicate}");
            let wish = Pushdown { predicates: vec![parsed.clone()], ..Pushdown::default() };
            let pushed = source(columns).push(&wish).expect("pushes");
            assert_eq!(pushed.exact, [true]);
            for (rows, bytes) in [(65_536, 16 << 20), (7, 16 << 20), (1000, 600)] {
                let options = Options { batch_size: rows, batch_bytes: bytes, ..Options::default() };
                let context = Context::new(options, || Ok(()));
                let batches = run_in(pushed.source.clone(), &context, None).expect("reads").0;
                assert!(batches.iter().all(|b| b.num_rows() > 0));
                assert_eq!(concat_batches(&all.schema(), &batches).expect("fit"), filtered, "{predicate} {rows}");
            }
        }
    }
}

#[test]
fn the_first_bad_value_of_the_rows_that_are_left_is_told() {
    let told = |text: &str, predicate: &str| {
        let source = CsvSource::open(
            input(text.as_bytes()),
            with(|o| o.dtypes = ["a", "b", "c"].map(|n| (n.into(), DataType::Int64)).to_vec()),
        )
        .expect("opens");
        let predicates = vec![crate::expr::parse_predicate(predicate).expect("a predicate")];
        let pushed = source.push(&Pushdown { predicates, ..Pushdown::default() }).expect("pushes");
        run(pushed.source).err().map(|e| e.to_string()).unwrap_or_default()
    };
    // What is in rows that are left out need not fit; what the filter looks at must.
    assert_eq!(told("a,b,c\n1,x,1\n2,2,2\n", "a > 1"), "");
    assert!(told("a,b,c\n1,2,3\nx,2,3\n", "a > 1").starts_with("t.csv:3: column `a`"));
    assert!(told("a,b,c\n5,y,3\nx,2,3\n", "a > 1").starts_with("t.csv:2: column `b`"));
    assert!(told("a,b,c\n1,y,3\nx,2,z\n", "a > 1").starts_with("t.csv:3: column `a`"));
    assert!(told("a,b,c\n1,y,3\n2,x,z\n", "a > 1").starts_with("t.csv:3: column `b`"));
    assert!(told("a,b,c\n1,2,3\n2,2\nx,2,3\n", "a > 1").starts_with("t.csv:3: expected 3 fields"));
    assert!(told("a,b,c\n1,2,3\n2,2,\u{0}\nx,2,3\n", "a > 1").starts_with("t.csv:3: column `c`"));
    assert!(told("a,b,c\n5,q,3\n2,2,\u{0}\nx,2,3\n", "a > 1").starts_with("t.csv:2: column `b`"));
}
