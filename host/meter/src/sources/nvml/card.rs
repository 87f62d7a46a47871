//! The cards of this machine, as NVML names them, and which of them a UUID or a place on the bus means.

use crate::sources::cuda::Shown;
use nvml_wrapper::{Device, Nvml};

/// A physical card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// `GPU-...`
    pub uuid: String,
    /// The vendor's name for it.
    pub name: String,
    /// Where it is on the PCI bus: `00000000:3B:00.0`.
    pub bus: Option<String>,
    /// Whether it is cut into instances (MIG).
    pub has_instances: bool,
    /// The UUIDs of those that this process may see: `MIG-...`
    pub instances: Vec<String>,
}

impl Card {
    /// Those that NVML shows to this process, in its order.
    pub fn all(nvml: &Nvml) -> Result<Vec<Self>, String> {
        let count =
            nvml.device_count().map_err(|error| format!("NVML counts no devices: {error}"))?;
        // One that is denied to this process, or lost, is none that it could compute on.
        Ok((0..count).filter_map(|index| Self::of(&nvml.device_by_index(index).ok()?)).collect())
    }

    fn of(device: &Device<'_>) -> Option<Self> {
        let has_instances = device.mig_mode().is_ok_and(|mode| mode.current == 1);
        let most = if has_instances { device.mig_device_count().unwrap_or(0) } else { 0 };
        // Places without an instance are not found.
        let instance = |index| device.mig_device_by_index(index).and_then(|one| one.uuid()).ok();
        Some(Self {
            uuid: device.uuid().ok()?,
            name: device.name().ok()?,
            bus: device.pci_info().ok().map(|place| place.bus_id),
            has_instances,
            instances: (0..most).filter_map(instance).collect(),
        })
    }
}

/// The card that has a UUID, itself or as one of its instances, `MIG-GPU-<uuid>/<gi>/<ci>` being how drivers before
/// R470 name an instance; or else the card at a place on the bus.
pub fn locate(identity: Option<&str>, bus: Option<&str>, cards: &[Card]) -> Option<usize> {
    let is_it = |card: &Card| {
        identity.is_some_and(|identity| {
            card.uuid == identity
                || card.instances.iter().any(|instance| instance == identity)
                || legacy(identity) == Some(&card.uuid)
        })
    };
    let is_there = |card: &Card| match (&card.bus, bus) {
        (Some(known), Some(bus)) => place(known).is_some() && place(known) == place(bus),
        _ => false,
    };
    cards.iter().position(is_it).or_else(|| cards.iter().position(is_there))
}

/// The card's UUID in a name of the form `MIG-GPU-<uuid>/<gi>/<ci>`.
pub fn legacy(identity: &str) -> Option<&str> {
    let rest = identity.strip_prefix("MIG-")?;
    rest.starts_with("GPU-").then(|| rest.split('/').next().unwrap_or(rest))
}

/// Domain, bus and device, which CUDA and NVML write with unlike numbers of digits; the function is 0 for every GPU.
fn place(bus: &str) -> Option<[u32; 3]> {
    let mut parts = bus.split([':', '.']).map(|part| u32::from_str_radix(part, 16).ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

/// What CUDA shows, in NVML's spelling. CUDA tells the digits alone: which card has them, or an instance of which,
/// tells whether they name a GPU or a MIG instance.
pub fn spelling(shown: &Shown, cards: &[Card]) -> Option<String> {
    let digits = shown.digits.as_ref()?;
    let (gpu, instance) = (format!("GPU-{digits}"), format!("MIG-{digits}"));
    if cards.iter().any(|card| card.uuid == gpu) {
        return Some(gpu);
    }
    // An instance that NVML does not list is one of the card at its place, where that is cut into instances.
    let card = locate(Some(&instance), shown.bus.as_deref(), cards);
    let is_instance = card.is_some_and(|index| cards[index].has_instances);
    Some(if is_instance { instance } else { gpu })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two unlike cards, of which the second is cut into two instances.
    pub fn cards() -> Vec<Card> {
        vec![
            Card {
                uuid: "GPU-aa".to_owned(),
                name: "NVIDIA A30".to_owned(),
                bus: Some("00000000:3B:00.0".to_owned()),
                ..Card::default()
            },
            Card {
                uuid: "GPU-bb".to_owned(),
                name: "NVIDIA H100 PCIe".to_owned(),
                bus: Some("00000000:AF:00.0".to_owned()),
                has_instances: true,
                instances: vec!["MIG-b1".to_owned(), "MIG-b2".to_owned()],
            },
        ]
    }

    #[test]
    fn a_card_is_found_by_its_uuid_its_instance_or_its_place() {
        let cards = cards();
        for (identity, bus, expected) in [
            ("GPU-aa", None, Some(0)),
            ("GPU-bb", Some("0000:3B:00.0"), Some(1)),
            ("MIG-b2", None, Some(1)),
            ("MIG-GPU-bb/1/0", None, Some(1)),
            ("GPU-cc", None, None),
            ("GPU-cc", Some("0000:3b:00.0"), Some(0)),
            ("GPU-cc", Some("0000:3C:00.0"), None),
        ] {
            assert_eq!(locate(Some(identity), bus, &cards), expected, "{identity} at {bus:?}");
        }
        assert_eq!(locate(None, Some("0000:AF:00.0"), &cards), Some(1));
        assert_eq!(locate(None, None, &cards), None);
    }

    #[test]
    fn digits_are_spelled_as_nvml_does() {
        let spelled = |digits: &str, bus: &str| {
            let (digits, bus) = (Some(digits.to_owned()), Some(bus.to_owned()));
            spelling(&Shown { digits, bus }, &cards()).unwrap_or_default()
        };
        assert_eq!(spelled("aa", "0000:3B:00.0"), "GPU-aa");
        assert_eq!(spelled("b1", "0000:AF:00.0"), "MIG-b1");
        assert_eq!(spelled("b3", "0000:AF:00.0"), "MIG-b3");
        assert_eq!(spelled("cc", "0000:3B:00.0"), "GPU-cc");
        assert_eq!(spelling(&Shown { digits: None, bus: None }, &cards()), None);
    }
}
