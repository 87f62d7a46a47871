/// Measurements and completions: what the host returns of a closed window and of a request.
///
/// Times and lengths of time are in ns, and times count from the beginning of the run. A number that was not measured is
/// a reading with the reason.
#ifndef LLEM_MEASUREMENT_H
#define LLEM_MEASUREMENT_H

#include "quantity.h"

/// The energy of one power domain of a device over a window.
typedef struct llem_device_energy {
    /// The device's id: `cpu`, `cuda:0`.
    const char *device;
    /// The power domain within it: `package-0`, `dram`, `gpu`.
    const char *domain;
    /// The energy in J. The uncertainty comes from the time between the counter's ticks and the ends of the window.
    llem_reading energy;
} llem_device_energy;

/// A power domain of a device.
typedef struct llem_domain {
    const char *device;
    const char *domain;
} llem_domain;

/// The part of a window from one mark to the next.
typedef struct llem_segment {
    /// The label of the mark that the segment begins with. It is empty for the segment before the first mark.
    const char *label;
    /// When the segment began.
    uint64_t started;
    /// The length of the segment.
    uint64_t wall_time;
    /// The segment's part of `energy_total`, in J. The parts of all segments add up to it.
    llem_reading energy;
} llem_segment;

/// The work of the engine while a window was open, summed over all models. A mixed step is a step of a continuous batch
/// that runs prompts and decode together.
typedef struct llem_activity {
    /// The number of requests (sequences) that began.
    uint64_t requests;
    /// The number of prompt tokens that were processed.
    uint64_t prompt_tokens;
    /// The number of generated tokens.
    uint64_t output_tokens;
    /// The time spent in prefill.
    uint64_t prefill_time;
    /// The time spent in decode.
    uint64_t decode_time;
    /// The time spent in mixed steps.
    uint64_t mixed_time;
    /// The number of prompt tokens in mixed steps. They are included in `prompt_tokens`.
    uint64_t mixed_prompt_tokens;
    /// The number of tokens generated in mixed steps. They are included in `output_tokens`.
    uint64_t mixed_output_tokens;
    /// The operations that prefill needed, estimated from the model's shape, in FLOP.
    double flops_prefill;
    /// The operations that decode needed, estimated from the model's shape, in FLOP.
    double flops_decode;
    /// The operations that mixed steps needed, estimated from the model's shape, in FLOP.
    double flops_mixed;
} llem_activity;

/// The communication time of one rank of a split model in a window.
typedef struct llem_rank_activity {
    /// The id of the rank's device.
    const char *device;
    /// The time that the rank spent in communication with other ranks, including waiting for them, in s.
    llem_reading communication;
} llem_rank_activity;

/// The course of a reading of a device over a window.
typedef struct llem_course {
    /// The device's id.
    const char *device;
    /// What is read: `temperature`, `core-clock`, `utilisation`, `memory-used`.
    const char *reading;
    /// The unit of the values.
    const char *unit;
    double first;
    double last;
    double min;
    double max;
    double mean;
} llem_course;

/// A device whose clocks were throttled, with the reasons in NVML's words.
typedef struct llem_throttling {
    const char *device;
    llem_texts reasons;
} llem_throttling;

/// The peak memory use of a device in a window.
typedef struct llem_memory_peak {
    /// The device's id.
    const char *device;
    /// The kind of memory use: `process-resident` (of this process, in the host's memory), `process-device` (of this
    /// process, on an accelerator), `device` (of all processes on the device).
    const char *kind;
    /// The highest memory use at any moment of the window, in By.
    llem_reading peak;
} llem_memory_peak;

LLEM_LIST(llem_device_energies, llem_device_energy);
LLEM_LIST(llem_domains, llem_domain);
LLEM_LIST(llem_segments, llem_segment);
LLEM_LIST(llem_rank_activities, llem_rank_activity);
LLEM_LIST(llem_courses, llem_course);
LLEM_LIST(llem_throttlings, llem_throttling);
LLEM_LIST(llem_memory_peaks, llem_memory_peak);

