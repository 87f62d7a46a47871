//! Opens a dataset's file as UTF-8 text: decompresses gzip and Zstandard, skips a byte order mark, and names the format
//! of a file that is something else.

use super::{bounded_reader::BoundedReader, file_error::FileError};
use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    os::unix::fs::FileExt,
    sync::Arc,
};

/// The UTF-8 byte order mark, which Windows editors and pandas' `utf-8-sig` write.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The first bytes of Parquet files.
const PARQUET: &[u8] = b"PAR1";

/// The number of bytes at the beginning of a file that are inspected to detect its format.
const HEAD: u64 = 256;

#[derive(Clone)]
pub(super) struct TextSource {
    file: Arc<File>,
}

impl TextSource {
    pub(super) fn new(file: &Arc<File>) -> Self {
        Self { file: Arc::clone(file) }
    }

    /// Opens a bounded reader at the start of the text. Fails with the name of the file's format if it is not UTF-8
    /// text.
    pub(super) fn text(&self) -> Result<BoundedReader, FileError> {
        self.unbounded().map(BoundedReader::new)
    }

    /// Opens a reader without a budget at the start of the text. Fails as [`Self::text`] does.
    pub(super) fn unbounded(&self) -> Result<Box<dyn Read + Send>, FileError> {
        let (mut head, rest) = self.head()?;
        if head.starts_with(PARQUET) {
            return Err(FileError::MisnamedParquet);
        }
        if let Some(format) = ForeignFormat::from_head(&head) {
            return Err(format.into());
        }
        if head.starts_with(MARK) {
            head.drain(..MARK.len());
        }
        Ok(Box::new(Cursor::new(head).chain(rest)))
    }

    /// Returns the file's format if it is neither UTF-8 text nor another format that datasets may have.
    pub(super) fn foreign(&self) -> Option<ForeignFormat> {
        self.head().ok().and_then(|(head, _)| ForeignFormat::from_head(&head))
    }

    /// The first bytes of the decompressed text, and a reader of the rest.
    fn head(&self) -> io::Result<(Vec<u8>, Box<dyn Read + Send>)> {
        let mut bytes = self.decompressed()?;
        let mut head = Vec::new();
        bytes.by_ref().take(HEAD).read_to_end(&mut head)?;
        Ok((head, bytes))
    }

    fn decompressed(&self) -> io::Result<Box<dyn Read + Send>> {
        let mut magic = [0; 4];
        let count = self.file.read_at(&mut magic, 0)?;
        let bytes = FromStart { file: Arc::clone(&self.file), at: 0 };
        Ok(match &magic[..count] {
            [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(bytes)),
            [0x28, 0xb5, 0x2f, 0xfd] => Box::new(Frames::new(BufReader::new(bytes))?),
            _ => Box::new(bytes),
        })
    }
}

/// A format that no dataset has. The sentence says what to do with the file.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum ForeignFormat {
    #[error("it is UTF-32: write it as UTF-8 (iconv -f UTF-32 -t UTF-8 OLD > NEW)")]
    Utf32,
    #[error("it is UTF-16: write it as UTF-8 (iconv -f UTF-16 -t UTF-8 OLD > NEW)")]
    Utf16,
    #[error(
        "it is UTF-32 without a mark: write it as UTF-8 (iconv -f UTF-32LE, or UTF-32BE, -t UTF-8 OLD > NEW)"
    )]
    UnmarkedUtf32,
    #[error(
        "it is UTF-16 without a mark: write it as UTF-8 (iconv -f UTF-16LE, or UTF-16BE, -t UTF-8 OLD > NEW)"
    )]
    UnmarkedUtf16,
    /// Spreadsheets are ZIP archives too.
    #[error("it is a ZIP archive or a spreadsheet: unpack it, or save it as CSV")]
    Zip,
    #[error("it is compressed with bzip2 or xz: decompress it, or use gzip or Zstandard")]
    Bzip2OrXz,
    #[error("it is a Git LFS pointer, not the file: fetch the file with git lfs pull")]
    GitLfsPointer,
    #[error(
        "it is an HTML page, not the file: download the file itself (on the Hub, from /resolve/ rather than /blob/)"
    )]
    Html,
}

impl ForeignFormat {
    /// The format of a file that begins with `head`, or `None` if a dataset may begin so.
    fn from_head(head: &[u8]) -> Option<Self> {
        let text = head.trim_ascii_start();
        let begins = |word: &[u8]| {
            text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        // ASCII letters have zero bytes around them in UTF-16 and UTF-32.
        let is_zero: Vec<bool> = head.iter().take(4).map(|byte| *byte == 0).collect();
        Some(match head {
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Self::Utf32,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Self::Utf16,
            _ if is_zero == [false, true, true, true] || is_zero == [true, true, true, false] => {
                Self::UnmarkedUtf32
            }
            _ if is_zero == [false, true, false, true] || is_zero == [true, false, true, false] => {
                Self::UnmarkedUtf16
            }
            [b'P', b'K', 3, 4, ..] => Self::Zip,
            [b'B', b'Z', b'h', _, b'1', b'A', b'Y', b'&', ..]
            | [0xfd, b'7', b'z', b'X', b'Z', ..] => Self::Bzip2OrXz,
            _ if head.starts_with(b"version https://git-lfs.github.com/spec/") => {
                Self::GitLfsPointer
            }
            _ if begins(b"<!doctype html") || begins(b"<html") => Self::Html,
            _ => return None,
        })
    }
}

/// A byte that is not UTF-8.
#[derive(Debug, thiserror::Error)]
#[error(
    "the byte 0x{byte:02x} after {before} others is not UTF-8: if the file is Latin-1 or Windows-1252, write it as UTF-8 (iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW)"
)]
pub(super) struct InvalidUtf8 {
    byte: u8,
    /// The number of bytes before it.
    before: usize,
}

/// Converts bytes to text. Fails at the first byte that is not UTF-8.
pub(super) fn utf8(bytes: Vec<u8>) -> Result<String, InvalidUtf8> {
    String::from_utf8(bytes).map_err(|error| {
        let before = error.utf8_error().valid_up_to();
        InvalidUtf8 { byte: error.as_bytes()[before], before }
    })
}

/// Reads a file from its start, with a position of its own, so that several readers can share the file.
struct FromStart {
    file: Arc<File>,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Reads all frames of a Zstandard file. Tools that compress in parallel write many frames, and the decoder reads only
/// one.
struct Frames<R: Read> {
    /// The current frame, or `None` after the last one.
    frame: Option<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>,
}

impl<R: BufRead> Frames<R> {
    fn new(bytes: R) -> io::Result<Self> {
        Ok(Self { frame: Some(StreamingDecoder::new(bytes).map_err(io::Error::other)?) })
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(mut frame) = self.frame.take() {
            let count = frame.read(buffer)?;
            let has_more = count > 0 || !frame.get_mut().fill_buf()?.is_empty();
            if count > 0 || buffer.is_empty() {
                self.frame = Some(frame);
                return Ok(count);
            }
            if has_more {
                *self = Self::new(frame.into_inner())?;
            }
        }
        Ok(0)
    }
}
