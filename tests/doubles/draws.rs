//! Cards whose power follows what the process does: every millisecond a thread reads the processor time of the process, derives
//! the power and integrates it. The exact energy is written beside the traces: rows of nanoseconds since 1970 and, for each
//! card, millijoules, as 64-bit little-endian integers.

use super::{cards::cards, kernel_clock::time_of};
use std::{
    fs::File,
    io::Write,
    path::PathBuf,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The readings of a card: its counter, mJ, and its power, mW.
#[derive(Default)]
pub struct Shown {
    pub energy: AtomicU64,
    pub power: AtomicU64,
}

/// Returns `CLOCK_PROCESS_CPUTIME_ID`, s.
fn processor_time() -> f64 {
    time_of(2).as_secs_f64()
}

/// Returns the readings of each card; the first call starts the thread.
pub fn shown() -> &'static [Shown] {
    static SHOWN: OnceLock<Vec<Shown>> = OnceLock::new();
    static BEGAN: OnceLock<()> = OnceLock::new();
    let shown = SHOWN.get_or_init(|| cards().iter().map(|_| Shown::default()).collect());
    BEGAN.get_or_init(|| {
        if cards().iter().any(|card| card.power.is_some()) {
            thread::spawn(move || draw(shown));
        }
    });
    shown
}

fn draw(shown: &[Shown]) {
    let folder = PathBuf::from(std::env::var("LLEM_TEST_NVML").expect("the traces"));
    let path = folder.join(format!("{}.drawn", std::process::id()));
    let mut file = File::create(path).expect("a file for what is drawn");
    let cores = thread::available_parallelism().map_or(1, usize::from) as f64;
    let began = Instant::now();
    let (mut then, mut worked) = (began, processor_time());
    let mut drawn = vec![5_000_000.0; cards().len()];
    loop {
        let (now, time) = (Instant::now(), processor_time());
        let wall = now.duration_since(then).as_secs_f64();
        let share = ((time - worked) / (wall * cores)).clamp(0.0, 1.0);
        (then, worked) = (now, time);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
        let mut line = unix.to_le_bytes().to_vec();
        for ((card, shown), drawn) in cards().iter().zip(shown).zip(&mut drawn) {
            let (rest, work) = card.power.unwrap_or_default();
            let watts = rest + (work - rest) * share;
            if wall.is_finite() && wall > 0.0 {
                *drawn += watts * wall * 1e3;
            }
            line.extend((*drawn as u64).to_le_bytes());
            // The counter holds between its ticks.
            let ticks = began.elapsed().as_millis() as u64 / card.tick;
            let before = (began.elapsed().saturating_sub(Duration::from_secs_f64(wall))).as_millis() as u64 / card.tick;
            if ticks != before || shown.energy.load(Ordering::Relaxed) == 0 {
                shown.energy.store(*drawn as u64, Ordering::Relaxed);
            }
            shown.power.store((watts * 1e3) as u64, Ordering::Relaxed);
        }
        file.write_all(&line).expect("written");
        thread::sleep(Duration::from_millis(1));
    }
}
