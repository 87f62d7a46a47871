/// Runs the warm-up on the synthetic host, with the shipped workload and metrics.

#undef NDEBUG

#include <assert.h>
#include <llem_test.h>
#include <string.h>

int main(void) {
    llem_test_result result = llem_test_run(&(llem_test_options){
        .warmup = ".",
        .parameters = (const char *[]){"requests=2", "window=4", NULL},
    });
    assert(strcmp(result.status, "completed") == 0);
    // Equal requests take equal times on the synthetic host.
    assert(result.warmup_requests.count == 4);
    bool is_logged = false;
    for (size_t index = 0; index < result.log.count; index++) {
        is_logged |= strcmp(result.log.items[index].message, "warm: steady after 4 runs") == 0;
    }
    assert(is_logged);
    assert(result.requests.count == 2);
    return 0;
}
