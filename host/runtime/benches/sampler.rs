//! What sampling devices costs: its processor time, and what it does to decode on the same processor.
//!
//! usage: `cargo bench --bench sampler -- [MINUTES]`, default 10, with nothing else running; MODEL names
//! another model than `synthetic:smollm2-135m`
//!
//! One process decodes the same tokens again and again. Each round is: with the sampler at 10 ms and its timeline,
//! without, without, with, so that drift falls on both alike. The median of the rounds' ratios is given with its 95 %
//! confidence interval by order statistics (Conover, Practical Nonparametric Statistics, 3.2), which assumes no
//! distribution: a shared machine's noise has none.
//!
//! Where nothing meters the machine, files in the place of the kernel's give it two RAPL domains to read.

use llem_engine::{Control, DType, LoadOptions, Model, Prompt, Request};
use llem_meter::{Meter, Options, Sample, Sink, processor::Roots};
use llem_record::timeline::{Row, TimelineWriter};
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

/// A sampler with its timeline, until it is dropped.
struct Sampling(Meter);

struct ToWriter(Sender<Vec<Sample>>);

impl Sink for ToWriter {
    fn take(&mut self, samples: Vec<Sample>) {
        let _ = self.0.send(samples);
    }
}

impl Sampling {
    fn start(options: &Options, folder: &Path) -> Self {
        let meter = Meter::discover(options);
        let (sender, samples) = mpsc::channel::<Vec<Sample>>();
        let mut writer = TimelineWriter::new(folder);
        thread::spawn(move || {
            for samples in samples {
                let rows = samples.iter().map(|sample| Row {
                    t_ns: (sample.at * 1e9) as i64,
                    device: sample.device.to_string(),
                    domain: sample.domain.to_string(),
                    energy_j: sample.energy,
                    power_w: sample.power,
                    ..Row::default()
                });
                writer.add(rows).expect("the sidecar can be written");
            }
            writer.finish().expect("the sidecar can be written");
        });
        meter.hand_samples_to(Some(Box::new(ToWriter(sender))));
        Self(meter)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds `--bench`.
    let minutes = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(10.0);
    let folder = tempfile::tempdir()?;
    let mut options = Options::default();
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
            let sampling = with.then(|| Sampling::start(&options, folder.path()));
            rates[usize::from(with)] += decode_rate(&mut model)? / 2.0;
            if let Some(Sampling(meter)) = sampling {
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
    let generation = model.generate(request, &Control::none())?;
    Ok((NEW_TOKENS - 1) as f64 / generation.decode_time().as_secs_f64())
}

/// The median between the bounds of its 95 % confidence interval.
fn median(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let (count, last) = (sorted.len() as f64, sorted.len() - 1);
    let half = 0.98 * count.sqrt();
    let at = |place: f64| sorted[(place.max(0.0) as usize).min(last)];
    (at((count / 2.0 - half).floor()), at(count / 2.0), at((count / 2.0 + half).ceil()))
}

/// Two domains that stand still: reading them costs what reading the kernel's does, or a little less.
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
