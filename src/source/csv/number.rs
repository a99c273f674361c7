//! Numbers from text, by bytes.
//!
//! Every function takes the whole buffer and the field's place in it: eight bytes that end with the field are one
//! load, which makes short numbers, nearly all there are, a matter of a few multiplications without a loop
//! (the trick of eight digits in three multiplications is Johnny Lee's and Daniel Lemire's).

use arrow::datatypes::{ArrowPrimitiveType, Float16Type, i256};

/// A half.
#[expect(non_camel_case_types, reason = "its name wherever it is one")]
type f16 = <Float16Type as ArrowPrimitiveType>::Native;

/// The eight bytes that end at `end`, those in front of `start` read as `0`. The field has at most eight bytes.
#[inline(always)]
fn eight(bytes: &[u8], start: usize, end: usize) -> u64 {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    if let Some(lane) = bytes.get(end.wrapping_sub(8)..end).and_then(|b| b.first_chunk::<8>()) {
        #[expect(clippy::cast_possible_truncation, reason = "at most eight bytes")]
        let keep = !(u64::MAX.checked_shr(8 * (end - start) as u32).unwrap_or(0));
        // Little-endian: the bytes in front are the low ones.
        return (u64::from_le_bytes(*lane) & keep) | (ZEROS & !keep);
    }
    let mut lane = [b'0'; 8];
    lane[8 - (end - start)..].copy_from_slice(&bytes[start..end]);
    u64::from_le_bytes(lane)
}

/// Whether all eight bytes are digits.
#[inline(always)]
fn are_digits(lane: u64) -> bool {
    ((lane & 0xf0f0_f0f0_f0f0_f0f0) | ((lane.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0) >> 4))
        == 0x3333_3333_3333_3333
}

