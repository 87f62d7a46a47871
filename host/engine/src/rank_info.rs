//! What is known about a model's ranks, and names of their devices that are unique on this machine.
//!
//! A process that sees one GPU calls it `cuda:0`, whichever GPU that is (`srun --gpus-per-task=1`). So ranks that are
//! processes report the UUIDs of their GPUs, and a GPU's name is the one that the leading process uses for it.

use crate::DeviceId;
use std::ops::Range;

/// What is known about one rank of a model.
#[derive(Clone, Debug)]
pub struct RankInfo {
    /// The rank's device, as the rank's own process calls it.
    pub device: DeviceId,
    /// Whether the rank's process is another one than the leading process.
    pub is_other_process: bool,
    /// The UUID of the rank's GPU, or of its MIG instance. `None` if the rank is a thread, or if CUDA does not report
    /// a UUID.
    pub identity: Option<String>,
    /// The rank's device, as the leading process calls it. `None` if the leading process does not see that device.
    pub leader_device: Option<DeviceId>,
    /// The address of the rank's machine if it is another machine than the leader's.
    pub other_machine: Option<String>,
    /// The model's layers that the rank has.
    pub layers: Range<usize>,
    /// Bytes of the rank's weights in memory.
    pub weight_bytes: u64,
}

impl RankInfo {
    /// Returns a name of the rank's device: the leading process's name, or the GPU's UUID if only the rank's own
    /// process sees it. On another machine, the machine's address comes first: `10.0.0.2/cuda:0`.
    pub fn device_name(&self) -> String {
        match (&self.other_machine, self.leader_device, &self.identity) {
            (Some(machine), ..) => format!("{machine}/{}", self.device),
            (None, Some(device), _) => device.measured().to_string(),
            (None, None, Some(identity)) => identity.clone(),
            (None, None, None) => self.device.measured().to_string(),
        }
    }

    /// Returns true if this rank and another one use the same name for a GPU, and it is not known whether it is one
    /// GPU.
    fn is_indistinct_from(&self, other: &Self) -> bool {
        self.device_name() == other.device_name()
            && (self.is_other_process || other.is_other_process)
            && (self.identity.is_none() || other.identity.is_none())
    }
}

/// Returns the reason why the GPUs of ranks cannot be told apart: two ranks on this machine use the same name, and it
/// is not known whether they have the same GPU. A sum over the GPUs might then count one GPU for both ranks.
pub(crate) fn explain_indistinct_gpus(ranks: &[RankInfo]) -> Option<String> {
    let is_gpu_here =
        |rank: &&RankInfo| rank.other_machine.is_none() && matches!(rank.device, DeviceId::Cuda(_));
    let gpus: Vec<&RankInfo> = ranks.iter().filter(is_gpu_here).collect();
    let mut pairs = gpus
        .iter()
        .enumerate()
        .flat_map(|(i, one)| gpus[..i].iter().map(move |other| (one, other)));
    let (one, _) = pairs.find(|(one, other)| one.is_indistinct_from(other))?;
    Some(format!(
        "two ranks on this machine call their GPU {} and CUDA does not tell whether it is the same: let every rank see all GPUs (under Slurm: --gpu-bind=none)",
        one.device_name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a rank that calls its GPU `cuda:0`. Rank 0 is in the leading process.
    fn rank(number: usize, identity: Option<&str>, leader_device: Option<usize>) -> RankInfo {
        RankInfo {
            device: DeviceId::Cuda(0),
            is_other_process: number > 0,
            identity: identity.map(str::to_owned),
            leader_device: leader_device.map(DeviceId::Cuda),
            other_machine: None,
            layers: 0..1,
            weight_bytes: 0,
        }
    }

    #[test]
    fn a_gpu_is_called_what_the_leader_calls_it_or_by_its_uuid() {
        assert_eq!(rank(0, Some("GPU-aa"), Some(0)).device_name(), "cuda:0");
        assert_eq!(rank(1, Some("GPU-bb"), Some(1)).device_name(), "cuda:1");
        assert_eq!(rank(1, Some("GPU-bb"), None).device_name(), "GPU-bb");
        assert_eq!(rank(1, None, None).device_name(), "cuda:0");
        let other_machine = Some("10.0.0.2".to_owned());
        let elsewhere = RankInfo { other_machine, ..rank(1, Some("GPU-bb"), None) };
        assert_eq!(elsewhere.device_name(), "10.0.0.2/cuda:0");
    }

    #[test]
    fn gpus_of_one_name_are_distinct_only_if_their_uuids_are_known() {
        let leader = || rank(0, Some("GPU-aa"), Some(0));
        let told = [leader(), rank(1, Some("GPU-bb"), None)];
        assert_eq!(explain_indistinct_gpus(&told), None);
        assert_eq!(
            explain_indistinct_gpus(&[leader(), rank(1, Some("GPU-aa"), Some(0))]),
            None,
            "shared"
        );
        let silent = [leader(), rank(1, None, None)];
        assert!(
            explain_indistinct_gpus(&silent)
                .is_some_and(|reason| reason.contains("--gpu-bind=none"))
        );
        assert!(explain_indistinct_gpus(&[rank(0, None, Some(0)), rank(1, None, None)]).is_some());
        // Threads of one process name GPUs alike.
        let threads = [
            rank(0, None, Some(0)),
            RankInfo { is_other_process: false, ..rank(1, None, Some(1)) },
        ];
        assert_eq!(explain_indistinct_gpus(&threads), None);
        let elsewhere =
            RankInfo { other_machine: Some("10.0.0.2".to_owned()), ..rank(1, None, None) };
        assert_eq!(explain_indistinct_gpus(&[leader(), elsewhere]), None);
        let on_cpu = |number| RankInfo { device: DeviceId::Cpu, ..rank(number, None, None) };
        assert_eq!(explain_indistinct_gpus(&[on_cpu(0), on_cpu(1)]), None);
    }
}
