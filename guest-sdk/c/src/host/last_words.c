// What a run that cannot go on says, and the functions of the C library that end a run.

#include "../last_words.h"
#include "convert.h"

void llem_last_words(const char *sentence) {
    host_string_t message = wit_text(sentence);
    WIT(report_log)(LLEM_ERROR, &message);
    __builtin_trap();
}

/// Reports a failed `assert`. It replaces the function of the C library, which writes to stderr.
_Noreturn void __assert_fail(const char *condition, const char *file, int line, const char *function) {
    llem_abort_at(file, line, function, "assertion failed: %s", condition);
}

/// Ends the run without a word about the place, because C does not know it. `llem_abort` does.
_Noreturn void abort(void) {
    llem_last_words("abort() was called: use llem_abort(\"...\"), which names its place");
}