/// The value of eight digits.
#[inline(always)]
fn value(lane: u64) -> u64 {
    let lane = (lane & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(2561) >> 8;
    let lane = (lane & 0x00ff_00ff_00ff_00ff).wrapping_mul(6_553_601) >> 16;
    (lane & 0x0000_ffff_0000_ffff).wrapping_mul(42_949_672_960_001) >> 32
}

/// An unsigned number of digits only, if it fits 64 bits.
#[inline(always)]
pub(super) fn digits(bytes: &[u8], start: usize, end: usize) -> Option<u64> {
    let len = end - start;
    if len.wrapping_sub(1) < 8 {
        let lane = eight(bytes, start, end);
        return are_digits(lane).then(|| value(lane));
    }
    if len == 0 {
        return None;
    }
    if len <= 16 {
        let (high, low) = (eight(bytes, start, end - 8), eight(bytes, end - 8, end));
        return (are_digits(high) && are_digits(low)).then(|| value(high) * 100_000_000 + value(low));
    }
    let mut total = 0_u64;
    for b in &bytes[start..end] {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        total = total.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(total)
}

/// An integer with an optional sign, as its magnitude and whether it is negative.
#[inline(always)]
pub(super) fn signed(bytes: &[u8], start: usize, end: usize) -> Option<(u64, bool)> {
    match bytes.get(start) {
        Some(b'-') => Some((digits(bytes, start + 1, end)?, true)),
        Some(b'+') => Some((digits(bytes, start + 1, end)?, false)),
        _ => Some((digits(bytes, start, end)?, false)),
    }
}

/// A signed integer.
#[inline(always)]
pub(super) fn int64(bytes: &[u8], start: usize, end: usize) -> Option<i64> {
    let (magnitude, negative) = signed(bytes, start, end)?;
    if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// An unsigned integer.
#[inline(always)]
pub(super) fn uint64(bytes: &[u8], start: usize, end: usize) -> Option<u64> {
    let (magnitude, negative) = signed(bytes, start, end)?;
    (!negative || magnitude == 0).then_some(magnitude)
}

/// Powers of ten that a double holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// A double, rounded to the nearest. Besides numbers: `inf`, `infinity` and `nan` in any case.
///
/// Up to 15 digits make an integer and a power of ten that are both exact, so that one division rounds right
/// (Clinger 1990); anything longer goes to the standard library.
#[inline(always)]
pub(super) fn float64(bytes: &[u8], start: usize, end: usize) -> Option<f64> {
    let negative = bytes.get(start) == Some(&b'-') && start < end;
    let from = start + usize::from(negative);
    match plain(bytes, from, end) {
        Some(x) => Some(if negative { -x } else { x }),
        None => slow::<f64>(bytes, start, end),
    }
}

/// A single, rounded to the nearest once (a double rounded again could be off).
#[inline(always)]
pub(super) fn float32(bytes: &[u8], start: usize, end: usize) -> Option<f32> {
    slow::<f32>(bytes, start, end)
}

/// A half, rounded to the nearest.
pub(super) fn float16(bytes: &[u8], start: usize, end: usize) -> Option<f16> {
    slow::<f64>(bytes, start, end).map(f16::from_f64)
}

/// Digits with at most one point among them and no more than 15 of them.
#[inline(always)]
fn plain(bytes: &[u8], start: usize, end: usize) -> Option<f64> {
    let len = end.checked_sub(start)?;
    if len.wrapping_sub(1) < 8 {
        let lane = eight(bytes, start, end);
        if are_digits(lane) {
            #[expect(clippy::cast_precision_loss, reason = "eight digits")]
            return Some(value(lane) as f64);
        }
        // The lowest byte that is a point, by the zero-byte test; a borrow can only blur bytes above it.
        let x = lane ^ 0x2e2e_2e2e_2e2e_2e2e;
        let point = x.wrapping_sub(0x0101_0101_0101_0101) & !x & 0x8080_8080_8080_8080;
        if point == 0 || len == 1 {
            return None;
        }
        // What stands in front of the point moves up by one byte over it.
        let shift = point.trailing_zeros() - 7;
        let below = (1_u64 << shift) - 1;
        let above = !(below | (0xff << shift));
        let lane = (lane & above) | ((lane & below) << 8) | 0x30;
        if !are_digits(lane) {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "eight digits")]
        return Some(value(lane) as f64 / TENS[7 - (shift / 8) as usize]);
    }
    if len == 0 || len > 16 {
        return None;
    }
    let (mut total, mut point) = (0_u64, None);
    for (i, b) in bytes[start..end].iter().enumerate() {
        let digit = b.wrapping_sub(b'0');
        if digit <= 9 {
            total = total * 10 + u64::from(digit);
        } else if *b == b'.' && point.is_none() {
            point = Some(len - 1 - i);
        } else {
            return None;
        }
    }
    if len - usize::from(point.is_some()) > 15 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "15 digits are below 2^53")]
    Some(total as f64 / TENS[point.unwrap_or(0)])
}

/// What the standard library reads, which is everything that is a number here.
#[cold]
fn slow<F: std::str::FromStr>(bytes: &[u8], start: usize, end: usize) -> Option<F> {
    std::str::from_utf8(bytes.get(start..end)?).ok()?.parse().ok()
}

/// As [`decimal`], of up to 76 digits.
pub(super) fn wide_decimal(text: &[u8], precision: u8, scale: i8) -> Option<i256> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => ("-", rest),
        [b'+', rest @ ..] => ("", rest),
        _ => ("", text),
    };
    let point = digits.iter().position(|b| *b == b'.').unwrap_or(digits.len());
    let (whole, behind) = (&digits[..point], digits.get(point + 1..).unwrap_or_default());
    let all = [whole, behind].concat();
    if all.is_empty() || !all.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // The digits that stay: those in front of the place of the last one kept.
    let kept = isize::try_from(whole.len()).ok()? + isize::from(scale);
    let (kept, zeros) = match usize::try_from(kept) {
        Ok(kept) if kept <= all.len() => (kept, 0),
        Ok(kept) => (all.len(), kept - all.len()),
        Err(_) => (0, 0),
    };
    if all[kept..].iter().any(|b| *b != b'0') {
        return None;
    }
    let mut text = std::str::from_utf8(&all[..kept]).ok()?.trim_start_matches('0').to_owned();
    if text.is_empty() {
        return Some(i256::ZERO);
    }
    text.extend(std::iter::repeat_n('0', zeros.min(100)));
    if text.len() > usize::from(precision) {
        return None;
    }
    i256::from_string(&format!("{sign}{text}"))
}