/// The measurement of a closed window.
typedef struct llem_measurement {
    /// The label that the window was opened with.
    const char *label;
    /// When the window opened.
    uint64_t started;
    /// The time from opening to closing on the monotonic clock. Both are read after all device work has ended.
    uint64_t wall_time;
    /// Warnings for a reader of the numbers: a device was throttled, its clock fell, it got warmer, or two sources
    /// disagree.
    llem_texts warnings;
    /// The energy of each power domain of each device, in J.
    llem_device_energies energy;
    /// The total energy of the domains in `energy_covers`, in J: of the CPU, and of the devices that held a model while
    /// the window was open. It is not available if a device that did work is not measured.
    llem_reading energy_total;
    /// The domains that `energy_total` is the sum of. The CPU is among them if its counters can be read.
    llem_domains energy_covers;
    /// The energy of the CPU's packages and memory, in J.
    llem_reading energy_cpu;
    /// The energy of the accelerators that held a model, in J.
    llem_reading energy_accelerators;
    /// The part of `energy_total` used by prompt processing, in J. The parts prefill, decode, mixed and outside add up
    /// to `energy_total`.
    llem_reading energy_prefill;
    /// The part of `energy_total` used by steps in which sequences only generated, in J.
    llem_reading energy_decode;
    /// The part of `energy_total` used by steps of continuous batches that ran prompts and decode together, in J.
    llem_reading energy_mixed;
    /// The part of `energy_total` used outside of steps: between them, and by other work of the script, in J.
    llem_reading energy_outside;
    /// `energy_total` divided by the number of generated tokens, in J/{token}.
    llem_reading energy_per_output_token;
    /// `energy_total` minus the energy that the machine would have used at rest, in J. It is not available if no
    /// baseline was measured or found.
    llem_reading energy_above_idle;
    /// The number of devices that held a model, or a part of one, while the window was open.
    uint32_t devices_used;
    /// The energy imbalance of the devices that held a model: the highest energy of a device minus their mean, as a
    /// share of the mean. It is not available if fewer than two of them are measured.
    llem_reading energy_imbalance;
    /// The parts of the window between marks. A window without marks has one segment with an empty label.
    llem_segments segments;
    /// The work of the engine while the window was open.
    llem_activity activity;
    /// The ranks of split models, in order. Empty if no model is split.
    llem_rank_activities ranks;
    /// The first, last, lowest, highest and mean value of each device reading: temperature, clock, utilisation, memory.
    llem_courses courses;
    /// The devices whose clocks were throttled, with the reasons.
    llem_throttlings throttled;
    /// The peak memory use of each device.
    llem_memory_peaks memory_peaks;
} llem_measurement;

/// Returns the part of `energy_total` that some devices used, in J.
///
/// `device` is an id (`cuda:0`) or a kind (`cpu`, `cuda`). `domain` is a power domain (`package-0`), or what several are
/// called before their number (`package`, `dram`); `""` means all domains of the devices. The energy is not available if
/// `energy_total` has no such domain, or if one of them was not measured.
llem_reading llem_measurement_energy_of(const llem_measurement *measurement, const char *device, const char *domain);

/// Returns the peak memory use of a kind in By, summed over devices. `kind` is `process-resident`, `process-device` or
/// `device` (see `llem_memory_peak`). `device` is an id or a kind of device, and `""` means all devices.
llem_reading llem_measurement_memory_peak(const llem_measurement *measurement, const char *kind, const char *device);

/// A token and the natural logarithm of its probability.
typedef struct llem_token_log_probability {
    uint32_t token;
    double log_probability;
} llem_token_log_probability;

LLEM_LIST(llem_token_log_probability_list, llem_token_log_probability);

/// The log-probabilities of one generated token.
typedef struct llem_token_log_probabilities {
    /// The chosen token.
    llem_token_log_probability chosen;
    /// The most likely tokens, the most likely first.
    llem_token_log_probability_list top;
} llem_token_log_probabilities;

