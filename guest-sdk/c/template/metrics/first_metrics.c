/// Derives percentiles of the inter-token latency for the requests of each label.

#include <llem.h>
#include <string.h>

/// The percentiles that are derived, with the names of their metrics.
static const struct {
    const char *name;
    double p;
} PERCENTILES[] = {{"itl_p50", 50.0}, {"itl_p99", 99.0}};

/// The inter-token latencies of a label, in s.
typedef struct latencies_of_label {
    const char *label;
    llem_numbers latencies;
} latencies_of_label;

LLEM_LIST(latencies_by_label, latencies_of_label);

static latencies_by_label all;

static llem_about about(void) {
    return llem_about_new("first-metrics", "0.1.0", "Percentiles of the inter-token latency");
}

static llem_result observe(void *self, const llem_trial *trial) {
    (void)self;
    size_t index = 0;
    while (index < all.count && strcmp(all.items[index].label, trial->request.label) != 0) {
        index++;
    }
    if (index == all.count) {
        // The trial is freed after this call.
        llem_push(&all, (latencies_of_label){.label = llem_text(trial->request.label)});
    }
    llem_trial_itl(trial, &all.items[index].latencies);
    return LLEM_OK;
}

static llem_result derive(void *self, const llem_model_info *model, const llem_session *session, llem_metrics *metrics) {
    (void)self, (void)model, (void)session;
    for (size_t index = 0; index < all.count; index++) {
        const latencies_of_label *one = &all.items[index];
        for (size_t at = 0; at < sizeof PERCENTILES / sizeof *PERCENTILES; at++) {
            llem_reading value = llem_statistic(llem_percentile(&one->latencies, PERCENTILES[at].p), "s");
            if (value.is_known) {
                llem_metrics_add(metrics, PERCENTILES[at].name, value);
                llem_metrics_label(metrics, "request", one->label);
            }
        }
    }
    return LLEM_OK;
}

static llem_metrics_policy policy(void) {
    return (llem_metrics_policy){.observe = observe, .derive = derive};
}

LLEM_METRICS(about, policy);
