//! What is known of a model's ranks: where each lives, by a name that means one device of this machine.
//!
//! A process that sees one GPU calls it `cuda:0`, whichever that is (`srun --gpus-per-task=1`). Ranks that are processes
//! therefore tell the UUIDs of their GPUs, and are called by what the process that leads calls those.

use crate::Device;
use std::ops::Range;

/// What is known of a rank.
#[derive(Clone, Debug)]
pub struct RankInfo {
    /// Where it lives, as its own process calls it.
    pub device: Device,
    /// Whether its process is another than the one that leads.
    pub is_other_process: bool,
    /// The UUID of its GPU, or of a MIG instance. None of a rank that is a thread, or where CUDA does not tell.
    pub identity: Option<String>,
    /// What the process that leads calls its device; none where that process does not see it.
    pub here: Option<Device>,
    /// The address of its machine, where that is another.
    pub machine: Option<String>,
    /// Its layers.
    pub layers: Range<usize>,
    /// Bytes of its weights in memory.
    pub weight_bytes: u64,
}

impl RankInfo {
    /// Its device's id: what the process that leads calls it, or the UUID of a GPU which only the rank's own process
    /// sees; after its machine's address where that is another: `10.0.0.2/cuda:0`.
    pub fn place(&self) -> String {
        match (&self.machine, self.here, &self.identity) {
            (Some(machine), ..) => format!("{machine}/{}", self.device),
            (None, Some(device), _) => device.measured().to_string(),
            (None, None, Some(identity)) => identity.clone(),
            (None, None, None) => self.device.measured().to_string(),
        }
    }

    /// Whether it and another rank have one name for a GPU, and nothing says that it is one GPU.
    fn is_indistinct_from(&self, other: &Self) -> bool {
        self.place() == other.place()
            && (self.is_other_process || other.is_other_process)
            && (self.identity.is_none() || other.identity.is_none())
    }
}

/// Why GPUs of ranks cannot be told from one another, if two on this machine have one name and nothing says that it is
/// one GPU: a sum over them might count one for both.
pub fn indistinct(ranks: &[RankInfo]) -> Option<String> {
    let is_gpu_here =
        |rank: &&RankInfo| rank.machine.is_none() && matches!(rank.device, Device::Cuda(_));
    let gpus: Vec<&RankInfo> = ranks.iter().filter(is_gpu_here).collect();
    let mut pairs = gpus
        .iter()
        .enumerate()
        .flat_map(|(i, one)| gpus[..i].iter().map(move |other| (one, other)));
    let (one, _) = pairs.find(|(one, other)| one.is_indistinct_from(other))?;
    Some(format!(
        "two ranks on this machine call their GPU {} and CUDA does not tell whether it is the same: let every rank see all GPUs (under Slurm: --gpu-bind=none)",
        one.place()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rank that calls its GPU `cuda:0`: of the process that leads, or of another.
    fn rank(number: usize, identity: Option<&str>, here: Option<usize>) -> RankInfo {
        RankInfo {
            device: Device::Cuda(0),
            is_other_process: number > 0,
            identity: identity.map(str::to_owned),
            here: here.map(Device::Cuda),
            machine: None,
            layers: 0..1,
            weight_bytes: 0,
        }
    }

    #[test]
    fn a_gpu_is_called_what_the_leader_calls_it_or_by_its_uuid() {
        assert_eq!(rank(0, Some("GPU-aa"), Some(0)).place(), "cuda:0");
        assert_eq!(rank(1, Some("GPU-bb"), Some(1)).place(), "cuda:1");
        assert_eq!(rank(1, Some("GPU-bb"), None).place(), "GPU-bb");
        assert_eq!(rank(1, None, None).place(), "cuda:0");
        let machine = Some("10.0.0.2".to_owned());
        let elsewhere = RankInfo { machine, ..rank(1, Some("GPU-bb"), None) };
        assert_eq!(elsewhere.place(), "10.0.0.2/cuda:0");
    }

    #[test]
    fn gpus_of_one_name_are_distinct_only_if_their_uuids_are_known() {
        let leader = || rank(0, Some("GPU-aa"), Some(0));
        let told = [leader(), rank(1, Some("GPU-bb"), None)];
        assert_eq!(indistinct(&told), None);
        assert_eq!(indistinct(&[leader(), rank(1, Some("GPU-aa"), Some(0))]), None, "shared");
        let silent = [leader(), rank(1, None, None)];
        assert!(indistinct(&silent).is_some_and(|reason| reason.contains("--gpu-bind=none")));
        assert!(indistinct(&[rank(0, None, Some(0)), rank(1, None, None)]).is_some());
        // Threads of one process name GPUs alike.
        let threads = [
            rank(0, None, Some(0)),
            RankInfo { is_other_process: false, ..rank(1, None, Some(1)) },
        ];
        assert_eq!(indistinct(&threads), None);
        let elsewhere = RankInfo { machine: Some("10.0.0.2".to_owned()), ..rank(1, None, None) };
        assert_eq!(indistinct(&[leader(), elsewhere]), None);
        let on_cpu = |number| RankInfo { device: Device::Cpu, ..rank(number, None, None) };
        assert_eq!(indistinct(&[on_cpu(0), on_cpu(1)]), None);
    }
}
