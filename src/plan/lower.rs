//! The plan as something that runs: *pieces → steps* in the workers, the rest in order on the consumer's thread.
//!
//! Lowering happens with the first pull of a run, because the schema behind a function that nobody described is known
//! only when its first result is there.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use arrow::datatypes::{Schema, SchemaRef};

use super::optimize::{From, Optimized, optimize};
use super::verb::{Bound, Verb, indexed};
use super::{Plan, Root};
use crate::call::Kind;
use crate::context::Context;
use crate::dtype::dtype_name;
use crate::error::{Error, Result};
use crate::expr::aggregate::resolve_aggregates;
use crate::piece::{Collect, Held, Pieces, Pull, Step};
use crate::sink::{refuse_source, rejects};
use crate::stage::aggregate::Aggregate;
use crate::stage::exchange;
use crate::stage::filter::Filter;
use crate::stage::head::{Head, Skip};
use crate::stage::map::Map;
use crate::stage::project::Project;
use crate::stage::rebatch::Rebatch;
use crate::stage::row_index::RowIndex;
use crate::stage::stepped::{Stepped, through};

/// Batches on their way through the plan.
enum Flow {
    /// Still in the workers: pieces and the steps on them.
    Parallel { pieces: Arc<dyn Pieces>, steps: Vec<Arc<dyn Step>>, on_consumer: bool },
    /// On the consumer's thread.
    Serial(Pull),
}

impl Flow {
    fn step(self, step: Arc<dyn Step>, context: &Arc<Context>) -> Flow {
        match self {
            Flow::Parallel { pieces, mut steps, on_consumer } => {
                steps.push(step);
                Flow::Parallel { pieces, steps, on_consumer }
            }
            Flow::Serial(pull) => {
                let context = context.clone();
                let steps = [step];
                let one = move |held: Result<Held>| held.and_then(|h| through(&steps, h, &context)).transpose();
                Flow::Serial(Box::new(pull.filter_map(one)))
            }
        }
    }

    fn pull(self, context: &Arc<Context>) -> Pull {
        match self {
            Flow::Parallel { pieces, steps, on_consumer } => {
                exchange::rows(Stepped::over(pieces, steps), on_consumer, context)
            }
            Flow::Serial(pull) => pull,
        }
    }

    fn fill<C: Collect>(self, collector: C, context: &Arc<Context>) -> Result<C::Done> {
        match self {
            Flow::Parallel { pieces, steps, on_consumer } => {
                exchange::fill(Stepped::over(pieces, steps), collector, on_consumer, context)
            }
            Flow::Serial(pull) => exchange::drain(pull, collector, context),
        }
    }
}

/// A run of a plan: batches, pulled one at a time on one thread.
pub struct Run {
    context: Arc<Context>,
    state: State,
    schema: Option<SchemaRef>,
}

enum State {
    Waiting(Plan),
    Going(Pull),
    Ended,
}

impl Run {
    /// A run that has not begun: nothing is opened or started before the first [`Run::pull`].
    pub fn new(plan: Plan, interrupt: fn() -> Result<()>) -> Self {
        let context = Context::new(plan.options.clone(), interrupt);
        Self { context, state: State::Waiting(plan), schema: None }
    }

    /// What the run shares with its parts: counters, memory.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// The schema of every batch, once the run has begun.
    pub fn schema(&self) -> Option<&SchemaRef> {
        self.schema.as_ref()
    }

    /// Begins the run as far as its schema needs.
    ///
    /// # Errors
    /// Whatever opening the sources meets, and a described function's first result.
    pub fn begin(&mut self) -> Result<SchemaRef> {
        if let State::Waiting(plan) = &self.state {
            let plan = plan.clone();
            // where this fails, the run is over
            self.state = State::Ended;
            let plan = optimize(&plan, None)?;
            write_rejects(&plan, &self.context);
            let (schema, flow) = lower(&plan, &self.context)?;
            self.schema = Some(schema);
            self.state = State::Going(flow.pull(&self.context));
        }
        self.schema.clone().ok_or_else(|| Error::Stream("the run has ended".into()))
    }

    /// The next batch; `None` at the end, and ever after.
    ///
    /// # Errors
    /// The first that any part of the run meets; the run is then over.
    pub fn pull(&mut self) -> Result<Option<Held>> {
        if matches!(self.state, State::Waiting(_)) {
            self.begin()?;
        }
        let State::Going(pull) = &mut self.state else { return Ok(None) };
        loop {
            match pull.next() {
                Some(Ok(held)) if held.batch.num_rows() == 0 => {}
                Some(Ok(held)) => {
                    let stats = &self.context.stats;
                    stats.rows_out.fetch_add(held.batch.num_rows() as u64, Relaxed);
                    stats.bytes_out.fetch_add(held.lease.bytes() as u64, Relaxed);
                    return Ok(Some(held));
                }
                Some(Err(e)) => {
                    self.close();
                    return Err(e);
                }
                None => {
                    self.state = State::Ended;
                    self.context.logs.finish(&self.context)?;
                    self.close();
                    return Ok(None);
                }
            }
        }
    }

