//! SHA-256 digests in the form of the record.

use sha2::{Digest, Sha256};

/// The digest of some bytes, as `sha256:` and lower-case hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    finished(Sha256::new_with_prefix(bytes))
}

/// The digest of a finished hash, as `sha256:` and lower-case hexadecimal digits.
pub(crate) fn finished(hash: Sha256) -> String {
    format!("sha256:{:x}", hash.finalize())
}

/// The bytes of token ids as 32-bit integers, least significant byte first.
pub(crate) fn bytes_of(tokens: &[u32]) -> Vec<u8> {
    tokens.iter().flat_map(|token| token.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_standards() {
        // FIPS 180-2, appendix B.1.
        let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), expected);
        assert_eq!(finished(Sha256::new_with_prefix("a").chain_update("bc")), expected);
    }
}
