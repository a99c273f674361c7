//! Floats as the shortest digits that read back as the same number, in the standard library's `Debug`: `1.0`, `1e16`.
//!
//! Most floats that people keep have few digits: prices, distances, percentages. For those the digits need no search.
//! Let *m* be *x* · 10^*k* rounded to an integer. Where *m* < 10^15 and *k* ≤ 22, both *m* and 10^*k* are exact doubles, so
//! their quotient, rounded once, is the double nearest to the decimal *m* · 10^-*k*: if it equals *x*, that decimal
//! reads back as *x*. And it is the shortest one, but for zeros at its end: two decimals of up to 15 digits never read
//! as the same double (10^15 < 2^52), so what is as short and reads as *x* is the same number. For single precision
//! the bounds are 10^6, 10^10 and 2^23, with single arithmetic.
//!
//! *k* is tried a column at a time, without branches: rounding by adding 2^52 leaves *m* in the low bits. Where the
//! column's *k* does not fit, others are, and the column goes on with it; floats of all digits give up soon, and
//! their digits are searched for.

use std::fmt::Debug;
use std::io::Write;

use super::digits::fixed;
use super::slots::{Fill, Room};

/// Values that are scaled before their digits are written.
const STEP: usize = 64;
/// Values of a step that no number of places is found for, before the others are not tried.
const TRIES: usize = 4;
/// The places that a column begins with.
const PLACES: usize = 2;
/// What says that a value is no short decimal.
const NONE: u64 = u64::MAX;

/// A float that can be taken for a short decimal.
pub(super) trait Float: zmij::Float + Into<f64> + Debug + 'static {
    /// Powers of 10 that are exact.
    const POWERS: &[Self];

    /// The value · `power` as an integer, or [`NONE`] where its quotient is another value, or is written otherwise.
    fn scaled(self, power: Self) -> u64;

    fn is_negative(self) -> bool;
}

macro_rules! float {
    ($type:ty, most: $most:literal, integers: $integers:literal, powers: $powers:expr) => {
        impl Float for $type {
            const POWERS: &[Self] = &$powers;

            #[inline(always)]
            #[expect(clippy::float_cmp, reason = "what reads as another float is another float")]
            fn scaled(self, power: Self) -> u64 {
                let value = self.abs();
                let scaled = value * power;
                // beyond this, floats are integers, one after the other
                let rounded = scaled + $integers;
                let integer = rounded.to_bits() ^ <$type>::to_bits($integers);
                // below a ten thousandth they are written with an exponent
                let plain = (value >= 1e-4) | (value == 0.0);
                let same = ((rounded - $integers) / power == value) & (scaled < $most) & plain;
                if same { u64::from(integer) } else { NONE }
            }

            fn is_negative(self) -> bool {
                self.is_sign_negative()
            }
        }
    };
}

float!(
    f64, most: 1e15, integers: 4_503_599_627_370_496.0,
    powers: [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15]
);
float!(
    f32, most: 1e6, integers: 8_388_608.0,
    powers: [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10]
);

/// A column of floats.
pub(super) struct Floats<'a, T> {
    values: &'a [T],
    /// Behind the point, tried first.
    places: usize,
}

impl<'a, T> Floats<'a, T> {
    pub(super) fn new(values: &'a [T]) -> Self {
        Self { values, places: PLACES }
    }
}

