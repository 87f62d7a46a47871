//! The numbers that the SDKs of all languages share, computed in a component.

use crate::support::{TestContext, guest};

#[test]
fn a_component_computes_the_shared_numbers() {
    let context = TestContext::new();
    context.llem(&["exec", &guest("shared_numbers")]).ok();
    let record = context.record();
    let metric = &record["metrics"][0];
    assert_eq!(metric["name"], "checked_cases");
    assert!(metric["quantity"]["value"].as_f64() > Some(70.0), "{metric}");
}
