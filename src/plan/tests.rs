//! What reaches the source, and that nothing else changes for it.

use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};

use super::*;
use crate::context::Context;
use crate::expr::{Aggregate, Expr, Operator};
use crate::memory::Lease;
use crate::piece::{Held, Ordinal, Piece, Pieces, Place, Pull, Pushdown, Pushed};

/// Twenty rows in ten pieces: `id`, `odd`, `name`. Notes what was pushed and how many pieces were opened.
#[derive(Debug)]
struct Twenty {
    batch: RecordBatch,
    wish: Arc<Mutex<Pushdown>>,
    opened: Arc<Mutex<usize>>,
    exact: bool,
}

fn twenty(exact: bool) -> Twenty {
    let names: StringArray = (0..20).map(|i| (i % 7 != 0).then(|| format!("n{i}"))).collect();
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from_iter_values(0..20)) as ArrayRef),
        ("odd", Arc::new(Int64Array::from_iter_values((0..20).map(|i| i % 2)))),
        ("name", Arc::new(names)),
    ])
    .expect("three columns of one length");
    Twenty { batch, wish: Arc::default(), opened: Arc::default(), exact }
}

impl Source for Twenty {
    fn schema(&self) -> SchemaRef {
        self.batch.schema()
    }

    fn push(&self, wish: &Pushdown) -> Result<Pushed> {
        *self.wish.lock().expect("no panic") = wish.clone();
        let indices: Vec<usize> = match &wish.columns {
            Some(names) => names.iter().map(|n| self.batch.schema().index_of(n)).collect::<Result<_, _>>()?,
            None => (0..3).collect(),
        };
        let batch = self.batch.project(&indices)?;
        let source = Twenty { batch, wish: self.wish.clone(), opened: self.opened.clone(), exact: self.exact };
        Ok(Pushed { source: Arc::new(source), exact: vec![false; wish.predicates.len()] })
    }

    fn start(self: Arc<Self>, _: Option<&Place>, _: &Arc<Context>) -> Result<Arc<dyn Pieces>> {
        Ok(Arc::new(TwentyPieces { source: self, next: Mutex::new(0) }))
    }

    fn explain(&self) -> Vec<String> {
        vec!["twenty rows".into()]
    }
}

struct TwentyPieces {
    source: Arc<Twenty>,
    next: Mutex<usize>,
}

impl Pieces for TwentyPieces {
    fn next(&self, _: &Arc<Context>) -> Result<Option<Piece>> {
        let mut next = self.next.lock().expect("no panic");
        *next += 2;
        let start = *next as u64 - 2;
        Ok((*next <= 20).then(|| Piece { place: Place { start, ..Place::default() }, need: 100, raw: None }))
    }

    fn open(self: Arc<Self>, piece: Piece, lease: Lease, _: &Arc<Context>) -> Result<Pull> {
        *self.source.opened.lock().expect("no panic") += 1;
        let batch = self.source.batch.slice(piece.place.start as usize, 2);
        Ok(Box::new(std::iter::once(Ok(Held { batch, first: Ordinal::default(), lease }))))
    }
}

/// A plan over twenty rows, and what it pushed when it ran.
struct Watched {
    plan: Plan,
    wish: Arc<Mutex<Pushdown>>,
    opened: Arc<Mutex<usize>>,
}

fn watched(verbs: Vec<Verb>) -> Watched {
    let source = twenty(false);
    let (wish, opened) = (source.wish.clone(), source.opened.clone());
    let source: Arc<dyn Source> = Arc::new(source);
    let options = Options { threads: 2, ..Options::default() };
    let mut plan = Plan::read("twenty", options, Box::new(move || Ok(source.clone())));
    for verb in verbs {
        plan = plan.then(verb).expect("fits the schema");
    }
    Watched { plan, wish, opened }
}

impl Watched {
    /// All rows of the result's first column.
    fn rows(&self) -> Vec<i64> {
        let mut run = Run::new(self.plan.clone(), || Ok(()));
        let mut out = Vec::new();
        while let Some(held) = run.pull().expect("no failure") {
            out.extend(held.batch.column(0).as_primitive::<Int64Type>().values());
        }
        assert_eq!(run.context().memory.held(), 0);
        out
    }

