#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::{file_hash::hash_content, hash_cache::check_unchanged, *};
use crate::Checkpoint;

use safetensors::tensor::{Dtype, TensorView};
use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::fs::FileExt,
    time::SystemTime,
};
use tempfile::TempDir;

/// A folder of weight files whose numbers are all zero.
struct Folder(TempDir);

const CONFIG: &str = r#"{ "architectures": ["LlamaForCausalLM"] }"#;

impl Folder {
    fn new(numbers: &[usize]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (index, &numbers) in numbers.iter().enumerate() {
            let data = vec![0; 4 * numbers];
            let view = TensorView::new(Dtype::F32, vec![numbers], &data).unwrap();
            safetensors::serialize_to_file([("t", view)], None, &folder.weights(index)).unwrap();
            folder.age(index, 3600);
        }
        folder
    }

    fn weights(&self, index: usize) -> PathBuf {
        self.0.path().join(format!("{index}.safetensors"))
    }

    /// Sets the time of a file's last write to this many seconds ago. A negative number is in the future.
    fn age(&self, index: usize, seconds: i64) {
        let file = File::options().append(true).open(self.weights(index)).unwrap();
        let length = Duration::from_secs(seconds.unsigned_abs());
        let now = SystemTime::now();
        file.set_modified(if seconds < 0 { now + length } else { now - length }).unwrap();
    }

    /// Changes one byte. Its position counts from the end of the file.
    fn change(&self, index: usize, from_end: usize) {
        let mut bytes = fs::read(self.weights(index)).unwrap();
        let place = bytes.len() - from_end;
        bytes[place] ^= 1;
        fs::write(self.weights(index), bytes).unwrap();
        self.age(index, 3600);
    }

    fn identify(&self, options: &DigestOptions) -> Identity {
        let mut shards = Vec::new();
        while let Ok(shard) = TensorFile::open(self.weights(shards.len())) {
            shards.push(shard);
        }
        let config_path = self.0.path().join("config.json");
        let parts = DigestInput {
            folder: self.0.path(),
            config: Some((&config_path, CONFIG)),
            weights: shards.iter().map(Into::into).collect(),
            beside: Vec::new(),
        };
        Identity::from_files(options, &parts).unwrap()
    }

    fn cached(&self) -> DigestOptions {
        let cache = Some(self.0.path().join("cache/digests.json"));
        DigestOptions { cache, ..Default::default() }
    }

    /// Replaces the stored hashes by one that no file has, and returns it.
    fn forge(&self) -> String {
        let forged = blake3::hash(b"forged").to_hex().to_string();
        let file = self.cached().cache.unwrap();
        let mut known: serde_json::Value =
            serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        for known in known.as_array_mut().unwrap() {
            known["blake3"] = forged.as_str().into();
        }
        fs::write(file, known.to_string()).unwrap();
        format!("blake3:{forged}")
    }
}

fn quick() -> DigestOptions {
    DigestOptions { coverage: Coverage::Headers, cache: None }
}

/// How many numbers a file needs so that its hash is stored.
const LARGE: usize = 5 << 20;

#[test]
fn one_byte_deep_in_the_weights_changes_the_digest() {
    let folder = Folder::new(&[100_000]);
    let whole = folder.identify(&DigestOptions::default()).digest;
    let headers = folder.identify(&quick()).digest;
    folder.change(0, 10);
    assert_ne!(folder.identify(&DigestOptions::default()).digest, whole);
    assert_eq!(folder.identify(&quick()).digest, headers, "headers alone are the same");
    assert!(whole.starts_with("blake3:") && headers.starts_with("blake3-headers:"));
    // The first kilobyte of data belongs to the headers.
    folder.change(0, 4 * 100_000 - 1023);
    assert_ne!(folder.identify(&quick()).digest, headers);
}

#[test]
fn a_digest_is_what_its_definition_says() {
    let folder = Folder::new(&[3, 300_000]);
    let mut all = Vec::new();
    all.extend((CONFIG.len() as u64).to_le_bytes());
    all.extend(CONFIG.as_bytes());
    for index in [0, 1] {
        let bytes = fs::read(folder.weights(index)).unwrap();
        all.extend((bytes.len() as u64).to_le_bytes());
        all.extend(blake3::hash(&bytes).as_bytes());
    }
    let expected = format!("blake3:{}", blake3::hash(&all).to_hex());
    assert_eq!(folder.identify(&DigestOptions::default()).digest, expected);
}

