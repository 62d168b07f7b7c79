//! The PROXY protocol, versions 1 and 2: the client's address, as told by a load
//! balancer that does not speak HTTP.
//!
//! Pure: bytes in, an address or a refusal out. Strict where the specification leaves
//! room, because these bytes become the client's address unconfirmed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Octets at the start that tell the version; no header is shorter.
pub(crate) const START: usize = 12;
/// The longest line of version 1, its end included.
pub(crate) const LONGEST_LINE: usize = 107;
/// Octets of a version 2 header after its start.
pub(crate) const PREAMBLE: usize = 4;
/// The longest version 2 header that is read; addresses and the extensions in
/// use take a few hundred octets.
pub(crate) const LONGEST_BODY: usize = 4096;

const SIGNATURE: [u8; START] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The version of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderVersion {
    One,
    Two,
}

/// The client, according to the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderSource {
    /// An address of the internet.
    Address(SocketAddr),
    /// The load balancer speaks for itself, or does not know: the peer of the socket
    /// is the client.
    Connection,
    /// A socket of the load balancer's own machine: no address at all.
    Unix,
}

/// Not a header, or one that contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MalformedHeader;

/// Looks at the first octets of a connection.
pub(crate) fn version(start: &[u8; START]) -> Result<HeaderVersion, MalformedHeader> {
    if *start == SIGNATURE {
        Ok(HeaderVersion::Two)
    } else if start.starts_with(b"PROXY ") {
        Ok(HeaderVersion::One)
    } else {
        Err(MalformedHeader)
    }
}

/// Reads a whole line of version 1, CRLF included.
pub(crate) fn read_line(line: &[u8]) -> Result<HeaderSource, MalformedHeader> {
    let line = line.strip_suffix(b"\r\n").ok_or(MalformedHeader)?;
    let line = std::str::from_utf8(line).map_err(|_| MalformedHeader)?;
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        // The specification says to ignore the rest.
        ["PROXY", "UNKNOWN", ..] => Ok(HeaderSource::Connection),
        ["PROXY", family, from, to, from_port, to_port] => {
            let is_fine = |text: &str| match *family {
                "TCP4" => text.parse::<Ipv4Addr>().is_ok(),
                "TCP6" => text.parse::<Ipv6Addr>().is_ok(),
                _ => false,
            };
            if !is_fine(from) || !is_fine(to) {
                return Err(MalformedHeader);
            }
            port(to_port)?;
            let address: IpAddr = from.parse().map_err(|_| MalformedHeader)?;
            Ok(HeaderSource::Address(SocketAddr::new(address, port(from_port)?)))
        }
        _ => Err(MalformedHeader),
    }
}

/// Decimal digits without a sign or leading zeros.
fn port(text: &str) -> Result<u16, MalformedHeader> {
    let is_plain =
        text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_plain.then(|| text.parse().ok()).flatten().ok_or(MalformedHeader)
}

/// The number of octets after the preamble of version 2.
pub(crate) fn body_length(preamble: [u8; PREAMBLE]) -> Result<usize, MalformedHeader> {
    let [version, _, high, low] = preamble;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if version >> 4 != 2 || length > LONGEST_BODY {
        return Err(MalformedHeader);
    }
    Ok(length)
}

/// Reads a version 2 header: its preamble and the octets after it. Extensions
/// after the addresses are passed over, if they are whole.
pub(crate) fn read_body(
    preamble: [u8; PREAMBLE],
    body: &[u8],
) -> Result<HeaderSource, MalformedHeader> {
    const LOCAL: u8 = 0;
    const PROXY: u8 = 1;
    let [command, family, ..] = preamble;
    match command & 0x0f {
        // Health checks; the specification says to ignore the rest.
        LOCAL => return Ok(HeaderSource::Connection),
        PROXY => {}
        _ => return Err(MalformedHeader),
    }
    let (source, extensions) = match family {
        // Not specified, or over datagrams, which did not bring this connection.
        0x00 => return Ok(HeaderSource::Connection),
        0x11 => {
            let (addresses, rest) = body.split_first_chunk::<12>().ok_or(MalformedHeader)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            let port = u16::from_be_bytes([high, low]);
            (HeaderSource::Address(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port)), rest)
        }
        0x21 => {
            let (addresses, rest) = body.split_first_chunk::<36>().ok_or(MalformedHeader)?;
            let (from, rest_of) = addresses.split_first_chunk::<16>().ok_or(MalformedHeader)?;
            let ports = rest_of.get(16..18).ok_or(MalformedHeader)?;
            let port = u16::from_be_bytes(ports.try_into().map_err(|_| MalformedHeader)?);
            (HeaderSource::Address(SocketAddr::new(Ipv6Addr::from(*from).into(), port)), rest)
        }
        0x31 => (HeaderSource::Unix, body.get(216..).ok_or(MalformedHeader)?),
        _ => return Err(MalformedHeader),
    };
    check_extensions(extensions)?;
    Ok(source)
}

