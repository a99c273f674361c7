//! The workers: threads that open pieces and push them through the steps, in parallel and yet in order.
//!
//! A channel of channels: each worker takes the next piece under a lock (so pieces are cut in order) together with a
//! *ticket* and a channel for its results, and the consumer, who is told of each channel in that order, empties one
//! after the other. Two things bound what is ahead of it: at most `ahead` results wait in all channels together, and
//! a piece is opened only when the window has room for its `need`. The oldest piece waits for neither, so nothing can
//! lock up: whatever the others hold, the one that the consumer waits for goes on.
//!
//! An error ends its piece; the consumer meets it when all earlier rows are out, so which error is raised does not
//! depend on timing. Threads start with the first pull and are joined on drop; a worker notices that within a batch.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, unbounded};

use crate::context::rejects::Entry;
use crate::context::{Context, TICK};
use crate::error::{Error, Result};
use crate::memory::{Holder, Lease};
use crate::piece::{Collect, Held, Piece, Pieces, Pull};
use crate::threads::{Bell, Short, worker};

/// What is done with each batch that a piece yields; `None` drops it.
pub type Work<T> = Arc<dyn Fn(Held, &Context) -> Result<Option<T>> + Send + Sync>;

/// The batches of `pieces`, in order.
pub fn rows(pieces: Arc<dyn Pieces>, on_consumer: bool, context: &Arc<Context>) -> Pull {
    run(pieces, Arc::new(|held, _: &Context| Ok(Some(held))), on_consumer, context)
}

/// Fills `collector` with the batches of `pieces`: prepared by the workers, absorbed here, in order.
///
/// # Errors
/// The first that any part of it meets; the collector is then dropped unfinished.
pub fn fill<C: Collect>(
    pieces: Arc<dyn Pieces>,
    collector: C,
    on_consumer: bool,
    context: &Arc<Context>,
) -> Result<C::Done> {
    let collector = Arc::new(collector);
    let shared = collector.clone();
    let work = Arc::new(move |held, context: &Context| shared.prepare(held, context).map(Some));
    for packet in run(pieces, work, on_consumer, context) {
        collector.absorb(packet?, context)?;
    }
    collector.finish(context)
}

/// Fills `collector` from batches that are made on this thread.
///
/// # Errors
/// As [`fill`].
pub fn drain<C: Collect>(input: Pull, collector: C, context: &Arc<Context>) -> Result<C::Done> {
    for held in input {
        context.interrupted()?;
        collector.absorb(collector.prepare(held?, context)?, context)?;
    }
    collector.finish(context)
}

/// The results of `work` on every batch of `pieces`, in order; made by `threads` workers, or inline where the
/// options or the source ask for it.
pub fn run<T: Send + 'static>(
    pieces: Arc<dyn Pieces>,
    work: Work<T>,
    on_consumer: bool,
    context: &Arc<Context>,
) -> Box<dyn Iterator<Item = Result<T>> + Send> {
    let context = context.segment();
    let window = context.memory.holder("reader", Some(context.options.window()));
    if on_consumer || context.options.inline() {
        Box::new(Inline { pieces, work, window, context, open: None, ticket: 0, ended: false })
    } else {
        Box::new(Exchange::new(pieces, work, window, context))
    }
}

/// All work on the caller's thread, one batch at a time.
struct Inline<T> {
    pieces: Arc<dyn Pieces>,
    work: Work<T>,
    window: Holder,
    context: Arc<Context>,
    /// The piece that is being read, and the context that has its tray.
    open: Option<(Pull, Arc<Context>)>,
    ticket: u32,
    ended: bool,
}

impl<T> Inline<T> {
    fn advance(&mut self) -> Result<Option<T>> {
        loop {
            self.context.interrupted()?;
            self.context.cancel.check()?;
            if let Some((pull, context)) = &mut self.open {
                let held = pull.next();
                let rejects = context.tray.take();
                let told = !rejects.is_empty();
                absorb(rejects, &self.context)?;
                if let Some(held) = held {
                    let mut held = held?;
                    held.first.piece = self.ticket;
                    if (held.batch.num_rows() > 0 || !told)
                        && let Some(out) = (self.work)(held, &self.context)?
                    {
                        return Ok(Some(out));
                    }
                } else {
                    self.open = None;
                    self.ticket += 1;
                }
                continue;
            }
            let Some(piece) = self.pieces.next(&self.context)? else {
                self.context.logs.end()?;
                return Ok(None);
            };
            let lease = self.window.lease(piece.need)?;
            let context = self.context.piece();
            self.open = Some((self.pieces.clone().open(piece, lease, &context)?, context));
        }
    }
}