#[test]
fn files_are_listed_with_what_b3sum_prints() {
    let folder = Folder::new(&[3, 300_000]);
    let whole = folder.identify(&DigestOptions::default()).files;
    let names: Vec<&str> = whole.iter().map(|file| &file.name[..]).collect();
    assert_eq!(names, ["config.json", "0.safetensors", "1.safetensors"]);
    let bytes = fs::read(folder.weights(1)).unwrap();
    assert_eq!(whole[2].bytes, bytes.len() as u64);
    assert_eq!(whole[2].digest, format!("blake3:{}", blake3::hash(&bytes).to_hex()));
    let headers = folder.identify(&quick()).files;
    assert_eq!(headers[0], whole[0]);
    assert_eq!(headers[2].bytes, whole[2].bytes);
    assert!(headers[2].digest.starts_with("blake3-headers:"));
}

#[test]
fn a_hash_does_not_depend_on_the_number_of_threads() {
    // The files have several buffers and a part of one. There are more files than are read at a time.
    let folder = Folder::new(&[LARGE + 12345, 1, 2, 3, 4, 5, 6]);
    let many = folder.identify(&DigestOptions::default());
    assert_eq!(many.files.len(), 1 + 7);
    // `blake3::hash` uses only this thread.
    for (index, file) in many.files[1..].iter().enumerate() {
        let one = blake3::hash(&fs::read(folder.weights(index)).unwrap());
        assert_eq!(file.digest, format!("blake3:{}", one.to_hex()), "{index}");
    }
}

#[test]
fn a_file_that_has_not_changed_is_not_hashed_again() {
    let folder = Folder::new(&[LARGE]);
    let first = folder.identify(&folder.cached());
    assert_eq!(folder.identify(&folder.cached()).files, first.files);
    let forged = folder.forge();
    assert_eq!(folder.identify(&folder.cached()).files[1].digest, forged, "it was read again");
    assert_eq!(folder.identify(&DigestOptions::default()).files, first.files);
}

#[test]
fn a_file_that_has_changed_is_hashed_again() {
    let folder = Folder::new(&[LARGE]);
    let first = folder.identify(&folder.cached());
    // The time of the last write changes.
    folder.forge();
    folder.age(0, 1800);
    assert_eq!(folder.identify(&folder.cached()).files, first.files);
    // The bytes are different, but everything that a program can set is unchanged.
    folder.forge();
    let aged = fs::metadata(folder.weights(0)).unwrap().modified().unwrap();
    let mut bytes = fs::read(folder.weights(0)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(folder.weights(0), bytes).unwrap();
    File::options().append(true).open(folder.weights(0)).unwrap().set_modified(aged).unwrap();
    let other = folder.identify(&folder.cached());
    assert_eq!(other.files, folder.identify(&DigestOptions::default()).files);
    assert_ne!(other.digest, first.digest);
    // The size changes, and the time of the last write does not.
    folder.forge();
    let modified = fs::metadata(folder.weights(0)).unwrap().modified().unwrap();
    let longer = TensorView::new(Dtype::F32, vec![LARGE + 1], &[0; 4 * (LARGE + 1)]).unwrap();
    safetensors::serialize_to_file([("t", longer)], None, &folder.weights(0)).unwrap();
    let file = File::options().append(true).open(folder.weights(0)).unwrap();
    file.set_modified(modified).unwrap();
    let longer = folder.identify(&folder.cached());
    assert_eq!(longer.files, folder.identify(&DigestOptions::default()).files);
    assert_ne!(longer.digest, first.digest);
}

/// A file that is written once while it is read.
struct WrittenWhileRead {
    file: File,
    is_written: bool,
}

impl Read for WrittenWhileRead {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if !std::mem::replace(&mut self.is_written, true) {
            // The write is within the file and replaces 0 by 0, so size and content stay the same, but the time changes.
            let last = self.file.metadata()?.len() - 1;
            self.file.write_all_at(&[0], last)?;
        }
        self.file.read(buffer)
    }
}

#[test]
fn a_file_that_changes_while_it_is_hashed_is_refused() {
    let folder = Folder::new(&[LARGE]);
    // The last write was an hour ago, so a further one changes its time however coarse the file system's clock is.
    let path = folder.weights(0);
    let file = File::open(&path).unwrap();
    let hash = |is_written| {
        let written = File::options().read(true).write(true).open(&path).unwrap();
        let mut content = WrittenWhileRead { file: written, is_written };
        let hashed = hash_content(&file, &mut content).unwrap();
        check_unchanged(&path, &hashed)
    };
    // A reader that writes nothing changes nothing.
    hash(true).unwrap();
    let told = hash(false).unwrap_err().to_string();
    assert!(told.contains("0.safetensors") && told.contains("changed while it was read"), "{told}");
}

