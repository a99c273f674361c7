//! What the user asked for: a source and the verbs on it, checked as they are added.
//!
//! | file | what it does |
//! |---|---|
//! | `verb` | one variant an operation: its columns, its schema, its wording |
//! | `optimize` | what the source can do itself: columns, predicates, limit |
//! | `explain` | the plan as text |
//! | `lower` | the plan as something that runs |

mod explain;
mod lower;
mod optimize;
mod verb;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;

pub use self::lower::Run;
pub use self::verb::{NewName, Verb};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::piece::Source;

/// A chain may have this many verbs.
const LONGEST: usize = 1_000;

/// Makes the source when its schema is first needed.
pub type Open = Box<dyn Fn() -> Result<Arc<dyn Source>> + Send + Sync>;

/// A source that is opened when it is first needed, and then kept.
pub struct Scan {
    open: Open,
    label: String,
    opened: Mutex<Option<Arc<dyn Source>>>,
}

impl Scan {
    /// The source.
    ///
    /// # Errors
    /// Whatever opening it meets, each time anew.
    pub fn source(&self) -> Result<Arc<dyn Source>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = &*opened {
            return Ok(source.clone());
        }
        let source = (self.open)()?;
        *opened = Some(source.clone());
        Ok(source)
    }
}

/// Where the rows of a plan come from.
#[derive(Clone)]
pub(crate) enum Root {
    Scan(Arc<Scan>),
    Concat(Arc<[Plan]>),
}

/// A description of a run: a root and verbs. Immutable, cheap to clone, shared by any number of runs.
#[derive(Clone)]
pub struct Plan {
    root: Root,
    verbs: Arc<[Arc<Verb>]>,
    options: Options,
    /// The schema of the result, once it was needed; the inner `None`: only a run tells.
    #[expect(clippy::option_option, reason = "not asked yet, not known, known")]
    schema: Arc<Mutex<Option<Option<SchemaRef>>>>,
}

impl Plan {
    /// A plan that reads what `open` gives; `label` names it until then.
    pub fn read(label: impl Into<String>, options: Options, open: Open) -> Self {
        let scan = Scan { open, label: label.into(), opened: Mutex::new(None) };
        Self { root: Root::Scan(Arc::new(scan)), verbs: Arc::new([]), options, schema: Arc::default() }
    }

    /// One after the other.
    ///
    /// # Errors
    /// No plan at all, different schemas, a source that can be run once but stands here twice.
    pub fn concat(plans: Vec<Plan>) -> Result<Self> {
        let Some(first) = plans.first() else {
            return Err(Error::Value("concat: expected at least one stream, found none".into()));
        };
        let options = first.options.clone();
        let plan = Self { root: Root::Concat(plans.into()), verbs: Arc::new([]), options, schema: Arc::default() };
        let mut seen: Vec<Arc<dyn Source>> = Vec::new();
        for source in plan.opened()? {
            if source.one_shot() && seen.iter().any(|s| Arc::ptr_eq(s, &source)) {
                return Err(Error::Stream(
                    "concat: a source that can be run only once stands here twice; read it once and write it to a file"
                        .into(),
                ));
            }
            seen.push(source);
        }
        plan.schema()?;
        Ok(plan)
    }

    /// The plan with one verb more, checked against the schema where the verb names columns.
    ///
    /// # Errors
    /// Columns that are not there (with close names), types that do not fit, a chain without end.
    pub fn then(&self, verb: Verb) -> Result<Self> {
        if self.verbs.len() >= LONGEST {
            return Err(Error::Stream(format!("a chain has at most {LONGEST} verbs; put several into one select")));
        }
        let named = verb.names_columns();
        let verbs = self.verbs.iter().cloned().chain([Arc::new(verb)]).collect();
        let plan = Self { root: self.root.clone(), verbs, options: self.options.clone(), schema: Arc::default() };
        if named && let Some(input) = self.schema()? {
            let verb = plan.verbs.last().map(|v| v.schema(&input)).transpose()?;
            *plan.schema.lock().unwrap_or_else(PoisonError::into_inner) = verb;
        }
        Ok(plan)
    }

    /// The same plan with other run options.
    #[must_use]
    pub fn with_options(&self, options: Options) -> Self {
        Self { options, ..self.clone() }
    }

    /// The run options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The schema of the result; `None` behind a function whose results nobody described.
    ///
    /// # Errors
    /// Whatever opening the source meets, and what the verbs' columns do.
    pub fn schema(&self) -> Result<Option<SchemaRef>> {
        let mut known = self.schema.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = &*known {
            return Ok(schema.clone());
        }
        let mut schema = match &self.root {
            Root::Scan(scan) => Some(scan.source()?.schema()),
            Root::Concat(plans) => lower::agreed(plans)?,
        };
        for verb in self.verbs.iter() {
            schema = match schema {
                Some(input) => verb.schema(&input)?,
                None => match &**verb {
                    Verb::Map { schema: Some(given), .. } => Some(given.clone()),
                    _ => None,
                },
            };
        }
        *known = Some(schema.clone());
        Ok(schema)
    }

    /// The schema, if it is known without opening or reading anything.
    pub fn schema_if_known(&self) -> Option<SchemaRef> {
        self.schema.lock().unwrap_or_else(PoisonError::into_inner).clone().flatten()
    }

    /// The sources, opened.
    fn opened(&self) -> Result<Vec<Arc<dyn Source>>> {
        match &self.root {
            Root::Scan(scan) => Ok(vec![scan.source()?]),
            Root::Concat(plans) => {
                let lists = plans.iter().map(Plan::opened).collect::<Result<Vec<_>>>()?;
                Ok(lists.into_iter().flatten().collect())
            }
        }
    }

    /// The files that a run reads, so that a sink can refuse to overwrite one.
    ///
    /// # Errors
    /// Whatever opening a source meets.
    pub fn paths(&self) -> Result<Vec<PathBuf>> {
        Ok(self.opened()?.iter().flat_map(|s| s.paths()).collect())
    }

    /// The files that a run writes beside its result, which a sink must not write too.
    ///
    /// # Errors
    /// Whatever opening a source meets.
    pub fn rejects(&self) -> Result<Vec<PathBuf>> {
        Ok(self.opened()?.iter().filter_map(|s| s.rejects()).collect())
    }
}
