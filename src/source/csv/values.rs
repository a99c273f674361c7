//! Columns of values of one width: numbers, dates, times.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::types::ArrowPrimitiveType;
use arrow::array::{ArrayRef, PrimitiveArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{Float16Type, TimeUnit, i256};

use crate::error::Result;

use super::column::{By, Fill, Rows, Valid, Writing, snug};
use super::index::Field;
use super::number;
use super::time::{self, Day, Moment};
use super::unescape::unescape;

/// How a value of type `V` is read.
pub(super) trait Parse<V>: Send + 'static {
    /// The value of the field between `start` and `end` of `bytes`, as it is written where the caller said nothing about
    /// it. To be inlined.
    fn parse(&mut self, bytes: &[u8], start: usize, end: usize) -> Option<V>;

    /// The value of a text, as it is written by `writing`.
    fn slow(&mut self, text: &[u8], writing: &Writing, scratch: &mut Vec<u8>) -> Option<V>;

    /// Whether `parse` gives what `slow` would, or nothing.
    fn is_fast(&self, writing: &Writing) -> bool;
}

/// Values of one width.
pub(super) struct Values<T: ArrowPrimitiveType, P> {
    by: By,
    parse: P,
    /// Whether `parse` may be asked at all, and before it is known that the field is no null.
    fast: bool,
    first: bool,
    found: Vec<T::Native>,
    valid: Valid,
    scratch: Vec<u8>,
    rewritten: Vec<u8>,
}

impl<T: ArrowPrimitiveType, P: Parse<T::Native>> Values<T, P> {
    /// None yet.
    pub(super) fn new(by: By, parse: P) -> Self {
        let (found, scratch, rewritten) = (Vec::new(), Vec::new(), Vec::new());
        let fast = parse.is_fast(&by.writing);
        let first = fast && by.nulls.are_empty();
        Self { by, parse, fast, first, found, valid: Valid::default(), scratch, rewritten }
    }

    /// A field that was not read at once: `Ok(None)` is null.
    #[inline(never)]
    fn other(&mut self, rows: Rows<'_>, field: Field) -> Result<Option<T::Native>, ()> {
        let mut text = &rows.bytes[field.start()..field.end()];
        if field.is_raw() {
            self.scratch.clear();
            unescape(rows.dialect, text, &mut self.scratch);
            text = &self.scratch;
        }
        if self.by.nulls.has(text) {
            return Ok(None);
        }
        if self.fast
            && !field.is_raw()
            && let Some(value) = self.parse.parse(rows.bytes, field.start(), field.end())
        {
            return Ok(Some(value));
        }
        self.parse.slow(text.trim_ascii(), &self.by.writing, &mut self.rewritten).map(Some).ok_or(())
    }
}

impl<T: ArrowPrimitiveType, P: Parse<T::Native>> Fill for Values<T, P> {
    fn reserve(&mut self, rows: usize) {
        self.found.reserve_exact(rows);
    }

    fn fill(&mut self, rows: Rows<'_>, bad: &mut dyn FnMut(usize) -> bool) {
        let fields = self.by.fields(rows);
        self.found.reserve(fields.len());
        let mut nulls = self.found.len();
        for (row, field) in fields.enumerate() {
            if self.first
                && !field.is_raw()
                && let Some(value) = self.parse.parse(rows.bytes, field.start(), field.end())
            {
                self.found.push(value);
                continue;
            }
            match self.other(rows, field) {
                Ok(Some(value)) => self.found.push(value),
                other => {
                    self.valid.run += self.found.len() - nulls;
                    if other.is_err() && !bad(row) {
                        return;
                    }
                    self.found.push(T::Native::default());
                    self.valid.null();
                    nulls = self.found.len();
                }
            }
        }
        self.valid.run += self.found.len() - nulls;
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let values = ScalarBuffer::from(snug(std::mem::take(&mut self.found)));
        let array = PrimitiveArray::<T>::try_new(values, self.valid.finish())?;
        Ok(Arc::new(array.with_data_type(self.by.dtype.clone())))
    }
}

/// A type whose numbers are read by `number`.
pub(super) trait Number: Sized {
    /// The number between `start` and `end`.
    fn number(bytes: &[u8], start: usize, end: usize) -> Option<Self>;
}

macro_rules! numbers {
    ($($type:ty: $read:path),*) => { $(
        impl Number for $type {
            #[inline(always)]
            fn number(bytes: &[u8], start: usize, end: usize) -> Option<Self> {
                $read(bytes, start, end)?.try_into().ok()
            }
        }
    )* };
}

numbers! {
    i8: number::int64, i16: number::int64, i32: number::int64, i64: number::int64,
    u8: number::uint64, u16: number::uint64, u32: number::uint64, u64: number::uint64,
    f32: number::float32, f64: number::float64
}

/// Integers and floats.
pub(super) struct Numbers;

