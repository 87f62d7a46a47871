//! The GPUs that CUDA would show to this process according to its environment variables, for when CUDA's driver cannot be
//! asked.

use super::card::{Card, legacy_card_uuid};
use llem_quantity::{Cause, Unavailable};
use std::env;

/// The environment variables that CUDA reads (CUDA C++ Programming Guide, environment variables).
#[derive(Clone, Debug, Default)]
pub(crate) struct CudaEnvironment {
    /// `CUDA_VISIBLE_DEVICES`: indices in CUDA's order, or UUIDs or their beginnings. The first invalid entry ends the list.
    pub visible: Option<String>,
    /// `CUDA_DEVICE_ORDER`: GPUs are ordered by speed unless it is `PCI_BUS_ID`.
    pub order: Option<String>,
}

/// A device that CUDA shows, or would show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VisibleDevice {
    /// The UUID of the card or MIG instance, if it is known.
    pub identity: Option<String>,
    /// The index of the card in NVML's order, or why it cannot be known, with the remedy.
    pub card: Result<usize, Unavailable>,
}

impl CudaEnvironment {
    /// Reads the variables of this process.
    pub(crate) fn from_process() -> Self {
        let variable = |name: &str| env::var(name).ok();
        Self { visible: variable("CUDA_VISIBLE_DEVICES"), order: variable("CUDA_DEVICE_ORDER") }
    }

    /// Returns true if there is only one card, it is not split, and CUDA shows it. The answer of CUDA's driver is certain
    /// then, and asking it takes longer than a short run.
    pub(crate) fn is_certain(&self, cards: &[Card]) -> bool {
        let [card] = cards else { return false };
        let names_it = |list: &str| list.trim() == "0" || is_beginning(list.trim(), &card.uuid);
        !card.has_instances && self.visible.as_deref().is_none_or(names_it)
    }

    /// Returns the devices that CUDA would show. `why` CUDA's driver cannot be asked is part of the reason for a device whose
    /// card cannot be known.
    pub(crate) fn resolve(&self, cards: &[Card], why: &Unavailable) -> Vec<VisibleDevice> {
        let Some(list) = &self.visible else {
            return (0..cards.len()).map(|index| self.by_index(index, cards, why)).collect();
        };
        let mut seen = Vec::new();
        for item in list.split(',').map(str::trim) {
            let visible = match item.parse::<usize>() {
                Ok(index) => (index < cards.len()).then(|| self.by_index(index, cards, why)),
                Err(_) => by_name(item, cards),
            };
            match visible {
                Some(visible) => seen.push(visible),
                None => break,
            }
        }
        seen
    }

    /// Returns the card with an index in CUDA's order. It is known if that order is, or if all cards have the same name.
    fn by_index(&self, index: usize, cards: &[Card], why: &Unavailable) -> VisibleDevice {
        let is_by_bus = self.order.as_deref() == Some("PCI_BUS_ID");
        if is_by_bus || cards.iter().all(|card| card.name == cards[0].name) {
            return VisibleDevice { identity: Some(cards[index].uuid.clone()), card: Ok(index) };
        }
        let reason = format!(
            "set CUDA_DEVICE_ORDER=PCI_BUS_ID or name GPUs by UUID in CUDA_VISIBLE_DEVICES, for which of the {} unlike GPUs CUDA calls {index} cannot be known without its driver ({why})",
            cards.len()
        );
        VisibleDevice { identity: None, card: Err(Unavailable::new(Cause::NotVisible, reason)) }
    }
}

/// Returns the card with a UUID, which may be the UUID of an instance or the beginning of exactly one UUID.
fn by_name(item: &str, cards: &[Card]) -> Option<VisibleDevice> {
    if let Some(uuid) = legacy_card_uuid(item) {
        let card = cards.iter().position(|card| card.uuid == uuid)?;
        return Some(VisibleDevice { identity: Some(item.to_owned()), card: Ok(card) });
    }
    let named = cards.iter().enumerate().flat_map(|(index, card)| {
        let all = [&card.uuid].into_iter().chain(&card.instances);
        all.filter(|uuid| is_beginning(item, uuid)).map(move |uuid| (index, uuid))
    });
    let named: Vec<_> = named.collect();
    let [(index, uuid)] = named[..] else { return None };
    Some(VisibleDevice { identity: Some(uuid.clone()), card: Ok(index) })
}

