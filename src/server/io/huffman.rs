//! The length of a text that HTTP/2 sends in its Huffman code (RFC 7541 appendix B).
//!
//! The code is canonical: codes of one length follow each other, and shorter ones come
//! first. So the first bits tell a code's length by comparison, and no table of symbols is
//! needed.

/// The lengths of codes in bits, and how many codes have that length.
const CODES: [(u32, u64); 21] = [
    (5, 10),
    (6, 26),
    (7, 32),
    (8, 6),
    (10, 5),
    (11, 3),
    (12, 2),
    (13, 6),
    (14, 2),
    (15, 3),
    (19, 3),
    (20, 8),
    (21, 13),
    (22, 26),
    (23, 29),
    (24, 12),
    (25, 4),
    (26, 15),
    (27, 19),
    (28, 29),
    (30, 4),
];

/// The length of the code that 32 bits begin with.
fn code_length(ahead: u64) -> Option<u32> {
    let mut end = 0;
    let is_of = |(length, count): &&(u32, u64)| {
        end += count << (32 - length);
        ahead < end
    };
    CODES.iter().find(is_of).map(|(length, _)| *length)
}

/// How many octets the code encodes.
pub(super) fn decoded_length(code: &[u8]) -> usize {
    let (mut window, mut bits, mut length) = (0_u64, 0_u32, 0);
    let mut octets = code.iter();
    loop {
        while bits <= 32
            && let Some(&octet) = octets.next()
        {
            window |= u64::from(octet) << (56 - bits);
            bits += 8;
        }
        // After the end come ones, which the padding consists of.
        let ahead = (window | (u64::MAX >> bits)) >> 32;
        let Some(used) = code_length(ahead).filter(|used| *used <= bits) else { return length };
        window <<= used;
        bits -= used;
        length += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_rfc_have_their_lengths() {
        // RFC 7541 appendices C.4 and C.6.
        for (code, text) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"),
            ("25a849e95bb8e8b4bf", "custom-value"),
            ("6402", "302"),
            ("aec3771a4b", "private"),
            ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"),
            (
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ),
            ("", ""),
        ] {
            let digits: Vec<char> = code.chars().collect();
            let octet = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
            let octets: Vec<u8> = digits.chunks(2).map(octet).collect();
            assert_eq!(decoded_length(&octets), text.len(), "{text}");
        }
    }

    #[test]
    fn every_code_is_taken_whole() {
        assert_eq!(CODES.iter().map(|(_, count)| count).sum::<u64>(), 257, "octets and an end");
        let space = CODES.iter().map(|(length, count)| count << (32 - length)).sum::<u64>();
        assert_eq!(space, 1 << 32, "they leave no space");
        // `0` is 00000, octet 10 has thirty bits, and the end's own code is never complete.
        assert_eq!(decoded_length(&[0; 5]), 8);
        assert_eq!(decoded_length(&[0xff, 0xff, 0xff, 0xf3]), 1);
        assert_eq!(decoded_length(&[0xff]), 0);
    }
}
