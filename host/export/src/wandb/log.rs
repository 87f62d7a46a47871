//! The framing of a `.wandb` file: LevelDB's log format behind a header of its own, as `wandb/sdk/internal/datastore.py` of
//! wandb 0.23.1 reads and writes it.
//!
//! ```text
//! file    ":W&B"  magic, 2 bytes  version, 1 byte  chunks
//! chunk   CRC-32 of kind and data, 4 bytes   length, 2 bytes   kind, 1 byte   data       numbers least byte first
//! ```
//!
//! The file is a sequence of blocks of 32 KiB, of which the header is the first bytes. A record that does not fit into what is
//! left of a block is split into a first, middle and last chunk. A rest of a block that is too short for a chunk's header is
//! filled with zeros. LevelDB's checksum is CRC-32C and masked; W&B's is zlib's CRC-32 and is not.

/// Size of a block, bytes.
const BLOCK: usize = 32 * 1024;

/// Size of a chunk's header, bytes.
const CHUNK_HEADER: usize = 7;

/// The header: ident, magic number and version.
const HEADER: &[u8; 7] = b":W&B\xe1\xbe\x00";

/// What part of a record a chunk is.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    Whole = 1,
    First = 2,
    Middle = 3,
    Last = 4,
}

/// Puts records together to a file.
pub(super) struct Log {
    bytes: Vec<u8>,
}

impl Log {
    /// Creates a file without records.
    pub(super) fn new() -> Self {
        Self { bytes: HEADER.to_vec() }
    }

    /// Appends a record.
    pub(super) fn append(&mut self, mut record: &[u8]) {
        let mut is_first = true;
        loop {
            let mut room = BLOCK - self.bytes.len() % BLOCK;
            if room < CHUNK_HEADER {
                self.bytes.resize(self.bytes.len() + room, 0);
                room = BLOCK;
            }
            let (data, rest) = record.split_at(record.len().min(room - CHUNK_HEADER));
            let kind = match (is_first, rest.is_empty()) {
                (true, true) => Kind::Whole,
                (true, false) => Kind::First,
                (false, false) => Kind::Middle,
                (false, true) => Kind::Last,
            };
            self.append_chunk(kind, data);
            if rest.is_empty() {
                return;
            }
            (record, is_first) = (rest, false);
        }
    }

    fn append_chunk(&mut self, kind: Kind, data: &[u8]) {
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&[kind as u8]);
        checksum.update(data);
        self.bytes.extend(checksum.finalize().to_le_bytes());
        // A chunk's data fits into a block, so its length fits into 16 bits.
        self.bytes.extend((data.len() as u16).to_le_bytes());
        self.bytes.push(kind as u8);
        self.bytes.extend(data);
    }

    /// Returns the file's content.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What DataStore of wandb 0.23.1 writes for `_write_data(b"abc")`.
    #[test]
    fn a_short_record_is_one_chunk() {
        let mut log = Log::new();
        log.append(b"abc");
        let expected = b":W&B\xe1\xbe\x00\xa9\x20\x9d\x53\x03\x00\x01abc";
        assert_eq!(log.into_bytes(), expected);
    }

    #[test]
    fn a_long_record_is_split_at_blocks() {
        let mut log = Log::new();
        log.append(&vec![7; BLOCK - 20]);
        assert_eq!(log.bytes.len(), BLOCK - 6, "six bytes are left, too few for a chunk's header");
        log.append(&vec![8; 2 * BLOCK]);
        let kinds: Vec<u8> = [BLOCK, 2 * BLOCK, 3 * BLOCK].map(|at| log.bytes[at + 6]).to_vec();
        assert_eq!(kinds, [2, 3, 4]);
        assert_eq!(log.bytes[BLOCK - 6..BLOCK], [0; 6]);
    }
}
