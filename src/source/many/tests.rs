//! Files that the tests make up, a piece a batch.

use super::*;
use crate::memory::Lease;
use crate::options::Options;
use crate::piece::{Held, Ordinal, Piece, Pull};
use arrow::array::{Int32Array, Int64Array};
use arrow::compute::{concat_batches, filter_record_batch};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// How often files were opened, and how many are open.
#[derive(Debug, Default)]
struct Watch {
    opened: AtomicUsize,
    live: AtomicUsize,
    most: AtomicUsize,
}

/// One file of ready batches, a piece a batch.
#[derive(Debug, Clone)]
struct Ready {
    batches: Vec<RecordBatch>,
    exact: bool,
    predicates: Vec<Expr>,
    _watched: Arc<Watched>,
}

#[derive(Debug)]
struct Watched(Arc<Watch>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, SeqCst);
    }
}

fn ready(batches: Vec<RecordBatch>, exact: bool, watch: &Arc<Watch>) -> Arc<dyn Source> {
    watch.opened.fetch_add(1, SeqCst);
    watch.most.fetch_max(watch.live.fetch_add(1, SeqCst) + 1, SeqCst);
    Arc::new(Ready { batches, exact, predicates: vec![], _watched: Arc::new(Watched(watch.clone())) })
}

impl Source for Ready {
    fn schema(&self) -> SchemaRef {
        self.batches[0].schema()
    }

    fn push(&self, wish: &Pushdown) -> Result<Pushed> {
        let mut out = self.clone();
        if let Some(columns) = &wish.columns {
            let schema = self.schema();
            let at: Vec<usize> = columns.iter().map(|c| schema.index_of(c).expect("asked for its own")).collect();
            out.batches = self.batches.iter().map(|b| b.project(&at).expect("in range")).collect();
        }
        if self.exact {
            for p in &wish.predicates {
                for (b, all) in out.batches.iter_mut().zip(&self.batches) {
                    *b = filter_record_batch(b, &mask(p, all)?)?;
                }
            }
            out.predicates.extend(wish.predicates.iter().cloned());
        }
        Ok(Pushed { source: Arc::new(out), exact: vec![self.exact; wish.predicates.len()] })
    }

    fn start(self: Arc<Self>, from: Option<&Place>, _: &Arc<Context>) -> Result<Arc<dyn Pieces>> {
        let next = from.map_or(0, |p| usize::try_from(p.start).expect("small"));
        Ok(Arc::new(ReadyRun { source: self, next: AtomicUsize::new(next) }))
    }

    fn explain(&self) -> Vec<String> {
        vec![format!("ready, {} predicates", self.predicates.len())]
    }

    fn rows(&self) -> Result<Option<u64>> {
        Ok(Some(self.batches.iter().map(|b| b.num_rows() as u64).sum()))
    }
}

struct ReadyRun {
    source: Arc<Ready>,
    next: AtomicUsize,
}

impl Pieces for ReadyRun {
    fn next(&self, _: &Arc<Context>) -> Result<Option<Piece>> {
        let start = self.next.fetch_add(1, SeqCst);
        let place = Place { start: start as u64, ..Place::default() };
        Ok((start < self.source.batches.len()).then_some(Piece { place, need: 100, raw: None }))
    }

    fn open(self: Arc<Self>, piece: Piece, lease: Lease, _: &Arc<Context>) -> Result<Pull> {
        assert_eq!(piece.place.file, 0, "a file knows nothing of others");
        let batch = self.source.batches[usize::try_from(piece.place.start).expect("small")].clone();
        Ok(Box::new(std::iter::once(Ok(Held { batch, first: Ordinal::default(), lease }))))
    }
}

fn numbers(name: &str, values: &[i32]) -> RecordBatch {
    let keep: BooleanArray = values.iter().map(|v| Some(v % 2 == 0)).collect();
    RecordBatch::try_from_iter([
        (name, Arc::new(Int32Array::from(values.to_vec())) as ArrayRef),
        ("even", Arc::new(keep)),
    ])
    .expect("one length")
}