impl<V: Number> Parse<V> for Numbers {
    #[inline(always)]
    fn parse(&mut self, bytes: &[u8], start: usize, end: usize) -> Option<V> {
        V::number(bytes, start, end)
    }

    #[inline(never)]
    fn slow(&mut self, text: &[u8], writing: &Writing, scratch: &mut Vec<u8>) -> Option<V> {
        let text = writing.number(text, scratch)?;
        V::number(text, 0, text.len())
    }

    fn is_fast(&self, writing: &Writing) -> bool {
        writing.plain_numbers()
    }
}

/// A half.
type Half = <Float16Type as ArrowPrimitiveType>::Native;

/// Halves, whose type has no name that could stand beside the others.
pub(super) struct Halves;

impl Parse<Half> for Halves {
    fn parse(&mut self, bytes: &[u8], start: usize, end: usize) -> Option<Half> {
        number::float16(bytes, start, end)
    }

    fn slow(&mut self, text: &[u8], writing: &Writing, scratch: &mut Vec<u8>) -> Option<Half> {
        let text = writing.number(text, scratch)?;
        number::float16(text, 0, text.len())
    }

    fn is_fast(&self, writing: &Writing) -> bool {
        writing.plain_numbers()
    }
}

/// Decimals of so many digits, so many of them behind the point.
pub(super) struct Decimals(pub(super) u8, pub(super) i8);

/// An unscaled integer.
pub(super) trait Unscaled: Sized {
    /// That of a number.
    fn unscaled(text: &[u8], precision: u8, scale: i8) -> Option<Self>;
}

macro_rules! unscaled {
    ($($type:ty: $read:path),*) => { $(
        impl Unscaled for $type {
            fn unscaled(text: &[u8], precision: u8, scale: i8) -> Option<Self> {
                $read(text, precision, scale)?.try_into().ok()
            }
        }
    )* };
}

unscaled! { i32: number::decimal, i64: number::decimal, i128: number::decimal, i256: number::wide_decimal }

impl<V: Unscaled> Parse<V> for Decimals {
    fn parse(&mut self, bytes: &[u8], start: usize, end: usize) -> Option<V> {
        V::unscaled(&bytes[start..end], self.0, self.1)
    }

    fn slow(&mut self, text: &[u8], writing: &Writing, scratch: &mut Vec<u8>) -> Option<V> {
        V::unscaled(writing.number(text, scratch)?, self.0, self.1)
    }

    fn is_fast(&self, writing: &Writing) -> bool {
        writing.plain_numbers()
    }
}

/// Dates and times that two functions read: the second one where the caller gave patterns.
pub(super) struct Temporal<P, S> {
    pub(super) parse: P,
    pub(super) slow: S,
}

impl<V, P, S> Parse<V> for Temporal<P, S>
where
    P: Fn(&[u8]) -> Option<V> + Send + 'static,
    S: Fn(&[u8], &Writing) -> Option<V> + Send + 'static,
{
    fn parse(&mut self, bytes: &[u8], start: usize, end: usize) -> Option<V> {
        (self.parse)(&bytes[start..end])
    }

    fn slow(&mut self, text: &[u8], writing: &Writing, _: &mut Vec<u8>) -> Option<V> {
        (self.slow)(text, writing)
    }

    fn is_fast(&self, writing: &Writing) -> bool {
        writing.patterns.is_empty()
    }
}

/// Timestamps.
pub(super) struct Stamps {
    unit: TimeUnit,
    zone: Option<Tz>,
    day: Day,
}

impl Stamps {
    /// Those in `unit`s, of a column of `zone`.
    pub(super) fn new(unit: TimeUnit, zone: Option<Tz>) -> Self {
        Self { unit, zone, day: Day::default() }
    }

    fn convert(&self, moment: Moment) -> Option<i64> {
        let seconds = match &self.zone {
            None if moment.offset.is_some() => return None,
            None => moment.seconds,
            Some(zone) => time::in_zone(moment, *zone)?,
        };
        time::in_unit(seconds, moment.nanos, self.unit)
    }

    #[inline(never)]
    fn any(&self, text: &[u8]) -> Option<i64> {
        self.convert(time::moment(text)?)
    }
}

impl Parse<i64> for Stamps {
    #[inline(always)]
    fn parse(&mut self, bytes: &[u8], start: usize, end: usize) -> Option<i64> {
        let text = &bytes[start..end];
        if self.zone.is_none()
            && let Ok(text) = text.try_into()
        {
            return time::in_unit(self.day.and_clock(text)?, 0, self.unit);
        }
        self.any(text)
    }

    fn slow(&mut self, text: &[u8], writing: &Writing, _: &mut Vec<u8>) -> Option<i64> {
        self.convert(writing.moment(text)?)
    }

    fn is_fast(&self, writing: &Writing) -> bool {
        writing.patterns.is_empty()
    }
}
