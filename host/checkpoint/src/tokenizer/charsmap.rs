//! SentencePiece's map of characters, with which the normalizer replaces parts of a text before it looks for pieces.
//! The map is a trie in a compact double array (Kanda et al., 2017, "Compressed double-array tries for string
//! dictionaries"), followed by the replacements.

use crate::{Error, Result};

/// The bits of a node that contain the byte that leads to it. The highest bit is set in a node that contains the
/// position of a replacement instead.
const LABEL: u32 = 1 << 31 | 0xff;

/// The bit of a node at which a key of the map ends.
const LEAF: u32 = 1 << 8;

/// Returns the offset of the child nodes of a node.
fn base(node: u32) -> u32 {
    (node >> 10) << ((node & (1 << 9)) >> 6)
}

/// A map of characters.
#[derive(Clone)]
pub(super) struct Charsmap {
    /// The nodes of the trie. Bits 10 to 30 are the offset of the children, in units of 256 if bit 9 is set. Bit 8 is
    /// set if a key ends here. Bits 0 to 7 are the byte that leads here.
    nodes: Vec<u32>,
    /// The replacement texts, each followed by a zero byte.
    replacements: Vec<u8>,
}

impl Charsmap {
    /// Parses the map: the length of the trie in bytes (4 bytes, little-endian), the trie, and the replacements.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let bad = || Error::Invalid("the map of characters is truncated".to_owned());
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(bad)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (nodes, replacements) = rest.split_at_checked(length).ok_or_else(bad)?;
        if nodes.is_empty() {
            return Err(bad());
        }
        let nodes = nodes.as_chunks::<4>().0.iter().map(|node| u32::from_le_bytes(*node));
        Ok(Self { nodes: nodes.collect(), replacements: replacements.to_vec() })
    }

    /// Whether no text can lead to a position outside the map. Hugging Face's library panics if one does.
    pub(super) fn is_sound(&self) -> bool {
        let Ok(replacements) = std::str::from_utf8(&self.replacements) else { return false };
        let mut is_seen = vec![false; self.nodes.len()];
        let mut open = vec![base(self.nodes.first().copied().unwrap_or_default())];
        while let Some(place) = open.pop() {
            for byte in 0..=255 {
                let Some(&here) = self.nodes.get((place ^ byte) as usize) else { return false };
                if byte == 0 || here & LABEL != byte {
                    continue;
                }
                let next = place ^ byte ^ base(here);
                let Some(is_seen) = is_seen.get_mut(next as usize) else { return false };
                let value = (self.nodes[next as usize] & !(1 << 31)) as usize;
                if here & LEAF != 0 && !replacements.is_char_boundary(value) {
                    return false;
                }
                if !std::mem::replace(is_seen, true) {
                    open.push(next);
                }
            }
        }
        true
    }

    /// Finds the longest key of the map with which a text begins. Returns its replacement and its length in bytes, or
    /// `None` if there is no such key.
    ///
    /// # Errors
    /// Fails if the map leads to a position outside itself.
    pub(super) fn replacement(&self, text: &str) -> Result<Option<(&str, usize)>> {
        let bad = || Error::Invalid("the map of characters leads out of itself".to_owned());
        let node = |index: u32| self.nodes.get(index as usize).copied().ok_or_else(bad);
        let mut index = base(node(0)?);
        let mut found = None;
        for (place, byte) in text.bytes().enumerate() {
            if byte == 0 {
                break;
            }
            index ^= u32::from(byte);
            let here = node(index)?;
            if here & LABEL != u32::from(byte) {
                break;
            }
            index ^= base(here);
            if here & LEAF != 0 {
                found = Some((node(index)? & !(1 << 31), place + 1));
            }
        }
        let Some((start, length)) = found else { return Ok(None) };
        let rest = self.replacements.get(start as usize..).ok_or_else(bad)?;
        let end = rest.iter().position(|&byte| byte == 0).ok_or_else(bad)?;
        let replacement = std::str::from_utf8(&rest[..end]).map_err(|_| bad())?;
        // A key may end inside a character. The text cannot be cut there.
        Ok(text.is_char_boundary(length).then_some((replacement, length)))
    }
}
