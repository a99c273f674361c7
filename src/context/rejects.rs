//! What could not be read: from the worker that met it to the count, the file and the judgement, in order.
//!
//! A worker puts what it met on the [`Tray`] of its piece; the exchange takes the tray along with each batch, and hands
//! it to the [`Log`] of its reader when the consumer gets there. So what is counted, written and judged depends on
//! what the consumer has come to, never on what some thread has read ahead. Each reject knows the record that it is
//! in, so that `max_errors` is judged at the very record that is one too many, wherever batches end.
//!
//! Memory held: what lies on the trays, leased by who put it there, and up to a MiB that waits to be written.

use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::{Context, Counters};
use crate::error::{Error, Place, Result};
use crate::format::{Bearing, MaxErrors};
use crate::memory::Lease;

/// A share of rejects is judged from this many records on, and at the end.
const JUDGED_FROM: u64 = 1_000;
/// Rejects, and bytes of them, that are gathered before they are written.
const WAITING: usize = 4_096;
const WAITING_BYTES: usize = 1 << 20;

/// Something that could not be read: a record, or a value for which there is a null now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The record that it is in, counted from 0 among those of its [`Entry`].
    pub record: u64,
    /// The line where the record begins, from 1.
    pub line: u64,
    /// Where the record begins, in bytes.
    pub offset: u64,
    /// The column, if one is to blame.
    pub column: Option<Box<str>>,
    /// What was expected, what was found.
    pub reason: Box<str>,
    /// The record as it stands in the file, without its line end.
    pub raw: Box<str>,
}

impl Reject {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.column.as_deref().map_or(0, str::len) + self.reason.len() + self.raw.len()
    }
}

/// What a worker found in some consecutive records.
#[derive(Debug)]
pub struct Entry {
    /// Where it belongs.
    pub log: Arc<Log>,
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// How many records there were, good and bad.
    pub records: u64,
    /// The bad ones, in order.
    pub rejects: Vec<Reject>,
    /// Their bytes.
    pub lease: Lease,
}

/// What the batches of one piece left behind, until the exchange takes it.
#[derive(Debug, Default)]
pub struct Tray(Mutex<Vec<Entry>>);

impl Tray {
    /// Adds what was found in the records behind those of the last entry.
    pub fn put(&self, entry: Entry) {
        locked(&self.0).push(entry);
    }

    /// Whether there is something on it.
    pub fn is_laid(&self) -> bool {
        !locked(&self.0).is_empty()
    }

    /// Empties it.
    pub fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut *locked(&self.0))
    }
}

/// Where rejects are written.
pub trait RejectFile: Send {
    /// Writes rows of [`schema`].
    ///
    /// # Errors
    /// The system's; memory that is not there.
    fn put(&mut self, batch: RecordBatch, lease: Lease, context: &Context) -> Result<()>;

    /// Ends the file, which is then in its place.
    ///
    /// # Errors
    /// The system's.
    fn finish(self: Box<Self>, context: &Context) -> Result<()>;
}

/// Makes the file for rejects.
pub type OpenFile = Box<dyn Fn(&Path) -> Result<Box<dyn RejectFile>> + Send + Sync>;

/// The columns of a file of rejects.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("file", DataType::Utf8, false),
        Field::new("line", DataType::Int64, false),
        Field::new("column", DataType::Utf8, true),
        Field::new("reason", DataType::Utf8, false),
        Field::new("raw", DataType::Utf8, false),
    ]))
}

/// The rejects of one reader in one run.
pub struct Log {
    bearing: Arc<Bearing>,
    counters: Arc<Counters>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    records: u64,
    rejects: u64,
    /// Whether the share was judged for the first time.
    judged: bool,
    last: Option<(Arc<str>, Reject)>,
    file: Option<Box<dyn RejectFile>>,
    waiting: Vec<(Arc<str>, Reject)>,
    bytes: usize,
    lease: Option<Lease>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("bearing", &self.bearing).finish_non_exhaustive()
    }
}