/// Type, length, value, up to the end (section 2.2 of the specification).
fn check_extensions(mut rest: &[u8]) -> Result<(), MalformedHeader> {
    while !rest.is_empty() {
        let ([_, high, low], after) = rest.split_first_chunk::<3>().ok_or(MalformedHeader)?;
        rest =
            after.get(usize::from(u16::from_be_bytes([*high, *low]))..).ok_or(MalformedHeader)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Result<HeaderSource, MalformedHeader> {
        Ok(HeaderSource::Address(text.parse().unwrap()))
    }

    #[test]
    fn lines_say_where_the_client_is() {
        let v4 = b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n";
        assert_eq!(read_line(v4), address("192.0.2.1:56324"));
        let v6 = b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n";
        assert_eq!(read_line(v6), address("[2001:db8::1]:1"));
        for unknown in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff:f... junk\r\n"] {
            assert_eq!(read_line(unknown.as_bytes()), Ok(HeaderSource::Connection));
        }
    }

    #[test]
    fn lines_that_are_not_exactly_so_are_refused() {
        for line in [
            "PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 56324\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 56324 443 \r\n",
            "PROXY  TCP4 192.0.2.1 10.0.0.1 56324 443\r\n",
            "PROXY TCP4 192.0.2.256 10.0.0.1 56324 443\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 65536 443\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 +1 443\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 01 443\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1  443\r\n",
            "PROXY TCP4 2001:db8::1 10.0.0.1 1 443\r\n",
            "PROXY TCP6 192.0.2.1 2001:db8::2 1 443\r\n",
            "PROXY UDP4 192.0.2.1 10.0.0.1 1 443\r\n",
            "PROXY TCP4 host 10.0.0.1 1 443\r\n",
            "proxy TCP4 192.0.2.1 10.0.0.1 1 443\r\n",
            "PROXY \r\n",
            "PROXY\tTCP4 192.0.2.1 10.0.0.1 1 443\r\n",
        ] {
            assert_eq!(read_line(line.as_bytes()), Err(MalformedHeader), "{line:?}");
        }
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0xdc, 0x04, 0x01, 0xbb];

    #[test]
    fn binary_headers_say_the_same() {
        assert_eq!(read_body([0x21, 0x11, 0, 12], &V4), address("192.0.2.1:56324"));
        let mut v6 = [0; 36];
        v6[..2].copy_from_slice(&[0x20, 0x01]);
        v6[15] = 9;
        v6[32..34].copy_from_slice(&[0, 80]);
        assert_eq!(read_body([0x21, 0x21, 0, 36], &v6), address("[2001::9]:80"));
        assert_eq!(read_body([0x20, 0x11, 0, 12], &V4), Ok(HeaderSource::Connection), "LOCAL");
        assert_eq!(
            read_body([0x20, 0x00, 0, 0], &[]),
            Ok(HeaderSource::Connection),
            "LOCAL, empty"
        );
        assert_eq!(read_body([0x21, 0x00, 0, 0], &[]), Ok(HeaderSource::Connection), "UNSPEC");
        assert_eq!(read_body([0x21, 0x31, 0, 216], &[0; 216]), Ok(HeaderSource::Unix));
        let extended = [&V4[..], &[0x03, 0, 4, 1, 2, 3, 4], &[0x04, 0, 0]].concat();
        assert_eq!(read_body([0x21, 0x11, 0, 22], &extended), address("192.0.2.1:56324"));
    }

    #[test]
    fn binary_headers_that_do_not_add_up_are_refused() {
        assert_eq!(read_body([0x21, 0x11, 0, 11], &V4[..11]), Err(MalformedHeader));
        assert_eq!(read_body([0x21, 0x21, 0, 12], &V4), Err(MalformedHeader));
        assert_eq!(read_body([0x21, 0x12, 0, 12], &V4), Err(MalformedHeader), "datagrams");
        assert_eq!(read_body([0x22, 0x11, 0, 12], &V4), Err(MalformedHeader), "unknown command");
        assert_eq!(read_body([0x21, 0x41, 0, 12], &V4), Err(MalformedHeader), "unknown family");
        let cut = [&V4[..], &[0x03, 0, 4, 1]].concat();
        assert_eq!(read_body([0x21, 0x11, 0, 16], &cut), Err(MalformedHeader), "a cut extension");
        assert_eq!(body_length([0x11, 0x11, 0, 12]), Err(MalformedHeader), "version 1");
        assert_eq!(body_length([0x21, 0x11, 0xff, 0xff]), Err(MalformedHeader), "too long");
        assert_eq!(body_length([0x21, 0x11, 0, 12]), Ok(12));
    }

    #[test]
    fn the_first_octets_tell_the_version() {
        assert_eq!(version(b"PROXY TCP4 1"), Ok(HeaderVersion::One));
        assert_eq!(version(&SIGNATURE), Ok(HeaderVersion::Two));
        assert_eq!(version(b"GET / HTTP/1"), Err(MalformedHeader));
    }
}
