//! The pickle machine without its dangerous half: a stack, a memo, and values.

use std::collections::BTreeMap;

use serde_json::Value;

use super::item::{Clock, Item};
use crate::session::codec::bytes::{Bytes, binary, shown};
use crate::session::codec::number;

/// Limit on values and on the stack: far more than any session needs.
const MAX_ITEMS: usize = 200_000;

pub(super) struct Machine<'a> {
    input: Bytes<'a>,
    arena: Vec<Item>,
    stack: Vec<usize>,
    marks: Vec<usize>,
    memo: BTreeMap<usize, usize>,
}

impl<'a> Machine<'a> {
    /// Runs to the end; returns the arena and the index of the result.
    pub(super) fn run(bytes: &'a [u8]) -> Option<(Vec<Item>, usize)> {
        let mut machine = Self {
            input: Bytes(bytes),
            arena: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: BTreeMap::new(),
        };
        loop {
            let operation = machine.input.byte()?;
            if operation == b'.' {
                let root = machine.stack.pop()?;
                return Some((machine.arena, root));
            }
            machine.step(operation)?;
            if machine.arena.len() > MAX_ITEMS || machine.stack.len() > MAX_ITEMS {
                return None;
            }
        }
    }

    /// One operation, by kind. Names in the comments are those of `pickletools`.
    fn step(&mut self, operation: u8) -> Option<()> {
        match operation {
            // PROTO, FRAME: nothing to learn from them.
            0x80 => self.input.take(1).map(drop),
            0x95 => self.input.take(8).map(drop),
            b'(' => {
                self.marks.push(self.stack.len());
                Some(())
            }
            b'0' => self.stack.pop().map(drop),
            b'1' => self.pop_to_mark().map(drop),
            b'2' => {
                let top = *self.stack.last()?;
                self.stack.push(top);
                Some(())
            }
            b'p' | b'q' | b'r' | 0x94 | b'g' | b'h' | b'j' => self.memory(operation),
            b'}' | b']' | b')' | 0x8f | b't' | b'l' | b'd' | 0x85..=0x87 | 0x91 => {
                self.collect(operation)
            }
            b'a' | b'e' | b's' | b'u' | 0x90 => self.extend(operation),
            b'c' | 0x93 => self.global(operation),
            b'R' => self.reduce(),
            b'i' | b'o' | b'b' | 0x81 | 0x92 => self.foreign(operation),
            _ => {
                let value = self.plain(operation)?;
                self.push(Item::Plain(value));
                Some(())
            }
        }
    }

    /// PUT, BINPUT, LONG_BINPUT, MEMOIZE; GET, BINGET, LONG_BINGET.
    fn memory(&mut self, operation: u8) -> Option<()> {
        let at = match operation {
            b'p' | b'g' => text(self.input.until(b'\n')?)?.parse().ok()?,
            b'q' | b'h' => usize::from(self.input.byte()?),
            b'r' | b'j' => self.length()?,
            _ => self.memo.len(),
        };
        if matches!(operation, b'g' | b'h' | b'j') {
            let item = *self.memo.get(&at)?;
            self.stack.push(item);
            return Some(());
        }
        let top = *self.stack.last()?;
        self.memo.insert(at, top);
        Some(())
    }

    /// EMPTY_DICT, EMPTY_LIST, EMPTY_TUPLE, EMPTY_SET, TUPLE, LIST, DICT,
    /// TUPLE1 to TUPLE3, FROZENSET.
    fn collect(&mut self, operation: u8) -> Option<()> {
        let item = match operation {
            b'}' => Item::Dict(Vec::new()),
            b']' | b')' | 0x8f => Item::List(Vec::new()),
            b'd' => Item::Dict(pairs(&self.pop_to_mark()?)?),
            0x85..=0x87 => {
                let count = usize::from(operation - 0x84);
                let from = self.stack.len().checked_sub(count)?;
                Item::List(self.stack.split_off(from))
            }
            _ => Item::List(self.pop_to_mark()?),
        };
        self.push(item);
        Some(())
    }

    /// APPEND, APPENDS, SETITEM, SETITEMS, ADDITEMS. Items added to
    /// an opaque value are dropped.
    fn extend(&mut self, operation: u8) -> Option<()> {
        let mut added = match operation {
            b'a' => vec![self.stack.pop()?],
            b's' => {
                let value = self.stack.pop()?;
                vec![self.stack.pop()?, value]
            }
            _ => self.pop_to_mark()?,
        };
        match self.arena.get_mut(*self.stack.last()?)? {
            Item::Dict(entries) => entries.append(&mut pairs(&added)?),
            Item::List(items) => items.append(&mut added),
            Item::Clock(_) | Item::Opaque => {}
            Item::Plain(_) => return None,
        }
        Some(())
    }

    /// GLOBAL, STACK_GLOBAL: the name of something to import. The classes of times are
    /// known by name; anything else becomes an opaque value.
    fn global(&mut self, operation: u8) -> Option<()> {
        let class = if operation == b'c' {
            let module = self.input.until(b'\n')?;
            Clock::from_name(text(module)?, text(self.input.until(b'\n')?)?)
        } else {
            let (name, module) = (self.stack.pop()?, self.stack.pop()?);
            let text = |index: usize| match self.arena.get(index)? {
                Item::Plain(value) => value.as_str(),
                Item::Clock(_) | Item::Dict(_) | Item::List(_) | Item::Opaque => None,
            };
            text(module).zip(text(name)).and_then(|(module, name)| Clock::from_name(module, name))
        };
        self.push(class.map_or(Item::Opaque, Item::Clock));
        Some(())
    }

