//! Frames with trailers, in pieces of any size.

use super::*;

const DATA: u8 = 0;
const LONGEST: usize = 64 * 1024;

fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

/// A literal field without indexing.
fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let length = |text: &[u8]| u8::try_from(text.len()).unwrap();
    [&[0, length(name)], name, &[length(value)], value].concat()
}

/// The client's part; its first head adds `:path: /x` to the table, and `x-a: 1`.
fn connection(section: &[u8]) -> Vec<u8> {
    let head = frame(HEADERS, END_HEADERS, 1, b"\x83\x86\x44\x02/x\x40\x03x-a\x011");
    let next = frame(HEADERS, END_HEADERS | END_STREAM, 3, &[0x82, 0x84, 0x86]);
    [&[b'p'; PREFACE][..], &head, &frame(DATA, 0, 1, b"hello"), section, &next].concat()
}

/// The part of a read piece that goes on.
fn received(trailers: &mut Trailers, piece: &[u8]) -> Vec<u8> {
    match trailers.received(piece) {
        Goes::AsItCame => piece.to_vec(),
        Goes::Instead(other) => other,
    }
}

/// The bytes the library gets, whatever pieces they come in.
fn passed_on(sent: &[u8]) -> Vec<u8> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for size in 1..=sent.len() {
        let mut trailers = Trailers::new(LONGEST);
        all.push(sent.chunks(size).flat_map(|piece| received(&mut trailers, piece)).collect());
        assert!(trailers.held.is_empty(), "in parts of {size}");
    }
    all.dedup();
    assert_eq!(all.len(), 1, "however it is cut");
    all.remove(0)
}

const LAST: u8 = END_HEADERS | END_STREAM;

#[test]
fn trailers_without_pseudo_fields_pass_as_they_came() {
    let padded = [&[3][..], &literal(b"x-a", b"1"), b":::"].concat();
    let prioritised = [&[0, 0, 0, 0, 16][..], &literal(b"x-a", b":path")].concat();
    let split = literal(b"x-checksum", b":method");
    for section in [
        frame(HEADERS, LAST, 1, &literal(b"x-checksum", b"1")),
        frame(HEADERS, LAST | PADDED, 1, &padded),
        frame(HEADERS, LAST | PRIORITY, 1, &prioritised),
        frame(HEADERS, LAST, 1, b""),
        // `accept: x`, a name of the static table; and two of the dynamic table.
        frame(HEADERS, LAST, 1, &[0x53, 1, b'x', 0xbe, 0xbf]),
        [
            frame(HEADERS, END_STREAM, 1, &split[..4]),
            frame(CONTINUATION, END_HEADERS, 1, &split[4..]),
        ]
        .concat(),
        frame(DATA, END_STREAM, 1, b"no trailers"),
    ] {
        let sent = connection(&section);
        assert_eq!(passed_on(&sent), sent, "{section:?}");
    }
}

#[test]
fn trailers_with_a_pseudo_field_do_not_end_the_stream() {
    let padded = [&[2][..], &literal(b":path", b"/"), b"xx"].concat();
    // `:path` in Huffman's code.
    let huffman = [&[0, 0x84, 0xb9, 0x58, 0xd3, 0x3f, 1][..], b"/"].concat();
    let behind = [&literal(b"x-a", b"1")[..], &literal(b":status", b"200")].concat();
    for block in [
        literal(b":path", b"/evil"),
        vec![0x82],
        vec![0x84],
        vec![0x04, 1, b'/'],
        vec![0x41, 1, b'x'],
        [&[0x3f, 0xe1, 0x1f][..], &[0x88]].concat(),
        huffman,
        behind,
        // Of the dynamic table: the field, its name alone, and behind a field that is added.
        vec![0xbf],
        vec![0x0f, 0x30, 1, b'/'],
        vec![0x7e, 1, b'2', 0xc0],
    ] {
        let sent = connection(&frame(HEADERS, LAST, 1, &block));
        let wanted = connection(&frame(HEADERS, END_HEADERS, 1, &block));
        assert_eq!(passed_on(&sent), wanted, "{block:?}");
    }
    let sent = connection(&frame(HEADERS, LAST | PADDED, 1, &padded));
    assert_eq!(passed_on(&sent), connection(&frame(HEADERS, END_HEADERS | PADDED, 1, &padded)));
    let split = literal(b":path", b"/");
    let rest = frame(CONTINUATION, END_HEADERS, 1, &split[3..]);
    let first = |flags| [frame(HEADERS, flags, 1, &split[..3]), rest.clone()].concat();
    assert_eq!(passed_on(&connection(&first(END_STREAM))), connection(&first(0)));
}

#[test]
fn fields_added_by_a_head_in_several_frames_are_known() {
    let block = b"\x83\x86\x44\x02/x\x40\x03x-a\x011";
    let head =
        [frame(HEADERS, 0, 1, &block[..5]), frame(CONTINUATION, END_HEADERS, 1, &block[5..])];
    let start = [&[b'p'; PREFACE][..], &head.concat(), &frame(DATA, 0, 1, b"hello")].concat();
    let after = |flags, index| [&start[..], &frame(HEADERS, flags, 1, &[index])].concat();
    assert_eq!(passed_on(&after(LAST, 0xbe)), after(LAST, 0xbe));
    assert_eq!(passed_on(&after(LAST, 0xbf)), after(END_HEADERS, 0xbf));
}

#[test]
fn a_section_without_end_is_the_librarys_affair() {
    for (stream, size, count) in [(1, 16_000, 6), (5, 16_000, 6), (1, 0, 9), (5, 3, 9)] {
        let mut trailers = Trailers::new(LONGEST);
        let start = connection(b"");
        let endless = frame(HEADERS, END_STREAM, stream, &vec![0; size]);
        let more = frame(CONTINUATION, 0, stream, &vec![0; size]);
        let mut sent = [&start[..], &endless].concat();
        (0..count).for_each(|_| sent.extend_from_slice(&more));
        let mut got = 0;
        for piece in sent.chunks(size.clamp(1, 1_000)) {
            got += received(&mut trailers, piece).len();
            assert!(trailers.held.len() <= LONGEST + 1_000);
        }
        assert_eq!(got, sent.len());
        // The frames go on being followed, but nobody knows what the table holds.
        let last = frame(CONTINUATION, END_HEADERS, stream, b"");
        assert_eq!(received(&mut trailers, &last), last);
        let next = |flags| frame(HEADERS, flags, 3, &[0xbe]);
        assert_eq!(received(&mut trailers, &next(LAST)), next(END_HEADERS));
    }
}

#[test]
fn bytes_held_back_pass_at_the_end() {
    let sent = connection(b"");
    let mut trailers = Trailers::new(LONGEST);
    let got = received(&mut trailers, &sent[..sent.len() - 1]);
    assert_eq!([got, trailers.ended()].concat(), sent[..sent.len() - 1]);
    assert!(trailers.held.is_empty());
}
