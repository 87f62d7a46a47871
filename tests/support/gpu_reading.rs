//! What the double of NVML replays: rows of readings, each valid from its time on.

/// The readings of NVML from a time on, in the units of its interface.
#[derive(Clone, Copy)]
pub struct GpuReading {
    pub ms: u64,
    pub millijoules: u64,
    pub milliwatts: u64,
    pub temperature: u64,
    pub clock: u64,
    pub utilisation: u64,
    pub throttle: u64,
    pub status: u64,
    /// Bytes in use on the card, and by this process.
    pub memory: [Option<u64>; 2],
}

/// `NVML_ERROR_NO_PERMISSION` and `NVML_ERROR_GPU_IS_LOST` of nvml.h.
pub const NO_PERMISSION: u64 = 4;
pub const GPU_IS_LOST: u64 = 15;

/// Returns the readings of a GPU that draws `watts` for `seconds`, with a counter that ticks every 100 ms. `change` alters each.
pub fn trace(watts: u64, seconds: u64, change: impl Fn(&mut GpuReading)) -> String {
    let moments = (0..seconds * 10).map(|tick| {
        let (ms, milliwatts) = (tick * 100, watts * 1000);
        let mut moment = GpuReading {
            ms,
            millijoules: 5_000_000 + ms * watts,
            milliwatts,
            temperature: 60,
            clock: 1980,
            utilisation: 99,
            throttle: 0,
            status: 0,
            memory: [None; 2],
        };
        change(&mut moment);
        let GpuReading { ms, millijoules, milliwatts, temperature, clock, utilisation, throttle, status, memory } = moment;
        let [used, ours] = memory.map(|bytes| bytes.map(|bytes| bytes.to_string()).unwrap_or_default());
        format!("{ms},{millijoules},{milliwatts},{temperature},{clock},2619,{utilisation},{throttle},{status},{used},{ours}\n")
    });
    let head = "t_ms,energy_mj,power_mw,temperature,sm_mhz,memory_mhz,utilisation,throttle_bits,status,memory_by,process_by\n";
    head.to_owned() + &moments.collect::<String>()
}
