#include "llem/efficiency.h"

#include <string.h>

static const double NS = 1e-9;

static llem_quantity analytic(double value, const char *unit) {
    return llem_quantity_exact(value, unit, LLEM_ANALYTIC);
}

llem_reading llem_peak_rate(const llem_peaks *peaks, const char *dtype) {
    if (!peaks->are_known) {
        return llem_unavailable(peaks->reason);
    }
    for (size_t index = 0; index < peaks->products.count; index++) {
        if (strcmp(peaks->products.items[index].dtype, dtype) == 0) {
            return peaks->products.items[index].rate;
        }
    }
    return llem_unavailable(llem_format("%s has no peak in %s", peaks->origin, dtype));
}

static llem_reading mfu(double flops, uint64_t time, llem_quantity peak, size_t ranks) {
    llem_reading rate = llem_quantity_per(analytic(flops, "FLOP"), (double)time * NS, "FLOP/s");
    if (!rate.is_known || rate.quantity.value <= 0.0) {
        return llem_unavailable("nothing ran");
    }
    return llem_quantity_over(rate.quantity, llem_quantity_times(peak, analytic((double)ranks, "1"), "FLOP/s"), "1");
}

llem_reading llem_measurement_prefill_mfu(const llem_measurement *measurement, llem_quantity peak, size_t ranks) {
    return mfu(measurement->activity.flops_prefill, measurement->activity.prefill_time, peak, ranks);
}

llem_reading llem_measurement_decode_mfu(const llem_measurement *measurement, llem_quantity peak, size_t ranks) {
    return mfu(measurement->activity.flops_decode, measurement->activity.decode_time, peak, ranks);
}

llem_reading llem_measurement_mixed_mfu(const llem_measurement *measurement, llem_quantity peak, size_t ranks) {
    return mfu(measurement->activity.flops_mixed, measurement->activity.mixed_time, peak, ranks);
}

llem_reading llem_trial_prefill_mfu(const llem_trial *trial, llem_quantity peak, size_t ranks) {
    return trial->generation != NULL ? llem_measurement_prefill_mfu(&trial->generation->measurement, peak, ranks)
                                     : llem_unavailable("the request ran in a continuous batch");
}

llem_reading llem_trial_decode_mfu(const llem_trial *trial, llem_quantity peak, size_t ranks) {
    return trial->generation != NULL ? llem_measurement_decode_mfu(&trial->generation->measurement, peak, ranks)
                                     : llem_unavailable("the request ran in a continuous batch");
}

llem_reading llem_trial_decode_mbu(const llem_trial *trial, const llem_model_info *model, llem_quantity bandwidth) {
    if (trial->generation == NULL || model->experts > 0) {
        return llem_unavailable(model->experts > 0 ? "the model is a mixture of experts"
                                                   : "the request ran in a continuous batch");
    }
    size_t most = 0;
    double cached = 0.0;
    for (size_t index = 0; index < trial->completions.count; index++) {
        const llem_completion *one = &trial->completions.items[index];
        most = one->tokens.count > most ? one->tokens.count : most;
        // Each decode step of a sequence reads the keys and values of all tokens before it.
        double steps = one->tokens.count > 0 ? (double)(one->tokens.count - 1) : 0.0;
        cached += steps * ((double)one->prompt_tokens + (steps + 1.0) / 2.0);
    }
    if (most < 2) {
        return llem_unavailable("no token was decoded");
    }
    double bytes = (double)(most - 1) * (double)model->decode_weight_bytes + cached * (double)model->kv_bytes_per_token;
    llem_reading rate =
        llem_quantity_per(analytic(bytes, "By"), (double)trial->generation->decode_time * NS, "By/s");
    if (!rate.is_known) {
        return rate;
    }
    double ranks = model->ranks.count > 0 ? (double)model->ranks.count : 1.0;
    return llem_quantity_over(rate.quantity, llem_quantity_times(bandwidth, analytic(ranks, "1"), "By/s"), "1");
}