    fn columns(&self) -> Option<Vec<String>> {
        self.wish.lock().expect("no panic").columns.clone()
    }

    fn predicates(&self) -> Vec<String> {
        self.wish.lock().expect("no panic").predicates.iter().map(ToString::to_string).collect()
    }
}

fn col(name: &str) -> Expr {
    Expr::col(name)
}

fn over(name: &str, n: i64) -> Expr {
    col(name).binary(Operator::Gt, Expr::lit(n))
}

#[test]
fn only_needed_columns_are_asked_for() {
    let w = watched(vec![Verb::Filter(vec![over("id", 15)]), Verb::Select(vec![col("odd")])]);
    assert_eq!(w.rows(), [0, 1, 0, 1]);
    assert_eq!(w.columns(), Some(vec!["id".into(), "odd".into()]));
    let all = watched(vec![Verb::Filter(vec![over("id", 15)])]);
    assert_eq!(all.rows(), [16, 17, 18, 19]);
    assert_eq!(all.columns(), None);
}

#[test]
fn a_dropped_or_replaced_column_is_not_needed_behind_a_select() {
    let w = watched(vec![
        Verb::WithColumns(vec![col("odd").binary(Operator::Add, Expr::lit(1i64)).alias("name")]),
        Verb::Drop(vec!["odd".into()]),
        Verb::Select(vec![col("name")]),
    ]);
    assert_eq!(w.rows()[..3], [1, 2, 1]);
    assert_eq!(w.columns(), Some(vec!["odd".into()]));
}

#[test]
fn a_predicate_goes_down_under_its_old_name() {
    let w = watched(vec![Verb::Rename(vec![("id".into(), "key".into())]), Verb::Filter(vec![over("key", 17)])]);
    assert_eq!(w.rows(), [18, 19]);
    assert_eq!(w.predicates(), [over("id", 17).to_string()]);
}

#[test]
fn a_predicate_stops_at_what_makes_its_column_or_counts_rows() {
    let made = Verb::WithColumns(vec![col("odd").binary(Operator::Add, Expr::lit(1i64)).alias("id")]);
    for (verb, expected) in [
        (made, 0),
        (Verb::Head(5), 0),
        (Verb::Skip(5), 0),
        (Verb::RowIndex("n".into()), 0),
        (Verb::Cast(vec![("id".into(), DataType::Float64)]), 0),
        (Verb::FillNull(Expr::lit(0i64)), 0),
        (Verb::Cast(vec![("odd".into(), DataType::Float64)]), 1),
        (Verb::Rebatch { rows: 3, drop_last: false }, 1),
        (Verb::Drop(vec!["odd".into()]), 1),
    ] {
        let what = verb.describe();
        let w = watched(vec![
            verb,
            Verb::Filter(vec![over("id", 17)]),
            Verb::Aggregate(vec![col("id").aggregate(Aggregate::Count)]),
        ]);
        w.rows();
        assert_eq!(w.predicates().len(), expected, "{what}");
    }
}

#[test]
fn head_reads_no_more_than_it_must() {
    let w = watched(vec![Verb::Select(vec![col("id")]), Verb::Head(3)]);
    let w = Watched { plan: w.plan.with_options(Options { prefetch: Some(0), ..Options::default() }), ..w };
    assert_eq!(w.rows(), [0, 1, 2]);
    assert_eq!(w.wish.lock().expect("no panic").limit, Some(3));
    assert_eq!(*w.opened.lock().expect("no panic"), 2);
}

#[test]
fn limits_add_up_and_end_at_a_filter() {
    let w = watched(vec![Verb::Skip(4), Verb::Head(10), Verb::Head(3)]);
    assert_eq!(w.rows(), [4, 5, 6]);
    assert_eq!(w.wish.lock().expect("no panic").limit, Some(7));
    let w = watched(vec![Verb::Filter(vec![over("id", 4)]), Verb::Head(2)]);
    assert_eq!(w.rows(), [5, 6]);
    assert_eq!(w.wish.lock().expect("no panic").limit, None);
}