/// The shortest digits by a search: `zmij`, four times as fast as the standard library, where neither writes an exponent.
/// Where two texts of the same length are equally near, it takes the even digit, as Python does.
pub(super) fn searched<T: Float>(value: T, out: &mut Vec<u8>) {
    let wide: f64 = value.into();
    if (1e-4..1e12).contains(&wide.abs()) {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else if wide.is_nan() {
        out.extend_from_slice(b"nan");
    } else {
        // a Vec takes everything
        let _ = write!(out, "{value:?}");
    }
}

/// The fewest places that make an integer of `value`, and that.
fn places_of<T: Float>(value: T) -> Option<(usize, u64)> {
    let powers = T::POWERS.iter().enumerate().skip(1);
    powers.map(|(places, power)| (places, value.scaled(*power))).find(|(_, integer)| *integer != NONE)
}

impl<T: Float> Fill for Floats<'_, T> {
    #[expect(clippy::cast_possible_truncation, reason = "up to 32")]
    fn fill(&mut self, first: usize, room: &mut Room<'_>) {
        let values = self.values.get(first..).unwrap_or_default();
        let values = &values[..values.len().min(room.lens.len())];
        let mut integers = [NONE; STEP];
        let mut cell = Vec::new();
        for (step, values) in values.chunks(STEP).enumerate() {
            let (places, power) = (self.places, T::POWERS[self.places]);
            for (integer, value) in integers.iter_mut().zip(values) {
                *integer = value.scaled(power);
            }
            let mut tries = TRIES;
            for (i, (value, integer)) in values.iter().zip(integers).enumerate() {
                let i = step * STEP + i;
                let mut found = (integer != NONE).then_some((places, integer));
                if found.is_none() && tries > 0 {
                    found = places_of(*value);
                    match found {
                        Some((places, _)) => self.places = self.places.max(places),
                        None => tries -= 1,
                    }
                }
                if let Some((places, integer)) = found {
                    room.lens[i] = fixed::<true>(integer, places as u32, value.is_negative(), &mut room.slots[i]) as u8;
                } else {
                    cell.clear();
                    searched(*value, &mut cell);
                    room.put(i, &cell);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::slots::SLOT;
    use super::*;

    /// The texts of a column.
    fn texts<T: Float>(values: &[T]) -> Vec<String> {
        let (mut slots, mut lens, mut aside) = (vec![[b'#'; SLOT]; values.len()], vec![0; values.len()], Vec::new());
        let mut room = Room { slots: &mut slots, lens: &mut lens, aside: &mut aside };
        Floats::new(values).fill(0, &mut room);
        let text = |i| String::from_utf8(room.cell(i).expect("a cell").to_vec()).expect("ASCII");
        (0..values.len()).map(text).collect()
    }

    /// Each value as the standard library writes it, whatever the values beside it are; or with an even last digit where
    /// that one has an odd one, and both are read as the value.
    fn agree<T: Float + std::str::FromStr + PartialEq>(values: &[T]) {
        let want = |value: &T| if (*value).into().is_nan() { "nan".to_owned() } else { format!("{value:?}") };
        let mut ties = 0;
        for (text, value) in texts(values).iter().zip(values) {
            let expected = want(value);
            if *text != expected {
                let digit = |text: &str| text.bytes().last().map_or(0, |b| b - b'0');
                assert_eq!(text[..text.len() - 1], expected[..expected.len() - 1], "{expected}");
                assert!(digit(text).is_multiple_of(2) && digit(text) + 1 == digit(&expected), "{text} {expected}");
                assert!(text.parse().is_ok_and(|read: T| read == *value), "{text}");
                ties += 1;
            }
        }
        assert!(ties * 10 < values.len().max(100), "{ties} of {}", values.len());
    }

    fn random() -> impl FnMut() -> u64 {
        let mut seed = 5u64;
        move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed ^ seed >> 31
        }
    }

    #[test]
    fn doubles_are_as_the_standard_library_writes_them() {
        let mut random = random();
        let mut values =
            vec![0.0, f64::MAX, f64::MIN_POSITIVE, f64::EPSILON, f64::INFINITY, f64::NAN, 1e-4, 1e15, 1e16];
        // every exponent, subnormals among them: powers of 2, and anything
        for exponent in 0..2047u64 {
            values.extend([0, 1, random() >> 12, (1 << 52) - 1].map(|bits| f64::from_bits(exponent << 52 | bits)));
        }
        // powers of 10, and what is next to them
        for exponent in -330..=308 {
            let power: f64 = format!("1e{exponent}").parse().expect("a float");
            values.extend([power, power.next_up(), power.next_down()]);
        }
        // 1 to 17 digits, the point anywhere, and what is next to that
        for digits in 1..=17u32 {
            for exponent in -25..20 {
                for _ in 0..40 {
                    let value: f64 = format!("{}e{exponent}", random() % 10u64.pow(digits)).parse().expect("a float");
                    values.extend([value, value.next_up(), value.next_down()]);
                }
            }
        }
        values.extend((0..100_000).map(|_| f64::from_bits(random())));
        // few bits, so that their decimals end in 5 and two shorter ones are as near
        for bits in 0..53 {
            values.extend((0..2_000).map(|_| (random() >> 11 >> bits) as f64 / (1u64 << (random() % 60)) as f64));
        }
        let negative: Vec<f64> = values.iter().map(|value| -value).collect();
        agree(&values);
        agree(&negative);
        // in a column of their own kind, so that the places are found
        for places in 0..=15u32 {
            let of = |n: u64| format!("{n}e-{places}").parse::<f64>().expect("a float");
            agree(&(0..2_000u64).map(of).collect::<Vec<_>>());
            agree(&(0..2_000u64).map(|n| of(n * 7_654_321)).collect::<Vec<_>>());
            agree(&(0..2_000u64).map(|n| of(999_999_999_990_000 + 7 * n)).collect::<Vec<_>>());
            agree(&(0..2_000).map(|_| of(random() % 10u64.pow(places + 2))).collect::<Vec<_>>());
        }
    }

    #[test]
    fn singles_are_as_the_standard_library_writes_them() {
        let mut random = random();
        let mut values = vec![0.0, f32::MAX, f32::MIN_POSITIVE, f32::INFINITY, f32::NAN, 1e-4, 1e15, 1e16];
        let of = |bits: u64| f32::from_bits(u32::try_from(bits >> 32).expect("32 bits"));
        values.extend((0..300_000).map(|_| of(random())));
        for digits in 1..=9u32 {
            for exponent in -14..17 {
                for _ in 0..40 {
                    let value: f32 = format!("{}e{exponent}", random() % 10u64.pow(digits)).parse().expect("a float");
                    values.extend([value, value.next_up(), value.next_down()]);
                }
            }
        }
        let negative: Vec<f32> = values.iter().map(|value| -value).collect();
        agree(&values);
        agree(&negative);
        for places in 0..=10 {
            let of = |n: u32| format!("{n}e-{places}").parse::<f32>().expect("a float");
            agree(&(0..2_000_000).step_by(7).map(of).collect::<Vec<_>>());
        }
    }
}
