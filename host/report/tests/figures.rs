//! Charts as drawings: what a reader of the files finds, and what texts of a record cannot do in them.

use llem_record::{TimelineRow, TimelineWriter};
use llem_report::{Figure, FigureFormat, Format, LoadedRun, Report, render, render_figures};
use roxmltree::{Document, Node};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A column of a journal, mm.
const COLUMN: f64 = 84.0;

/// A run of `quickstart` on two cores, as llem recorded it.
fn quickstart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/quickstart")
}

fn report(folders: &[&Path]) -> Report {
    let runs = folders.iter().map(|folder| LoadedRun::open(folder).expect("a run"));
    Report::new(&runs.collect::<Vec<_>>(), &[])
}

fn figures(folders: &[&Path], format: FigureFormat) -> Vec<Figure> {
    render_figures(&report(folders), format, COLUMN).expect("drawings")
}

fn svg(figure: &Figure) -> &str {
    std::str::from_utf8(&figure.bytes).expect("UTF-8")
}

/// The charts of a report by their id, as the JSON export has them.
fn charts(report: &Report) -> BTreeMap<String, Value> {
    let all: Value = serde_json::from_slice(&render(report, Format::Json)).expect("JSON");
    let sections = all["sections"].as_array().expect("sections").iter();
    let blocks = sections.flat_map(|section| section["blocks"].as_array().expect("blocks"));
    let charts = blocks.filter_map(|block| block.get("chart"));
    charts.map(|chart| (chart["id"].as_str().expect("an id").to_owned(), chart.clone())).collect()
}

fn text_of(document: &Document<'_>, element: &str) -> String {
    let found = document.descendants().find(|node| node.has_tag_name(element));
    found.and_then(|node| node.text()).unwrap_or_default().to_owned()
}

#[test]
fn each_chart_is_a_file_with_its_title_and_caption() {
    let charts = charts(&report(&[&quickstart()]));
    let drawn = figures(&[&quickstart()], FigureFormat::Svg);
    let names: Vec<String> = charts.keys().map(|id| format!("{id}.svg")).collect();
    let mut files: Vec<&str> = drawn.iter().map(|figure| figure.file_name.as_str()).collect();
    files.sort_unstable();
    assert_eq!(files, names);
    for figure in &drawn {
        let document = Document::parse(svg(figure)).expect("XML");
        let chart = &charts[figure.file_name.trim_end_matches(".svg")];
        assert_eq!(text_of(&document, "title"), chart["title"].as_str().expect("a title"));
        assert_eq!(text_of(&document, "desc"), chart["caption"].as_str().expect("a caption"));
        assert_eq!(document.root_element().attribute("width"), Some("84mm"));
        let texts: Vec<&str> = document
            .descendants()
            .filter(|node| node.has_tag_name("text"))
            .filter_map(|node| node.text())
            .collect();
        for axis in
            ["x", "y"].map(|axis| &chart[axis]["name"]).into_iter().filter_map(Value::as_str)
        {
            assert!(texts.iter().any(|text| text.starts_with(axis)), "{axis} in {texts:?}");
        }
    }
}

#[test]
fn equal_records_give_equal_bytes() {
    for format in FigureFormat::ALL {
        let [one, other] = [(); 2].map(|()| figures(&[&quickstart()], format));
        assert!(!one.is_empty() && one == other, "{format:?}");
    }
}

#[test]
fn a_pdf_holds_its_font_and_its_texts() {
    for figure in figures(&[&quickstart()], FigureFormat::Pdf) {
        let holds =
            |word: &str| figure.bytes.windows(word.len()).any(|part| part == word.as_bytes());
        assert!(figure.bytes.starts_with(b"%PDF-1.7"), "{}", figure.file_name);
        for word in ["/FontFile2", "LiberationSans", "/ToUnicode", "/Figure", "/Alt"] {
            assert!(holds(word), "{word} in {}", figure.file_name);
        }
    }
}

/// What a script could try in each text that it chooses.
const HOSTILE: &str = "]]></title><script>alert(1)</script><!--\" onload='x' \u{202e}gnp.exe\u{0}\u{1b}[2J\u{ffff} &amp; ../../x";

fn hostile() -> tempfile::TempDir {
    let path = quickstart().join("run.json");
    let mut record: Value =
        serde_json::from_slice(&fs::read(path).expect("committed")).expect("JSON");
    record["id"] = HOSTILE.into();
    record["series"] = json!([{ "name": HOSTILE, "x": [HOSTILE, HOSTILE], "y": [HOSTILE, HOSTILE], "points": [[0.0, 1.0], [1.0, 2.0]], "source": "script" }]);
    for list in ["groups", "windows"] {
        for one in record[list].as_array_mut().expect("a list") {
            one["label"] = HOSTILE.into();
        }
    }
    for phase in record["phases"].as_array_mut().expect("phases") {
        phase["phase"] = HOSTILE.into();
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("run.json"), record.to_string()).expect("written");
    let timeline = folder.path().join("timeline");
    fs::create_dir(&timeline).expect("made");
    let samples = "timeline/part-0000.parquet";
    fs::copy(quickstart().join(samples), folder.path().join(samples)).expect("copied");
    folder
}

#[test]
fn texts_of_a_record_stay_texts_in_a_drawing() {
    let folder = hostile();
    let drawn = figures(&[folder.path()], FigureFormat::Svg);
    assert!(drawn.iter().any(|figure| svg(figure).contains("alert(1)")), "the text is shown");
    assert!(drawn.iter().any(|figure| figure.file_name.starts_with("timeline")));
    for figure in &drawn {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        assert!(figure.file_name.chars().all(is_plain), "{}", figure.file_name);
        let document = Document::parse(svg(figure)).expect("XML");
        for node in document.descendants().filter(Node::is_element) {
            let own = ["svg", "title", "desc", "metadata", "path", "circle", "text", "tspan"];
            assert!(own.contains(&node.tag_name().name()), "{}", node.tag_name().name());
            let is_active = |name: &str| name.starts_with("on") || name.contains("href");
            assert!(!node.attributes().any(|attribute| is_active(attribute.name())));
        }
        assert!(!svg(figure).contains(['\u{0}', '\u{1b}', '\u{202e}', '\u{ffff}']));
    }
    assert_eq!(figures(&[folder.path()], FigureFormat::Pdf).len(), drawn.len());
}

#[test]
fn a_million_samples_make_a_small_drawing_with_their_peak() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(quickstart().join("run.json"), folder.path().join("run.json")).expect("copied");
    let mut writer = TimelineWriter::new(folder.path());
    let row = |at: i64| TimelineRow {
        t_ns: at * 1_000_000,
        device: "cuda:0".to_owned(),
        domain: "gpu".to_owned(),
        power_w: Some(if at == 654_321 { 900.0 } else { 300.0 + (at % 97) as f64 }),
        ..TimelineRow::default()
    };
    for part in 0..100 {
        writer.add((part * 10_000..(part + 1) * 10_000).map(row)).expect("written");
    }
    writer.finish().expect("written");
    for format in FigureFormat::ALL {
        let drawn = figures(&[folder.path()], format);
        let timeline = drawn.iter().find(|figure| figure.file_name.starts_with("timeline-1"));
        let timeline = timeline.expect("the timeline is drawn");
        assert!(timeline.bytes.len() < 100_000, "{format:?}: {}", timeline.bytes.len());
        if format == FigureFormat::Svg {
            // The peak of 900 W alone makes the axis go so far.
            let document = Document::parse(svg(timeline)).expect("XML");
            assert!(document.descendants().any(|node| node.text() == Some("800")));
        }
    }
}