    /// Ends the run: when this returns, its threads are gone, its files closed, and what could not be read so far is
    /// in the file for it.
    pub fn close(&mut self) {
        self.context.cancel.cancel();
        self.state = State::Ended;
        // whoever leaves early has no use for an error, and the run's own goes before this one
        let _ = self.context.logs.finish(&self.context);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.close();
    }
}

impl Plan {
    /// The number of rows: from metadata where that is exact, else by a run that needs no column of the result.
    ///
    /// # Errors
    /// Whatever the run meets.
    pub fn count(&self, interrupt: fn() -> Result<()>) -> Result<u64> {
        if let Some(rows) = self.counted()? {
            return Ok(rows);
        }
        let context = Context::new(self.options.clone(), interrupt);
        let plan = optimize(self, Some(BTreeSet::new()))?;
        write_rejects(&plan, &context);
        let count = || {
            let (_, flow) = lower(&plan, &context)?;
            flow.pull(&context).try_fold(0, |rows, held| Ok(rows + held?.batch.num_rows() as u64))
        };
        let rows = count();
        let finished = context.logs.finish(&context);
        rows.and_then(|rows| finished.map(|()| rows))
    }

    /// The number of rows, where metadata tells; asked only where the verbs leave it to tell, because the metadata of many
    /// files is as many files to open.
    fn counted(&self) -> Result<Option<u64>> {
        let last = self.verbs.iter().rposition(|verb| matches!(**verb, Verb::Aggregate(_)));
        let verbs = &self.verbs[last.map_or(0, |last| last + 1)..];
        if !verbs.iter().all(|verb| verb.keeps_rows() || matches!(**verb, Verb::Head(_) | Verb::Skip(_))) {
            return Ok(None);
        }
        let rows = match &self.root {
            _ if last.is_some() => Some(1),
            Root::Scan(scan) => scan.source()?.rows()?,
            Root::Concat(plans) => plans
                .iter()
                .map(Plan::counted)
                .try_fold(Some(0u64), |sum, rows| Ok::<_, Error>(rows?.and_then(|rows| sum.map(|sum| sum + rows))))?,
        };
        Ok(rows.map(|rows| {
            verbs.iter().fold(rows, |rows, verb| match &**verb {
                Verb::Head(n) => rows.min(*n),
                Verb::Skip(n) => rows.saturating_sub(*n),
                _ => rows,
            })
        }))
    }

    /// Runs the plan into `collector`, which is made when the schema is known.
    ///
    /// # Errors
    /// The first that any part of it meets; the collector is then dropped unfinished.
    pub fn collect<C: Collect>(
        &self,
        context: &Arc<Context>,
        collector: impl FnOnce(&SchemaRef, &Arc<Context>) -> Result<C>,
    ) -> Result<C::Done> {
        let plan = optimize(self, None)?;
        write_rejects(&plan, context);
        let fill = || {
            let (schema, flow) = lower(&plan, context)?;
            let collector = collector(&schema, context)?;
            flow.fill(Rejecting(collector), context)
        };
        let done = fill();
        let finished = context.logs.finish(context);
        done.and_then(|done| finished.map(|()| done))
    }
}

/// A collector that ends the run's files of rejects before its own.
struct Rejecting<C>(C);

impl<C: Collect> Collect for Rejecting<C> {
    type Packet = C::Packet;
    type Done = C::Done;

    fn prepare(&self, batch: Held, context: &Context) -> Result<C::Packet> {
        self.0.prepare(batch, context)
    }

    fn absorb(&self, packet: C::Packet, context: &Context) -> Result<()> {
        self.0.absorb(packet, context)
    }

    fn finish(&self, context: &Context) -> Result<C::Done> {
        context.logs.finish(context)?;
        self.0.finish(context)
    }
}

/// Tells a run how to make files of rejects: none may be one that it reads.
fn write_rejects(plan: &Optimized, context: &Context) {
    let mut sources = Vec::new();
    read_by(plan, &mut sources);
    context.logs.open_with(Box::new(move |path| {
        refuse_source(path, &sources)?;
        rejects::create(path)
    }));
}

fn read_by(plan: &Optimized, into: &mut Vec<PathBuf>) {
    match &plan.root {
        From::Source(source) => into.extend(source.paths()),
        From::Concat(inputs) => inputs.iter().for_each(|input| read_by(input, into)),
    }
}

fn lower(plan: &Optimized, context: &Arc<Context>) -> Result<(SchemaRef, Flow)> {
    let (mut schema, mut flow) = match &plan.root {
        From::Source(source) => {
            let pieces = source.clone().start(None, context)?;
            let on_consumer = source.on_consumer();
            (source.schema(), Flow::Parallel { pieces, steps: Vec::new(), on_consumer })
        }
        From::Concat(inputs) => concat(inputs, context)?,
    };
    for verb in &plan.verbs {
        (schema, flow) = add(verb, schema, flow, context)?;
    }
    Ok((schema, flow))
}

