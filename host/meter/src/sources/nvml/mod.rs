//! NVIDIA GPUs through NVML.
//!
//! ```text
//! cuda:1 of the engine ─▶ CUDA's driver ─▶ UUID ─┐
//! UUID that another rank told ───────────────────┴─▶ card of NVML's ─▶ one gauge
//! ```
//!
//! CUDA's order is not NVML's, so that a device of CUDA's becomes a card of NVML's by UUID and never by number. Start
//! at [`Gpus`], then [`card::locate`].

pub mod card;
mod gpu;
mod power;
mod settings;
mod state;
mod visible;

use super::{Found, Metered, Unmetered, cuda};
use crate::device::{Device, DeviceKind, DeviceState};
use card::Card;
use gpu::Gpu;
use llem_quantity::Source;
use nvml_wrapper::{Nvml, error::NvmlError};
use std::sync::Arc;
use visible::{Environment, Visible};

/// The power domain of a card.
const DOMAIN: &str = "gpu";

/// The GPUs that CUDA shows to this process, in CUDA's order, and those that other ranks on this machine use.
#[derive(Clone)]
pub struct Gpus {
    cards: Arc<[Card]>,
    gpus: Vec<Listed>,
}

/// A GPU that has an id.
#[derive(Clone)]
struct Listed {
    id: String,
    /// UUID of what is computed on, a card or a MIG instance; none where it is not known.
    identity: Option<String>,
    /// The index of its card.
    card: Option<usize>,
    /// The card, or why there is none to ask.
    gpu: Result<Gpu, String>,
    /// The id of the GPU before it that is the same card: energy is metered there.
    same_as: Option<String>,
    /// What a reader of its numbers must know.
    note: Option<String>,
}

/// Loads NVML, or says why it cannot.
fn init() -> Result<Nvml, String> {
    Nvml::init().map_err(|error| match error {
        NvmlError::LibloadingError(_) => {
            "no NVIDIA driver: libnvidia-ml.so.1 is not on this machine".to_owned()
        }
        error => format!("NVML does not start: {error}"),
    })
}

/// The UUIDs of the devices that CUDA shows to this process, in its order and NVML's spelling: `GPU-...` or `MIG-...`.
/// Nothing where CUDA's driver cannot be asked.
pub fn identities() -> Vec<Option<String>> {
    let Ok(driver) = cuda::driver() else { return Vec::new() };
    let cards = init().and_then(|nvml| Card::all(&nvml)).unwrap_or_default();
    driver.devices.iter().map(|shown| card::spelling(shown, &cards)).collect()
}

/// GPUs of other ranks, where NVML does not start.
pub fn unmetered(identities: &[String], reason: &str) -> Found {
    let one = |identity: &String| Unmetered {
        device: identity.clone(),
        domain: None,
        reason: reason.to_owned(),
    };
    Found { metered: Vec::new(), unmetered: identities.iter().map(one).collect() }
}

/// The devices that CUDA shows, and CUDA's version where its driver was asked.
fn shown(cards: &[Card], environment: &Environment) -> (Vec<Visible>, Option<String>) {
    if environment.is_clear(cards) {
        return (vec![Visible { identity: Some(cards[0].uuid.clone()), card: Ok(0) }], None);
    }
    let driver = match cuda::driver() {
        Ok(driver) => driver,
        Err(why) => return (environment.resolve(cards, why), None),
    };
    let visible = driver.devices.iter().enumerate().map(|(ordinal, shown)| {
        let identity = card::spelling(shown, cards);
        let bus = shown.bus.as_deref();
        let card = card::locate(identity.as_deref(), bus, cards).ok_or_else(|| {
            format!(
                "NVML does not show the GPU that CUDA calls {ordinal} ({} at {}): let this process see it, as nvidia-smi -L lists those it sees",
                identity.as_deref().unwrap_or("without a UUID"),
                bus.unwrap_or("an unknown place")
            )
        });
        Visible { identity, card }
    });
    (visible.collect(), driver.version.clone())
}

impl Gpus {
    /// Finds what CUDA shows and what other ranks use, `more` being the UUIDs of that; or says why there is none.
    pub fn open(more: &[String]) -> Result<Self, String> {
        let nvml = Arc::new(init()?);
        let cards = Card::all(&nvml)?;
        let environment = Environment::of_process();
        let (shown, version) = shown(&cards, &environment);
        let mut all = Self { cards: cards.into(), gpus: Vec::new() };
        for (ordinal, visible) in shown.into_iter().enumerate() {
            all.list(&nvml, format!("cuda:{ordinal}"), visible);
        }
        for identity in more {
            if all.gpus.iter().any(|one| one.identity.as_ref() == Some(identity)) {
                continue;
            }
            let card = card::locate(Some(identity), None, &all.cards).ok_or_else(|| {
                format!(
                    "NVML does not show {identity} to this process, and another rank uses it: let rank 0's process see every GPU of its machine (under Slurm: --gpu-bind=none, and CUDA_VISIBLE_DEVICES for each rank)"
                )
            });
            let visible = Visible { identity: Some(identity.clone()), card };
            all.list(&nvml, identity.clone(), visible);
        }
        if all.gpus.is_empty() {
            return Err(none(&all.cards, &environment));
        }
        if let Some(version) = version {
            all.gpus
                .iter_mut()
                .flat_map(|one| &mut one.gpu)
                .for_each(|gpu| gpu.runs_cuda(&version));
        }
        Ok(all)
    }