impl<T> Iterator for Inline<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        if self.ended {
            return None;
        }
        let out = catch_unwind(AssertUnwindSafe(|| self.advance())).unwrap_or_else(|panic| Err(internal(&*panic)));
        self.ended = !matches!(out, Ok(Some(_)));
        if self.ended {
            self.open = None;
        }
        out.transpose()
    }
}

/// What a worker hands over: a result, if there is one, and what could not be read on the way to it.
struct Handed<T> {
    out: Option<T>,
    rejects: Vec<Entry>,
}

/// What one piece came to, in order; the channel ends with the piece.
type Results<T> = Receiver<Result<Handed<T>>>;

/// Where a worker puts them.
type Sink<T> = Sender<Result<Handed<T>>>;

/// Gives rejects to their logs, in order.
fn absorb(rejects: Vec<Entry>, context: &Context) -> Result<()> {
    for entry in rejects {
        entry.log.clone().absorb(entry, context)?;
    }
    Ok(())
}

/// What the workers wait on.
struct State {
    /// The ticket of the piece that the consumer empties now.
    oldest: u32,
    /// Results in all channels together.
    queued: usize,
    /// Pieces that were cut and not yet emptied.
    open: usize,
    /// No piece is cut any more: there is none left, or one failed and nothing behind it is ever pulled.
    exhausted: bool,
    /// The consumer left.
    stopped: bool,
}

struct Cut<T> {
    /// The next ticket.
    ticket: u32,
    /// Where the consumer is told of it; gone when there is no next one.
    order: Option<Sender<(u32, Results<T>)>>,
}

struct Shared<T> {
    pieces: Arc<dyn Pieces>,
    work: Work<T>,
    window: Holder,
    context: Arc<Context>,
    /// Held while a piece is cut.
    cut: Mutex<Cut<T>>,
    /// The largest `need` so far.
    largest: AtomicUsize,
    state: Mutex<State>,
    /// A piece was emptied.
    emptied: Bell,
    /// Bytes may have become free, or another piece is the oldest. Bytes are not counted under the lock: who misses that some
    /// became free hears of it with the next pull, and the oldest piece waits for none.
    freed: Bell,
    /// A result was taken, or another piece is the oldest.
    taken: Bell,
}

