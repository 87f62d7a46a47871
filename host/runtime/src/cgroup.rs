//! What the process' control group allows it (cgroups(7), versions 1 and 2), which a container's limits come down to.
//!
//! ```text
//! /proc/self/cgroup      the group within each hierarchy     4:memory:/docker/abc, 0::/system.slice/run.scope
//! /proc/self/mountinfo   where hierarchies are mounted, and from which group on
//! <mount>/<group>        cpu.max, memory.max, ... of the group, and of each above it up to the mount
//! ```

use llem_meter::processor::Roots;
use llem_record::environment::CgroupLimits;
use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

/// What version 1 tells as a group's memory where there is no limit: the largest signed number, in whole pages of up to
/// 64 KiB (`PAGE_COUNTER_MAX` in the kernel's sources).
const NO_LIMIT: u64 = i64::MAX as u64 & !0xffff;

/// The limits on this process; `None` where there are none.
pub fn limits(roots: &Roots) -> Option<CgroupLimits> {
    let tree = Tree::read(roots)?;
    let limits = CgroupLimits {
        cpu_quota: tree.cpu_quota(),
        cpus: tree.cpus(roots),
        memory_bytes: tree.memory(),
    };
    (limits != CgroupLimits::default()).then_some(limits)
}

/// The process' groups and where hierarchies are mounted, as the kernel tells them.
struct Tree {
    own: String,
    mounts: String,
}

impl Tree {
    fn read(roots: &Roots) -> Option<Self> {
        let own = fs::read_to_string(roots.proc.join("self/cgroup")).ok()?;
        let mounts = fs::read_to_string(roots.proc.join("self/mountinfo")).ok()?;
        Some(Self { own, mounts })
    }

    /// Processor time in hardware threads: the least that a group allows.
    fn cpu_quota(&self) -> Option<f64> {
        let share = |quota: f64, period: f64| (quota > 0.0 && period > 0.0).then(|| quota / period);
        let second = self.groups("").into_iter().filter_map(|group| {
            let text = text(&group.join("cpu.max"))?;
            let (quota, period) = text.split_once(' ')?;
            share(quota.parse().ok()?, period.parse().ok()?)
        });
        let first = self.groups("cpu").into_iter().filter_map(|group| {
            // -1 where there is none.
            share(
                number(&group.join("cpu.cfs_quota_us"))?,
                number(&group.join("cpu.cfs_period_us"))?,
            )
        });
        second.chain(first).reduce(f64::min)
    }

    /// Memory in bytes: the least that a group allows.
    fn memory(&self) -> Option<u64> {
        let second =
            self.groups("").into_iter().filter_map(|group| number(&group.join("memory.max")));
        let first = self
            .groups("memory")
            .into_iter()
            .filter_map(|group| number(&group.join("memory.limit_in_bytes")));
        second.chain(first).filter(|bytes| *bytes < NO_LIMIT).min()
    }

    /// Hardware threads, if not all that are online.
    fn cpus(&self, roots: &Roots) -> Option<String> {
        let second = self.groups("").into_iter().map(|group| group.join("cpuset.cpus.effective"));
        let first =
            self.groups("cpuset").into_iter().map(|group| group.join("cpuset.effective_cpus"));
        // The innermost group that tells: what is above it is in it.
        let cpus = second.chain(first).find_map(|file| text(&file))?;
        let online = text(&roots.sys.join("devices/system/cpu/online"));
        (online.as_ref() != Some(&cpus)).then_some(cpus)
    }

    /// The folders of the process' group in a hierarchy, and of those above it, innermost first. The hierarchy is that of a
    /// controller of version 1, or with no name that of version 2.
    fn groups(&self, controller: &str) -> Vec<PathBuf> {
        self.find_groups(controller).unwrap_or_default()
    }

    fn find_groups(&self, controller: &str) -> Option<Vec<PathBuf>> {
        let group = self.own.lines().find_map(|line| {
            let (_, line) = line.split_once(':')?;
            let (controllers, group) = line.split_once(':')?;
            controllers.split(',').any(|name| name == controller).then_some(group)
        })?;
        let (root, mount) = self.mounts.lines().find_map(|line| mounted(line, controller))?;
        // In a container the group may be told by its name outside, of which the mount shows the end.
        let within = Path::new(group).strip_prefix(root).unwrap_or(Path::new(""));
        let within = if within.starts_with("..") { Path::new("") } else { within };
        let mount = Path::new(mount);
        let folder = mount.join(within);
        let folders = folder.ancestors().take_while(|folder| folder.starts_with(mount));
        Some(folders.map(Path::to_path_buf).collect())
    }
}

/// The group that a line of mountinfo (proc(5)) shows, and where; `None` of another hierarchy or file system.
fn mounted<'a>(line: &'a str, controller: &str) -> Option<(&'a str, &'a str)> {
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

/// The text of a file of the kernel's; `None` where there is none.
pub fn text(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn number<T: FromStr>(file: &Path) -> Option<T> {
    text(file)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;
    use tempfile::TempDir;

    /// A machine of two hardware threads with these files. `MOUNT` in them is the folder of its control groups.
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
