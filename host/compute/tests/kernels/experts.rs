//! Routing to experts and grouped products against double precision.

use crate::support::{FORMATS, assert_close, device, poisoned, random, rounded, tolerance};
use llem_compute::{
    Buffer, ComputeDevice, DType,
    ops::{
        NONE,
        experts::{ExpertKernels, GroupedProduct, RoutedPairs, Routing},
    },
};
use std::sync::Arc;

/// The memory that routing writes.
struct Tables {
    experts: Buffer,
    shares: Buffer,
    order: Buffer,
    tiles: Buffer,
}

impl Tables {
    fn new(device: &Arc<dyn ComputeDevice>, kernels: &ExpertKernels, routing: &Routing) -> Self {
        let pairs = routing.rows * routing.active;
        let poisoned = |count| poisoned(device, count, DType::F32);
        Self {
            experts: poisoned(pairs),
            shares: poisoned(pairs),
            order: poisoned(pairs),
            tiles: poisoned(1 + 3 * kernels.most_tiles(routing)),
        }
    }

    fn views(&self) -> RoutedPairs<'_> {
        RoutedPairs {
            experts: self.experts.view(),
            shares: self.shares.view(),
            order: self.order.view(),
            tiles: self.tiles.view(),
        }
    }
}

/// Returns the experts and shares of a row's pairs.
fn reference(routing: &Routing, logits: &[f32]) -> Vec<(u32, f64)> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].partial_cmp(&logits[a]).unwrap().then(a.cmp(&b)));
    let top = f64::from(logits[order[0]]);
    let weight = |expert: usize| (f64::from(logits[expert]) - top).exp();
    let chosen = &order[..routing.active];
    let total: f64 = match routing.renormalise {
        true => chosen.iter().map(|&expert| weight(expert)).sum(),
        false => order.iter().map(|&expert| weight(expert)).sum(),
    };
    let own = |expert: usize| match expert.checked_sub(routing.first) {
        Some(own) if own < routing.own => own as u32,
        _ => NONE,
    };
    chosen.iter().map(|&expert| (own(expert), weight(expert) / total)).collect()
}

/// Routes rows, and checks all that is written.
fn route(
    device: &Arc<dyn ComputeDevice>,
    kernels: &ExpertKernels,
    routing: &Routing,
    dtype: DType,
) -> Tables {
    let Routing { rows, count, active, .. } = *routing;
    let mut logits = random(rows as u64 + 31, rows * count);
    // Steps of a quarter make some logits equal. Both zeros are among them.
    logits.iter_mut().for_each(|logit| *logit = (*logit * 12.0).round() / 4.0);
    let tables = Tables::new(device, kernels, routing);
    let uploaded = Buffer::from_numbers(device, &logits, dtype).unwrap();
    kernels.route(routing, uploaded.view(), &tables.views()).unwrap();

    let expected: Vec<_> = logits.chunks(count).flat_map(|row| reference(routing, row)).collect();
    let experts = tables.experts.to_u32().unwrap();
    let of_expected: Vec<u32> = expected.iter().map(|&(expert, _)| expert).collect();
    assert_eq!(experts, of_expected, "{routing:?}");
    let shares: Vec<f64> = expected.iter().map(|&(_, share)| share).collect();
    assert_close(&tables.shares.to_f32(DType::F32).unwrap(), &shares, 1e-6);

    // Each expert's pairs are in their order. Only the last of its tiles may not be full.
    let (order, tiles) = (tables.order.to_u32().unwrap(), tables.tiles.to_u32().unwrap());
    let (mut place, mut tile) = (0, 0);
    let (tiles, count_of_tiles) = (&tiles[1..], tiles[0] as usize);
    assert!(count_of_tiles <= kernels.most_tiles(routing));
    for expert in 0..routing.own as u32 {
        let pairs: Vec<u32> =
            (0..(rows * active) as u32).filter(|&pair| experts[pair as usize] == expert).collect();
        assert_eq!(order[place..place + pairs.len()], pairs);
        let mut left = pairs.len();
        while left > 0 {
            let entry = &tiles[3 * tile..3 * tile + 3];
            assert_eq!((entry[0], entry[1] as usize), (expert, place));
            let size = entry[2] as usize;
            assert!([16, 64].contains(&size) && size <= left || size == left && size < 64);
            (left, place, tile) = (left - size, place + size, tile + 1);
        }
    }
    assert_eq!(tile, count_of_tiles);
    tables
}

fn routing(rows: usize, count: usize, active: usize, first: usize, own: usize) -> Routing {
    Routing { rows, count, active, renormalise: rows % 2 == 1, first, own }
}

#[test]
fn rows_go_to_their_experts() {
    let device = device();
    for dtype in FORMATS {
        let kernels = ExpertKernels::new(&device, dtype).unwrap();
        for routing in [
            routing(1, 1, 1, 0, 1),
            routing(1, 128, 8, 0, 128),
            routing(5, 8, 2, 4, 4),
            routing(70, 60, 4, 30, 15),
            routing(600, 9, 9, 3, 2),
            routing(1201, 33, 3, 0, 33),
        ] {
            route(&device, &kernels, &routing, dtype);
            let other = Routing { renormalise: !routing.renormalise, ..routing };
            route(&device, &kernels, &other, dtype);
        }
    }
}