fn inputs(n: usize) -> Vec<FileInput> {
    (0..n).map(|i| FileInput { name: format!("{i}.csv"), ..FileInput::default() }).collect()
}

/// Three files of two batches each, in the folders `flag=true|false|null`.
fn three(exact: bool, watch: &Arc<Watch>) -> Arc<Many> {
    let watch = watch.clone();
    let open: Open = Arc::new(move |i, _| {
        let base = i32::try_from(i).expect("small") * 10;
        Ok(ready(vec![numbers("n", &[base, base + 1]), numbers("n", &[base + 2])], exact, &watch))
    });
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]));
    let options = ManyOptions {
        constants: vec![(Field::new("flag", DataType::Boolean, true), flags)],
        file_column: Some("file".into()),
        ..ManyOptions::default()
    };
    Many::new(inputs(3), open, options).expect("three files")
}

fn run(source: Arc<dyn Source>, from: Option<&Place>) -> Result<(RecordBatch, Vec<Place>)> {
    let context = Context::new(Options { batch_size: 100, ..Options::default() }, || Ok(()));
    let holder = context.memory.holder("test", None);
    let schema = source.schema();
    let pieces = source.start(from, &context)?;
    let (mut batches, mut places) = (vec![], vec![]);
    while let Some(piece) = pieces.next(&context)? {
        places.push(piece.place);
        let lease = holder.lease(piece.need)?;
        for held in pieces.clone().open(piece, lease, &context)? {
            let held = held?;
            assert_eq!(held.batch.schema(), schema);
            batches.push(held.batch);
        }
    }
    assert_eq!(context.memory.held(), 0, "all leases are back");
    Ok((concat_batches(&schema, &batches)?, places))
}

fn ints(batch: &RecordBatch, name: &str) -> Vec<i32> {
    let column = batch.column_by_name(name).expect("is there");
    column.as_any().downcast_ref::<Int32Array>().expect("int32").values().to_vec()
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).expect("is there");
    let column = column.as_any().downcast_ref::<StringArray>().expect("text");
    column.iter().flatten().map(str::to_owned).collect()
}