impl Log {
    /// Counts, writes and judges what a worker found. To be called on the consumer's thread, in order.
    ///
    /// # Errors
    /// [`Error::Parse`] if these are more than the reader bears; the file's.
    pub fn absorb(&self, entry: Entry, context: &Context) -> Result<()> {
        let mut state = locked(&self.state);
        let Entry { file, records, rejects, lease, .. } = entry;
        if state.file.is_some() && !rejects.is_empty() {
            match &mut state.lease {
                Some(held) => held.resize(held.bytes() + lease.bytes())?,
                None => state.lease = Some(lease),
            }
        }
        for reject in rejects {
            let at = state.records + reject.record;
            self.first_judgement(&mut state, at)?;
            state.rejects += 1;
            self.counters.rejects.fetch_add(1, Relaxed);
            if state.file.is_some() {
                state.bytes += reject.bytes();
                state.waiting.push((file.clone(), reject.clone()));
                if state.waiting.len() >= WAITING || state.bytes >= WAITING_BYTES {
                    state.write(context)?;
                }
            }
            state.last = Some((file.clone(), reject));
            self.judge(&state, at + 1, false)?;
        }
        let behind = state.records + records;
        self.first_judgement(&mut state, behind)?;
        state.records = behind;
        Ok(())
    }

    /// Judges the share of the first records, once there are enough.
    fn first_judgement(&self, state: &mut State, records: u64) -> Result<()> {
        if state.judged || records < JUDGED_FROM {
            return Ok(());
        }
        state.judged = true;
        self.judge(state, JUDGED_FROM, false)
    }

    fn judge(&self, state: &State, records: u64, ended: bool) -> Result<()> {
        #[expect(clippy::cast_precision_loss, reason = "a share of them")]
        let share = state.rejects as f64 / records.max(1) as f64;
        let most = match &self.bearing.max_errors {
            Some(MaxErrors::Count(most)) if state.rejects > *most => most.to_string(),
            Some(MaxErrors::Share(most)) if (ended || records >= JUDGED_FROM) && share > *most => most.to_string(),
            _ => return Ok(()),
        };
        let Some((file, last)) = &state.last else { return Ok(()) };
        let column = last.column.as_ref().map(|c| format!("column `{c}`: ")).unwrap_or_default();
        Err(Error::Parse {
            place: Box::new(Place {
                path: Some(file.to_string()),
                line: Some(last.line),
                offset: Some(last.offset),
                column: last.column.as_deref().map(str::to_owned),
                value: Some(last.raw.to_string()),
            }),
            message: format!(
                "{file}:{}: {column}{}; {} rejects in {records} records are more than max_errors={most} bears",
                last.line, last.reason, state.rejects
            ),
        })
    }

    /// Judges all that was read, at its end.
    ///
    /// # Errors
    /// [`Error::Parse`] if there are more rejects than the reader bears.
    fn end(&self) -> Result<()> {
        let state = locked(&self.state);
        self.judge(&state, state.records, true)
    }

    fn finish(&self, context: &Context) -> Result<()> {
        let mut state = locked(&self.state);
        if state.file.is_none() {
            return Ok(());
        }
        state.write(context)?;
        state.file.take().map_or(Ok(()), |file| file.finish(context))
    }
}

impl State {
    fn write(&mut self, context: &Context) -> Result<()> {
        let rows = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        let (Some(file), Some(lease)) = (&mut self.file, self.lease.take()) else { return Ok(()) };
        let text = |pick: fn(&Reject) -> Option<&str>| {
            Arc::new(rows.iter().map(|(_, reject)| pick(reject)).collect::<StringArray>())
        };
        let line = |reject: &Reject| i64::try_from(reject.line).unwrap_or(i64::MAX);
        let batch = RecordBatch::try_new(
            schema(),
            vec![
                Arc::new(StringArray::from_iter_values(rows.iter().map(|(file, _)| file))),
                Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, reject)| line(reject)))),
                text(|r| r.column.as_deref()),
                text(|r| Some(&r.reason)),
                text(|r| Some(&r.raw)),
            ],
        )?;
        drop(rows);
        file.put(batch, lease, context)
    }
}

/// The logs of a run, one a reader.
#[derive(Default)]
pub struct Logs {
    open: Mutex<Option<OpenFile>>,
    all: Mutex<Vec<Arc<Log>>>,
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}

impl Logs {
    /// Says how files for rejects are made.
    pub fn open_with(&self, open: OpenFile) {
        *locked(&self.open) = Some(open);
    }