/// A decimal of `precision` digits, `scale` of them behind the point, as its unscaled integer. Digits beyond the
/// scale must be zeros: nothing is rounded.
pub(super) fn decimal(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (mut total, mut behind, mut any, mut point) = (0_i128, 0_i32, false, false);
    let scale = i32::from(scale);
    for b in text {
        match b {
            b'.' if !point => point = true,
            b'0'..=b'9' => {
                any = true;
                if point && behind >= scale {
                    if *b != b'0' {
                        return None;
                    }
                    continue;
                }
                total = total.checked_mul(10)?.checked_add(i128::from(b - b'0'))?;
                behind += i32::from(point);
            }
            _ => return None,
        }
    }
    if !any {
        return None;
    }
    let missing = scale - behind;
    if missing >= 0 {
        total = total.checked_mul(10_i128.checked_pow(missing.unsigned_abs())?)?;
    } else {
        let unit = 10_i128.checked_pow(missing.unsigned_abs())?;
        if total % unit != 0 {
            return None;
        }
        total /= unit;
    }
    let fits = 10_i128.checked_pow(u32::from(precision)).is_none_or(|most| total < most);
    fits.then_some(if negative { -total } else { total })
}

/// Writes a number as others write it into `out`: without marks between thousands, with `.` as decimal mark.
/// `None`: the marks stand where they cannot.
pub(super) fn normal(text: &[u8], decimal: u8, thousands: Option<u8>, out: &mut Vec<u8>) -> Option<()> {
    out.clear();
    let whole_end = text.iter().position(|b| *b == decimal).unwrap_or(text.len());
    let (whole, rest) = text.split_at(whole_end);
    if let Some(mark) = thousands.filter(|mark| whole.contains(mark)) {
        let unsigned = whole.strip_prefix(b"-").or(whole.strip_prefix(b"+")).unwrap_or(whole);
        let mut groups = unsigned.split(|b| *b == mark);
        let first = groups.next().map_or(0, <[u8]>::len);
        if !(1..=3).contains(&first) || groups.any(|g| g.len() != 3) {
            return None;
        }
        out.extend(whole.iter().filter(|b| **b != mark));
    } else {
        out.extend_from_slice(whole);
    }
    if decimal != b'.' && text.contains(&b'.') {
        // A point that is neither mark; a thousands mark is gone by now.
        if thousands != Some(b'.') || rest.contains(&b'.') {
            return None;
        }
    }
    if let [_, rest @ ..] = rest {
        out.push(b'.');
        out.extend_from_slice(rest);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses `text` in the middle of other bytes and on its own.
    fn both<T: PartialEq + std::fmt::Debug>(text: &str, f: impl Fn(&[u8], usize, usize) -> Option<T>) -> Option<T> {
        let around = format!("12345678{text}12345678");
        let inside = f(around.as_bytes(), 8, 8 + text.len());
        let alone = f(text.as_bytes(), 0, text.len());
        assert_eq!(inside.is_some(), alone.is_some(), "{text}");
        alone
    }

    #[test]
    fn integers_are_the_standard_librarys() {
        let edges = [
            "0",
            "-0",
            "+7",
            "007",
            "12345678",
            "123456789",
            "1234567812345678",
            "12345678123456789",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551615",
            "18446744073709551616",
            "99999999999999999999999",
            "",
            "-",
            "+",
            "1-",
            "1.0",
            "1e3",
            " 1",
            "12a45678",
            "1234567/",
            "1234567:",
            "a",
            "--1",
            "1_000",
            "\u{ff11}",
        ];
        for text in edges {
            assert_eq!(both(text, int64), text.parse().ok(), "{text}");
            // `-0` is a zero here, and none for the standard library.
            let expected = if text == "-0" { Some(0) } else { text.parse().ok() };
            assert_eq!(both(text, uint64), expected, "{text}");
        }
        let mut x = 1_u64;
        for _ in 0..20_000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let n = x.cast_signed() >> (x % 64);
            assert_eq!(both(&n.to_string(), int64), Some(n));
        }
    }

    #[test]
    fn floats_are_the_standard_librarys_to_the_bit() {
        let edges = [
            "0",
            "-0.0",
            "0.1",
            ".5",
            "5.",
            "1.",
            ".",
            "-",
            "-.",
            "-.5",
            "",
            "1e5",
            "1E-5",
            "1e400",
            "inf",
            "-inf",
            "NaN",
            "nan",
            "Infinity",
            "1.2.3",
            "1..2",
            "..",
            "12.34.5",
            "12345678.9",
            "123456789012345",
            "1234567890123456",
            "0.1234567890123456",
            "9007199254740993",
            "4.9e-324",
            "1.7976931348623157e308",
            "+1.5",
            "1,5",
            "1 ",
            "0x10",
            "./",
            "/.5",
            "1.5/",
            "3.:",
            "-5.15",
            "--1",
            "1.-",
            "1e",
            "infinit",
        ];
        for text in edges {
            let expected: Option<f64> = text.parse().ok();
            assert_eq!(both(text, float64).map(f64::to_bits), expected.map(f64::to_bits), "{text}");
        }
        let mut x = 1_u64;
        for i in 0..40_000_u32 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let digits = (x >> 20).to_string();
            let digits = &digits[..=i as usize % digits.len()];
            let at = x as usize % (digits.len() + 1);
            let text = format!("{}{}.{}", if i % 3 == 0 { "-" } else { "" }, &digits[..at], &digits[at..]);
            let expected: Option<f64> = text.parse().ok();
            assert_eq!(both(&text, float64).map(f64::to_bits), expected.map(f64::to_bits), "{text}");
        }
    }

    #[test]
    fn decimals_keep_every_digit() {
        assert_eq!(decimal(b"12.34", 4, 2), Some(1234));
        assert_eq!(decimal(b"-12.3", 4, 2), Some(-1230));
        assert_eq!(decimal(b"12.3400", 4, 2), Some(1234));
        assert_eq!(decimal(b"12.345", 9, 2), None, "nothing is rounded");
        assert_eq!(decimal(b"123.4", 4, 2), None, "five digits");
        assert_eq!(decimal(b"1200", 4, -2), Some(12));
        assert_eq!(decimal(b"1250", 4, -2), None);
        assert_eq!(decimal(b"99999999999999999999999999999999999999", 38, 0), Some(10_i128.pow(38) - 1));
        for bad in ["", ".", "-", "1e5", "1.2.3", "100000000000000000000000000000000000000"] {
            assert_eq!(decimal(bad.as_bytes(), 38, 0), None, "{bad}");
        }
    }

    #[test]
    fn wide_decimals_are_the_narrow_ones_and_more() {
        for text in
            ["0", "-0.00", "12.34", "-12.3", "12.3400", "12.345", "123.4", "1200", ".5", "5.", ".", "-", "1e5", "+7"]
        {
            for (precision, scale) in [(4, 2), (4, -2), (38, 0), (38, 10)] {
                let expected = decimal(text.as_bytes(), precision, scale).map(i256::from_i128);
                assert_eq!(wide_decimal(text.as_bytes(), precision, scale), expected, "{text} {precision} {scale}");
            }
        }
        let long = "9".repeat(76);
        assert_eq!(wide_decimal(long.as_bytes(), 76, 0).map(|v| v.to_string()), Some(long.clone()));
        assert_eq!(wide_decimal(format!("{long}9").as_bytes(), 76, 0), None);
    }

    #[test]
    fn marks_of_other_countries() {
        let normal = |text: &str, decimal, thousands| {
            let mut out = Vec::new();
            super::normal(text.as_bytes(), decimal, thousands, &mut out)
                .map(|()| String::from_utf8(out).expect("ascii"))
        };
        assert_eq!(normal("1.234.567,5", b',', Some(b'.')).as_deref(), Some("1234567.5"));
        assert_eq!(normal("-1,234", b'.', Some(b',')).as_deref(), Some("-1234"));
        assert_eq!(normal("1234,5", b',', None).as_deref(), Some("1234.5"));
        assert_eq!(normal("1,2,3", b'.', Some(b',')), None);
        assert_eq!(normal("1234,567", b'.', Some(b',')), None);
        assert_eq!(normal("1.5", b',', None), None, "a point is not this file's decimal mark");
        assert_eq!(normal("1,5.5", b',', Some(b'.')), None);
    }
}
