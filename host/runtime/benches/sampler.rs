//! Measures the cost of sampling the devices: its processor time, and its effect on decoding on the same processor.
//!
//! usage: `cargo bench --bench sampler -- [MINUTES]`, 10 minutes by default, with nothing else running. The environment
//! variable MODEL names another model than `synthetic:smollm2-135m`.
//!
//! One process decodes the same tokens again and again. Each round is: with the sampler at 10 ms and its timeline,
//! without, without, with, so that drift affects both equally. The result is the median of the rounds' ratios with its
//! 95 % confidence interval by order statistics (Conover, Practical Nonparametric Statistics, 3.2). This method assumes
//! no distribution, which suits a shared machine's noise.
//!
//! If nothing meters the machine, files in the place of the kernel's provide two RAPL domains.

use llem_engine::{Control, DType, LoadOptions, Model, Prompt, Request};
use llem_meter::{Meter, MeterOptions, Roots, Sample, Sink};
use llem_record::{TimelineRow, TimelineWriter};
use std::{
    env,
    error::Error,
    fs,
    path::Path,
    sync::mpsc::{self, Sender},
    thread,
    time::{Duration, Instant},
};

const PROMPT: usize = 16;
const NEW_TOKENS: usize = 96;

/// A running sampler with its timeline. It stops when it is dropped.
struct RunningSampler(Meter);

struct SampleSink(Sender<Vec<Sample>>);

impl Sink for SampleSink {
    fn take(&mut self, samples: Vec<Sample>) {
        let _ = self.0.send(samples);
    }
}

impl RunningSampler {
    fn start(options: &MeterOptions, folder: &Path) -> Self {
        let meter = Meter::discover(options);
        let (sender, samples) = mpsc::channel::<Vec<Sample>>();
        let mut writer = TimelineWriter::new(folder);
        thread::spawn(move || {
            for samples in samples {
                let rows = samples.iter().map(|sample| TimelineRow {
                    t_ns: (sample.at * 1e9) as i64,
                    device: sample.id.device.clone(),
                    domain: sample.id.domain.clone(),
                    energy_j: sample.energy,
                    power_w: sample.power,
                    ..TimelineRow::default()
                });
                writer.add(rows).expect("the sidecar can be written");
            }
            writer.finish().expect("the sidecar can be written");
        });
        meter.hand_samples_to(Some(Box::new(SampleSink(sender))));
        Self(meter)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds the argument `--bench`.
    let minutes = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(10.0);
    let folder = tempfile::tempdir()?;
    let mut options = MeterOptions::default();
    if !options.roots.sys.join("class/powercap/intel-rapl:0").exists() {
        options.roots = standing_domains(folder.path(), options.roots)?;
    }
    let source = env::var("MODEL").unwrap_or_else(|_| "synthetic:smollm2-135m".to_owned());
    let mut load = LoadOptions::new(source.parse()?);
    load.dtype = Some(DType::Bf16);
    let mut model = Model::load(&load)?;

    decode_rate(&mut model)?;
    let (began, mut rounds) = (Instant::now(), Vec::new());
    let (mut busy, mut sampled) = (Duration::ZERO, Duration::ZERO);
    while began.elapsed().as_secs_f64() < minutes * 60.0 {
        let mut rates = [0.0; 2];
        for with in [true, false, false, true] {
            let sampling = with.then(|| RunningSampler::start(&options, folder.path()));
            rates[usize::from(with)] += decode_rate(&mut model)? / 2.0;
            if let Some(RunningSampler(meter)) = sampling {
                let cost = meter.sampler_cost();
                (busy, sampled) = (busy + cost.busy, sampled + cost.wall);
            }
        }
        rounds.push((rates[1] / rates[0], rates[0]));
    }
    let share = busy.as_secs_f64() / sampled.as_secs_f64() * 100.0;
    let (_, rate, _) = median(rounds.iter().map(|&(_, rate)| rate));
    let (low, ratio, high) = median(rounds.iter().map(|&(ratio, _)| ratio));
    println!("{} rounds of {source}, {rate:.1} token/s", rounds.len());
    println!("sampling takes {share:.2} % of a core");
    println!("decode with it over decode without: {ratio:.4}, 95 % from {low:.4} to {high:.4}");
    Ok(())
}

fn decode_rate(model: &mut Model) -> Result<f64, llem_engine::Error> {
    let request = Request {
        prompts: vec![Prompt::Tokens(vec![1; PROMPT])],
        max_new_tokens: NEW_TOKENS,
        ignore_eos: true,
        ..Request::default()
    };
    let generation = model.generate(request, &Control::default())?;
    Ok((NEW_TOKENS - 1) as f64 / generation.decode_time().as_secs_f64())
}

/// The median, between the bounds of its 95 % confidence interval.
fn median(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let (count, last) = (sorted.len() as f64, sorted.len() - 1);
    let half = 0.98 * count.sqrt();
    let at = |place: f64| sorted[(place.max(0.0) as usize).min(last)];
    (at((count / 2.0 - half).floor()), at(count / 2.0), at((count / 2.0 + half).ceil()))
}

/// Writes two domains whose counters never move. Reading them costs as much as reading the kernel's, or a little less.
fn standing_domains(folder: &Path, roots: Roots) -> std::io::Result<Roots> {
    for (domain, name) in [("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "dram")] {
        let domain = folder.join("class/powercap").join(domain);
        fs::create_dir_all(&domain)?;
        fs::write(domain.join("name"), name)?;
        fs::write(domain.join("energy_uj"), "1000")?;
        fs::write(domain.join("max_energy_range_uj"), "262143328850")?;
    }
    Ok(Roots { sys: folder.to_owned(), ..roots })
}
