/// Runs the metrics on the synthetic host, with the shipped warm-up and workload.

#undef NDEBUG

#include <assert.h>
#include <llem_test.h>
#include <math.h>
#include <string.h>

int main(void) {
    llem_test_result result = llem_test_run(&(llem_test_options){
        .metrics = ".",
        .parameters = (const char *[]){"requests=2", "new-tokens=8", NULL},
    });
    assert(strcmp(result.status, "completed") == 0);
    // A step of decode takes 5 ms on the synthetic host.
    const char *names[] = {"itl_p50", "itl_p99"};
    for (size_t index = 0; index < 2; index++) {
        const llem_test_metric *latency = llem_test_find_metric(&result, names[index]);
        assert(fabs(latency->value - 5e-3) < 1e-12 && strcmp(latency->unit, "s") == 0);
    }
    return 0;
}
