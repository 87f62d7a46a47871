//! Signatures of bundles, in the format of minisign (<https://jedisct1.github.io/minisign/>).
//!
//! ```text
//! key file   untrusted comment: TEXT \n  base64( "Ed" kdf[2] "B2" salt[32] opslimit[8] memlimit[8]  id[8] key[64] sum[32] )
//! public     untrusted comment: TEXT \n  base64( "Ed" id[8] key[32] )
//! signature  untrusted comment: TEXT \n  base64( "ED" id[8] S )      S = Ed25519( BLAKE2b-512(bundle) )
//!            trusted comment: TEXT   \n  base64( Ed25519( S TEXT ) )
//! sum = BLAKE2b-256( "Ed" id key ), or zero; without a password, kdf is zero, and so are salt and limits
//! ```
//!
//! llem signs with keys that have no password, and verifies every signature. With another key, the program minisign signs.

use crate::error::Error;
use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_compact::{KeyPair, SecretKey, Seed};
use minisign_verify::{PublicKey, Signature};
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// The algorithm of keys, and of signatures of whole files.
const ED25519: &[u8] = b"Ed";
/// The algorithm of signatures of a file's BLAKE2b hash.
const PREHASHED: &[u8] = b"ED";
/// Where the parts of a key file's bytes begin.
const KDF: usize = 2;
const ID: usize = 54;
const KEY: usize = 62;
const SUM: usize = 126;
/// How many bytes a key file has.
const END: usize = 158;
/// How many bytes are hashed at a time.
const BUFFER: usize = 64 << 10;

/// Returns the path of a bundle's signature: `.minisig` after the bundle's whole name, as minisign has it.
pub fn signature_path(bundle: &Path) -> PathBuf {
    let mut path = OsString::from(bundle);
    path.push(".minisig");
    path.into()
}

/// Makes a key without a password, and writes it to `path`, which must not exist, and its public half beside it, with the
/// ending `.pub`. Returns the path and the text of the public key.
///
/// # Errors
/// A file exists already or cannot be written, or the system gives no random bytes.
pub fn generate_key(path: &Path) -> Result<(PathBuf, String), Error> {
    let (mut seed, mut id) = ([0; 32], [0; 8]);
    for bytes in [&mut seed[..], &mut id] {
        getrandom::fill(bytes).map_err(|error| Error::NotSigned(error.to_string()))?;
    }
    let pair = KeyPair::from_seed(Seed::new(seed));
    let public = STANDARD.encode([ED25519, &id, &pair.pk[..]].concat());
    let shown: String = id.iter().rev().map(|byte| format!("{byte:02X}")).collect();
    let (no_password, salt_and_limits) = ([0; 2], [0; 48]);
    let sum = checksum(&id, &pair.sk[..]);
    let secret = [ED25519, &no_password, b"B2", &salt_and_limits, &id, &pair.sk[..], &sum].concat();
    let secret = STANDARD.encode(secret);
    write_secret(path, &format!("untrusted comment: minisign secret key {shown}\n{secret}\n"))?;
    let mut beside = OsString::from(path);
    beside.push(".pub");
    let beside = PathBuf::from(beside);
    let text = format!("untrusted comment: minisign public key {shown}\n{public}\n");
    llem_files::write_new(&beside, text.as_bytes())
        .map_err(|source| Error::Io { path: beside.clone(), source })?;
    Ok((beside, public))
}

/// Signs a bundle with the key in a file, and writes the signature beside the bundle. Returns its path.
///
/// # Errors
/// [`Error::BadKey`] if the key cannot be used, or a file cannot be read or written.
pub fn sign(bundle: &Path, key: &Path) -> Result<PathBuf, Error> {
    let (id, key) = read_secret(key)?;
    let signature = key.sign(hash(bundle)?, None);
    let name = bundle.file_name().unwrap_or_default().to_string_lossy();
    // A line break would end the comment.
    let trusted = format!("file:{}\thashed", llem_report::visible(&name));
    let whole = key.sign([&signature[..], trusted.as_bytes()].concat(), None);
    let text = format!(
        "untrusted comment: signature of a bundle of llem\n{}\ntrusted comment: {trusted}\n{}\n",
        STANDARD.encode([PREHASHED, &id, &signature[..]].concat()),
        STANDARD.encode(&whole[..]),
    );
    let path = signature_path(bundle);
    llem_files::write(&path, text.as_bytes())
        .map_err(|source| Error::Io { path: path.clone(), source })?;
    Ok(path)
}

