//! `agg`: one row out of all of them. Each batch is aggregated by a worker; states are merged in the order of the
//! rows, so that a floating-point result does not depend on threads. Holds one state an aggregate.

use std::sync::{Mutex, PoisonError};

use crate::batch::bytes_held;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::expr::aggregate::{Aggregation, State};
use crate::memory::{Holder, Lease};
use crate::piece::{Collect, Held, Ordinal};

/// Collects one row.
pub struct Aggregate {
    aggregation: Aggregation,
    so_far: Mutex<Option<State>>,
    holder: Holder,
    lease: Mutex<Lease>,
}

impl Aggregate {
    /// Nothing aggregated yet.
    ///
    /// # Errors
    /// Aggregates that cannot start.
    pub fn new(aggregation: Aggregation, context: &Context) -> Result<Self> {
        let holder = context.memory.holder("agg", None);
        let (so_far, lease) = (Mutex::new(Some(aggregation.start()?)), Mutex::new(holder.empty()));
        Ok(Self { aggregation, so_far, holder, lease })
    }
}

impl Collect for Aggregate {
    type Packet = (State, Lease);
    type Done = Held;

    fn prepare(&self, held: Held, _: &Context) -> Result<(State, Lease)> {
        let mut state = self.aggregation.start()?;
        state.update(&held.batch)?;
        let lease = self.holder.lease(state.bytes())?;
        Ok((state, lease))
    }

    fn absorb(&self, (state, lease): (State, Lease), _: &Context) -> Result<()> {
        let mut so_far = self.so_far.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(so_far) = so_far.as_mut() {
            so_far.merge(state)?;
            drop(lease);
            self.lease.lock().unwrap_or_else(PoisonError::into_inner).resize(so_far.bytes())?;
        }
        Ok(())
    }

    fn finish(&self, _: &Context) -> Result<Held> {
        let state = self.so_far.lock().unwrap_or_else(PoisonError::into_inner).take();
        let state = state.ok_or_else(|| Error::Stream("agg: finished twice".into()))?;
        let batch = state.finish()?;
        let lease = self.holder.lease(bytes_held(&batch))?;
        Ok(Held { batch, first: Ordinal::default(), lease })
    }
}
