//! The cards that the doubles of NVML and CUDA present. Both doubles include this module and read the same traces. It uses std
//! alone.
//!
//! `LLEM_TEST_NVML` names a trace, or a folder of them: one card each, sorted by file name, which is NVML's order. The
//! first line of a trace may describe the card; each part is optional:
//! `# uuid=GPU-... name=NVIDIA H100 80GB HBM3 bus=00000000:3B:00.0 mig=MIG-...,MIG-...`
//! With `power=80:400` the card draws 80 W while this process rests and 400 W while it keeps every core busy, interpolated in
//! between. Its counter then ticks every `tick=20` ms, and the energy drawn is written to a file beside the trace
//! (`draws.rs`). `mig=` alone is a card with MIG on that shows no instance. Without a header the card is an H100.

use std::{fs, path::PathBuf, sync::OnceLock};

pub struct Card {
    pub uuid: String,
    #[allow(dead_code, reason = "CUDA's double tells no name")]
    pub name: String,
    pub bus: String,
    /// `None` if MIG is off.
    pub instances: Option<Vec<String>>,
    /// Power at rest and under full load, W.
    #[allow(dead_code, reason = "CUDA's double draws no power")]
    pub power: Option<(f64, f64)>,
    /// Tick period of the counter, ms.
    #[allow(dead_code, reason = "CUDA's double draws no power")]
    pub tick: u64,
    #[allow(dead_code, reason = "CUDA's double reads no trace")]
    pub trace: String,
}

/// Reads all cards, in NVML's order.
pub fn cards() -> &'static [Card] {
    static CARDS: OnceLock<Vec<Card>> = OnceLock::new();
    CARDS.get_or_init(|| {
        let path = PathBuf::from(std::env::var("LLEM_TEST_NVML").expect("LLEM_TEST_NVML names a trace"));
        let mut traces = vec![path.clone()];
        if path.is_dir() {
            let files = fs::read_dir(&path).expect("the folder").flatten().map(|entry| entry.path());
            traces = files.filter(|file| file.extension().is_some_and(|end| end == "csv")).collect();
            traces.sort();
        }
        let read = |(index, path): (usize, &PathBuf)| card(index, fs::read_to_string(path).expect("the trace"));
        traces.iter().enumerate().map(read).collect()
    })
}

fn card(index: usize, trace: String) -> Card {
    let mut card = Card {
        uuid: format!("GPU-00000000-0000-4000-8000-{index:012x}"),
        name: "NVIDIA H100 80GB HBM3".to_owned(),
        bus: format!("00000000:{:02X}:00.0", 0x10 + index),
        instances: std::env::var_os("LLEM_TEST_MIG").map(|_| Vec::new()),
        power: None,
        tick: 100,
        trace: String::new(),
    };
    let header = trace.lines().next().and_then(|line| line.strip_prefix('#')).unwrap_or_default();
    // A value extends to the next word with an equals sign, because names have spaces.
    let mut parts: Vec<(String, String)> = Vec::new();
    for word in header.split_whitespace() {
        match (word.split_once('='), parts.last_mut()) {
            (Some((key, value)), _) => parts.push((key.to_owned(), value.to_owned())),
            (None, Some((_, value))) => *value = format!("{value} {word}"),
            (None, None) => {}
        }
    }
    for (key, value) in parts {
        match &key[..] {
            "uuid" => card.uuid = value,
            "name" => card.name = value,
            "bus" => card.bus = value,
            "tick" => card.tick = value.parse().expect("milliseconds"),
            "power" => {
                let (rest, work) = value.split_once(':').expect("watts at rest and at work");
                let watts = |text: &str| text.parse::<f64>().expect("watts");
                card.power = Some((watts(rest), watts(work)));
            }
            "mig" => {
                let instances = value.split(',').filter(|one| !one.is_empty()).map(str::to_owned);
                card.instances = Some(instances.collect());
            }
            _ => {}
        }
    }
    card.trace = trace;
    card
}