impl<T: Send + 'static> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a worker does until there is no piece left or the run ends.
    fn serve(&self) {
        while let Some((ticket, piece, results)) = self.cut() {
            let outcome = catch_unwind(AssertUnwindSafe(|| self.read(ticket, piece, &results)));
            if let Err(e) = outcome.unwrap_or_else(|panic| Err(internal(&*panic))) {
                self.state().exhausted = true;
                let _ = results.send(Err(e));
            }
        }
    }

    /// The next piece, with its ticket and the channel for its results, once there is room for one more.
    fn cut(&self) -> Option<(u32, Piece, Sink<T>)> {
        let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        let most = self.context.options.threads + self.context.options.ahead();
        let mut state = self.state();
        while state.open >= most && !state.stopped && !state.exhausted {
            state = self.emptied.wait(state);
        }
        if state.stopped || state.exhausted {
            cut.order = None;
            return None;
        }
        drop(state);
        let next = catch_unwind(AssertUnwindSafe(|| self.pieces.next(&self.context)));
        let next = next.unwrap_or_else(|panic| Err(internal(&*panic)));
        let mut state = self.state();
        state.exhausted |= !matches!(next, Ok(Some(_)));
        let Some(piece) = next.transpose() else {
            cut.order = None;
            return None;
        };
        state.open += 1;
        drop(state);
        let (results, receiver) = unbounded();
        let ticket = cut.ticket;
        cut.ticket += 1;
        cut.order.as_ref()?.send((ticket, receiver)).ok()?;
        match piece {
            Ok(piece) => Some((ticket, piece, results)),
            // a source that cannot tell its next piece: the consumer meets that after all earlier rows
            Err(e) => {
                let _ = results.send(Err(e));
                cut.order = None;
                None
            }
        }
    }

    fn read(&self, ticket: u32, piece: Piece, results: &Sink<T>) -> Result<()> {
        let context = self.context.piece();
        let outcome = self.batches(ticket, piece, results, &context);
        let rejects = context.tray.take();
        if !rejects.is_empty() {
            let _ = results.send(Ok(Handed { out: None, rejects }));
        }
        outcome
    }

    fn batches(&self, ticket: u32, piece: Piece, results: &Sink<T>, context: &Arc<Context>) -> Result<()> {
        let lease = self.admit(ticket, piece.need)?;
        for held in self.pieces.clone().open(piece, lease, context)? {
            let mut held = held?;
            held.first.piece = ticket;
            let rejects = context.tray.take();
            let only_told = held.batch.num_rows() == 0 && !rejects.is_empty();
            let out = if only_told { None } else { (self.work)(held, &self.context)? };
            if out.is_some() || !rejects.is_empty() {
                self.hand_over(ticket, Handed { out, rejects }, results)?;
            }
            self.context.cancel.check()?;
        }
        Ok(())
    }

    /// A lease of `need` bytes: at once for the oldest, when the window has room for the others.
    fn admit(&self, ticket: u32, need: usize) -> Result<Lease> {
        let largest = self.largest.fetch_max(need, Ordering::Relaxed).max(need);
        let mut state = self.state();
        loop {
            if state.stopped {
                return Err(Error::Cancelled);
            }
            if state.oldest == ticket {
                drop(state);
                return self.window.lease(need);
            }
            // who is not the oldest leaves room for one that is, and takes its own only then
            if let Some(room) = self.window.try_lease(need.saturating_add(largest)) {
                drop(room);
                return self.window.lease(need);
            }
            state = self.freed.wait(state);
        }
    }

    /// Sends a result, once there is room for it.
    fn hand_over(&self, ticket: u32, handed: Handed<T>, results: &Sink<T>) -> Result<()> {
        let ahead = self.context.options.ahead();
        let mut state = self.state();
        while state.queued >= ahead && !(state.oldest == ticket && results.is_empty()) {
            if state.stopped {
                return Err(Error::Cancelled);
            }
            state = self.taken.wait(state);
        }
        state.queued += usize::from(handed.out.is_some());
        drop(state);
        results.send(Ok(handed)).map_err(|_| Error::Cancelled)
    }
}

/// The consumer's end: starts the crew with the first pull, joins it on drop.
struct Exchange<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    /// The pieces in order, each as the channel of its results; ends when the last worker has left.
    order: Receiver<(u32, Results<T>)>,
    front: Option<Results<T>>,
    crew: Vec<JoinHandle<()>>,
    ended: bool,
}

