//! What a source can do itself: only the columns that are needed, the predicates that it can judge, a limit.
//!
//! The verbs stay where the user put them; this only walks down the chain, from the result to the source, and collects
//! what each verb needs of the one before it. A predicate reaches the source if its columns come from there unchanged
//! and nothing that counts rows, or that the caller can watch, lies between.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::lower::agreed;
use super::verb::Verb;
use super::{Plan, Root};
use crate::error::Result;
use crate::expr::Expr;
use crate::piece::{Pushdown, Source};

/// A plan with its sources told what is wanted of them.
#[derive(Clone)]
pub struct Optimized {
    /// Where the rows come from.
    pub root: From,
    /// What is left to do.
    pub verbs: Vec<Arc<Verb>>,
}

/// An optimized root.
#[derive(Clone)]
pub enum From {
    /// One source.
    Source(Arc<dyn Source>),
    /// Several plans, one after the other.
    Concat(Vec<Optimized>),
}

/// What is wanted of the input of a verb.
#[derive(Clone, Default)]
struct Wish {
    /// Columns; `None`: all.
    columns: Option<BTreeSet<String>>,
    /// Predicates in the names of this place, with the verb and the conjunct that each is.
    predicates: Vec<(usize, usize, Expr)>,
    limit: Option<u64>,
}

impl Wish {
    fn need(&mut self, exprs: &[Expr]) {
        if let Some(columns) = &mut self.columns {
            columns.extend(exprs.iter().flat_map(Expr::columns));
        }
    }

    /// Keeps predicates whose columns all come through, under the names that they had before.
    fn through(&mut self, origin: impl Fn(&str) -> Option<String>) {
        self.predicates.retain_mut(|(_, _, predicate)| {
            let renamed = predicate.renamed(&origin);
            let kept = renamed.is_some();
            if let Some(renamed) = renamed {
                *predicate = renamed;
            }
            kept
        });
    }

    /// Before this verb nothing that was said behind it holds.
    fn stop(&mut self) {
        *self = Wish::default();
    }
}

/// Tells the sources of `plan` what is wanted; `columns`: those of the result that are needed, `None`: all. With pushdown
/// switched off, the sources are told nothing.
///
/// # Errors
/// Whatever opening a source meets.
pub fn optimize(plan: &Plan, columns: Option<BTreeSet<String>>) -> Result<Optimized> {
    if plan.options.pushdown { pushed(plan, columns) } else { as_written(plan) }
}

fn as_written(plan: &Plan) -> Result<Optimized> {
    let root = match &plan.root {
        Root::Scan(scan) => From::Source(scan.source()?),
        Root::Concat(plans) => From::Concat(plans.iter().map(as_written).collect::<Result<_>>()?),
    };
    Ok(Optimized { root, verbs: plan.verbs.to_vec() })
}

fn pushed(plan: &Plan, columns: Option<BTreeSet<String>>) -> Result<Optimized> {
    let mut wish = Wish { columns, ..Wish::default() };
    // with a known schema, `all` has a list of names, and `drop` can take some from it
    for (at, verb) in plan.verbs.iter().enumerate().rev() {
        before(verb, at, &mut wish);
    }
    match &plan.root {
        Root::Scan(scan) => {
            let source = scan.source()?;
            let schema = source.schema();
            let columns = wish.columns.filter(|c| c.len() < schema.fields().len() || c.is_empty()).map(|wanted| {
                schema.fields().iter().map(|f| f.name().clone()).filter(|n| wanted.contains(n)).collect()
            });
            let (places, predicates): (Vec<_>, Vec<_>) =
                wish.predicates.into_iter().map(|(verb, conjunct, e)| ((verb, conjunct), e)).unzip();
            let told = source.push(&Pushdown { columns, predicates, limit: wish.limit })?;
            let done: Vec<(usize, usize)> =
                places.into_iter().zip(told.exact).filter(|(_, exact)| *exact).map(|(place, _)| place).collect();
            let verbs = plan.verbs.iter().enumerate().filter_map(|(at, verb)| without(verb, at, &done)).collect();
            Ok(Optimized { root: From::Source(told.source), verbs })
        }
        Root::Concat(plans) => {
            // each input may need more columns than the result does; all must give the same ones
            let wanted = match (wish.columns, agreed(plans)?) {
                (Some(wanted), Some(schema)) => {
                    Some(schema.fields().iter().map(|f| f.name().clone()).filter(|n| wanted.contains(n)).collect())
                }
                _ => None,
            };
            let input = |plan: &Plan| {
                let mut input = pushed(plan, wanted.as_ref().map(|w: &Vec<String>| w.iter().cloned().collect()))?;
                if let Some(wanted) = &wanted {
                    input.verbs.push(Arc::new(Verb::Select(wanted.iter().map(Expr::col).collect())));
                }
                Ok(input)
            };
            let inputs = plans.iter().map(input).collect::<Result<_>>()?;
            Ok(Optimized { root: From::Concat(inputs), verbs: plan.verbs.to_vec() })
        }
    }
}

