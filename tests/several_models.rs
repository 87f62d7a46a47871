//! Several models granted by name, each with its own number format and adapters.

use crate::support::{TestContext, guest};

#[test]
fn the_first_is_the_default_and_the_record_has_all() {
    let context = TestContext::new();
    let grants = [
        "--model=big=synthetic:tiny",
        "--model=draft=synthetic:tiny",
        "--dtype=f32",
        "--dtype=draft=bf16",
        "--device=draft=cpu",
        "--adapter=draft:fine=synthetic:rank=2",
        "--adapter=own=synthetic:rank=4",
    ];
    context.llem(&[&["exec", &guest("imperative")], &grants[..]].concat()).ok();
    let record = context.record();
    let models = &record["grants"]["models"];
    for (index, name, dtype, adapter) in
        [(0, "big", "f32", "synthetic:rank=4"), (1, "draft", "bf16", "synthetic:rank=2")]
    {
        assert_eq!(models[index]["name"], name);
        assert_eq!(models[index]["source"], "synthetic:tiny");
        assert_eq!(models[index]["dtype"], dtype);
        assert_eq!(models[index]["device"], "cpu");
        let adapters = models[index]["adapters"].as_array().unwrap();
        assert_eq!(adapters.len(), 1, "{name}");
        assert!(adapters[0].as_str().unwrap().starts_with(adapter), "{adapters:?}");
    }
    assert_eq!(record["models"][0]["dtype"], "f32");
    let attached = record["adapters"].as_array().unwrap();
    assert_eq!(attached.len(), 1, "{attached:?}");
    assert_eq!(attached[0]["name"], "own");
}

#[test]
fn a_script_loads_them_by_name() {
    let context = TestContext::new();
    let models = ["--model=big=synthetic:tiny", "--model=draft=synthetic:fixed-latency"];
    context.llem(&[&["exec", &guest("several_models")], &models[..]].concat()).ok();
    let record = context.record();
    let sources: Vec<_> =
        record["models"].as_array().unwrap().iter().map(|one| &one["source"]).collect();
    assert_eq!(sources, ["synthetic:tiny", "synthetic:fixed-latency"]);
}

#[test]
fn one_without_a_name_is_as_before() {
    let context = TestContext::new();
    context.llem(&["exec", &guest("imperative"), "--model=synthetic:tiny", "--dtype=bf16"]).ok();
    let record = context.record();
    assert_eq!(record["grants"]["model"], "synthetic:tiny");
    assert_eq!(record["grants"]["models"][0]["name"], "default");
    assert_eq!(record["models"][0]["dtype"], "bf16");
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (given, words) in [
        (
            &["--model=big=synthetic:tiny", "--model=big=synthetic:tiny"][..],
            &["'big'", "twice"][..],
        ),
        (&["--model=synthetic:tiny", "--model=synthetic:tiny"], &["'default'", "twice"]),
        (&["--model=Big_One=synthetic:tiny"], &["'Big_One'", "kebab case"]),
        (&["--device=big=cpu"], &["--device", "'big'", "--model big=SOURCE"]),
        (&["--dtype=big=f32"], &["--dtype", "'big'", "--model big=SOURCE"]),
        (&["--adapter=big:synthetic:rank=2"], &["--adapter", "'big'", "--model big=SOURCE"]),
        (&["--device=cpu", "--device=cpu"], &["device", "twice"]),
        (&["--dtype=default=f32", "--dtype=default=f16"], &["dtype", "'default'", "twice"]),
    ] {
        let arguments = [&["exec", "quickstart"], given].concat();
        TestContext::new().llem(&arguments).refused(2, words);
    }
}
