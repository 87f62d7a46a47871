/// The share of a device's peak rate that a trial reached.
///
/// - MFU, model FLOP utilisation (Chowdhery et al., arXiv 2204.02311, appendix B): here for prefill or decode, from the
///   operations that are needed.
/// - MBU, model bandwidth utilisation: bytes of weights and KV cache per time per output token, divided by the peak
///   bandwidth (Databricks, "LLM Inference Performance Engineering: Best Practices", 2023).
#ifndef LLEM_EFFICIENCY_H
#define LLEM_EFFICIENCY_H

#include "devices.h"
#include "model.h"
#include "trial.h"

/// Returns the device that holds the model's first rank. Fails with `LLEM_NOT_FOUND` if this machine has none of that id.
llem_result llem_find_model_device(const llem_model_info *model, llem_device *device);

/// Returns the peak rate in a number format, in FLOP/s.
llem_reading llem_peak_rate(const llem_peaks *peaks, const char *dtype);

/// Returns the MFU of prefill in a window, on this many ranks that each have the peak rate.
llem_reading llem_measurement_prefill_mfu(const llem_measurement *measurement, llem_quantity peak, size_t ranks);
/// Returns the MFU of decode in a window.
llem_reading llem_measurement_decode_mfu(const llem_measurement *measurement, llem_quantity peak, size_t ranks);
/// Returns the MFU of mixed steps in a window.
llem_reading llem_measurement_mixed_mfu(const llem_measurement *measurement, llem_quantity peak, size_t ranks);

/// Returns the MFU of prefill of a request that ran alone.
llem_reading llem_trial_prefill_mfu(const llem_trial *trial, llem_quantity peak, size_t ranks);
/// Returns the MFU of decode of a request that ran alone.
llem_reading llem_trial_decode_mfu(const llem_trial *trial, llem_quantity peak, size_t ranks);

/// Returns the MBU of decode of a request that ran alone. `bandwidth` is the peak bandwidth of each rank, in By/s. It is
/// not available for mixtures of experts, where the bytes of a step depend on the chosen experts.
llem_reading llem_trial_decode_mbu(const llem_trial *trial, const llem_model_info *model, llem_quantity bandwidth);

#endif