    fn list(&mut self, nvml: &Arc<Nvml>, id: String, visible: Visible) {
        let Visible { identity, card } = visible;
        let before = self.gpus.iter().find(|one| card.is_ok() && one.card == card.clone().ok());
        let same_as = before.map(|one| one.same_as.clone().unwrap_or_else(|| one.id.clone()));
        let gpu = match &card {
            Ok(index) => Gpu::find(nvml, &self.cards[*index].uuid, &id),
            Err(reason) => Err(reason.clone()),
        };
        let card = card.ok();
        let note = card.and_then(|index| note(identity.as_deref(), &self.cards[index]));
        self.gpus.push(Listed { id, identity, card, gpu, same_as, note });
    }

    /// One entry a GPU. Their energy sources are the caller's to know.
    pub fn devices(&self, source: impl Fn(&str) -> Result<Source, String>) -> Vec<Device> {
        self.gpus.iter().map(|one| one.describe(source(&one.id))).collect()
    }

    /// The ids of those that can be asked how they are, each card once.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let once = self.gpus.iter().filter(|one| one.gpu.is_ok() && one.same_as.is_none());
        once.map(|one| &one.id[..])
    }

    /// What meters each.
    pub fn find(&self) -> Found {
        let mut found = Found::default();
        for one in &self.gpus {
            let (device, domain) = (one.id.clone(), DOMAIN.to_owned());
            match one.instrument() {
                Ok((at, instrument)) => {
                    found.metered.push(Metered { device, domain, at: Some(at), instrument });
                }
                Err(reason) => found.unmetered.push(Unmetered { device, domain: None, reason }),
            }
        }
        found
    }

    /// A GPU now; none where there is no such GPU.
    pub fn state(&self, id: &str) -> Option<DeviceState> {
        self.gpu(id)?.state()
    }

    /// What a sampler reads of a GPU, cheaply.
    pub fn reading(&self, id: &str) -> Option<crate::timeline::Condition> {
        self.gpu(id).map(Gpu::condition)
    }

    fn gpu(&self, id: &str) -> Option<&Gpu> {
        self.gpus.iter().find(|one| one.id == id)?.gpu.as_ref().ok()
    }

    /// The id under which the card is metered that an id, a UUID or a MIG instance's UUID means.
    pub fn device_of(&self, identity: &str) -> Option<String> {
        let named = |one: &&Listed| one.id == identity || one.identity.as_deref() == Some(identity);
        let listed = self.gpus.iter().find(named).or_else(|| {
            let card = card::locate(Some(identity), None, &self.cards);
            self.gpus.iter().find(|one| card.is_some() && one.card == card)
        })?;
        Some(listed.same_as.as_ref().unwrap_or(&listed.id).clone())
    }
}

impl Listed {
    fn describe(&self, energy_source: Result<Source, String>) -> Device {
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

    /// What meters it, and where that is read.
    fn instrument(&self) -> Result<(String, crate::sources::Instrument), String> {
        if let Some(other) = &self.same_as {
            return Err(format!("it is the same card as {other}, whose energy is that of both"));
        }
        let gpu = self.gpu.as_ref().map_err(String::clone)?;
        Ok((format!("nvml {}", gpu.uuid), gpu.instrument()?))
    }
}

/// What a reader must know of a GPU that is not all of its card, or of which NVML tells only its place.
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

/// Why there is no GPU where NVML starts.
fn none(cards: &[Card], environment: &Environment) -> String {
    match (cards.len(), &environment.visible) {
        (0, _) => "NVML shows no GPU to this process".to_owned(),
        (_, Some(list)) => format!("CUDA_VISIBLE_DEVICES={list} leaves this process no GPU"),
        (count, None) => format!(
            "CUDA shows this process none of the {count} GPUs that NVML counts: see that it may open /dev/nvidia-uvm"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GPUs that have been listed, without a card to ask: what cuda:N is, and the index of its card.
    fn listed(all: &[(&str, Option<usize>, Option<&str>)]) -> Gpus {
        let one =
            |(ordinal, (identity, card, same_as)): (usize, &(&str, _, Option<&str>))| Listed {
                id: format!("cuda:{ordinal}"),
                identity: Some((*identity).to_owned()),
                card: *card,
                gpu: Err("a test".to_owned()),
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
        assert!(reasons[1].reason.contains("the same card as cuda:0"), "{reasons:?}");
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
