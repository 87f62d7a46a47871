/// Runs the experiment on the synthetic host: no model, and times and joules that are known beforehand.

#undef NDEBUG

#include <assert.h>
#include <llem_test.h>
#include <math.h>
#include <string.h>

int main(void) {
    llem_test_result result = llem_test_run(&(llem_test_options){
        .experiment = ".",
        .parameters = (const char *[]){"prompts=3", NULL},
    });
    assert(strcmp(result.status, "completed") == 0);
    assert(result.requests.count == 3);
    for (size_t index = 0; index < result.requests.count; index++) {
        assert(result.requests.items[index].tokens.count == 16);
    }
    // A step of decode takes 5 ms on the synthetic host.
    const llem_test_metric *rate = llem_test_find_metric(&result, "decode_rate");
    assert(fabs(rate->value - 200.0) < 1e-9);
    assert(strcmp(rate->unit, "{token}/s") == 0);
    assert(llem_test_find_metric(&result, "joules_per_output_token")->value > 0.0);
    return 0;
}
