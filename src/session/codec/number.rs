//! Integers of any size, exact as far as 64 bits go.

use serde_json::Value;

/// Sign and magnitude. Beyond 64 bits it is `null`: a user id must be exact.
pub(crate) fn from_little_endian(magnitude: &[u8], negative: bool) -> Value {
    let significant = magnitude.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
    if significant > 8 {
        return Value::Null;
    }
    let number = magnitude
        .iter()
        .take(significant)
        .rev()
        .fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    if !negative {
        return Value::from(number);
    }
    i64::try_from(-i128::from(number)).map_or(Value::Null, Value::from)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_to_64_bits() {
        assert_eq!(from_little_endian(&[], false), Value::from(0));
        assert_eq!(from_little_endian(&[255; 8], false), Value::from(u64::MAX));
        assert_eq!(from_little_endian(&[1; 9], false), Value::Null);
        assert_eq!(from_little_endian(&[1, 0, 0, 0, 0, 0, 0, 0, 0], true), Value::from(-1));
        assert_eq!(from_twos_complement(&[0xff]), Value::from(-1));
        assert_eq!(from_twos_complement(&[0xff, 0x00]), Value::from(255));
        assert_eq!(from_twos_complement(&[0x00, 0x80]), Value::from(-32768));
    }
}
