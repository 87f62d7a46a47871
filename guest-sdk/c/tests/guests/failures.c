/// Fails in the way that the parameter `how` says. The line numbers are those that the test expects.

#include <assert.h>
#include <llem.h>
#include <stdlib.h>
#include <string.h>

static volatile llem_result no_result;

static const int numbers[4] = {1, 2, 3, 4};

static llem_about about(void) {
    llem_about about = llem_about_new("failures", "0.1.0", "Fails in a given way");
    llem_about_text(&about, "how", "error", "the way");
    return about;
}

static llem_result run(void) {
    const char *how;
    LLEM_TRY(llem_parameter_text("how", &how));
    bool is_right = false;
    llem_result nothing = no_result;
    if (strcmp(how, "check") == 0) {
        llem_check(is_right);
    } else if (strcmp(how, "assert") == 0) {
        assert(is_right);
    } else if (strcmp(how, "llem_abort") == 0) {
        llem_abort("%d is too much", 7);
    } else if (strcmp(how, "abort") == 0) {
        abort();
    } else if (strcmp(how, "trap") == 0) {
        __builtin_trap();
    } else if (strcmp(how, "recursion") == 0) {
        return run();
    } else if (strcmp(how, "null") == 0) {
        return nothing->message != NULL ? LLEM_OK : nothing;
    } else if (strcmp(how, "index") == 0) {
        return numbers[strlen(how)] > 0 ? LLEM_OK : nothing;
    } else if (strcmp(how, "division") == 0) {
        return numbers[0] / is_right > 0 ? LLEM_OK : nothing;
    } else if (strcmp(how, "parameter") == 0) {
        llem_value value;
        return llem_parameter("nothing", &value);
    }
    return llem_fail(LLEM_INVALID_ARGUMENT, "the script says: %s", how);
}

LLEM_EXPERIMENT(about, run);