impl<T: Send + 'static> Exchange<T> {
    fn new(pieces: Arc<dyn Pieces>, work: Work<T>, window: Holder, context: Arc<Context>) -> Self {
        let (sender, order) = unbounded();
        let state = State { oldest: 0, queued: 0, open: 0, exhausted: false, stopped: false };
        let shared = Arc::new(Shared {
            pieces,
            work,
            window,
            context,
            cut: Mutex::new(Cut { ticket: 0, order: Some(sender) }),
            largest: AtomicUsize::new(0),
            state: Mutex::new(state),
            emptied: Bell::new(),
            freed: Bell::new(),
            taken: Bell::new(),
        });
        Self { shared, order, front: None, crew: Vec::new(), ended: false }
    }

    fn start(&mut self) -> Result<()> {
        for i in 0..self.shared.context.options.threads {
            let shared = self.shared.clone();
            let worker = worker(format!("batchstream-{i}"), move || shared.serve());
            match worker {
                Ok(worker) => self.crew.push(worker),
                // fewer workers do the same work; none cannot
                Err(_) if !self.crew.is_empty() => break,
                Err(e) => return Err(Error::Io { path: None, source: e }.context("starting a worker thread")),
            }
        }
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<T>> {
        if self.crew.is_empty() {
            self.start()?;
        }
        // what the caller took last time is gone by now
        self.shared.freed.ring();
        let mut short = None;
        loop {
            // workers that find nothing for the consumer still wake it: only the clock says when to look
            if self.shared.context.interrupted()? {
                self.shared.context.cancel.check()?;
                self.shared.freed.ring();
            }
            let Some(results) = &self.front else {
                match next_of(&self.order, &mut short) {
                    Ok((ticket, results)) => {
                        self.front = Some(results);
                        self.shared.state().oldest = ticket;
                        self.shared.freed.ring();
                        self.shared.taken.ring();
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => {
                        self.shared.context.logs.end()?;
                        return Ok(None);
                    }
                }
                continue;
            };
            match next_of(results, &mut short) {
                Ok(handed) => {
                    let Handed { out, rejects } = handed?;
                    self.shared.state().queued -= usize::from(out.is_some());
                    self.shared.freed.ring();
                    self.shared.taken.ring();
                    absorb(rejects, &self.shared.context)?;
                    if out.is_some() {
                        return Ok(out);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.front = None;
                    self.shared.state().open -= 1;
                    self.shared.emptied.ring();
                    self.shared.freed.ring();
                }
            }
        }
    }

    /// Ends the crew and waits for it; at most one batch of work away.
    fn stop(&mut self) {
        self.ended = true;
        self.shared.state().stopped = true;
        self.shared.context.cancel.cancel();
        for bell in [&self.shared.emptied, &self.shared.freed, &self.shared.taken] {
            bell.ring();
        }
        for worker in self.crew.drain(..) {
            let _ = worker.join();
        }
        // what nobody will pull goes now, with its leases
        self.front = None;
        while self.order.try_recv().is_ok() {}
    }
}

impl<T: Send + 'static> Iterator for Exchange<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        if self.ended {
            return None;
        }
        let out = self.pull();
        if !matches!(out, Ok(Some(_))) {
            self.stop();
        }
        out.transpose()
    }
}

impl<T: Send + 'static> Drop for Exchange<T> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What comes next, waiting one tick for it with a `short` slice.
fn next_of<T>(from: &Receiver<T>, short: &mut Option<Short>) -> std::result::Result<T, RecvTimeoutError> {
    match from.try_recv() {
        Ok(next) => Ok(next),
        Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
        Err(TryRecvError::Empty) => {
            short.get_or_insert_with(Short::begin);
            from.recv_timeout(TICK)
        }
    }
}