LLEM_LIST(llem_log_probabilities, llem_token_log_probabilities);

/// An end-of-sequence token was generated. It is the last token of the sequence.
#define LLEM_EOS "eos"
/// The maximum number of tokens was generated, or the given tokens ended.
#define LLEM_LENGTH "length"
/// A stop text appeared, or a stop token was generated. The stop token is the last token of the sequence.
#define LLEM_STOP "stop"
/// The model's context was full.
#define LLEM_CONTEXT "context"
/// The run was interrupted.
#define LLEM_INTERRUPTED "interrupted"
/// The script cancelled the sequence.
#define LLEM_CANCELLED "cancelled"

/// The result of one prompt: its tokens, their times, and the energy that they took.
typedef struct llem_completion {
    /// The sequence's id that `llem_batch_submit` returned. In a static batch, the index of the prompt.
    uint64_t sequence;
    /// The number of prompt tokens that were run. Tokens taken from a cache are not included.
    uint32_t prompt_tokens;
    /// The number of tokens before the prompt tokens whose keys and values were already in a cache.
    uint32_t cached_tokens;
    /// The generated tokens.
    llem_tokens tokens;
    /// The text of the generated tokens. `NULL` if the model has no tokenizer. Text may hold NUL characters.
    const char *text;
    /// The length of `text` in bytes.
    size_t text_length;
    /// The reason why the sequence ended: `LLEM_EOS`, `LLEM_LENGTH` and so on. Later versions may add reasons.
    const char *finish;
    /// When the sequence was submitted, or its scheduled arrival. TTFT counts from here.
    uint64_t submitted;
    /// When the batch admitted the sequence. The delay is `admitted - submitted`. Absent if the sequence ended before
    /// that, and in static batches.
    llem_optional_u64 admitted;
    /// Whether a step was running at the scheduled arrival, so that the sequence had to wait for it.
    bool due_in_step;
    /// When the first pass over tokens of this sequence began. Absent if there was no pass.
    llem_optional_u64 started;
    /// When each generated token was on the host. It has the length of `tokens`.
    llem_times token_times;
    /// The log-probabilities of each generated token. It has the length of `tokens`, or is empty if the request did not
    /// ask for them.
    llem_log_probabilities log_probabilities;
    /// The adapter that the sequence ran with. `NULL` means the base weights.
    const char *adapter;
    /// The sequence's share of the energy of its steps, in J. In a continuous batch it is not known yet when a sequence
    /// ends. There `llem_batch_sequence_energy` returns it.
    llem_reading energy;
} llem_completion;

LLEM_LIST(llem_completions, llem_completion);

/// Creates the completion of a sequence that was submitted at this time and had its tokens at these times. All other
/// fields are zero or empty. It is meant for tests of policies and metrics, which have no host.
llem_completion llem_completion_from_token_times(uint64_t submitted, llem_times token_times);

/// Returns the time to first token, in s, or NaN if there is no token.
double llem_completion_ttft(const llem_completion *completion);

/// Returns the mean time per output token after the first, in s, or NaN if there are fewer than two tokens.
double llem_completion_tpot(const llem_completion *completion);

/// Returns the end-to-end latency, up to the last token, in s, or NaN if there is no token.
double llem_completion_e2el(const llem_completion *completion);

/// The result of a static batch. The host measures it from just before the work to just after it.
typedef struct llem_generation {
    /// One completion for each prompt, in order.
    llem_completions completions;
    /// The time of prompt processing of the whole batch, up to the first sampled tokens.
    uint64_t prefill_time;
    /// The time from the first sampled tokens to the last token.
    uint64_t decode_time;
    /// The time and energy of exactly this request.
    llem_measurement measurement;
} llem_generation;

/// Returns when the batch was submitted and when each step had all its tokens.
///
/// A step gives one token to each sequence that has not ended. It is over when the last of them has its token. So the
/// second time ends prefill, and differences of later ones are the times of decode steps.
llem_times llem_generation_step_times(const llem_generation *generation);

#endif
