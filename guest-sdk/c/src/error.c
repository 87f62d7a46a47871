#include "llem/error.h"
#include "llem/memory.h"
#include "last_words.h"

#include <stdarg.h>
#include <stdio.h>

llem_result llem_fail(llem_error_code code, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    llem_check(length >= 0);
    char *message = llem_alloc((size_t)length + 1);
    vsnprintf(message, (size_t)length + 1, format, again);
    va_end(again);
    llem_error error = {code, message};
    return llem_copy(&error, sizeof error);
}

const char *llem_error_code_name(llem_error_code code) {
    static const char *const names[] = {
        "invalid-argument", "not-found", "not-granted", "unsupported", "limit-reached", "failed",
    };
    return names[code];
}

// These functions use no arena: a check may have failed because there is no memory.

void llem_check_failed(const char *condition, const char *file, int line, const char *function) {
    llem_abort_at(file, line, function, "check failed: %s", condition);
}

void llem_abort_at(const char *file, int line, const char *function, const char *format, ...) {
    char message[512], sentence[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    snprintf(sentence, sizeof sentence, "%s\n  at %s:%d in %s", message, file, line, function);
    llem_last_words(sentence);
}
