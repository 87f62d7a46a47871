/// Runs the workload on the synthetic host, with the shipped warm-up and metrics.

#undef NDEBUG

#include <assert.h>
#include <llem_test.h>
#include <string.h>

/// Returns the time between the arrivals of two requests of a run, in ns.
static uint64_t gap(const llem_test_result *result, size_t index) {
    return result->requests.items[index + 1].submitted - result->requests.items[index].submitted;
}

static llem_test_result run(uint64_t seed) {
    llem_test_result result = llem_test_run(&(llem_test_options){
        .workload = ".",
        .parameters = (const char *[]){"requests=5", NULL},
        .seed = LLEM_SOME(seed),
    });
    assert(strcmp(result.status, "completed") == 0);
    assert(result.requests.count == 5);
    return result;
}

int main(void) {
    llem_test_result one = run(1), same = run(1), other = run(2);
    for (size_t index = 0; index < 4; index++) {
        // Equal requests end in the order of their arrivals.
        assert(one.requests.items[index].submitted < one.requests.items[index + 1].submitted);
        assert(gap(&one, index) == gap(&same, index));
    }
    assert(gap(&one, 0) != gap(&other, 0));
    return 0;
}