#[test]
fn files_follow_each_other_and_only_one_is_open() {
    let watch = Arc::new(Watch::default());
    let many = three(true, &watch);
    assert_eq!(watch.opened.load(SeqCst), 1, "only the first, for its schema");
    let (rows, places) = run(many.clone(), None).expect("runs");
    assert_eq!(ints(&rows, "n"), [0, 1, 2, 10, 11, 12, 20, 21, 22]);
    assert_eq!(texts(&rows, "file")[3], "1.csv");
    assert_eq!(
        places.iter().map(|p| (p.file, p.start)).collect::<Vec<_>>(),
        [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    );
    assert_eq!(watch.opened.load(SeqCst), 3);
    assert_eq!(watch.most.load(SeqCst), 2, "the first, kept for its schema, and one more");
    let (again, _) = run(many.clone(), None).expect("runs again");
    assert_eq!(again, rows);
    assert_eq!(many.rows().expect("known"), Some(9));
    drop(many);
    assert_eq!(watch.live.load(SeqCst), 0);
}

#[test]
fn a_run_begins_where_another_stopped() {
    let many = three(true, &Arc::new(Watch::default()));
    let (rows, _) = run(many.clone(), Some(&Place { file: 1, start: 1, ..Place::default() })).expect("runs");
    assert_eq!(ints(&rows, "n"), [12, 20, 21, 22]);
}

#[test]
fn columns_may_be_of_the_file_the_folder_or_none() {
    let many = three(true, &Arc::new(Watch::default()));
    for columns in [vec!["file", "n"], vec!["flag"], vec![]] {
        let wish = Pushdown { columns: Some(columns.iter().map(|c| (*c).to_owned()).collect()), ..Pushdown::default() };
        let pushed = many.push(&wish).expect("known columns");
        let context = Context::new(Options::default(), || Ok(()));
        let pieces = pushed.source.clone().start(None, &context).expect("starts");
        let mut rows = 0;
        while let Some(piece) = pieces.next(&context).expect("next") {
            let lease = context.memory.holder("t", None).lease(piece.need).expect("room");
            for held in pieces.clone().open(piece, lease, &context).expect("opens") {
                let batch = held.expect("a batch").batch;
                let names: Vec<_> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
                assert_eq!(names, columns);
                rows += batch.num_rows();
            }
        }
        assert_eq!(rows, 9);
    }
    let wish = Pushdown { columns: Some(vec!["m".into()]), ..Pushdown::default() };
    assert!(matches!(many.push(&wish), Err(Error::ColumnNotFound(_))));
}

#[test]
fn a_predicate_over_folders_leaves_files_out_unopened() {
    let watch = Arc::new(Watch::default());
    let many = three(true, &watch);
    let wish = Pushdown { predicates: vec![Expr::Column("flag".into())], ..Pushdown::default() };
    let pushed = many.push(&wish).expect("bool");
    assert_eq!(pushed.exact, [true]);
    assert_eq!(pushed.source.explain(), ["1 of 3 files", "ready, 0 predicates"]);
    let (rows, _) = run(pushed.source, None).expect("runs");
    assert_eq!(ints(&rows, "n"), [0, 1, 2]);
    assert_eq!(watch.opened.load(SeqCst), 1);
}

#[test]
fn a_predicate_over_the_file_is_handed_on() {
    for exact in [true, false] {
        let many = three(exact, &Arc::new(Watch::default()));
        let wish = Pushdown { predicates: vec![Expr::Column("even".into())], ..Pushdown::default() };
        let pushed = many.push(&wish).expect("bool");
        assert_eq!(pushed.exact, [exact]);
        let (rows, _) = run(pushed.source, None).expect("runs");
        assert_eq!(rows.num_rows(), if exact { 6 } else { 9 });
    }
}

#[test]
fn what_one_file_cannot_filter_is_filtered_here() {
    let watch = Arc::new(Watch::default());
    let open: Open = Arc::new(move |i, _| Ok(ready(vec![numbers("n", &[1, 2, 3])], i == 0, &watch)));
    let many = Many::new(inputs(2), open, ManyOptions::default()).expect("two files");
    let wish = Pushdown { columns: Some(vec!["n".into()]), predicates: vec![Expr::Column("even".into())], limit: None };
    let pushed = many.push(&wish).expect("bool");
    assert_eq!(pushed.exact, [true]);
    let (rows, _) = run(pushed.source, None).expect("runs");
    assert_eq!(ints(&rows, "n"), [2, 2]);
}

#[test]
fn a_limit_opens_no_more_files_than_it_needs() {
    let watch = Arc::new(Watch::default());
    let many = three(true, &watch);
    let pushed = many.push(&Pushdown { limit: Some(3), ..Pushdown::default() }).expect("a hint");
    let (rows, _) = run(pushed.source, None).expect("runs");
    assert_eq!((rows.num_rows(), watch.opened.load(SeqCst)), (3, 1));
}

#[test]
fn files_that_differ_are_made_to_fit_or_refused() {
    let watch = Arc::new(Watch::default());
    let two = |missing, extra| {
        let watch = watch.clone();
        let open: Open = Arc::new(move |i, hint| {
            assert_eq!(hint.is_some(), i > 0);
            Ok(ready(vec![numbers(if i == 0 { "a" } else { "b" }, &[1])], true, &watch))
        });
        let many = Many::new(inputs(2), open, ManyOptions { missing, extra, ..ManyOptions::default() })?;
        run(many, None).map(|(rows, _)| rows)
    };
    let e = two(Missing::Raise, Extra::Ignore).expect_err("a is missing");
    assert!(e.to_string().starts_with("1.csv: column `a` of the first file is missing"), "{e}");
    let e = two(Missing::Insert, Extra::Raise).expect_err("b is more");
    assert!(e.to_string().starts_with("1.csv: the first file has no column `b`"), "{e}");
    assert!(two(Missing::Raise, Extra::Insert).is_err(), "still missing");
    let rows = two(Missing::Insert, Extra::Ignore).expect("a is null");
    assert_eq!((rows.num_columns(), rows.column(0).null_count()), (2, 1));
    let rows = two(Missing::Insert, Extra::Insert).expect("both");
    let names: Vec<_> = rows.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["a", "even", "b"]);
    assert_eq!((rows.column(0).null_count(), rows.column(2).null_count()), (1, 1));
}

