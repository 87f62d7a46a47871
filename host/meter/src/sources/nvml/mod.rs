//! NVIDIA GPUs through NVML.
//!
//! ```text
//! cuda:1 of the engine ─▶ CUDA's driver ─▶ UUID ─┐
//! UUID from another rank ────────────────────────┴─▶ card in NVML ─▶ one domain meter
//! ```
//!
//! CUDA and NVML number GPUs in different orders, so a device of CUDA is found in NVML by its UUID and never by its number.
//! Start at [`Gpus`], then [`card::locate`].

mod card;
mod cuda_environment;
mod energy;
mod nvml_gpu;
mod settings;
mod state;

use super::{Discovery, Instrument, MeteredDomain, UnmeteredDomain, cuda_driver::cuda_driver};
use crate::{
    device::{Device, DeviceKind, DeviceState},
    domain::DomainId,
    history::Condition,
};
use card::Card;
use cuda_environment::{CudaEnvironment, VisibleDevice};
use llem_quantity::{Cause, Source, Unavailable};
use nvml_gpu::NvmlGpu;
use nvml_wrapper::{Nvml, error::NvmlError};
use std::sync::Arc;

/// The name of a card's only power domain.
const DOMAIN: &str = "gpu";

/// The GPUs that CUDA shows to this process, in CUDA's order, and after them the GPUs that other ranks on this machine use.
#[derive(Clone)]
pub(crate) struct Gpus {
    cards: Arc<[Card]>,
    gpus: Vec<ListedGpu>,
}

/// A GPU with an id.
#[derive(Clone)]
struct ListedGpu {
    id: String,
    /// UUID of the card or MIG instance that computes; `None` if it is not known.
    identity: Option<String>,
    /// The index of the card in `Gpus::cards`.
    card: Option<usize>,
    /// The card, or why it cannot be read.
    gpu: Result<NvmlGpu, Unavailable>,
    /// The id of an earlier GPU that is the same card. The card's energy is metered there.
    same_as: Option<String>,
    /// What a reader of the GPU's numbers must know.
    note: Option<String>,
}

/// Loads NVML.
fn init() -> Result<Nvml, Unavailable> {
    Nvml::init().map_err(|error| match error {
        NvmlError::LibloadingError(_) => Unavailable::new(
            Cause::NoDriver,
            "no NVIDIA driver: libnvidia-ml.so.1 is not on this machine",
        ),
        error => Unavailable::new(cause(&error), format!("NVML does not start: {error}")),
    })
}

/// Returns the cause that records keep for an error of NVML.
fn cause(error: &NvmlError) -> Cause {
    match error {
        NvmlError::DriverNotLoaded | NvmlError::LibraryNotFound | NvmlError::LibloadingError(_) => {
            Cause::NoDriver
        }
        NvmlError::NoPermission => Cause::NoPermission,
        NvmlError::NotSupported | NvmlError::FunctionNotFound => Cause::NotSupported,
        NvmlError::GpuLost | NvmlError::NotFound => Cause::Lost,
        _ => Cause::Unreadable,
    }
}

/// Returns the UUIDs of the devices that CUDA shows to this process, in CUDA's order and NVML's spelling: `GPU-...` or
/// `MIG-...`. The list is empty if CUDA's driver cannot be asked.
pub fn cuda_device_uuids() -> Vec<Option<String>> {
    let Ok(driver) = cuda_driver() else { return Vec::new() };
    let cards = init().and_then(|nvml| Card::all(&nvml)).unwrap_or_default();
    driver.devices.iter().map(|device| card::nvml_uuid(device, &cards)).collect()
}

/// Lists the GPUs of other ranks as not metered, for when NVML does not start.
pub(crate) fn unmetered(identities: &[String], reason: &Unavailable) -> Discovery {
    let one = |identity: &String| UnmeteredDomain {
        id: DomainId::unmeasured(identity.clone()),
        reason: reason.clone(),
    };
    Discovery { metered: Vec::new(), unmetered: identities.iter().map(one).collect() }
}

/// Returns the devices that CUDA shows, and CUDA's version if its driver was asked.
fn find_visible(
    cards: &[Card],
    environment: &CudaEnvironment,
) -> (Vec<VisibleDevice>, Option<String>) {
    if environment.is_certain(cards) {
        return (vec![VisibleDevice { identity: Some(cards[0].uuid.clone()), card: Ok(0) }], None);
    }
    let driver = match cuda_driver() {
        Ok(driver) => driver,
        Err(why) => return (environment.resolve(cards, why), None),
    };
    let visible = driver.devices.iter().enumerate().map(|(ordinal, device)| {
        let identity = card::nvml_uuid(device, cards);
        let bus = device.bus.as_deref();
        let card = card::locate(identity.as_deref(), bus, cards).ok_or_else(|| {
            Unavailable::new(Cause::NotVisible, format!(
                "NVML does not show the GPU that CUDA calls {ordinal} ({} at {}): let this process see it, as nvidia-smi -L lists those it sees",
                identity.as_deref().unwrap_or("without a UUID"),
                bus.unwrap_or("an unknown place")
            ))
        });
        VisibleDevice { identity, card }
    });
    (visible.collect(), driver.version.clone())
}

