#include "llem/arrivals.h"
#include "variates.h"

#include <math.h>

static llem_arrivals from_rate(llem_ramp ramp, double from, double to, uint32_t requests, double burstiness) {
    return (llem_arrivals){
        .process = LLEM_DRAWN,
        .ramp = ramp,
        .from = from,
        .to = to,
        .ramp_requests = requests,
        .burstiness = burstiness,
        .stream = "arrivals",
    };
}

llem_arrivals llem_arrivals_poisson(double rate) {
    return from_rate(LLEM_CONSTANT, rate, rate, 0, 1.0);
}

llem_arrivals llem_arrivals_gamma(double rate, double burstiness) {
    return from_rate(LLEM_CONSTANT, rate, rate, 0, burstiness);
}

llem_arrivals llem_arrivals_constant(double rate) {
    return from_rate(LLEM_CONSTANT, rate, rate, 0, INFINITY);
}

llem_arrivals llem_arrivals_linear_ramp(double from, double to, uint32_t requests) {
    return from_rate(LLEM_LINEAR, from, to, requests, 1.0);
}

llem_arrivals llem_arrivals_exponential_ramp(double from, double to, uint32_t requests) {
    return from_rate(LLEM_EXPONENTIAL, from, to, requests, 1.0);
}

llem_arrivals llem_arrivals_trace(llem_times offsets) {
    return (llem_arrivals){.process = LLEM_TRACE, .trace = offsets, .stream = "arrivals"};
}

llem_arrivals llem_arrivals_at_once(void) {
    return (llem_arrivals){.process = LLEM_AT_ONCE, .stream = "arrivals"};
}

llem_arrivals llem_arrivals_closed_loop(uint32_t concurrency) {
    llem_arrivals arrivals = {.process = LLEM_CLOSED_LOOP, .stream = "arrivals"};
    arrivals.concurrency = (llem_optional_u32)LLEM_SOME(concurrency);
    return arrivals;
}

llem_result llem_arrivals_times(const llem_arrivals *arrivals, llem_arrival_times *times) {
    if (arrivals->process == LLEM_DRAWN) {
        const double rates[] = {arrivals->from, arrivals->to};
        for (size_t index = 0; index < 2; index++) {
            if (!(isfinite(rates[index]) && rates[index] > 0.0)) {
                return llem_fail(LLEM_INVALID_ARGUMENT, "a rate of %g arrivals a second is no number above 0",
                                 rates[index]);
            }
        }
        if (!(arrivals->burstiness > 0.0)) {
            return llem_fail(LLEM_INVALID_ARGUMENT, "a burstiness of %g is no number above 0", arrivals->burstiness);
        }
    }
    for (size_t index = 1; index < arrivals->trace.count; index++) {
        uint64_t before = arrivals->trace.items[index - 1], after = arrivals->trace.items[index];
        if (before > after) {
            return llem_fail(LLEM_INVALID_ARGUMENT,
                             "arrival %zu of the trace is at %g s, before the one that precedes it at %g s", index,
                             (double)after * 1e-9, (double)before * 1e-9);
        }
    }
    *times = (llem_arrival_times){.arrivals = *arrivals};
    return LLEM_OK;
}

/// Returns the rate at the request of this index, in requests a second.
static double rate_at_request(const llem_arrivals *arrivals, uint64_t index) {
    uint32_t last = arrivals->ramp_requests > 2 ? arrivals->ramp_requests - 1 : 1;
    double share = fmin((double)index / (double)last, 1.0);
    switch (arrivals->ramp) {
    case LLEM_LINEAR:
        return arrivals->from + (arrivals->to - arrivals->from) * share;
    case LLEM_EXPONENTIAL:
        return arrivals->from * pow(arrivals->to / arrivals->from, share);
    default:
        return arrivals->from;
    }
}

/// Draws from the gamma distribution of this shape and scale 1 (Marsaglia and Tsang, "A Simple Method for Generating
/// Gamma Variables", ACM TOMS 26(3), 2000; section 6 for shapes below 1).
static double gamma_variate(double shape, llem_uniform_source uniform) {
    if (shape < 1.0) {
        double larger = gamma_variate(shape + 1.0, uniform);
        return larger * pow(1.0 - uniform.next(uniform.self), 1.0 / shape);
    }
    double d = shape - 1.0 / 3.0;
    double c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double x = llem_normal_variate(uniform);
        double root = 1.0 + c * x;
        double v = root * root * root;
        if (v <= 0.0) {
            continue;
        }
        double u = 1.0 - uniform.next(uniform.self);
        if (log(u) < 0.5 * x * x + d * (1.0 - v + log(v))) {
            return d * v;
        }
    }
}

/// Draws the gap before a request, in seconds, from a gamma distribution of shape `burstiness` and mean `1 / rate`. An
/// infinite burstiness gives the mean itself.
static double gap(double rate, double burstiness, llem_uniform_source uniform) {
    if (isinf(burstiness)) {
        return 1.0 / rate;
    }
    if (burstiness == 1.0) {
        return llem_exponential_variate(uniform) / rate;
    }
    return gamma_variate(burstiness, uniform) / (rate * burstiness);
}

double llem_arrival_times_draw_seconds(llem_arrival_times *times, llem_uniform_source uniform) {
    llem_check(times->arrivals.process == LLEM_DRAWN);
    times->seconds += gap(rate_at_request(&times->arrivals, times->drawn), times->arrivals.burstiness, uniform);
    times->drawn++;
    return times->seconds;
}

uint64_t llem_nanoseconds(double seconds) {
    double nanoseconds = floor(seconds * 1e9 + 0.5);
    return nanoseconds >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)nanoseconds;
}

bool llem_arrival_times_draw(llem_arrival_times *times, llem_uniform_source uniform, llem_optional_u64 *arrival) {
    uint64_t index = times->drawn;
    switch (times->arrivals.process) {
    case LLEM_DRAWN:
        *arrival = (llem_optional_u64)LLEM_SOME(llem_nanoseconds(llem_arrival_times_draw_seconds(times, uniform)));
        return true;
    case LLEM_TRACE:
        times->drawn++;
        if (index >= times->arrivals.trace.count) {
            return false;
        }
        *arrival = (llem_optional_u64)LLEM_SOME(times->arrivals.trace.items[index]);
        return true;
    case LLEM_AT_ONCE:
        *arrival = (llem_optional_u64)LLEM_SOME(0);
        return true;
    default:
        *arrival = (llem_optional_u64){0};
        return true;
    }
}
