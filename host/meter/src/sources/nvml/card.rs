//! The cards of this machine as NVML lists them, and how a card is found by its UUID or its place on the bus.

use super::cause;
use crate::sources::cuda_driver::DriverDevice;
use llem_quantity::Unavailable;
use nvml_wrapper::{Device, Nvml};

/// A physical card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Card {
    /// The UUID: `GPU-...`.
    pub uuid: String,
    /// The vendor's name of this kind of card.
    pub name: String,
    /// The place on the PCI bus, such as `00000000:3B:00.0`.
    pub bus: Option<String>,
    /// Whether the card is split into MIG instances.
    pub has_instances: bool,
    /// The UUIDs of the MIG instances that this process may see: `MIG-...`.
    pub instances: Vec<String>,
}

impl Card {
    /// Returns the cards that NVML shows to this process, in NVML's order.
    pub(crate) fn all(nvml: &Nvml) -> Result<Vec<Self>, Unavailable> {
        let count = nvml.device_count().map_err(|error| {
            Unavailable::new(cause(&error), format!("NVML counts no devices: {error}"))
        })?;
        // A card that is denied to this process, or lost, is left out, because the process cannot compute on it.
        let card = |index| Self::from_device(&nvml.device_by_index(index).ok()?);
        Ok((0..count).filter_map(card).collect())
    }

    fn from_device(device: &Device<'_>) -> Option<Self> {
        let has_instances = device.mig_mode().is_ok_and(|mode| mode.current == 1);
        let most = if has_instances { device.mig_device_count().unwrap_or(0) } else { 0 };
        // An index without an instance gives an error, and is left out.
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

/// Returns the index of the card with a UUID, which may also be the UUID of one of its instances. Drivers before R470 name
/// an instance `MIG-GPU-<uuid>/<gi>/<ci>`. If no card has the UUID, returns the card at a place on the bus.
pub(crate) fn locate(identity: Option<&str>, bus: Option<&str>, cards: &[Card]) -> Option<usize> {
    let is_it = |card: &Card| {
        identity.is_some_and(|identity| {
            card.uuid == identity
                || card.instances.iter().any(|instance| instance == identity)
                || legacy_card_uuid(identity) == Some(&card.uuid)
        })
    };
    let is_there = |card: &Card| match (&card.bus, bus) {
        (Some(known), Some(bus)) => {
            parse_bus(known).is_some() && parse_bus(known) == parse_bus(bus)
        }
        _ => false,
    };
    cards.iter().position(is_it).or_else(|| cards.iter().position(is_there))
}

/// Returns the card's UUID in an old name of an instance, `MIG-GPU-<uuid>/<gi>/<ci>`.
pub(crate) fn legacy_card_uuid(identity: &str) -> Option<&str> {
    let rest = identity.strip_prefix("MIG-")?;
    rest.starts_with("GPU-").then(|| rest.split('/').next().unwrap_or(rest))
}

/// Parses domain, bus and device, which CUDA and NVML write with different numbers of digits. The function is 0 for every
/// GPU.
fn parse_bus(bus: &str) -> Option<[u32; 3]> {
    let mut parts = bus.split([':', '.']).map(|part| u32::from_str_radix(part, 16).ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

/// Returns the UUID of a CUDA device in NVML's spelling. CUDA reports only the digits. They belong to a GPU if a card has
/// them, and to a MIG instance if the card at this place is split into instances.
pub(crate) fn nvml_uuid(device: &DriverDevice, cards: &[Card]) -> Option<String> {
    let digits = device.digits.as_ref()?;
    let (gpu, instance) = (format!("GPU-{digits}"), format!("MIG-{digits}"));
    if cards.iter().any(|card| card.uuid == gpu) {
        return Some(gpu);
    }
    // An instance that NVML does not list belongs to the card at this place, if that card is split into instances.
    let card = locate(Some(&instance), device.bus.as_deref(), cards);
    let is_instance = card.is_some_and(|index| cards[index].has_instances);
    Some(if is_instance { instance } else { gpu })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two different cards. The second one is split into two instances.
    pub(crate) fn cards() -> Vec<Card> {
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
            nvml_uuid(&DriverDevice { digits, bus }, &cards()).unwrap_or_default()
        };
        assert_eq!(spelled("aa", "0000:3B:00.0"), "GPU-aa");
        assert_eq!(spelled("b1", "0000:AF:00.0"), "MIG-b1");
        assert_eq!(spelled("b3", "0000:AF:00.0"), "MIG-b3");
        assert_eq!(spelled("cc", "0000:3B:00.0"), "GPU-cc");
        assert_eq!(nvml_uuid(&DriverDevice { digits: None, bus: None }, &cards()), None);
    }
}