/// Turns what is wanted of `verb` into what is wanted of its input.
fn before(verb: &Verb, at: usize, wish: &mut Wish) {
    match verb {
        Verb::Filter(predicates) => {
            wish.limit = None;
            wish.need(predicates);
            let conjuncts = predicates.iter().flat_map(Expr::conjuncts).enumerate();
            wish.predicates.extend(conjuncts.map(|(i, conjunct)| (at, i, conjunct)));
        }
        Verb::DropNulls(names) => {
            wish.limit = None;
            match &mut wish.columns {
                Some(columns) if !names.is_empty() => columns.extend(names.iter().cloned()),
                columns => *columns = None,
            }
        }
        Verb::Select(exprs) => {
            wish.columns = Some(BTreeSet::new());
            wish.need(exprs);
            wish.through(|name| exprs.iter().find(|e| e.output_name() == name).and_then(plain));
        }
        Verb::WithColumns(exprs) => {
            let made: Vec<String> = exprs.iter().map(Expr::output_name).collect();
            if let Some(columns) = &mut wish.columns {
                columns.retain(|c| !made.contains(c));
            }
            wish.need(exprs);
            wish.through(|name| match exprs.iter().find(|e| e.output_name() == name) {
                Some(made) => plain(made),
                None => Some(name.to_owned()),
            });
        }
        Verb::Rename(pairs) => {
            let old = |name: &str| pairs.iter().find(|(_, new)| new == name).map_or(name, |(old, _)| old).to_owned();
            wish.columns = wish.columns.take().map(|columns| columns.iter().map(|c| old(c)).collect());
            wish.through(|name| Some(old(name)));
        }
        Verb::Cast(pairs) => wish.through(|n| (!pairs.iter().any(|(name, _)| name == n)).then(|| n.to_owned())),
        Verb::FillNullIn(pairs) => wish.through(|n| (!pairs.iter().any(|(name, _)| name == n)).then(|| n.to_owned())),
        Verb::FillNull(_) => wish.predicates.clear(),
        Verb::Drop(_) => {}
        Verb::Rebatch { .. } => wish.limit = None,
        Verb::RenameWith(_) => {
            let limit = wish.limit;
            wish.stop();
            wish.limit = limit;
        }
        Verb::Head(n) => {
            wish.predicates.clear();
            wish.limit = Some(wish.limit.map_or(*n, |limit| limit.min(*n)));
        }
        Verb::Skip(n) => {
            wish.predicates.clear();
            wish.limit = wish.limit.map(|limit| limit.saturating_add(*n));
        }
        Verb::RowIndex(name) => {
            wish.predicates.clear();
            if let Some(columns) = &mut wish.columns {
                columns.remove(name);
            }
        }
        Verb::Map { .. } => wish.stop(),
        Verb::Aggregate(exprs) => {
            wish.stop();
            wish.columns = Some(BTreeSet::new());
            wish.need(exprs);
        }
    }
}

/// The column that `expr` passes through unchanged.
fn plain(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Column(name) => Some(name.clone()),
        Expr::Alias { input, .. } => plain(input),
        _ => None,
    }
}

/// The verb without the conjuncts that the source took over; `None` when none is left.
fn without(verb: &Arc<Verb>, at: usize, done: &[(usize, usize)]) -> Option<Arc<Verb>> {
    let Verb::Filter(predicates) = &**verb else { return Some(verb.clone()) };
    if !done.iter().any(|(verb, _)| *verb == at) {
        return Some(verb.clone());
    }
    let left: Vec<Expr> = predicates
        .iter()
        .flat_map(Expr::conjuncts)
        .enumerate()
        .filter(|(i, _)| !done.contains(&(at, *i)))
        .map(|(_, conjunct)| conjunct)
        .collect();
    (!left.is_empty()).then(|| Arc::new(Verb::Filter(left)))
}
