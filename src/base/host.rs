//! Hosts: the syntax that `Host` and URLs carry, and the subscriber behind an address.

use std::net::{IpAddr, Ipv6Addr};

use memchr::memchr;

/// `uri-host [ ":" port ]` (RFC 9110 section 7.2) with a host name as DNS and
/// its users write them; no user information, no list.
pub(crate) fn is_host(host: &[u8]) -> bool {
    if let Some(literal) = host.strip_prefix(b"[") {
        let parts = std::str::from_utf8(literal).ok().and_then(|text| text.split_once(']'));
        return parts.is_some_and(|(address, rest)| {
            let is_fine = rest.strip_prefix(':').is_some_and(|port| is_port(port.as_bytes()));
            address.parse::<Ipv6Addr>().is_ok() && (rest.is_empty() || is_fine)
        });
    }
    match memchr(b':', host).and_then(|colon| host.split_at_checked(colon)) {
        Some((name, [_, port @ ..])) => is_name(name) && is_port(port),
        Some((name, [])) => is_name(name),
        None => is_name(host),
    }
}

/// Digits for a number that a port can have, zeros in front included.
fn is_port(digits: &[u8]) -> bool {
    let add = |number: u16, digit: &u8| {
        let value = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(value)
    };
    !digits.is_empty() && digits.iter().try_fold(0, add).is_some()
}

/// Whether a host without its port is this machine, whatever a resolver may say:
/// `localhost` or an address of the loopback network.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// Letters, digits, `-` and `_`, with single dots between and one behind.
fn is_name(name: &[u8]) -> bool {
    let mut after_dot = true;
    for &byte in name {
        match byte {
            b'.' if after_dot => return false,
            b'.' => after_dot = true,
            b'-' | b'_' => after_dot = false,
            _ if byte.is_ascii_alphanumeric() => after_dot = false,
            _ => return false,
        }
    }
    !name.is_empty()
}

/// The subscriber behind an address, as limits count them: an IPv4 address, or the /64
/// of an IPv6 address, because one subscriber holds at least that much.
pub(crate) fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & (u128::MAX << 64)).into(),
        canonical @ IpAddr::V4(_) => canonical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_leave_this_machine_is_loopback() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.9.8.7", "::1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        assert!(is_loopback("::ffff:127.0.0.1"));
        for host in [
            "localhost.example",
            "localhost.",
            "127.0.0.1.example",
            "0.0.0.0",
            "10.0.0.1",
            "127.1",
            "::2",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
