#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;
use tempfile::TempDir;

const GIB: u64 = 1 << 30;

/// Returns the bytes left in a system with these files. `MOUNT` in a file stands for the folder of the control
/// groups. The machine has 8 GiB left.
fn left(files: &[(&str, &str)], address_space: Option<u64>, held: u64) -> Option<u64> {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let groups = folder.path().join("groups");
    let machine = ("proc/meminfo", "MemTotal:  9999999 kB\nMemAvailable:    8388608 kB\n");
    for (name, content) in [machine].iter().chain(files) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content.replace("MOUNT", groups.to_str().unwrap())).unwrap();
    }
    let proc = folder.path().join("proc");
    available_within(&proc, address_space, held as usize).map(|bytes| bytes as u64)
}

const STATUS: (&str, &str) =
    ("proc/self/status", "Name:\tllem\nVmSize:\t 3145728 kB\nRssAnon:\t 1048576 kB\n");

#[test]
fn without_groups_and_limits_it_is_what_the_machine_has() {
    assert_eq!(left(&[], None, 0), Some(8 * GIB));
}

#[test]
fn the_tightest_group_of_version_2_counts_without_its_file_cache() {
    let files = [
        ("proc/self/cgroup", "0::/outer/inner\n"),
        ("proc/self/mountinfo", "41 31 0:38 / MOUNT rw shared:4 - cgroup2 cgroup2 rw\n"),
        ("groups/outer/memory.max", "4294967296\n"),
        ("groups/outer/memory.current", "3221225472\n"),
        ("groups/outer/memory.stat", "anon 1\nfile 5\ninactive_file 1073741824\nactive_file 0\n"),
        ("groups/outer/inner/memory.max", "max\n"),
        ("groups/outer/inner/memory.current", "3221225472\n"),
    ];
    assert_eq!(left(&files, None, 0), Some(2 * GIB));
}

#[test]
fn a_container_of_version_1_is_heeded() {
    let files = [
        ("proc/self/cgroup", "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n0::/\n"),
        ("proc/self/mountinfo", "35 31 0:32 /docker/abc MOUNT/m ro - cgroup cgroup rw,memory\n"),
        ("groups/m/memory.limit_in_bytes", "2147483648\n"),
        ("groups/m/memory.usage_in_bytes", "1610612736\n"),
        ("groups/m/memory.stat", "total_inactive_file 268435456\ntotal_active_file 268435456\n"),
    ];
    assert_eq!(left(&files, None, 0), Some(GIB));
}

#[test]
fn a_limit_of_the_address_space_is_heeded() {
    assert_eq!(left(&[STATUS], Some(4 * GIB), 0), Some(GIB));
    assert_eq!(left(&[STATUS], Some(GIB), 0), Some(0));
    assert_eq!(left(&[STATUS], None, 0), Some(8 * GIB));
}

#[test]
fn what_is_held_and_cannot_have_been_written_to_is_not_free() {
    assert_eq!(left(&[STATUS], None, GIB), Some(8 * GIB), "it may all be written to");
    assert_eq!(left(&[STATUS], None, 6 * GIB), Some(3 * GIB));
    assert_eq!(left(&[STATUS], None, 60 * GIB), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn this_system_tells() {
    assert!(available().unwrap() > 0);
}