#[test]
fn a_file_that_is_not_what_was_mapped_is_refused() {
    let folder = Folder::new(&[300]);
    let shard = TensorFile::open(folder.weights(0)).unwrap();
    let mut file = File::options().append(true).open(folder.weights(0)).unwrap();
    file.write_all(&[0; 4]).unwrap();
    let weights = vec![WeightFile::from(&shard)];
    let parts = DigestInput { folder: folder.0.path(), config: None, weights, beside: Vec::new() };
    let told = Identity::from_files(&DigestOptions::default(), &parts).unwrap_err().to_string();
    assert!(told.contains("changed while it was read: load it again"), "{told}");
}

#[test]
fn a_file_that_was_just_written_is_not_kept() {
    let folder = Folder::new(&[LARGE, LARGE]);
    // This file is too new to be stored, however long hashing takes.
    folder.age(1, -3600);
    folder.identify(&folder.cached());
    let forged = folder.forge();
    let files = folder.identify(&folder.cached()).files;
    assert_eq!(files[1].digest, forged);
    assert_ne!(files[2].digest, forged);
}

#[test]
fn a_damaged_cache_is_written_anew() {
    let folder = Folder::new(&[LARGE]);
    let first = folder.identify(&folder.cached());
    let file = folder.cached().cache.unwrap();
    for damaged in ["", "[{", r#"[{"path": 1}]"#] {
        fs::write(&file, damaged).unwrap();
        assert_eq!(folder.identify(&folder.cached()).files, first.files);
    }
    folder.forge();
    let text = fs::read_to_string(&file).unwrap().replace("\"blake3\":\"", "\"blake3\":\"z");
    fs::write(&file, text).unwrap();
    assert_eq!(folder.identify(&folder.cached()).files, first.files);
}

#[test]
fn nothing_is_hashed_for_a_rank_that_is_led() {
    let folder = Folder::new(&[LARGE]);
    let cache = folder.cached().cache;
    let options = DigestOptions { cache: cache.clone(), ..DigestOptions::disabled() };
    let identity = folder.identify(&options);
    assert!(identity.digest.is_empty() && identity.files.is_empty());
    assert!(!cache.unwrap().exists());
}

/// Returns the files of a fixture, by name.
fn files_of(source: &str) -> (String, Vec<String>) {
    let source =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures")).join(source);
    let source = source.to_str().unwrap().parse().unwrap();
    let identity = Checkpoint::open(&source, 0, &DigestOptions::default()).unwrap().identity;
    (identity.digest, identity.files.into_iter().map(|file| file.name).collect())
}

#[test]
fn every_file_that_decides_a_model_is_listed() {
    let (digest, names) = files_of("llama/sharded-linear");
    assert!(digest.starts_with("blake3:"));
    let shards = (1..=4).map(|shard| format!("model-0000{shard}-of-00004.safetensors"));
    let expected = ["config.json", "generation_config.json", "model.safetensors.index.json"];
    let expected: Vec<String> = expected.map(str::to_owned).into_iter().chain(shards).collect();
    assert_eq!(names, expected);
}

#[test]
fn a_gguf_file_is_all_that_its_model_is_made_of() {
    let (digest, names) = files_of("gguf/llama-q4_k_m.gguf");
    assert!(digest.starts_with("blake3:"));
    assert_eq!(names, ["llama-q4_k_m.gguf"]);
}

#[test]
fn tokenizer_and_chat_template_are_listed_and_leave_the_digest_as_it_is() {
    let fixture =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/llama/tied"));
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "generation_config.json", "model.safetensors"] {
        fs::copy(fixture.join(name), folder.path().join(name)).unwrap();
    }
    let source = folder.path().to_str().unwrap().to_owned();
    let open = || {
        let source = source.parse().unwrap();
        Checkpoint::open(&source, 0, &DigestOptions::default()).unwrap().identity
    };
    let bare = open();
    // Without a chat template, the special tokens that a template could use have no effect.
    fs::write(folder.path().join("tokenizer_config.json"), r#"{"bos_token": "<s>"}"#).unwrap();
    assert_eq!(open().files, bare.files);
    fs::write(folder.path().join("chat_template.jinja"), "{{ bos_token }}").unwrap();
    let templated = open();
    assert_eq!(templated.digest, bare.digest);
    let names: Vec<_> = templated.files.iter().map(|file| &file.name[..]).collect();
    let beside = ["generation_config.json", "tokenizer_config.json", "chat_template.jinja"];
    assert_eq!(names[1..4], beside);
    fs::write(folder.path().join("chat_template.jinja"), "{{ eos_token }}").unwrap();
    let other = open();
    assert_eq!(other.digest, bare.digest);
    assert_ne!(other.files[3].digest, templated.files[3].digest);
}
