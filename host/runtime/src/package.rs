//! The name and version of the WIT package, and which other versions are compatible.

use crate::{Error, Result};
use semver::{Version, VersionReq};

/// The package's name, with which names of imports and exports begin.
pub(crate) const PACKAGE: &str = "llem:experiment/";

/// The file that states the version.
const WORLD: &str = include_str!("../../../wit/world.wit");

pub(crate) fn version() -> &'static str {
    WORLD.split(['@', ';']).nth(1).unwrap_or_default()
}

/// The full name of an interface of this package.
pub(crate) fn full_name(interface: &str) -> String {
    format!("{PACKAGE}{interface}@{}", version())
}

/// Returns the interface in a full name if it belongs to this package in a compatible version. Two components may be
/// built for different versions of the same track (0.2).
pub(crate) fn interface_of(name: &str) -> Option<&str> {
    let (interface, version) = split_name(name)?;
    is_compatible(version).then_some(interface)
}

fn split_name(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PACKAGE)?.split_once('@')
}

fn is_compatible(theirs: &str) -> bool {
    let same = |own: Version, other: Version| {
        let earlier = own.clone().min(other.clone());
        let track = VersionReq::parse(&format!("^{earlier}"));
        track.is_ok_and(|track| track.matches(&own.max(other)))
    };
    match (Version::parse(version()), Version::parse(theirs)) {
        (Ok(own), Ok(other)) => same(own, other),
        _ => false,
    }
}

/// Refuses a component that was built for an incompatible version, by the names of its imports and exports.
pub(crate) fn refuse_incompatible<'a>(
    file: &str,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<()> {
    let mut known = names.into_iter().filter_map(|name| split_name(name));
    let other = known.find(|(_, theirs)| !is_compatible(theirs));
    other.map_or(Ok(()), |(_, theirs)| {
        Err(Error::Input(format!(
            "{file} was made for llem:experiment {theirs}, and this llem offers {}: build it again with the SDK of this \
             version, or run it with an llem of its time",
            version()
        )))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_versions_fit_one_another_and_minor_ones_do_not() {
        let own = Version::parse(version()).expect("it is one");
        let of = |version: String| interface_of(&format!("{PACKAGE}meter@{version}")).is_some();
        assert!(of(format!("{}.{}.0", own.major, own.minor)));
        assert!(of(format!("{}.{}.{}", own.major, own.minor, own.patch + 1)));
        assert!(!of(format!("{}.{}.0", own.major, own.minor + 1)));
        assert!(!of("0.1.0".to_owned()) && !of("x".to_owned()));
        assert!(interface_of("wasi:io/poll@0.2.0").is_none());
    }
}
