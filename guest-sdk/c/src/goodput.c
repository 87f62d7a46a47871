#include "llem/goodput.h"

#include <math.h>
#include <string.h>

static const double JOULES_PER_KWH = 3.6e6;

static bool is_within(llem_optional_f64 level, double seconds) {
    return !level.is_some || 1e3 * seconds <= level.value;
}

bool llem_service_levels_are_met_by(const llem_service_levels *levels, const llem_completion *completion) {
    bool is_served = strcmp(completion->finish, LLEM_INTERRUPTED) != 0 && strcmp(completion->finish, LLEM_CANCELLED) != 0;
    double tpot = llem_completion_tpot(completion);
    return is_served && completion->tokens.count > 0 && is_within(levels->ttft, llem_completion_ttft(completion)) &&
           is_within(levels->tpot, isnan(tpot) ? 0.0 : tpot) &&
           is_within(levels->e2el, llem_completion_e2el(completion));
}

void llem_goodput_count(llem_goodput *goodput, const llem_trial *trial) {
    for (size_t index = 0; index < trial->completions.count; index++) {
        const llem_completion *one = &trial->completions.items[index];
        uint64_t ended = one->token_times.count > 0 ? one->token_times.items[one->token_times.count - 1] : one->submitted;
        goodput->met += llem_service_levels_are_met_by(&goodput->levels, one);
        goodput->first = goodput->has_span && goodput->first < one->submitted ? goodput->first : one->submitted;
        goodput->last = goodput->has_span && goodput->last > ended ? goodput->last : ended;
        goodput->has_span = true;
    }
}

llem_reading llem_goodput_rate(const llem_goodput *goodput, const llem_session *session) {
    if (session->measurement == NULL && !goodput->has_span) {
        return llem_unavailable("no request was measured");
    }
    uint64_t time = session->measurement != NULL ? session->measurement->wall_time : goodput->last - goodput->first;
    return llem_quantity_per(llem_quantity_exact((double)goodput->met, "{request}", LLEM_COUNTED), (double)time * 1e-9,
                             "{request}/s");
}

static llem_result observe(void *self, const llem_trial *trial) {
    llem_goodput_count(self, trial);
    return LLEM_OK;
}

static llem_result derive(void *self, const llem_model_info *model, const llem_session *session, llem_metrics *metrics) {
    (void)model;
    llem_metrics_add(metrics, "request_goodput", llem_goodput_rate(self, session));
    return LLEM_OK;
}

llem_metrics_policy llem_goodput_policy(llem_service_levels levels) {
    llem_goodput goodput = {.levels = levels};
    return (llem_metrics_policy){observe, derive, llem_copy(&goodput, sizeof goodput)};
}

llem_electricity_supply llem_electricity_supply_new(double grams_per_kwh, double pue) {
    return (llem_electricity_supply){
        .intensity = llem_quantity_exact(grams_per_kwh, "g/kWh", LLEM_MODELLED),
        .pue = llem_quantity_exact(pue, "1", LLEM_MODELLED),
    };
}

llem_electricity_supply llem_electricity_supply_with_price(llem_electricity_supply supply, double price,
                                                           const char *currency) {
    supply.price = llem_quantity_exact(price, llem_format("%s/kWh", currency), LLEM_MODELLED);
    supply.currency = currency;
    return supply;
}

/// Returns an energy times a factor, with the energy that the building adds.
static llem_reading of_building(const llem_electricity_supply *supply, llem_quantity energy, llem_quantity factor,
                                const char *unit) {
    if (strcmp(energy.unit, "J") != 0) {
        return llem_unavailable(llem_format("an energy is in J, not in %s", energy.unit));
    }
    llem_quantity own = llem_quantity_per(energy, JOULES_PER_KWH, "kWh").quantity;
    return llem_known(llem_quantity_times(llem_quantity_times(own, supply->pue, "kWh"), factor, unit));
}

llem_reading llem_electricity_supply_carbon(const llem_electricity_supply *supply, llem_quantity energy) {
    return of_building(supply, energy, supply->intensity, "g");
}

llem_reading llem_electricity_supply_cost(const llem_electricity_supply *supply, llem_quantity energy) {
    return supply->currency != NULL ? of_building(supply, energy, supply->price, supply->currency)
                                    : llem_unavailable("the electricity supply has no price");
}