#[test]
fn nothing_is_opened_before_the_first_pull() {
    let w = watched(vec![Verb::Filter(vec![over("id", 4)])]);
    let run = Run::new(w.plan.clone(), || Ok(()));
    w.plan.explain().expect("explains");
    assert_eq!(*w.opened.lock().expect("no panic"), 0);
    drop(run);
    assert_eq!(*w.opened.lock().expect("no panic"), 0);
}

#[test]
fn count_needs_no_column() {
    let w = watched(vec![Verb::Filter(vec![over("id", 4)]), Verb::Select(vec![col("odd"), col("name")])]);
    assert_eq!(w.plan.count(|| Ok(())).expect("counts"), 15);
    let w = watched(vec![]);
    assert_eq!(w.plan.count(|| Ok(())).expect("counts"), 20);
    assert_eq!(w.columns(), Some(vec![]));
}

#[test]
fn a_wrong_column_fails_where_it_is_said() {
    let w = watched(vec![]);
    let e = w.plan.then(Verb::Filter(vec![over("idd", 4)])).err().expect("no such column");
    assert_eq!(e.to_string(), "column `idd` not found, did you mean `id`? (columns: `id`, `odd`, `name`)");
    assert!(matches!(w.plan.then(Verb::Filter(vec![col("name")])), Err(Error::Schema(_))));
    assert!(matches!(w.plan.then(Verb::Drop(vec!["x".into()])), Err(Error::ColumnNotFound(_))));
    assert!(matches!(w.plan.then(Verb::RowIndex("id".into())), Err(Error::Schema(_))));
}

#[test]
fn concat_goes_on_where_the_first_ends() {
    let w = watched(vec![Verb::Filter(vec![over("id", 17)])]);
    let twice = Plan::concat(vec![w.plan.clone(), w.plan.clone()]).expect("same columns");
    let twice = Watched { plan: twice.then(Verb::Select(vec![col("id")])).expect("fits"), ..w };
    assert_eq!(twice.rows(), [18, 19, 18, 19]);
    assert_eq!(twice.columns(), Some(vec!["id".into()]));
    let other = watched(vec![]);
    let counted = Plan::concat(vec![other.plan, watched(vec![Verb::Filter(vec![over("id", 17)])]).plan]);
    assert_eq!(counted.expect("same columns").count(|| Ok(())).expect("counts"), 22, "inputs that need other columns");
    let other = watched(vec![Verb::Drop(vec!["odd".into()])]);
    let e = Plan::concat(vec![twice.plan, other.plan]).err().expect("other columns").to_string();
    assert!(e.starts_with("concat: stream 2 has other columns than the first: expected `id`: int64, found"), "{e}");
}

#[test]
fn the_same_rows_for_every_crew_and_batch_size() {
    let verbs = || {
        vec![
            Verb::Filter(vec![over("id", 3)]),
            Verb::Skip(2),
            Verb::WithColumns(vec![col("id").binary(Operator::Multiply, Expr::lit(2i64)).alias("id")]),
            Verb::Head(9),
        ]
    };
    for threads in [1, 2, 8] {
        for prefetch in [0, 1, 5] {
            let w = watched(verbs());
            let plan = w.plan.with_options(Options { threads, prefetch: Some(prefetch), ..Options::default() });
            assert_eq!(Watched { plan, ..w }.rows(), (6..15).map(|i| i * 2).collect::<Vec<i64>>());
        }
    }
}

#[test]
fn a_filled_column_keeps_its_type() {
    let w = watched(vec![]);
    for (value, filled) in [(Expr::lit(0i64), "id"), (Expr::lit("x"), "name"), (Expr::lit(false), "none")] {
        let plan = w.plan.then(Verb::FillNull(value.clone())).expect("fits");
        let text = plan.explain().expect("explains");
        assert!(text.contains("fill_null"), "{text}");
        let before = w.plan.schema().expect("known").expect("known");
        let after = plan.schema().expect("known").expect("known");
        let types = |s: &SchemaRef| s.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        assert_eq!(types(&before), types(&after), "{value} fills {filled}");
    }
}
