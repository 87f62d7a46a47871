//! Tests of the stated uncertainties against known energies.

mod phase_coverage;
mod window_coverage;