    /// The log of the reader that `bearing` is of; files that it reads one after the other share it. The first call
    /// of a run makes the file.
    ///
    /// # Errors
    /// The file's; [`Error::Value`] where another reader of the run writes to the same.
    pub fn log(&self, bearing: &Arc<Bearing>, counters: &Arc<Counters>) -> Result<Arc<Log>> {
        let mut all = locked(&self.all);
        if let Some(known) = all.iter().find(|log| Arc::ptr_eq(&log.bearing, bearing)) {
            return Ok(known.clone());
        }
        let mut state = State::default();
        if let Some(path) = &bearing.rejects {
            if all.iter().any(|log| log.bearing.rejects.as_ref() == Some(path)) {
                return Err(Error::Value(format!(
                    "two readers write their rejects to `{}`; give each a file of its own",
                    path.display()
                )));
            }
            if let Some(open) = &*locked(&self.open) {
                state.file = Some(open(path)?);
            }
        }
        let log = Arc::new(Log { bearing: bearing.clone(), counters: counters.clone(), state: Mutex::new(state) });
        all.push(log.clone());
        Ok(log)
    }

    /// Judges all that was read, at the end of a source.
    ///
    /// # Errors
    /// [`Error::Parse`] if there are more rejects than a reader bears.
    pub fn end(&self) -> Result<()> {
        locked(&self.all).iter().try_for_each(|log| log.end())
    }

    /// Ends the files; to be called when the run ends, however it does. Only the first call does something.
    ///
    /// # Errors
    /// The files'.
    pub fn finish(&self, context: &Context) -> Result<()> {
        let all = std::mem::take(&mut *locked(&self.all));
        let context = context.uncancelled();
        all.iter().map(|log| log.finish(&context)).fold(Ok(()), Result::and)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn reject(record: u64) -> Reject {
        Reject { record, line: record + 2, offset: 0, column: None, reason: "bad".into(), raw: "x".into() }
    }

    /// Absorbs rejects in the given records, in entries of `size` records; what the judgement says, and where.
    fn judged(max_errors: MaxErrors, bad: &[u64], records: u64, size: u64) -> Option<String> {
        let context = Context::new(Options::default(), || Ok(()));
        let bearing = Arc::new(Bearing { rejects: None, max_errors: Some(max_errors) });
        let log = context.logs.log(&bearing, &context.stats.stage("reader")).expect("no file");
        let mut from = 0;
        while from < records {
            let to = (from + size).min(records);
            let rejects =
                bad.iter().filter(|b| (from..to).contains(b)).map(|b| Reject { record: b - from, ..reject(*b) });
            let entry = Entry {
                log: log.clone(),
                file: "t.csv".into(),
                records: to - from,
                rejects: rejects.collect(),
                lease: context.memory.holder("reader", None).empty(),
            };
            if let Err(e) = log.absorb(entry, &context) {
                return Some(e.to_string());
            }
            from = to;
        }
        context.logs.end().err().map(|e| e.to_string())
    }

    #[test]
    fn too_many_are_told_at_the_same_record_wherever_batches_end() {
        let most = |size| judged(MaxErrors::Count(2), &[3, 700, 1500, 1501], 5000, size);
        let expected = "t.csv:1502: bad; 3 rejects in 1501 records are more than max_errors=2 bears";
        for size in [1, 7, 1000, 65_536] {
            assert_eq!(most(size).as_deref(), Some(expected), "{size}");
        }
        assert_eq!(judged(MaxErrors::Count(4), &[3, 700, 1500, 1501], 5000, 10), None);
        assert!(judged(MaxErrors::Count(0), &[0], 1, 10).is_some());
    }

    #[test]
    fn a_share_is_judged_from_the_thousandth_record_on_and_at_the_end() {
        for size in [1, 7, 1000, 65_536] {
            let few = judged(MaxErrors::Share(0.1), &[0, 1], 10, size).expect("a fifth");
            assert!(few.contains("2 rejects in 10 records are more than max_errors=0.1"), "{few}");
            assert_eq!(judged(MaxErrors::Share(0.2), &[0, 1], 10, size), None);
            let first: Vec<u64> = (0..11).collect();
            let early = judged(MaxErrors::Share(0.01), &first, 100_000, size).expect("11 of 1000");
            assert!(early.contains("11 rejects in 1000 records"), "{early}");
            assert_eq!(judged(MaxErrors::Share(0.01), &first[..10], 100_000, size), None);
            let late = [&first[..10], &[1_050]].concat();
            let late = judged(MaxErrors::Share(0.01), &late, 100_000, size).expect("11 of 1051");
            assert!(late.contains("11 rejects in 1051 records"), "{late}");
        }
    }
}