/// The flow with one verb more.
fn add(verb: &Verb, schema: SchemaRef, flow: Flow, context: &Arc<Context>) -> Result<(SchemaRef, Flow)> {
    match verb.bind(&schema, true)? {
        Some(Bound::Filter(predicates)) => return Ok((schema, flow.step(Arc::new(Filter::new(predicates)), context))),
        Some(Bound::Project(columns)) => {
            let project = Project::new(columns);
            return Ok((project.schema(), flow.step(Arc::new(project), context)));
        }
        None => {}
    }
    if let Verb::Aggregate(exprs) = verb {
        let aggregation = resolve_aggregates(exprs, &schema)?;
        let schema = aggregation.schema();
        let row = flow.fill(Aggregate::new(aggregation, context)?, context)?;
        return Ok((schema, Flow::Serial(Box::new(std::iter::once(Ok(row))))));
    }
    let pull = flow.pull(context);
    let (schema, pull): (SchemaRef, Pull) = match verb {
        Verb::Head(n) => (schema, Box::new(Head::new(pull, *n))),
        Verb::Skip(n) => (schema, Box::new(Skip::new(pull, *n))),
        Verb::RowIndex(name) => {
            let schema = indexed(&schema, name)?;
            (schema.clone(), Box::new(RowIndex::new(pull, schema)))
        }
        Verb::Rebatch { rows, drop_last } => (schema, Box::new(Rebatch::new(pull, *rows, *drop_last))),
        Verb::Map { call, kind, schema: given } => {
            let mut map = Map::new(pull, call.clone(), *kind, given.clone(), context);
            let schema = if *kind == Kind::Map { map.decide(&schema)? } else { schema };
            (schema, Box::new(map))
        }
        other => return Err(Error::Stream(format!("internal error: {} is not lowered", other.name()))),
    };
    Ok((schema, Flow::Serial(pull)))
}

/// The inputs one after the other, each lowered, and its files opened, when the one before it has ended.
fn concat(inputs: &[Optimized], context: &Arc<Context>) -> Result<(SchemaRef, Flow)> {
    let none = || Error::Value("concat: expected at least one stream, found none".into());
    let (first, others) = inputs.split_first().ok_or_else(none)?;
    let (own, flow) = lower(first, context)?;
    let schema = agree(std::iter::once(&own))?.ok_or_else(none)?;
    let (wanted, context) = (schema.clone(), context.clone());
    let others: Vec<Optimized> = others.to_vec();
    let others = others.into_iter().enumerate().map({
        let context = context.clone();
        move |(i, input)| {
            let (schema, flow) = lower(&input, &context)?;
            same(&own, &schema, i + 2)?;
            Ok(flow)
        }
    });
    let rows = std::iter::once(Ok(flow)).chain(others).flat_map(move |flow| match flow {
        Ok(flow) => flow.pull(&context),
        Err(e) => Box::new(std::iter::once(Err(e))),
    });
    let rows = rows.map(move |held| {
        held.and_then(|mut held| {
            let rows = held.batch.num_rows();
            held.batch = crate::batch::with_columns(wanted.clone(), held.batch.columns().to_vec(), rows)?;
            Ok(held)
        })
    });
    Ok((schema, Flow::Serial(Box::new(rows))))
}

/// The schema that all of `plans` share; `None` where only running one of them tells.
///
/// # Errors
/// Plans whose columns differ.
pub(super) fn agreed(plans: &[Plan]) -> Result<Option<SchemaRef>> {
    let schemas = plans.iter().map(Plan::schema).collect::<Result<Vec<_>>>()?;
    if schemas.iter().any(Option::is_none) {
        return Ok(None);
    }
    agree(schemas.iter().flatten())
}

fn agree<'a>(schemas: impl Iterator<Item = &'a SchemaRef>) -> Result<Option<SchemaRef>> {
    let mut first: Option<&SchemaRef> = None;
    for (i, schema) in schemas.enumerate() {
        same(first.get_or_insert(schema), schema, i + 1)?;
    }
    Ok(first.map(|schema| {
        let fields: Vec<_> = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        Arc::new(Schema::new(fields))
    }))
}

/// # Errors
/// [`Error::Schema`] if the `nth` stream has not the columns of the first.
fn same(first: &SchemaRef, schema: &SchemaRef, nth: usize) -> Result<()> {
    let said = |s: &Schema| s.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect::<Vec<_>>();
    if said(first) == said(schema) {
        return Ok(());
    }
    Err(Error::Schema(format!(
        "concat: stream {nth} has other columns than the first: expected {}, found {}; select, rename or cast them",
        listed(first),
        listed(schema)
    )))
}

fn listed(schema: &Schema) -> String {
    let all: Vec<String> =
        schema.fields().iter().map(|f| format!("`{}`: {}", f.name(), dtype_name(f.data_type()))).collect();
    all.join(", ")
}
