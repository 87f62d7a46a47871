//! Signatures. `tests/peers/bundle` compares them with the program minisign.

use crate::run::Run;
use llem_bundle::{Error, generate_key, sign, signature_path, verify_signature};
use std::fs;

/// A key of minisign's documentation, and a signature of the text `test` with it, from the tests of rust-minisign-verify.
const PUBLIC_KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1556193335\tfile:test
y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==
";

#[test]
fn a_signature_of_minisign_is_verified() {
    let run = Run::new();
    let (test, signature) = (run.path("test"), run.path("test.minisig"));
    fs::write(&test, "test").unwrap();
    fs::write(&signature, SIGNATURE).unwrap();
    let comment = verify_signature(&test, PUBLIC_KEY, &signature).unwrap();
    assert_eq!(comment, "timestamp:1556193335\tfile:test");
    let file = run.path("minisign.pub");
    fs::write(&file, format!("untrusted comment: x\n{PUBLIC_KEY}\n")).unwrap();
    verify_signature(&test, file.to_str().unwrap(), &signature).unwrap();
    // Another file, another comment, half of a signature.
    fs::write(&test, "Test").unwrap();
    let error = verify_signature(&test, PUBLIC_KEY, &signature).unwrap_err();
    assert!(matches!(error, Error::BadSignature { .. }), "{error}");
    fs::write(&test, "test").unwrap();
    fs::write(&signature, SIGNATURE.replace("file:test", "file:tess")).unwrap();
    let error = verify_signature(&test, PUBLIC_KEY, &signature).unwrap_err();
    assert!(matches!(error, Error::BadSignature { .. }), "{error}");
    for length in 0..SIGNATURE.len() - 4 {
        fs::write(&signature, &SIGNATURE[..length]).unwrap();
        let error = verify_signature(&test, PUBLIC_KEY, &signature).unwrap_err();
        assert!(error.is_input(), "{length}: {error}");
    }
}

#[test]
fn a_bundle_that_was_signed_is_verified_with_its_key_alone() {
    let run = Run::new();
    run.bundle("made.zip").unwrap();
    let (bundle, key) = (run.path("made.zip"), run.path("key"));
    let (file, public) = generate_key(&key).unwrap();
    let signature = sign(&bundle, &key).unwrap();
    assert_eq!(signature, signature_path(&bundle));
    assert_eq!(signature, run.path("made.zip.minisig"));
    for public in [file.to_str().unwrap(), &public] {
        let comment = verify_signature(&bundle, public, &signature).unwrap();
        assert_eq!(comment, "file:made.zip\thashed");
    }
    let (_, other) = generate_key(&run.path("other")).unwrap();
    let error = verify_signature(&bundle, &other, &signature).unwrap_err();
    assert!(matches!(error, Error::BadSignature { .. }), "{error}");
    assert!(matches!(generate_key(&key), Err(Error::Io { .. })), "the key is kept");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_key_that_cannot_sign_is_refused() {
    let run = Run::new();
    let (bundle, key) = (run.path("method.wasm"), run.path("key"));
    generate_key(&key).unwrap();
    let text = fs::read_to_string(&key).unwrap();
    let (comment, secret) = text.split_once('\n').unwrap();
    // `Ed` and `Sc`: a key with a password.
    let with_password = secret.replacen("RWQAAEIy", "RWRTY0Iy", 1);
    assert_ne!(with_password, secret);
    let mut other: Vec<char> = secret.chars().collect();
    other[100] = if other[100] == 'A' { 'B' } else { 'A' };
    let other: String = other.into_iter().collect();
    for (secret, words) in [
        (&with_password[..], "minisign -S"),
        (&other, "damaged"),
        ("AAAA", "another kind"),
        ("", "another kind"),
        ("*", "base64"),
    ] {
        fs::write(&key, format!("{comment}\n{secret}")).unwrap();
        let error = sign(&bundle, &key).unwrap_err();
        assert!(matches!(error, Error::BadKey { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    // minisign -G -W leaves the checksum out: 32 bytes of zeros, from byte 126 and letter 168 on.
    let without_checksum = format!("{}{}=", &secret[..168], "A".repeat(43));
    fs::write(&key, format!("{comment}\n{without_checksum}\n")).unwrap();
    sign(&bundle, &key).unwrap();
    for public in ["RWQ", "nowhere.pub", ""] {
        let error = verify_signature(&bundle, public, &run.path("x")).unwrap_err();
        assert!(matches!(error, Error::BadKey { .. }), "{error}");
    }
}
