/// Goodput: the rate of requests that meet their service levels (DistServe, arXiv 2401.09670, section 1), counted as in
/// `vllm bench serve --goodput`. Carbon and cost of energy.
#ifndef LLEM_GOODPUT_H
#define LLEM_GOODPUT_H

#include "policy.h"

/// The longest latencies that count as served, in ms. A level that is absent is always met.
typedef struct llem_service_levels {
    /// The time to first token.
    llem_optional_f64 ttft;
    /// The mean time per output token after the first. It is 0 for a single token.
    llem_optional_f64 tpot;
    /// The end-to-end latency.
    llem_optional_f64 e2el;
} llem_service_levels;

/// Returns whether a completion meets all levels. One that was interrupted or cancelled, or has no token, meets none.
bool llem_service_levels_are_met_by(const llem_service_levels *levels, const llem_completion *completion);

/// Counts sequences that meet their service levels. Set `levels`, and leave the other fields zero.
typedef struct llem_goodput {
    /// The levels.
    llem_service_levels levels;
    /// The number of sequences that met them.
    uint64_t met;
    /// Whether a sequence was counted, the first submission, and the last token, in ns since the run began.
    bool has_span;
    uint64_t first, last;
} llem_goodput;

/// Counts the sequences of a trial.
void llem_goodput_count(llem_goodput *goodput, const llem_trial *trial);

/// Returns the rate of sequences that met their levels, in {request}/s, over the session's window or, without one, from
/// the first submission to the last token.
llem_reading llem_goodput_rate(const llem_goodput *goodput, const llem_session *session);

/// Creates a metrics policy that derives `request_goodput`.
llem_metrics_policy llem_goodput_policy(llem_service_levels levels);

/// The electricity supply of the machine, as the user declares it.
typedef struct llem_electricity_supply {
    /// The carbon intensity, in g/kWh of CO2 equivalent.
    llem_quantity intensity;
    /// The power usage effectiveness of the building: its total energy divided by the energy of its computers.
    llem_quantity pue;
    /// The price of a kWh, and the currency. `NULL` if there is no price.
    llem_quantity price;
    const char *currency;
} llem_electricity_supply;

/// Creates a supply without a price.
llem_electricity_supply llem_electricity_supply_new(double grams_per_kwh, double pue);

/// Returns the supply with a price of a kWh in a currency: `EUR`.
llem_electricity_supply llem_electricity_supply_with_price(llem_electricity_supply supply, double price,
                                                           const char *currency);

/// Returns the emissions of an energy in J, in g. They are not available for another unit.
llem_reading llem_electricity_supply_carbon(const llem_electricity_supply *supply, llem_quantity energy);

/// Returns the cost of an energy in J, in the currency. It is not available without a price, or for another unit.
llem_reading llem_electricity_supply_cost(const llem_electricity_supply *supply, llem_quantity energy);

#endif
