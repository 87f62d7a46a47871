//! SentencePiece's map of characters, which its normalizer replaces before it looks for pieces: a trie in a compact
//! double array (Kanda et al., 2017, "Compressed double-array tries for string dictionaries"), then the replacements.

use crate::{Error, Result};

/// Bits of the byte that leads to a node; the highest is set where a node holds a replacement's place instead.
const LABEL: u32 = 1 << 31 | 0xff;

/// The bit of a node where a replacement ends.
const LEAF: u32 = 1 << 8;

/// Where the nodes are that a node leads to.
fn base(node: u32) -> u32 {
    (node >> 10) << ((node & (1 << 9)) >> 6)
}

/// A map of characters.
#[derive(Clone)]
pub struct Charsmap {
    /// Nodes of the trie: bits 10 to 30 are the base, bit 9 says that the base is in units of 256, bit 8 that a
    /// replacement ends here, and bits 0 to 7 are the byte that leads here.
    nodes: Vec<u32>,
    /// Texts, each with a zero behind it.
    replacements: Vec<u8>,
}

impl Charsmap {
    /// Reads the map as files have it: the trie's length in bytes in the first four, the trie, the replacements.
    pub fn read(bytes: &[u8]) -> Result<Self> {
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

    /// Whether no text leads out of the map. Hugging Face's library takes that for granted.
    pub fn is_sound(&self) -> bool {
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

    /// What replaces the longest beginning of a text that the map has, and how many bytes that is.
    ///
    /// # Errors
    /// The map leads out of itself.
    pub fn replacement(&self, text: &str) -> Result<Option<(&str, usize)>> {
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
        // A map may end within a character, and a text is cut at none.
        Ok(text.is_char_boundary(length).then_some((replacement, length)))
    }
}
