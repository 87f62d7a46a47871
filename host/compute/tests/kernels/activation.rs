//! Activation functions, with and without a gate.

use crate::support::{FORMATS, assert_rounded, device, poisoned, random, rounded};
use llem_compute::{ActivationFunction, Buffer, ops::activation::ActivationKernels};

/// erf by its series (Abramowitz and Stegun 7.1.6), exact to double precision for the small arguments here.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..300 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

fn reference(activation: ActivationFunction, x: f64) -> f64 {
    match activation {
        ActivationFunction::Silu => x / (1.0 + (-x).exp()),
        ActivationFunction::Gelu => 0.5 * x * (1.0 + erf(x / 2f64.sqrt())),
        ActivationFunction::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
    }
}

#[test]
fn every_activation_is_that_of_double_precision() {
    let device = device();
    for dtype in FORMATS {
        let activations = ActivationKernels::new(&device, dtype).unwrap();
        for activation in
            [ActivationFunction::Silu, ActivationFunction::Gelu, ActivationFunction::GeluTanh]
        {
            for (gated, rows, inner) in [
                (true, 1, 1),
                (true, 3, 72),
                (false, 3, 72),
                (true, 4, 37),
                (false, 5, 299),
                (true, 2, 2056),
            ] {
                let parts = if gated { 2 } else { 1 };
                let numbers: Vec<f32> =
                    random(inner as u64, rows * inner * parts).iter().map(|x| 6.0 * x).collect();
                let numbers = rounded(&numbers, dtype);
                let x = Buffer::from_numbers(&device, &numbers, dtype).unwrap();
                let out = poisoned(&device, rows * inner, dtype);
                activations.activate(activation, gated, rows, inner, x.view(), out.view()).unwrap();
                let expected: Vec<f64> = numbers
                    .chunks_exact(inner * parts)
                    .flat_map(|row| {
                        let (first, gate) = row.split_at(inner);
                        let up = |column: usize| gate.get(column).map_or(1.0, |&up| up.into());
                        let number = move |(column, &x): (usize, &f32)| {
                            reference(activation, x.into()) * up(column)
                        };
                        first.iter().enumerate().map(number)
                    })
                    .collect();
                assert_rounded(&out.to_f32(dtype).unwrap(), &expected, dtype);
            }
        }
    }
}

#[test]
fn large_numbers_stay_numbers() {
    let device = device();
    for dtype in FORMATS {
        let activations = ActivationKernels::new(&device, dtype).unwrap();
        for activation in
            [ActivationFunction::Silu, ActivationFunction::Gelu, ActivationFunction::GeluTanh]
        {
            let x = Buffer::from_numbers(&device, &[-1024.0, 1024.0, 0.0], dtype).unwrap();
            let out = poisoned(&device, 3, dtype);
            activations.activate(activation, false, 3, 1, x.view(), out.view()).unwrap();
            assert_eq!(out.to_f32(dtype).unwrap(), [0.0, 1024.0, 0.0]);
        }
    }
}