/// Verifies the signature of a bundle. `public_key` is the key itself in base64, or the file that it is in. Returns the trusted
/// comment, which is signed as well.
///
/// # Errors
/// [`Error::BadSignature`] if the signature is not of this bundle and this key, [`Error::NoSignature`] and [`Error::BadKey`] if
/// there is none.
pub fn verify_signature(
    bundle: &Path,
    public_key: &str,
    signature: &Path,
) -> Result<String, Error> {
    let bad_key = |cause: String| Error::BadKey {
        path: public_key.to_owned(),
        kind: "public",
        cause: format!("{cause}; give the file, or the line of it that begins with RW"),
    };
    let key = match PublicKey::from_base64(public_key) {
        Ok(key) => key,
        Err(_) => {
            let text =
                fs::read_to_string(public_key).map_err(|error| bad_key(error.to_string()))?;
            PublicKey::decode(text.trim_end()).map_err(|error| bad_key(error.to_string()))?
        }
    };
    let none = |cause: String| Error::NoSignature { path: signature.to_owned(), cause };
    let text = fs::read_to_string(signature).map_err(|error| none(error.to_string()))?;
    let signed = Signature::decode(text.trim_end()).map_err(|error| none(error.to_string()))?;
    let bad = |error: minisign_verify::Error| Error::BadSignature {
        signature: signature.to_owned(),
        bundle: bundle.to_owned(),
        cause: error.to_string(),
    };
    let mut verifier = key.verify_stream(&signed).map_err(bad)?;
    read_parts(bundle, |part| verifier.update(part))?;
    verifier.finalize().map_err(bad)?;
    Ok(signed.trusted_comment().to_owned())
}

/// Reads the id and the key of a file.
fn read_secret(path: &Path) -> Result<([u8; 8], SecretKey), Error> {
    let bad = |cause: &str| Error::BadKey {
        path: path.display().to_string(),
        kind: "secret",
        cause: cause.to_owned(),
    };
    let text =
        fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let line = text.lines().nth(1).unwrap_or_default().trim();
    let bytes = STANDARD.decode(line).map_err(|_| bad("its second line is no base64"))?;
    if bytes.len() != END || !bytes.starts_with(ED25519) {
        return Err(bad("it is of another kind; make one with --generate-key"));
    }
    if bytes[KDF..KDF + 2] != [0; 2] {
        return Err(bad(
            "it has a password; sign with minisign -S, or make a key without one with --generate-key",
        ));
    }
    let (id, key, sum) = (&bytes[ID..KEY], &bytes[KEY..SUM], &bytes[SUM..]);
    let damaged = || bad("it is damaged; take it from a copy");
    // minisign writes no checksum into a key without a password; the key's two halves show damage, too.
    if sum != [0; END - SUM] && checksum(id, key) != sum {
        return Err(damaged());
    }
    let mut own = [0; 8];
    own.copy_from_slice(id);
    let key = SecretKey::from_slice(key).map_err(|_| damaged())?;
    match KeyPair::from_seed(key.seed()).sk == key {
        true => Ok((own, key)),
        false => Err(damaged()),
    }
}

fn checksum(id: &[u8], key: &[u8]) -> Vec<u8> {
    let mut hash = blake2b_simd::Params::new().hash_length(32).to_state();
    hash.update(ED25519).update(id).update(key);
    hash.finalize().as_bytes().to_vec()
}

/// Returns the BLAKE2b-512 hash of a file.
fn hash(path: &Path) -> Result<Vec<u8>, Error> {
    let mut hash = blake2b_simd::State::new();
    read_parts(path, |part| {
        hash.update(part);
    })?;
    Ok(hash.finalize().as_bytes().to_vec())
}

fn read_parts(path: &Path, mut each: impl FnMut(&[u8])) -> Result<(), Error> {
    let mut read = || {
        let (mut file, mut buffer) = (File::open(path)?, vec![0; BUFFER]);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => each(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    };
    read().map_err(|source| Error::Io { path: path.to_owned(), source })
}

/// Writes a file that only its owner reads, and that must not exist.
fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| Error::Io { path: path.to_owned(), source })
}