impl Gpus {
    /// Finds the GPUs that CUDA shows, and the GPUs of other ranks, whose UUIDs are `more`. Fails if there are none.
    pub(crate) fn open(more: &[String]) -> Result<Self, Unavailable> {
        let nvml = Arc::new(init()?);
        let cards = Card::all(&nvml)?;
        let environment = CudaEnvironment::from_process();
        let (visible, version) = find_visible(&cards, &environment);
        let mut all = Self { cards: cards.into(), gpus: Vec::new() };
        for (ordinal, visible) in visible.into_iter().enumerate() {
            all.add(&nvml, format!("cuda:{ordinal}"), visible);
        }
        for identity in more {
            if all.gpus.iter().any(|one| one.identity.as_ref() == Some(identity)) {
                continue;
            }
            let card = card::locate(Some(identity), None, &all.cards).ok_or_else(|| {
                Unavailable::new(Cause::NotVisible, format!(
                    "NVML does not show {identity} to this process, and another rank uses it: let rank 0's process see every GPU of its machine (under Slurm: --gpu-bind=none, and CUDA_VISIBLE_DEVICES for each rank)"
                ))
            });
            let visible = VisibleDevice { identity: Some(identity.clone()), card };
            all.add(&nvml, identity.clone(), visible);
        }
        if all.gpus.is_empty() {
            return Err(no_gpu(&all.cards, &environment));
        }
        if let Some(version) = version {
            all.gpus
                .iter_mut()
                .flat_map(|one| &mut one.gpu)
                .for_each(|gpu| gpu.set_cuda_version(&version));
        }
        Ok(all)
    }

    fn add(&mut self, nvml: &Arc<Nvml>, id: String, visible: VisibleDevice) {
        let VisibleDevice { identity, card } = visible;
        let before = self.gpus.iter().find(|one| card.is_ok() && one.card == card.clone().ok());
        let same_as = before.map(|one| one.same_as.clone().unwrap_or_else(|| one.id.clone()));
        let gpu = match &card {
            Ok(index) => NvmlGpu::find(nvml, &self.cards[*index].uuid, &id),
            Err(reason) => Err(reason.clone()),
        };
        let card = card.ok();
        let note = card.and_then(|index| note(identity.as_deref(), &self.cards[index]));
        self.gpus.push(ListedGpu { id, identity, card, gpu, same_as, note });
    }

    /// Describes every GPU. The caller knows their energy sources.
    pub(crate) fn devices(
        &self,
        source: impl Fn(&str) -> Result<Source, Unavailable>,
    ) -> Vec<Device> {
        self.gpus.iter().map(|one| one.describe(source(&one.id))).collect()
    }

    /// Returns the ids of the GPUs that can be read, each card once.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        let once = self.gpus.iter().filter(|one| one.gpu.is_ok() && one.same_as.is_none());
        once.map(|one| &one.id[..])
    }

    /// Returns the instruments of each GPU, or why it has none.
    pub(crate) fn find(&self) -> Discovery {
        let mut found = Discovery::default();
        for one in &self.gpus {
            match one.instrument() {
                Ok((at, instrument)) => {
                    let id = DomainId::new(one.id.clone(), DOMAIN);
                    found.metered.push(MeteredDomain { id, at: Some(at), instrument });
                }
                Err(reason) => {
                    let id = DomainId::unmeasured(one.id.clone());
                    found.unmetered.push(UnmeteredDomain { id, reason });
                }
            }
        }
        found
    }

    /// Reads the state of a GPU now. Returns `None` if there is no such GPU.
    pub(crate) fn state(&self, id: &str) -> Option<DeviceState> {
        Some(self.gpu(id)?.state())
    }

    /// Reads the condition of a GPU, which costs less than its state. The sampler calls it.
    pub(crate) fn condition(&self, id: &str) -> Option<Condition> {
        self.gpu(id).map(NvmlGpu::condition)
    }

    fn gpu(&self, id: &str) -> Option<&NvmlGpu> {
        self.gpus.iter().find(|one| one.id == id)?.gpu.as_ref().ok()
    }

    /// Returns the id under which a card is metered. `identity` is an id, the UUID of the card, or the UUID of one of its
    /// MIG instances.
    pub(crate) fn device_of(&self, identity: &str) -> Option<String> {
        let named =
            |one: &&ListedGpu| one.id == identity || one.identity.as_deref() == Some(identity);
        let listed = self.gpus.iter().find(named).or_else(|| {
            let card = card::locate(Some(identity), None, &self.cards);
            self.gpus.iter().find(|one| card.is_some() && one.card == card)
        })?;
        Some(listed.same_as.as_ref().unwrap_or(&listed.id).clone())
    }
}

