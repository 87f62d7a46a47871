//! The limits of the process's control group (cgroups(7), versions 1 and 2), which is how containers limit a process.
//!
//! ```text
//! /proc/self/cgroup      the group within each hierarchy     4:memory:/docker/abc, 0::/system.slice/run.scope
//! /proc/self/mountinfo   where hierarchies are mounted, and from which group on
//! <mount>/<group>        cpu.max, memory.max, ... of the group, and of each above it up to the mount
//! ```

use llem_meter::Roots;
use llem_record::CgroupLimits;
use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

/// The memory limit, in bytes, that version 1 reports when there is none: the largest signed number in whole pages of
/// up to 64 KiB (`PAGE_COUNTER_MAX` in the kernel's sources).
const NO_LIMIT: u64 = i64::MAX as u64 & !0xffff;

/// Returns the limits on this process, or `None` if there are none.
pub(crate) fn limits(roots: &Roots) -> Option<CgroupLimits> {
    let tree = GroupTree::read(roots)?;
    let limits = CgroupLimits {
        cpu_quota: tree.cpu_quota(),
        cpus: tree.cpus(roots),
        memory_bytes: tree.memory(),
    };
    (limits != CgroupLimits::default()).then_some(limits)
}

/// The text of `/proc/self/cgroup` and of `/proc/self/mountinfo`.
struct GroupTree {
    own: String,
    mounts: String,
}

impl GroupTree {
    fn read(roots: &Roots) -> Option<Self> {
        let own = fs::read_to_string(roots.proc.join("self/cgroup")).ok()?;
        let mounts = fs::read_to_string(roots.proc.join("self/mountinfo")).ok()?;
        Some(Self { own, mounts })
    }

    /// The processor time in hardware threads: the smallest quota of all groups.
    fn cpu_quota(&self) -> Option<f64> {
        let share = |quota: f64, period: f64| (quota > 0.0 && period > 0.0).then(|| quota / period);
        let second = self.groups("").into_iter().filter_map(|group| {
            let text = read_text(&group.join("cpu.max"))?;
            let (quota, period) = text.split_once(' ')?;
            share(quota.parse().ok()?, period.parse().ok()?)
        });
        let first = self.groups("cpu").into_iter().filter_map(|group| {
            // The quota is -1 if there is none.
            share(
                read_number(&group.join("cpu.cfs_quota_us"))?,
                read_number(&group.join("cpu.cfs_period_us"))?,
            )
        });
        second.chain(first).reduce(f64::min)
    }

    /// The memory limit in bytes: the smallest of all groups.
    fn memory(&self) -> Option<u64> {
        let second =
            self.groups("").into_iter().filter_map(|group| read_number(&group.join("memory.max")));
        let first = self
            .groups("memory")
            .into_iter()
            .filter_map(|group| read_number(&group.join("memory.limit_in_bytes")));
        second.chain(first).filter(|bytes| *bytes < NO_LIMIT).min()
    }

    /// The hardware threads that the process may use, or `None` if these are all that are online.
    fn cpus(&self, roots: &Roots) -> Option<String> {
        let second = self.groups("").into_iter().map(|group| group.join("cpuset.cpus.effective"));
        let first =
            self.groups("cpuset").into_iter().map(|group| group.join("cpuset.effective_cpus"));
        // The innermost group that has the file decides, because its set lies within those above it.
        let cpus = second.chain(first).find_map(|file| read_text(&file))?;
        let online = read_text(&roots.sys.join("devices/system/cpu/online"));
        (online.as_ref() != Some(&cpus)).then_some(cpus)
    }

    /// The folders of the process's group and of all groups above it, innermost first. `controller` names a hierarchy
    /// of version 1, and the empty string means version 2.
    fn groups(&self, controller: &str) -> Vec<PathBuf> {
        self.find_groups(controller).unwrap_or_default()
    }

    fn find_groups(&self, controller: &str) -> Option<Vec<PathBuf>> {
        let group = self.own.lines().find_map(|line| {
            let (_, line) = line.split_once(':')?;
            let (controllers, group) = line.split_once(':')?;
            controllers.split(',').any(|name| name == controller).then_some(group)
        })?;
        let (root, mount) = self.mounts.lines().find_map(|line| parse_mount(line, controller))?;
        // In a container, the group's name may be the one outside, of which the mount shows only the end.
        let within = Path::new(group).strip_prefix(root).unwrap_or(Path::new(""));
        let within = if within.starts_with("..") { Path::new("") } else { within };
        let mount = Path::new(mount);
        let folder = mount.join(within);
        let folders = folder.ancestors().take_while(|folder| folder.starts_with(mount));
        Some(folders.map(Path::to_path_buf).collect())
    }
}

