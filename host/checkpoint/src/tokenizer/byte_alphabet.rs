//! How byte-level BPE spells bytes: each as a printable character of its own.

/// The character that stands for a byte, as GPT-2's `bytes_to_unicode` has it: printable Latin-1 stands for itself, the
/// rest for characters from U+0100 on.
pub fn letter(byte: u8) -> char {
    let stays = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if stays(byte) {
        char::from(byte)
    } else {
        let moved_before = (0..byte).filter(|&other| !stays(other)).count() as u32;
        char::from_u32(256 + moved_before).unwrap_or('\u{fffd}')
    }
}