    /// REDUCE: a call. Only those that make a time, or a part of one, have a result.
    fn reduce(&mut self) -> Option<()> {
        let (arguments, callee) = (self.stack.pop()?, self.stack.pop()?);
        let made = match (self.arena.get(callee)?, self.arena.get(arguments)?) {
            (Item::Clock(class), Item::List(arguments)) => class.called(&self.arena, arguments),
            _ => None,
        };
        self.push(made.unwrap_or(Item::Opaque));
        Some(())
    }

    /// INST, OBJ, BUILD, NEWOBJ, NEWOBJ_EX: the other operations that import and call.
    /// Their operands are taken off the stack, and an opaque value replaces the result.
    fn foreign(&mut self, operation: u8) -> Option<()> {
        let operands = match operation {
            b'i' => {
                self.input.until(b'\n')?;
                self.input.until(b'\n')?;
                self.pop_to_mark()?;
                0
            }
            b'o' => {
                self.pop_to_mark()?;
                0
            }
            0x92 => 3,
            _ => 2,
        };
        let from = self.stack.len().checked_sub(operands)?;
        self.stack.truncate(from);
        self.push(Item::Opaque);
        Some(())
    }

    fn plain(&mut self, operation: u8) -> Option<Value> {
        let input = &mut self.input;
        Some(match operation {
            b'N' => Value::Null,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::from(input.byte()?),
            b'M' => Value::from(u16::from_le_bytes(input.array()?)),
            b'J' => Value::from(i32::from_le_bytes(input.array()?)),
            b'I' => match input.until(b'\n')? {
                b"00" => Value::Bool(false),
                b"01" => Value::Bool(true),
                digits => number::from_decimal(text(digits)?).unwrap_or_default(),
            },
            b'L' => {
                let digits = text(input.until(b'\n')?)?.trim_end_matches('L');
                number::from_decimal(digits).unwrap_or_default()
            }
            0x8a => {
                let length = usize::from(input.byte()?);
                number::from_twos_complement(input.take(length)?)
            }
            0x8b => {
                let length = self.length()?;
                number::from_twos_complement(self.input.take(length)?)
            }
            b'G' => Value::from(f64::from_be_bytes(input.array()?)),
            b'F' => Value::from(text(input.until(b'\n')?)?.parse::<f64>().ok()?),
            b'V' => Value::String(raw_unicode_escape(input.until(b'\n')?)?),
            b'S' => shown(quoted(input.until(b'\n')?)?),
            b'U' | b'T' | b'X' | 0x8c | 0x8d => shown(self.counted(operation)?),
            // Bytes are not text in Python: an app does not take them for an id.
            b'B' | b'C' | 0x8e | 0x96 => binary(self.counted(operation)?),
            _ => return None,
        })
    }

    /// The bytes after a length of one byte, of eight, or of four.
    fn counted(&mut self, operation: u8) -> Option<&'a [u8]> {
        let length = match operation {
            b'C' | b'U' | 0x8c => usize::from(self.input.byte()?),
            0x8d | 0x8e | 0x96 => usize::try_from(u64::from_le_bytes(self.input.array()?)).ok()?,
            _ => self.length()?,
        };
        self.input.take(length)
    }

    fn push(&mut self, item: Item) {
        self.stack.push(self.arena.len());
        self.arena.push(item);
    }

    /// All above the last mark.
    fn pop_to_mark(&mut self) -> Option<Vec<usize>> {
        let mark = self.marks.pop()?;
        (mark <= self.stack.len()).then(|| self.stack.split_off(mark))
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.input.array()?)).ok()
    }
}

fn pairs(items: &[usize]) -> Option<Vec<(usize, usize)>> {
    let (pairs, rest) = items.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|&[key, value]| (key, value)).collect())
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The bytes between the quotes. Escapes stay as they are: ids have none.
fn quoted(bytes: &[u8]) -> Option<&[u8]> {
    let inner = |quote: &[u8]| bytes.strip_prefix(quote)?.strip_suffix(quote);
    inner(b"'").or_else(|| inner(b"\""))
}

/// Python's codec of that name: Latin-1, and `\uXXXX` or `\UXXXXXXXX` for the rest.
fn raw_unicode_escape(mut bytes: &[u8]) -> Option<String> {
    let mut decoded = String::new();
    while let Some((&byte, rest)) = bytes.split_first() {
        let digits = match rest.first() {
            Some(b'u') if byte == b'\\' => rest.get(1..5)?,
            Some(b'U') if byte == b'\\' => rest.get(1..9)?,
            _ => {
                decoded.push(char::from(byte));
                bytes = rest;
                continue;
            }
        };
        let number = u32::from_str_radix(text(digits)?, 16).ok()?;
        decoded.push(char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER));
        bytes = rest.get(digits.len() + 1..)?;
    }
    Some(decoded)
}