/// Returns true if `item` is the beginning of a UUID and includes `GPU-` or `MIG-`.
fn is_beginning(item: &str, uuid: &str) -> bool {
    (item.starts_with("GPU-") || item.starts_with("MIG-")) && uuid.starts_with(item)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::nvml::card::tests::cards;

    fn environment(visible: &str, order: Option<&str>) -> CudaEnvironment {
        CudaEnvironment { visible: Some(visible.to_owned()), order: order.map(str::to_owned) }
    }

    /// Returns the indices of the cards that are seen, with `None` for a card that cannot be known.
    fn seen(visible: &str, order: Option<&str>, cards: &[Card]) -> Vec<Option<usize>> {
        let all = environment(visible, order).resolve(cards, &Unavailable::from("no libcuda.so.1"));
        all.into_iter().map(|one| one.card.ok()).collect()
    }

    /// Cards that have the same name.
    fn alike(uuids: &[&str]) -> Vec<Card> {
        let card = |uuid: &&str| Card { uuid: (*uuid).to_owned(), ..Card::default() };
        uuids.iter().map(card).collect()
    }

    #[test]
    fn cuda_visible_devices_is_read_as_cuda_does() {
        let cards = alike(&["GPU-aa", "GPU-bb", "GPU-bc"]);
        assert_eq!(seen("2,0", None, &cards), [Some(2), Some(0)]);
        assert_eq!(seen("1,-1,0", None, &cards), [Some(1)]);
        assert_eq!(seen("3,0", None, &cards), []);
        assert_eq!(seen("GPU-bc", None, &cards), [Some(2)]);
        assert_eq!(seen("GPU-a, GPU-bb", None, &cards), [Some(0), Some(1)]);
        assert_eq!(seen("GPU-b", None, &cards), [], "two begin so");
        assert_eq!(seen("", None, &cards), []);
        let all = CudaEnvironment::default().resolve(&cards, &Unavailable::from(""));
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn instances_mean_their_card() {
        for name in ["MIG-b2", "MIG-b1", "MIG-GPU-bb/1/0"] {
            let all = environment(name, None).resolve(&cards(), &Unavailable::from(""));
            assert_eq!(all, [VisibleDevice { identity: Some(name.to_owned()), card: Ok(1) }]);
        }
        assert_eq!(seen("MIG-b", None, &cards()), []);
        assert_eq!(seen("MIG-cc", None, &cards()), []);
    }

    #[test]
    fn an_index_of_unlike_cards_is_no_card_unless_their_order_is_known() {
        assert_eq!(seen("1,0", None, &cards()), [None, None]);
        assert_eq!(seen("1,0", Some("FASTEST_FIRST"), &cards()), [None, None]);
        assert_eq!(seen("1,0", Some("PCI_BUS_ID"), &cards()), [Some(1), Some(0)]);
        assert_eq!(seen("GPU-aa,0", None, &cards()), [Some(0), None]);
        let all =
            CudaEnvironment::default().resolve(&cards(), &Unavailable::from("no libcuda.so.1"));
        let reason = all[1].card.clone().expect_err("not known");
        for word in ["CUDA_DEVICE_ORDER=PCI_BUS_ID", "CUDA calls 1", "no libcuda.so.1"] {
            assert!(reason.detail.contains(word), "{reason}");
        }
    }

    #[test]
    fn cuda_is_asked_where_there_is_a_doubt() {
        let (one, two) = (alike(&["GPU-aa"]), alike(&["GPU-aa", "GPU-bb"]));
        assert!(CudaEnvironment::default().is_certain(&one));
        assert!(environment("0", None).is_certain(&one));
        assert!(environment("GPU-a", None).is_certain(&one));
        assert!(!environment("1", None).is_certain(&one));
        assert!(!environment("", None).is_certain(&one));
        assert!(!CudaEnvironment::default().is_certain(&two));
        assert!(!CudaEnvironment::default().is_certain(&cards()[1..]), "instances");
    }
}
