//! Which GPUs a process would see, where CUDA's driver cannot be asked: from `CUDA_VISIBLE_DEVICES` alone.

use super::card::{Card, legacy};
use std::env;

/// What CUDA reads (CUDA C++ Programming Guide, environment variables).
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `CUDA_VISIBLE_DEVICES`: indices in CUDA's order, or UUIDs or their beginnings; the first bad one ends the list.
    pub visible: Option<String>,
    /// `CUDA_DEVICE_ORDER`: by speed unless it is `PCI_BUS_ID`.
    pub order: Option<String>,
}

/// A device that CUDA would show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visible {
    /// The UUID of the card or of a MIG instance, as far as it is known.
    pub identity: Option<String>,
    /// The index of its card in NVML's order, or why that cannot be known, with the remedy.
    pub card: Result<usize, String>,
}

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        let variable = |name: &str| env::var(name).ok();
        Self { visible: variable("CUDA_VISIBLE_DEVICES"), order: variable("CUDA_DEVICE_ORDER") }
    }

    /// Whether there is one card, whole, and CUDA shows it: what CUDA's driver would answer is clear, and to ask it
    /// takes longer than a short run.
    pub fn is_clear(&self, cards: &[Card]) -> bool {
        let [card] = cards else { return false };
        let names_it = |list: &str| list.trim() == "0" || is_beginning(list.trim(), &card.uuid);
        !card.has_instances && self.visible.as_deref().is_none_or(names_it)
    }

    /// What CUDA would show of these cards; `why` it cannot be asked is told where that leaves a doubt.
    pub fn resolve(&self, cards: &[Card], why: &str) -> Vec<Visible> {
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

    /// Which card CUDA means by an index is known where its order is, or where all cards are alike.
    fn by_index(&self, index: usize, cards: &[Card], why: &str) -> Visible {
        let is_by_bus = self.order.as_deref() == Some("PCI_BUS_ID");
        if is_by_bus || cards.iter().all(|card| card.name == cards[0].name) {
            return Visible { identity: Some(cards[index].uuid.clone()), card: Ok(index) };
        }
        let reason = format!(
            "set CUDA_DEVICE_ORDER=PCI_BUS_ID or name GPUs by UUID in CUDA_VISIBLE_DEVICES, for which of the {} unlike GPUs CUDA calls {index} cannot be known without its driver ({why})",
            cards.len()
        );
        Visible { identity: None, card: Err(reason) }
    }
}

/// A UUID of a card or of an instance, or its beginning if no other has that.
fn by_name(item: &str, cards: &[Card]) -> Option<Visible> {
    if let Some(uuid) = legacy(item) {
        let card = cards.iter().position(|card| card.uuid == uuid)?;
        return Some(Visible { identity: Some(item.to_owned()), card: Ok(card) });
    }
    let named = cards.iter().enumerate().flat_map(|(index, card)| {
        let all = [&card.uuid].into_iter().chain(&card.instances);
        all.filter(|uuid| is_beginning(item, uuid)).map(move |uuid| (index, uuid))
    });
    let named: Vec<_> = named.collect();
    let [(index, uuid)] = named[..] else { return None };
    Some(Visible { identity: Some(uuid.clone()), card: Ok(index) })
}

/// Whether `item` begins a UUID, with what tells a GPU from an instance.
fn is_beginning(item: &str, uuid: &str) -> bool {
    (item.starts_with("GPU-") || item.starts_with("MIG-")) && uuid.starts_with(item)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::nvml::card::tests::cards;

    fn environment(visible: &str, order: Option<&str>) -> Environment {
        Environment { visible: Some(visible.to_owned()), order: order.map(str::to_owned) }
    }

    /// The cards that are seen; `None` for one that cannot be known.
    fn seen(visible: &str, order: Option<&str>, cards: &[Card]) -> Vec<Option<usize>> {
        let all = environment(visible, order).resolve(cards, "no libcuda.so.1");
        all.into_iter().map(|one| one.card.ok()).collect()
    }

    /// Cards of one name.
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
        let all = Environment::default().resolve(&cards, "");
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn instances_mean_their_card() {
        for name in ["MIG-b2", "MIG-b1", "MIG-GPU-bb/1/0"] {
            let all = environment(name, None).resolve(&cards(), "");
            assert_eq!(all, [Visible { identity: Some(name.to_owned()), card: Ok(1) }]);
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
        let all = Environment::default().resolve(&cards(), "no libcuda.so.1");
        let reason = all[1].card.clone().expect_err("not known");
        for word in ["CUDA_DEVICE_ORDER=PCI_BUS_ID", "CUDA calls 1", "no libcuda.so.1"] {
            assert!(reason.contains(word), "{reason}");
        }
    }

    #[test]
    fn cuda_is_asked_where_there_is_a_doubt() {
        let (one, two) = (alike(&["GPU-aa"]), alike(&["GPU-aa", "GPU-bb"]));
        assert!(Environment::default().is_clear(&one));
        assert!(environment("0", None).is_clear(&one));
        assert!(environment("GPU-a", None).is_clear(&one));
        assert!(!environment("1", None).is_clear(&one));
        assert!(!environment("", None).is_clear(&one));
        assert!(!Environment::default().is_clear(&two));
        assert!(!Environment::default().is_clear(&cards()[1..]), "instances");
    }
}