#[test]
fn a_router_logit_that_is_not_a_number_spoils_its_row_only() {
    let device = device();
    let kernels = ExpertKernels::new(&device, DType::F32).unwrap();
    let routing = routing(2, 40, 3, 0, 40);
    let mut logits = random(5, 80);
    logits[39] = f32::NAN;
    let tables = Tables::new(&device, &kernels, &routing);
    let uploaded = Buffer::from_f32(&device, &logits).unwrap();
    kernels.route(&routing, uploaded.view(), &tables.views()).unwrap();
    let shares = tables.shares.to_f32(DType::F32).unwrap();
    assert!(shares[..3].iter().all(|share| share.is_nan()));
    assert!(shares[3..].iter().all(|share| (0.0..1.0).contains(share)));
    assert!(tables.experts.to_u32().unwrap().iter().all(|&expert| expert < 40));
}

/// Multiplies pairs with weights that begin `moved` numbers after an aligned address, and sums the results.
fn multiply(dtype: DType, routing: Routing, inputs: usize, outputs: usize, moved: usize) {
    let device = device();
    let kernels = ExpertKernels::new(&device, dtype).unwrap();
    let tables = route(&device, &kernels, &routing, dtype);
    let Routing { rows, active, own, .. } = routing;
    let pairs = rows * active;
    let (experts, shares) =
        (tables.experts.to_u32().unwrap(), tables.shares.to_f32(DType::F32).unwrap());
    let size = outputs * inputs;
    let weights = rounded(&random(11, moved + own * size), dtype);
    let of_weights = Buffer::from_numbers(&device, &weights, dtype).unwrap();
    let weights = &weights[moved..];
    let addresses: Vec<u8> = (0..own)
        .map(|expert| of_weights.view().address + ((moved + expert * size) * dtype.size()) as u64)
        .flat_map(u64::to_ne_bytes)
        .collect();
    let addresses = Buffer::from_bytes(&device, &addresses).unwrap();

    let mut last = None;
    for by_row in [true, false] {
        let x = rounded(&random(12, pairs * inputs), dtype);
        let x = &x[..if by_row { rows } else { pairs } * inputs];
        let of_x = Buffer::from_numbers(&device, x, dtype).unwrap();
        let y = poisoned(&device, pairs * outputs, dtype);
        let grouped = GroupedProduct {
            x: of_x.view(),
            by_row,
            weights: addresses.view(),
            inputs,
            outputs,
            y: y.view(),
        };
        kernels.product(&routing, &tables.views(), &grouped).unwrap();
        let found = y.to_f32(dtype).unwrap();
        let (mut ours, mut expected) = (Vec::new(), Vec::new());
        for (pair, &expert) in experts.iter().enumerate() {
            let found = &found[pair * outputs..][..outputs];
            if expert == NONE {
                assert!(found.iter().all(|x| x.is_nan()), "another rank's pair is not written");
                continue;
            }
            let x = &x[if by_row { pair / active } else { pair } * inputs..][..inputs];
            for (output, &found) in found.iter().enumerate() {
                let weight = &weights[expert as usize * size + output * inputs..][..inputs];
                let products = x.iter().zip(weight).map(|(&x, &w)| f64::from(x) * f64::from(w));
                ours.push(found);
                expected.push(products.sum());
            }
        }
        assert_close(&ours, &expected, tolerance(dtype));
        last = Some((y, found));
    }

    let (y, of_pairs) = last.unwrap();
    let sums = poisoned(&device, rows * outputs, dtype);
    kernels.combine(&routing, &tables.views(), outputs, y.view(), sums.view()).unwrap();
    let expected: Vec<f64> = (0..rows * outputs)
        .map(|at| {
            let own = (at / outputs * active..(at / outputs + 1) * active)
                .filter(|&pair| experts[pair] != NONE);
            own.map(|pair| {
                f64::from(shares[pair]) * f64::from(of_pairs[pair * outputs + at % outputs])
            })
            .sum()
        })
        .collect();
    assert_close(&sums.to_f32(dtype).unwrap(), &expected, tolerance(dtype));
}

#[test]
fn few_pairs_are_multiplied() {
    for dtype in FORMATS {
        multiply(dtype, routing(1, 8, 2, 0, 8), 64, 32, 0);
        multiply(dtype, routing(3, 5, 2, 2, 2), 40, 33, 0);
        multiply(dtype, routing(2, 64, 6, 0, 64), 520, 70, 0);
        multiply(dtype, routing(21, 3, 1, 0, 2), 136, 9, 0);
    }
}

#[test]
fn many_pairs_are_multiplied() {
    for dtype in FORMATS {
        multiply(dtype, routing(100, 4, 2, 1, 3), 72, 65, 0);
        multiply(dtype, routing(150, 3, 3, 0, 3), 200, 31, 0);
    }
}

#[test]
fn rows_that_are_not_aligned_are_multiplied() {
    for dtype in FORMATS {
        multiply(dtype, routing(3, 4, 2, 0, 4), 64, 10, 1);
        multiply(dtype, routing(3, 4, 2, 0, 4), 33, 10, 0);
        multiply(dtype, routing(100, 4, 2, 0, 4), 21, 3, 3);
    }
}
