//! The server of a Cluster that has a key: 16,384 slots, and the table of their owners.
//!
//! Redis Cluster specification, "Key distribution model". Pure.

use redis::Value;

use crate::base::redis_url::RedisNode;

const SLOTS: u16 = 16384;

/// The owners of slots, as a server told them.
#[derive(Debug, Default)]
pub(super) struct SlotTable {
    /// First and last slot, and the primary; ordered.
    ranges: Vec<(u16, u16, RedisNode)>,
}

impl SlotTable {
    /// Reads the answer of `CLUSTER SLOTS`; a server without a name is the one asked.
    pub(super) fn read(answer: &Value, asked: &RedisNode) -> Option<Self> {
        let Value::Array(ranges) = answer else { return None };
        let mut ranges: Vec<_> =
            ranges.iter().filter_map(|range| read_range(range, asked)).collect();
        ranges.sort_by_key(|(first, ..)| *first);
        (!ranges.is_empty()).then_some(Self { ranges })
    }

    pub(super) fn owner(&self, slot: u16) -> Option<&RedisNode> {
        let holds = |(first, last, _): &&(u16, u16, RedisNode)| (*first..=*last).contains(&slot);
        self.ranges.iter().find(holds).map(|(.., node)| node)
    }

    /// Every primary, once.
    pub(super) fn primaries(&self) -> Vec<RedisNode> {
        let mut nodes: Vec<RedisNode> = Vec::new();
        for (.., node) in &self.ranges {
            if !nodes.contains(node) {
                nodes.push(node.clone());
            }
        }
        nodes
    }
}

/// `[first, last, [host, port, …], replicas …]`
fn read_range(range: &Value, asked: &RedisNode) -> Option<(u16, u16, RedisNode)> {
    let Value::Array(parts) = range else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = parts.as_slice() else {
        return None;
    };
    let [host, Value::Int(port), ..] = primary.as_slice() else { return None };
    let host = match host {
        Value::BulkString(host) => {
            std::str::from_utf8(host).ok().filter(|host| !matches!(*host, "" | "?"))
        }
        _ => None,
    };
    let host = host.unwrap_or(&asked.host).to_owned();
    let node = RedisNode { host, port: u16::try_from(*port).ok()? };
    Some((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?, node))
}

/// The slot of a key: of the text between its first `{` and the next `}`, if there is any.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    crc16(hash_tag(key).unwrap_or(key)) % SLOTS
}

fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let (_, rest) = key.split_at_checked(key.iter().position(|&byte| byte == b'{')? + 1)?;
    let (tag, _) = rest.split_at_checked(rest.iter().position(|&byte| byte == b'}')?)?;
    (!tag.is_empty()).then_some(tag)
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    let step = |crc: u16, &byte: &u8| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    };
    bytes.iter().fold(0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_slots_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot_of(b"foo"), 12182);
        assert_eq!(slot_of(b"{foo}.bar"), slot_of(b"foo"));
        assert_ne!(slot_of(b"{}foo"), slot_of(b""));
        assert_eq!(slot_of(b"a{b"), crc16(b"a{b") % SLOTS);
    }

    #[test]
    fn a_table_names_the_primary_of_each_slot() {
        let server = |host: &str, port| {
            Value::Array(vec![Value::BulkString(host.as_bytes().to_vec()), Value::Int(port)])
        };
        let range = |first, last, host| {
            Value::Array(vec![Value::Int(first), Value::Int(last), server(host, 7), server("r", 8)])
        };
        let answer = Value::Array(vec![range(8192, 16383, "b"), range(0, 8191, "")]);
        let asked = RedisNode { host: "a".to_owned(), port: 1 };
        let table = SlotTable::read(&answer, &asked).unwrap();
        assert_eq!(table.owner(8191).unwrap().host, "a");
        assert_eq!(table.owner(8192).unwrap().host, "b");
        assert_eq!(table.primaries().len(), 2);
        assert!(SlotTable::read(&Value::Nil, &asked).is_none());
    }
}
