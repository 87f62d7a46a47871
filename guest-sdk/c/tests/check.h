/// Checks of the SDK's own tests. A failed check is reported with its place, and the test goes on.
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>

static int failures;

#define CHECK(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition);                              \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

/// Returns the exit status of the test.
static inline int end_of_checks(void) {
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
