//! The WIT package: its name and version, and what of another version still fits.

use crate::{Error, Result};
use semver::{Version, VersionReq};

/// The package's name, as the names of imports and exports begin.
pub const PACKAGE: &str = "llem:experiment/";

/// Where the version is told.
const WORLD: &str = include_str!("../../../wit/world.wit");

/// The package's version.
pub fn version() -> &'static str {
    WORLD.split(['@', ';']).nth(1).unwrap_or_default()
}

/// The full name of an interface of this package.
pub fn named(interface: &str) -> String {
    format!("{PACKAGE}{interface}@{}", version())
}

/// The interface that a full name is of, if it is one of this package in a version that fits: of two components one may
/// be of an earlier version than the other, as long as both are of the same track (0.2).
pub fn interface_of(name: &str) -> Option<&str> {
    let (interface, version) = parts(name)?;
    is_of_track(version).then_some(interface)
}

fn parts(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PACKAGE)?.split_once('@')
}

fn is_of_track(theirs: &str) -> bool {
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

/// Refuses a component that was made for a version which is not this one's, by the names at its border.
pub fn refuse_other<'a>(file: &str, names: impl IntoIterator<Item = &'a String>) -> Result<()> {
    let mut known = names.into_iter().filter_map(|name| parts(name));
    let other = known.find(|(_, theirs)| !is_of_track(theirs));
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