/// Returns the group that a line of mountinfo (proc(5)) mounts and the mount point, or `None` if the line is about
/// another hierarchy or file system.
fn parse_mount<'a>(line: &'a str, controller: &str) -> Option<(&'a str, &'a str)> {
    let (place, what) = line.split_once(" - ")?;
    let mut what = what.split(' ');
    let (kind, options) = (what.next()?, what.nth(1)?);
    let is_it = match controller {
        "" => kind == "cgroup2",
        name => kind == "cgroup" && options.split(',').any(|option| option == name),
    };
    let mut place = place.split(' ').skip(3);
    is_it.then_some((place.next()?, place.next()?))
}

/// Returns the trimmed text of a file of the kernel, or `None` if it is missing or empty.
pub(crate) fn read_text(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn read_number<T: FromStr>(file: &Path) -> Option<T> {
    read_text(file)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;
    use tempfile::TempDir;

    /// Makes a machine of two hardware threads with these files. `MOUNT` in them is replaced by the folder of its
    /// control groups.
    fn machine(files: &[(&str, &str)]) -> (TempDir, Roots) {
        let folder = tempfile::tempdir().unwrap();
        let groups = folder.path().join("groups");
        let online = ("sys/devices/system/cpu/online", "0-1\n");
        for (name, content) in files.iter().chain([&online]) {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content.replace("MOUNT", groups.to_str().unwrap())).unwrap();
        }
        let roots = Roots { proc: folder.path().join("proc"), sys: folder.path().join("sys") };
        (folder, roots)
    }

    #[test]
    fn the_tightest_group_of_version_2_limits() {
        let (_folder, roots) = machine(&[
            ("proc/self/cgroup", "0::/outer/inner\n"),
            (
                "proc/self/mountinfo",
                "41 31 0:38 / MOUNT rw,relatime shared:4 - cgroup2 cgroup2 rw\n",
            ),
            ("groups/outer/cpu.max", "150000 100000\n"),
            ("groups/outer/memory.max", "max\n"),
            ("groups/outer/inner/cpu.max", "max 100000\n"),
            ("groups/outer/inner/memory.max", "1073741824\n"),
            ("groups/outer/inner/cpuset.cpus.effective", "1\n"),
        ]);
        let (cpu_quota, cpus) = (Some(1.5), Some("1".to_owned()));
        let expected = CgroupLimits { cpu_quota, cpus, memory_bytes: Some(1 << 30) };
        assert_eq!(limits(&roots), Some(expected));
    }

    #[test]
    fn a_container_of_version_1_sees_the_end_of_its_groups_name() {
        let (_folder, roots) = machine(&[
            ("proc/self/cgroup", "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n0::/\n"),
            (
                "proc/self/mountinfo",
                "32 31 0:29 /docker/abc MOUNT/cpu ro - cgroup cgroup rw,cpu,cpuacct\n\
                 35 31 0:32 /docker/abc MOUNT/memory ro - cgroup cgroup rw,memory\n",
            ),
            ("groups/cpu/cpu.cfs_quota_us", "50000\n"),
            ("groups/cpu/cpu.cfs_period_us", "100000\n"),
            ("groups/memory/memory.limit_in_bytes", "536870912\n"),
        ]);
        let expected =
            CgroupLimits { cpu_quota: Some(0.5), cpus: None, memory_bytes: Some(512 << 20) };
        assert_eq!(limits(&roots), Some(expected));
    }

    #[test]
    fn no_limit_is_absent() {
        let (_folder, roots) = machine(&[
            ("proc/self/cgroup", "4:memory:/\n3:cpuset:/\n1:cpu:/\n"),
            (
                "proc/self/mountinfo",
                "32 31 0:29 / MOUNT/cpu rw - cgroup cgroup rw,cpu\n\
                 34 31 0:31 / MOUNT/cpuset rw - cgroup cgroup rw,cpuset\n\
                 35 31 0:32 / MOUNT/memory rw - cgroup cgroup rw,memory\n",
            ),
            ("groups/cpu/cpu.cfs_quota_us", "-1\n"),
            ("groups/cpu/cpu.cfs_period_us", "100000\n"),
            ("groups/cpuset/cpuset.effective_cpus", "0-1\n"),
            ("groups/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!(limits(&roots), None);
        let (_folder, nothing) = machine(&[]);
        assert_eq!(limits(&nothing), None);
    }
}
