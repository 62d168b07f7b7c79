//! The tables of RFC 7541's examples, and fields of every kind.

use super::*;

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(|it| !it.is_whitespace()).collect();
    let octet = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
    digits.chunks(2).map(octet).collect()
}

fn lengths(table: &FieldTable) -> Vec<usize> {
    table.entries.iter().map(|entry| entry.size - OVERHEAD).collect()
}

/// Appendices C.3 and C.4: three requests, plain and in Huffman's code.
#[test]
fn requests_leave_the_table_that_the_rfc_shows() {
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let huffman = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for blocks in [plain, huffman] {
        let mut table = FieldTable::default();
        let sizes = blocks.map(|block| {
            assert!(table.read(&octets(block)), "a head has pseudo-fields");
            table.size
        });
        assert_eq!(sizes, [57, 110, 164]);
        // custom-key: custom-value, cache-control: no-cache, :authority: www.example.com.
        assert_eq!(lengths(&table), [22, 21, 25]);
        assert!(table.is_known);
        let names: Vec<bool> = (62..65).map(|index| table.name(index).unwrap().is_pseudo).collect();
        assert_eq!(names, [false, false, true]);
    }
}

/// Appendices C.5 and C.6: three answers with a table of 256 octets, so that entries leave it.
#[test]
fn the_oldest_fields_leave_a_full_table() {
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a \
         3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 \
         677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 \
         553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ];
    let huffman = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e \
         919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 \
         821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed \
         4ee5 b106 3d50 07",
    ];
    for blocks in [plain, huffman] {
        let mut table = FieldTable::default();
        assert!(!table.read(&octets("3fe1 01")), "a change of size is no field");
        let sizes = blocks.map(|block| {
            assert!(table.read(&octets(block)));
            table.size
        });
        assert_eq!(sizes, [222, 222, 215]);
        assert_eq!(lengths(&table), [66, 20, 33]);
        assert!(table.is_known);
    }
}

#[test]
fn only_a_pseudo_field_of_the_table_counts() {
    let mut table = FieldTable::default();
    // x-a: 1, then :path: /x, both added.
    assert!(table.read(b"\x40\x03x-a\x011\x44\x02/x"));
    for (block, has_pseudo_field) in [
        (&b"\xbe"[..], true),
        (b"\xbf", false),
        // The name alone: with another value, added, not added, never added.
        (b"\x0f\x2f\x011", true),
        (b"\x0f\x30\x011", false),
        (b"\x1f\x2f\x011", true),
        (b"\x7f\x00\x011", false),
        // Which has moved both by one.
        (b"\xbe", false),
        (b"\xbf", true),
        (b"\x7e\x011", false),
        (b"\x82", true),
        (b"\x90", false),
        (b"\x10\x02:x\x011", true),
    ] {
        assert_eq!(table.read(block), has_pseudo_field, "{block:x?}");
        assert!(table.is_known, "{block:x?}");
    }
}

#[test]
fn a_field_larger_than_the_table_empties_it() {
    let mut table = FieldTable::default();
    assert!(table.read(b"\x44\x02/x"));
    let value = [b'v'; 4096];
    // x: and 4096 octets, whose length takes three.
    assert!(!table.read(&[b"\x40\x01x\x7f\x81\x1f", &value[..]].concat()));
    assert_eq!((table.size, table.entries.len()), (0, 0));
    assert!(table.is_known);
    assert!(!table.read(b"\x20\x40\x01x\x011"), "nothing fits into a table of no octets");
    assert_eq!((table.size, table.entries.len()), (0, 0));
}

#[test]
fn an_entry_of_a_lost_table_counts_as_a_pseudo_field() {
    for malformed in [
        &b"\x80"[..],
        b"\xbe",
        b"\x3f\xe2\x1f",
        b"\x40\x05x",
        b"\x00",
        b"\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x01",
    ] {
        let mut table = FieldTable::default();
        table.read(malformed);
        assert!(!table.is_known, "{malformed:x?}");
        assert!(table.read(b"\xbe"), "{malformed:x?}");
        assert!(!table.read(b"\x00\x01x\x011"), "{malformed:x?}");
    }
}
