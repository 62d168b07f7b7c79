//! Integers of any size: up to 64 bits as numbers, beyond that as digits in a
//! text, because a user id must be exact.

use serde_json::Value;

/// More bytes than any id has; work grows with their square.
const MAX_BYTES: usize = 64;
/// About as many digits.
const MAX_DIGITS: usize = 160;

/// Sign and magnitude. A number larger than any id becomes `null`.
pub(crate) fn from_little_endian(magnitude: &[u8], negative: bool) -> Value {
    let significant = magnitude.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
    let magnitude = magnitude.get(..significant).unwrap_or_default();
    if significant > MAX_BYTES {
        return Value::Null;
    }
    let sign = if negative && significant > 0 { "-" } else { "" };
    from_decimal(&format!("{sign}{}", decimal(magnitude))).unwrap_or_default()
}

/// Two's complement, as Python pickles its integers.
pub(crate) fn from_twos_complement(bytes: &[u8]) -> Value {
    if bytes.last().is_none_or(|&top| top < 0x80) {
        return from_little_endian(bytes, false);
    }
    let mut carry = true;
    let magnitude: Vec<u8> = bytes
        .iter()
        .map(|&byte| {
            let (sum, overflow) = (!byte).overflowing_add(u8::from(carry));
            carry = overflow;
            sum
        })
        .collect();
    from_little_endian(&magnitude, true)
}

/// Digits with or without a sign: a number if it fits, a text otherwise.
pub(crate) fn from_decimal(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(Value::from(number));
    }
    if let Ok(number) = text.parse::<u64>() {
        return Some(Value::from(number));
    }
    (digits.len() <= MAX_DIGITS).then(|| Value::String(text.to_owned()))
}

/// A time as whole seconds: one before 1970 becomes 0, one beyond 64 bits the
/// largest number.
pub(crate) fn clamp(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, as it should"
    )]
    let whole = seconds as u64;
    whole
}

/// Decimal digits of a little-endian number, by dividing it down.
fn decimal(magnitude: &[u8]) -> String {
    let mut rest = magnitude.to_vec();
    let mut digits = Vec::new();
    while rest.iter().any(|&byte| byte != 0) {
        let remainder = rest.iter_mut().rev().fold(0_u16, |carried, byte| {
            let part = carried << 8 | u16::from(*byte);
            *byte = u8::try_from(part / 10).unwrap_or_default();
            part % 10
        });
        digits.push(char::from_digit(remainder.into(), 10).unwrap_or('0'));
    }
    if digits.is_empty() {
        return "0".to_owned();
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_at_any_size() {
        assert_eq!(from_little_endian(&[], false), Value::from(0));
        assert_eq!(from_little_endian(&[0], true), Value::from(0));
        assert_eq!(from_little_endian(&[255; 8], false), Value::from(u64::MAX));
        assert_eq!(from_little_endian(&[0, 0, 0, 0, 0, 0, 0, 0, 1], true), "-18446744073709551616");
        assert_eq!(
            from_little_endian(&[255; 16], false),
            "340282366920938463463374607431768211455"
        );
        assert_eq!(from_little_endian(&[1; 65], false), Value::Null);
        assert_eq!(from_little_endian(&[1, 0, 0, 0, 0, 0, 0, 0, 0], true), Value::from(-1));
        assert_eq!(from_twos_complement(&[0xff]), Value::from(-1));
        assert_eq!(from_twos_complement(&[0xff, 0x00]), Value::from(255));
        assert_eq!(from_twos_complement(&[0x00, 0x80]), Value::from(-32768));
    }
}