#[test]
fn the_folder_wins_over_the_file() {
    let watch = Arc::new(Watch::default());
    let open: Open = Arc::new(move |_, _| Ok(ready(vec![numbers("n", &[1, 2])], true, &watch)));
    let n: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    let constants = vec![(Field::new("n", DataType::Int64, true), n)];
    let many = Many::new(inputs(1), open.clone(), ManyOptions { constants, ..ManyOptions::default() }).expect("one");
    let (rows, _) = run(many, None).expect("runs");
    let names: Vec<_> = rows.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["even", "n"]);
    assert_eq!(rows.column(1).as_ref(), &Int64Array::from(vec![7, 7]));
    let options = ManyOptions { file_column: Some("even".into()), ..ManyOptions::default() };
    assert!(matches!(Many::new(inputs(1), open, options), Err(Error::Schema(_))));
}

#[test]
fn a_folder_of_parquet_files_is_pruned_by_its_partitions() {
    use crate::expr::Operator;
    use crate::source::files::find;
    use crate::source::parquet::ParquetSource;
    use crate::source::read_at::Input;
    use parquet::arrow::ArrowWriter;

    let dir = tempfile::tempdir().expect("a folder");
    for day in 8..12 {
        let folder = dir.path().join(format!("year=2024/dt=2024-01-{day:02}"));
        std::fs::create_dir_all(&folder).expect("folders");
        let file = std::fs::File::create(folder.join("part.parquet")).expect("a file");
        let batch = numbers("n", &[day, day * 10]);
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("written");
        writer.close().expect("closed");
    }
    let listing = find(&[dir.path()]).expect("files");
    let constants = listing.hive.iter().cloned().zip(listing.constants().expect("typed")).collect();
    let files: Vec<FileInput> =
        listing.files.iter().map(|f| FileInput { name: f.name.clone(), ..FileInput::default() }).collect();
    let opened = Arc::new(AtomicUsize::new(0));
    let count = opened.clone();
    let open: Open = Arc::new(move |i, _| {
        count.fetch_add(1, SeqCst);
        match listing.files[i].open()? {
            Input::Seekable(at) => Ok(ParquetSource::open(at)?),
            Input::Live(_) => Err(Error::Value("a file is not live".into())),
        }
    });
    let many = Many::new(files, open, ManyOptions { constants, ..ManyOptions::default() }).expect("four files");
    assert_eq!(many.rows().expect("known"), Some(8));
    opened.store(0, SeqCst);
    let late = Expr::col("dt").binary(Operator::GtEq, Expr::lit("2024-01-10"));
    let large = Expr::col("n").binary(Operator::Gt, Expr::lit(50i64));
    let mixed = Expr::col("n").binary(Operator::Gt, Expr::col("year"));
    let wish =
        Pushdown { columns: Some(vec!["dt".into(), "n".into()]), predicates: vec![late, large, mixed], limit: None };
    let pushed = many.push(&wish).expect("they fit");
    assert_eq!((pushed.exact[0], pushed.exact[2]), (true, false));
    assert_eq!(pushed.source.explain()[0], "2 of 4 files");
    let (rows, _) = run(pushed.source.clone(), None).expect("runs");
    let want = if pushed.exact[1] { vec![100, 110] } else { vec![10, 100, 11, 110] };
    assert_eq!(ints(&rows, "n"), want);
    assert_eq!(opened.load(SeqCst), 2, "the first is kept for its schema, but not read");
    let bad = Expr::col("dt").binary(Operator::GtEq, Expr::lit("soon"));
    assert!(many.push(&Pushdown { predicates: vec![bad], ..Pushdown::default() }).is_err());
}