impl ListedGpu {
    fn describe(&self, energy_source: Result<Source, Unavailable>) -> Device {
        let known =
            self.gpu.as_ref().ok().and_then(|gpu| gpu.describe(&self.id, energy_source.clone()));
        let mut device = known.unwrap_or_else(|| Device {
            id: self.id.clone(),
            kind: DeviceKind::Cuda,
            name: "unknown GPU".to_owned(),
            uuid: None,
            memory_bytes: None,
            compute_capability: None,
            energy_source,
            notes: Vec::new(),
            settings: Default::default(),
        });
        if self.identity.is_some() {
            device.uuid.clone_from(&self.identity);
        }
        device.notes.extend(self.note.clone());
        device
    }

    /// Returns where the GPU is read, and its instruments.
    fn instrument(&self) -> Result<(String, Instrument), Unavailable> {
        if let Some(other) = &self.same_as {
            let detail = format!("it is the same card as {other}, whose energy is that of both");
            return Err(Unavailable::new(Cause::NotSeparable, detail));
        }
        let gpu = self.gpu.as_ref().map_err(Clone::clone)?;
        Ok((format!("nvml {}", gpu.uuid), gpu.instrument()?))
    }
}

/// Returns what a reader must know of a GPU that is only a part of its card, or that NVML knows only by its place.
fn note(identity: Option<&str>, card: &Card) -> Option<String> {
    let whole =
        "energy, power and clocks are those of the whole card, which other instances may share";
    match identity {
        Some(identity) if identity.starts_with("MIG-") => {
            Some(format!("this is the MIG instance {identity} of {}: {whole}", card.uuid))
        }
        _ if card.has_instances => Some(format!("MIG is on: {whole}")),
        Some(identity) if identity != card.uuid => Some(format!(
            "NVML does not know {identity}: this is {}, the card at its place on the PCI bus",
            card.uuid
        )),
        _ => None,
    }
}

/// Returns why there is no GPU although NVML starts.
fn no_gpu(cards: &[Card], environment: &CudaEnvironment) -> Unavailable {
    let detail = match (cards.len(), &environment.visible) {
        (0, _) => "NVML shows no GPU to this process".to_owned(),
        (_, Some(list)) => format!("CUDA_VISIBLE_DEVICES={list} leaves this process no GPU"),
        (count, None) => format!(
            "CUDA shows this process none of the {count} GPUs that NVML counts: see that it may open /dev/nvidia-uvm"
        ),
    };
    Unavailable::new(Cause::NotVisible, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GPUs without a card that could be read. Each has its UUID, the index of its card, and the id of the same card.
    fn listed(all: &[(&str, Option<usize>, Option<&str>)]) -> Gpus {
        let one =
            |(ordinal, (identity, card, same_as)): (usize, &(&str, _, Option<&str>))| ListedGpu {
                id: format!("cuda:{ordinal}"),
                identity: Some((*identity).to_owned()),
                card: *card,
                gpu: Err(Unavailable::from("a test")),
                same_as: same_as.map(str::to_owned),
                note: None,
            };
        let gpus = all.iter().enumerate().map(one).collect();
        Gpus { cards: card::tests::cards().into(), gpus }
    }

    #[test]
    fn a_card_has_one_id() {
        let all = [("MIG-b1", Some(1), None), ("MIG-b2", Some(1), Some("cuda:0"))];
        let gpus = listed(&all);
        for identity in ["MIG-b1", "MIG-b2", "GPU-bb", "MIG-GPU-bb/2/0", "cuda:0", "cuda:1"] {
            assert_eq!(gpus.device_of(identity).as_deref(), Some("cuda:0"), "{identity}");
        }
        assert_eq!(gpus.device_of("GPU-aa"), None, "it is not listed");
        assert_eq!(gpus.device_of("GPU-cc"), None);
        let reasons = gpus.find().unmetered;
        assert!(reasons[1].reason.detail.contains("the same card as cuda:0"), "{reasons:?}");
    }

    #[test]
    fn what_is_not_all_of_a_card_says_so() {
        let cards = card::tests::cards();
        assert_eq!(note(Some("GPU-aa"), &cards[0]), None);
        let instance = note(Some("MIG-b2"), &cards[1]).unwrap_or_default();
        assert!(instance.contains("MIG-b2 of GPU-bb"), "{instance}");
        assert!(note(Some("GPU-bb"), &cards[1]).unwrap_or_default().contains("MIG is on"));
        assert!(note(Some("GPU-cc"), &cards[0]).unwrap_or_default().contains("GPU-aa"));
    }
}