/// A panic of ours, as an error that asks for a report.
fn internal(panic: &(dyn std::any::Any + Send)) -> Error {
    let what = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown".into());
    Error::Stream(format!("internal error, please report it: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::piece::{Ordinal, Place};
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use std::time::Duration;

    /// `pieces` pieces of `batches` batches of one row each, read with irregular pauses.
    struct Numbers {
        pieces: u64,
        batches: u64,
        next: Mutex<u64>,
        opened: AtomicUsize,
        fail_at: Option<u64>,
        panic_at: Option<u64>,
    }

    impl Numbers {
        fn new(pieces: u64, batches: u64) -> Self {
            Self { pieces, batches, next: Mutex::new(0), opened: AtomicUsize::new(0), fail_at: None, panic_at: None }
        }
    }

    impl Pieces for Numbers {
        fn next(&self, _: &Arc<Context>) -> Result<Option<Piece>> {
            let mut next = self.next.lock().expect("no panic under this lock");
            if *next == self.pieces {
                return Ok(None);
            }
            *next += 1;
            Ok(Some(Piece { place: Place { start: *next - 1, ..Place::default() }, need: 1000, raw: None }))
        }

        fn open(self: Arc<Self>, piece: Piece, mut lease: Lease, _: &Arc<Context>) -> Result<Pull> {
            self.opened.fetch_add(1, Ordering::Relaxed);
            let start = piece.place.start;
            if self.fail_at == Some(start) {
                return Err(Error::Format(format!("piece {start} is broken")));
            }
            assert_ne!(self.panic_at, Some(start), "a bug");
            let batches = self.batches;
            Ok(Box::new((0..batches).map(move |i| {
                // not for timing: it only shuffles who comes first
                std::thread::sleep(Duration::from_micros((start * 7919 + i * 104_729) % 300));
                let value = i64::try_from(start * batches + i).expect("small");
                let column: ArrayRef = Arc::new(Int64Array::from_iter_values([value]));
                let batch = RecordBatch::try_from_iter([("n", column)]).expect("one column");
                Ok(Held { batch, first: Ordinal::default(), lease: lease.split(100)? })
            })))
        }
    }

    fn context(threads: usize, prefetch: usize) -> Arc<Context> {
        let options = Options { threads, prefetch: Some(prefetch), memory_limit: Some(1 << 20), ..Options::default() };
        Context::new(options, || Ok(()))
    }

    fn values(pieces: Arc<Numbers>, context: &Arc<Context>) -> Vec<Result<i64>> {
        rows(pieces, false, context)
            .map(|held| {
                let held = held?;
                let column = held.batch.column(0).as_any().downcast_ref::<Int64Array>().expect("int64");
                Ok(column.value(0))
            })
            .collect()
    }

    #[test]
    fn order_is_the_source_s_for_every_crew() {
        for threads in [1, 2, 8] {
            for prefetch in [0, 1, 3, 16] {
                let context = context(threads, prefetch);
                let found = values(Arc::new(Numbers::new(23, 5)), &context);
                let found: Vec<i64> = found.into_iter().map(|v| v.expect("no failure")).collect();
                assert_eq!(found, (0..115).collect::<Vec<_>>(), "threads {threads}, prefetch {prefetch}");
                assert_eq!(context.memory.held(), 0);
            }
        }
    }

    #[test]
    fn an_error_comes_after_all_earlier_rows_and_ends_the_run() {
        for threads in [1, 2, 8] {
            let mut numbers = Numbers::new(30, 3);
            numbers.fail_at = Some(7);
            let context = context(threads, 8);
            let found = values(Arc::new(numbers), &context);
            assert_eq!(found.len(), 22);
            assert!(found[..21].iter().enumerate().all(|(i, v)| *v.as_ref().expect("before the error") == i as i64));
            assert_eq!(found[21].as_ref().expect_err("the broken piece").to_string(), "piece 7 is broken");
            assert_eq!(context.memory.held(), 0);
        }
    }

    #[test]
    fn a_panic_is_an_error() {
        for prefetch in [0, 4] {
            let mut numbers = Numbers::new(5, 1);
            numbers.panic_at = Some(2);
            let found = values(Arc::new(numbers), &context(2, prefetch));
            assert_eq!(found.len(), 3);
            let e = found[2].as_ref().expect_err("the panic").to_string();
            assert!(e.starts_with("internal error, please report it:"), "{e}");
        }
    }

    #[test]
    fn nothing_is_opened_before_the_first_pull_and_little_ahead_of_it() {
        let numbers = Arc::new(Numbers::new(1000, 1));
        let context = context(2, 3);
        let mut rows = rows(numbers.clone(), false, &context);
        assert_eq!(numbers.opened.load(Ordering::Relaxed), 0);
        for _ in 0..10 {
            rows.next().expect("a row").expect("no failure");
        }
        drop(rows);
        let opened = numbers.opened.load(Ordering::Relaxed);
        assert!((10..=16).contains(&opened), "{opened} pieces for 10 rows, 3 ahead, 2 at work");
        assert_eq!(context.memory.held(), 0);
        assert_eq!(Arc::strong_count(&numbers), 1, "the crew is gone");
    }

    #[test]
    fn a_window_with_room_for_one_piece_still_gets_through() {
        let options = Options { threads: 8, memory_limit: Some(1 << 20), ..Options::default() };
        let context = Context::new(options, || Ok(()));
        let hog = context.memory.holder("somebody else", None).lease((1 << 20) - 1500).expect("room");
        let found = values(Arc::new(Numbers::new(20, 2)), &context);
        assert_eq!(found.len(), 40);
        drop(hog);
        assert_eq!(context.memory.held(), 0);
        assert!(context.memory.peak() <= 1 << 20);
    }

    #[test]
    fn leaving_early_two_thousand_times_leaves_nothing() {
        for i in 0..2_000u64 {
            let numbers = Arc::new(Numbers::new(8, 1));
            let context = context(2, 2);
            let mut rows = rows(numbers.clone(), false, &context);
            for _ in 0..i % 3 {
                rows.next();
            }
            drop(rows);
            assert_eq!((context.memory.held(), Arc::strong_count(&numbers)), (0, 1));
        }
    }
}
