//! The text of an address as a header value. Each thread keeps those of the clients it has
//! seen lately: most requests come from one of them.

use std::cell::RefCell;
use std::net::IpAddr;

use http::HeaderValue;

use crate::base::text;

/// Addresses that a thread keeps, each in its own place.
const PLACES: usize = 64;

thread_local! {
    static SEEN: RefCell<[Option<(IpAddr, HeaderValue)>; PLACES]> =
        const { RefCell::new([const { None }; PLACES]) };
}

/// Writes `address`.
pub(crate) fn push(out: &mut String, address: IpAddr) {
    match of(address).to_str() {
        Ok(known) => out.push_str(known),
        Err(_) => text::push_address(out, address),
    }
}

/// The text of `address`.
pub(super) fn of(address: IpAddr) -> HeaderValue {
    SEEN.with_borrow_mut(|seen| match seen.get_mut(place(address)) {
        Some(Some((known, text))) if *known == address => text.clone(),
        Some(place) => place.insert((address, make(address))).1.clone(),
        None => make(address),
    })
}

/// Neighbours have separate places. Of an IPv6 address the network counts as well.
fn place(address: IpAddr) -> usize {
    let octets = match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };
    usize::try_from((octets ^ octets >> 64) % PLACES as u128).unwrap_or_default()
}

fn make(address: IpAddr) -> HeaderValue {
    let mut text = String::with_capacity(40);
    text::push_address(&mut text, address);
    // An address has no character that a field may not have.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_text_whichever_came_before() {
        let addresses = ["192.0.2.1", "192.0.2.65", "2001:db8::1", "192.0.2.1", "::ffff:1.2.3.4"];
        for text in addresses.iter().chain(&addresses) {
            let (address, mut out) = (text.parse().unwrap(), String::new());
            push(&mut out, address);
            assert_eq!((of(address), out.as_str()), (HeaderValue::from_static(text), *text));
        }
    }
}
