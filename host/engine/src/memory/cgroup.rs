//! How much memory the control groups of this process leave (cgroups(7), versions 1 and 2).
//!
//! ```text
//! /proc/self/cgroup      the group within each hierarchy     4:memory:/docker/abc, 0::/system.slice/run.scope
//! /proc/self/mountinfo   where hierarchies are mounted, and from which group on
//! <mount>/<group>        limit, usage and statistics of the group, and of each above it up to the mount
//! ```

use super::entry;
use procfs_core::{
    FromRead, ProcessCGroups,
    process::{MountInfo, MountInfos},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The file names of a group's figures in one version of cgroups.
struct GroupFiles {
    limit: &'static str,
    usage: &'static str,
    /// Keys in `memory.stat` of the file cache of the group and of the groups below it. The kernel drops this cache
    /// before it refuses memory.
    cache: [&'static str; 2],
}

const VERSION_1: GroupFiles = GroupFiles {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    cache: ["total_inactive_file", "total_active_file"],
};
const VERSION_2: GroupFiles = GroupFiles {
    limit: "memory.max",
    usage: "memory.current",
    cache: ["inactive_file", "active_file"],
};

/// Returns the bytes that the tightest group leaves, or `None` if no group limits memory.
pub(super) fn left(proc: &Path) -> Option<u64> {
    let of = |controller, names| {
        control_groups(proc, controller).into_iter().filter_map(move |group| left_in(&group, names))
    };
    of("", &VERSION_2).chain(of("memory", &VERSION_1)).min()
}

fn left_in(group: &Path, names: &GroupFiles) -> Option<u64> {
    let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    // Version 2 has `max` in place of a number if there is no limit.
    let (limit, usage) = (number(names.limit)?, number(names.usage)?);
    let cache = names.cache.iter().filter_map(|key| entry(&group.join("memory.stat"), key));
    Some(limit.saturating_sub(usage.saturating_sub(cache.sum())))
}

/// Returns the folders of this process's group and of the groups above it, innermost first. `controller` names a
/// hierarchy of version 1, and an empty name means version 2. `proc` is the folder of procfs.
pub(super) fn control_groups(proc: &Path, controller: &str) -> Vec<PathBuf> {
    find(proc, controller).unwrap_or_default()
}

fn find(proc: &Path, controller: &str) -> Option<Vec<PathBuf>> {
    let own = ProcessCGroups::from_file(proc.join("self/cgroup")).ok()?;
    let group = own.into_iter().find(|group| match controller {
        "" => group.hierarchy == 0,
        name => group.controllers.iter().any(|controller| controller == name),
    })?;
    let mounts = MountInfos::from_file(proc.join("self/mountinfo")).ok()?;
    let MountInfo { root, mount_point, .. } =
        mounts.into_iter().find(|mount| match controller {
            "" => mount.fs_type == "cgroup2",
            name => mount.fs_type == "cgroup" && mount.super_options.contains_key(name),
        })?;
    // In a container, the group may have its name outside of the container, and the mount contains the end of that
    // path.
    let within = Path::new(&group.pathname).strip_prefix(&root).unwrap_or(Path::new(""));
    let within = if within.starts_with("..") { Path::new("") } else { within };
    let folder = mount_point.join(within);
    let folders = folder.ancestors().take_while(|folder| folder.starts_with(&mount_point));
    Some(folders.map(Path::to_path_buf).collect())
}
