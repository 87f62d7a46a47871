//! Zips made byte by byte, by PKWARE's APPNOTE 6.3.10, and zips whose files are replaced.

use std::io::{Cursor, Read, Write};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

/// A file of a crafted zip, stored without compression.
#[derive(Clone)]
pub struct Entry {
    pub name: Vec<u8>,
    /// The name in the header before the file, if it is another.
    pub local_name: Option<Vec<u8>>,
    pub content: Vec<u8>,
    /// The size that the headers claim.
    pub size: u32,
    /// The Unix mode.
    pub mode: u32,
    /// The general purpose flags.
    pub flags: u16,
    /// The method of compression: 0 for none, 8 for deflate.
    pub method: u16,
}

impl Entry {
    pub fn new(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.into(),
            local_name: None,
            content: content.to_vec(),
            size: content.len() as u32,
            mode: 0o100_644,
            flags: 0x800,
            method: 0,
        }
    }
}

/// CRC-32 of ISO 3309, a bit at a time.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

/// The fields that both headers of a file share, from the version on.
fn shared(entry: &Entry, name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in [20, entry.flags, entry.method, 0, 0x21] {
        bytes.extend(field.to_le_bytes());
    }
    for field in [crc32(&entry.content), entry.content.len() as u32, entry.size] {
        bytes.extend(field.to_le_bytes());
    }
    for field in [name.len() as u16, 0] {
        bytes.extend(field.to_le_bytes());
    }
    bytes
}

/// Returns a zip of these files.
pub fn crafted(entries: &[Entry]) -> Vec<u8> {
    let (mut zip, mut table) = (Vec::new(), Vec::new());
    for entry in entries {
        let start = zip.len() as u32;
        let local = entry.local_name.as_ref().unwrap_or(&entry.name);
        zip.extend(b"PK\x03\x04");
        zip.extend(shared(entry, local));
        zip.extend(local);
        zip.extend(&entry.content);
        table.extend(b"PK\x01\x02\x14\x03");
        table.extend(shared(entry, &entry.name));
        table.extend([0; 6]);
        table.extend((entry.mode << 16).to_le_bytes());
        table.extend(start.to_le_bytes());
        table.extend(&entry.name);
    }
    let start = zip.len() as u32;
    zip.extend(&table);
    zip.extend(b"PK\x05\x06\0\0\0\0");
    for count in [entries.len() as u16; 2] {
        zip.extend(count.to_le_bytes());
    }
    for field in [table.len() as u32, start] {
        zip.extend(field.to_le_bytes());
    }
    zip.extend([0, 0]);
    zip
}

/// Returns the names and contents of a zip's files.
pub fn files(zip: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut zip = ZipArchive::new(Cursor::new(zip)).unwrap();
    (0..zip.len())
        .map(|index| {
            let mut entry = zip.by_index(index).unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.name().unwrap().into_owned(), content)
        })
        .collect()
}

/// Returns the ranges of a zip that hold the compressed content of each file.
pub fn ranges(zip: &[u8]) -> Vec<(String, std::ops::Range<usize>)> {
    let mut zip = ZipArchive::new(Cursor::new(zip)).unwrap();
    (0..zip.len())
        .map(|index| {
            let entry = zip.by_index(index).unwrap();
            let start = entry.data_start().unwrap() as usize;
            (entry.name().unwrap().into_owned(), start..start + entry.compressed_size() as usize)
        })
        .collect()
}

/// Returns an intact zip of these files.
pub fn zipped(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
