/// Arrival processes: open loops of several kinds, a closed loop, or all requests at once.
///
/// Arrival times are drawn in advance, and the host submits each request at its time. The load of the model therefore
/// does not change when requests arrive.
#ifndef LLEM_ARRIVALS_H
#define LLEM_ARRIVALS_H

#include "error.h"
#include "memory.h"

/// The kind of an arrival process.
typedef enum llem_arrival_process {
    /// All requests arrive at the beginning.
    LLEM_AT_ONCE,
    /// Requests have no arrival times: the runner sends each as soon as its concurrency allows it.
    LLEM_CLOSED_LOOP,
    /// Gaps between requests are drawn at random.
    LLEM_DRAWN,
    /// The times are given.
    LLEM_TRACE,
} llem_arrival_process;

/// The course of the rate at which requests arrive.
typedef enum llem_ramp {
    /// The rate stays the same.
    LLEM_CONSTANT,
    /// The rate changes by equal differences over the first requests.
    LLEM_LINEAR,
    /// The rate changes by equal ratios over the first requests.
    LLEM_EXPONENTIAL,
} llem_ramp;

/// When the requests of a workload arrive.
typedef struct llem_arrivals {
    /// The kind of process.
    llem_arrival_process process;
    /// The course of the rate.
    llem_ramp ramp;
    /// The first rate, in requests a second.
    double from;
    /// The last rate, in requests a second.
    double to;
    /// The number of requests over which the rate changes.
    uint32_t ramp_requests;
    /// The shape of the gamma distribution of the gaps. Infinity makes every gap equal to the mean.
    double burstiness;
    /// The times of a trace, in ns from the beginning of the measurement.
    llem_times trace;
    /// The maximum number of submitted requests that have not ended. Other requests wait, and their latencies count
    /// from their arrival.
    llem_optional_u32 concurrency;
    /// How long requests are sent, in ns.
    llem_optional_u64 length;
    /// The name of the random stream that gaps are drawn from.
    const char *stream;
} llem_arrivals;

/// Creates a Poisson process of `rate` requests a second: gaps are exponential with a mean of `1 / rate` seconds.
llem_arrivals llem_arrivals_poisson(double rate);

/// Creates a process whose gaps follow a gamma distribution of shape `burstiness` and scale `1 / (rate * burstiness)`,
/// as `vllm bench serve` draws them. A burstiness of 1 is a Poisson process. A lower one gives bursts, a higher one more
/// even gaps.
///
/// vLLM stretches all times so that the last one equals the number of requests over the rate. Here they stay as drawn.
llem_arrivals llem_arrivals_gamma(double rate, double burstiness);

/// Creates a process with equal gaps of `1 / rate` seconds.
llem_arrivals llem_arrivals_constant(double rate);

/// Creates exponential gaps whose rate rises (or falls) linearly over the first `requests` requests and then stays:
/// `from + (to - from) * p`, where p is the request's position among them, from 0 to 1. This is vLLM's `linear` ramp-up.
llem_arrivals llem_arrivals_linear_ramp(double from, double to, uint32_t requests);

/// Creates exponential gaps whose rate changes over the first `requests` requests by `from * (to / from)^p`, where p is
/// the request's position among them, from 0 to 1. This is vLLM's `exponential` ramp-up.
llem_arrivals llem_arrivals_exponential_ramp(double from, double to, uint32_t requests);

/// Uses these times, in ns from the beginning of the measurement. They must not decrease. The workload ends after the
/// last of them.
llem_arrivals llem_arrivals_trace(llem_times offsets);

/// Makes all requests arrive at the beginning.
llem_arrivals llem_arrivals_at_once(void);

/// Creates a closed loop: a request is sent as soon as fewer than `concurrency` requests are running or waiting.
llem_arrivals llem_arrivals_closed_loop(uint32_t concurrency);

/// A source of uniform random numbers in [0, 1).
typedef struct llem_uniform_source {
    /// Returns the next number.
    double (*next)(void *self);
    /// What `next` receives.
    void *self;
} llem_uniform_source;

/// A generator of arrival times, one request after another.
typedef struct llem_arrival_times {
    /// The process.
    llem_arrivals arrivals;
    /// The number of times that were drawn.
    uint64_t drawn;
    /// The last drawn time, in seconds.
    double seconds;
} llem_arrival_times;

/// Creates the generator of the times. Fails with `LLEM_INVALID_ARGUMENT` if a rate or the burstiness is not a number
/// above 0, or if a trace decreases.
llem_result llem_arrivals_times(const llem_arrivals *arrivals, llem_arrival_times *times);

/// Draws the next time, in ns from the beginning of the measurement. A closed loop has no fixed times. Returns false at
/// the end of a trace.
bool llem_arrival_times_draw(llem_arrival_times *times, llem_uniform_source uniform, llem_optional_u64 *arrival);

/// Rounds a time in seconds, which is not negative, to ns, in steps that give the same integer in every language. Times
/// beyond 2^64 ns become the longest time that the host takes.
uint64_t llem_nanoseconds(double seconds);

/// Draws the next time of a process with random or equal gaps, in seconds and without rounding to ns.
double llem_arrival_times_draw_seconds(llem_arrival_times *times, llem_uniform_source uniform);

#endif
