// What the compiler's checks for undefined behaviour call (clang's UndefinedBehaviorSanitizer, `-fsanitize=undefined`): a
// null or misaligned pointer, an index outside of an array, a division by zero, an integer that overflows. WebAssembly
// traps on few of these. The run ends with the place in the source.

#include "../last_words.h"

#include <stdint.h>
#include <stdio.h>

/// A place in the source. The data of every check begins with it.
typedef struct place {
    const char *file;
    uint32_t line;
    uint32_t column;
} place;

static _Noreturn void report(const place *at, const char *what) {
    char sentence[1024];
    snprintf(sentence, sizeof sentence, "undefined behaviour: %s\n  at %s:%u:%u", what, at->file, (unsigned)at->line,
             (unsigned)at->column);
    llem_last_words(sentence);
}

/// Defines the handler of a check. Handlers receive further arguments, which are not needed.
#define HANDLER_0(check, what)                                                                                          \
    _Noreturn void __ubsan_handle_##check(const place *at) {                                                           \
        report(at, what);                                                                                              \
    }
#define HANDLER_1(check, what)                                                                                          \
    _Noreturn void __ubsan_handle_##check(const place *at, uintptr_t value) {                                          \
        (void)value;                                                                                                   \
        report(at, what);                                                                                              \
    }
#define HANDLER_2(check, what)                                                                                          \
    _Noreturn void __ubsan_handle_##check(const place *at, uintptr_t one, uintptr_t other) {                           \
        (void)one, (void)other;                                                                                        \
        report(at, what);                                                                                              \
    }

HANDLER_0(builtin_unreachable, "code that cannot be reached was reached")
HANDLER_0(invalid_builtin_abort, "a builtin function was called with zero")
HANDLER_0(nonnull_arg_abort, "a null pointer was passed to a function that takes none")
HANDLER_0(nonnull_return_v1_abort, "a null pointer was returned from a function that returns none")
HANDLER_1(float_cast_overflow_abort, "a number is outside of the range of the integer type that it is converted to")
HANDLER_1(function_type_mismatch_abort, "a function was called through a pointer of another type")
HANDLER_1(load_invalid_value_abort, "a variable holds a value that its type does not have")
HANDLER_1(negate_overflow_abort, "an integer overflows when it is negated")
HANDLER_1(out_of_bounds_abort, "an index is outside of its array")
HANDLER_1(vla_bound_not_positive_abort, "the length of an array is not positive")
HANDLER_2(add_overflow_abort, "an integer addition overflows")
HANDLER_2(divrem_overflow_abort, "a division by zero, or one that overflows")
HANDLER_2(mul_overflow_abort, "an integer multiplication overflows")
HANDLER_2(pointer_overflow_abort, "a pointer is null or overflows when an offset is added")
HANDLER_2(shift_out_of_bounds_abort, "the distance of a shift is out of range")
HANDLER_2(sub_overflow_abort, "an integer subtraction overflows")

/// Reports a pointer that is null, is misaligned or points to too small an object.
_Noreturn void __ubsan_handle_type_mismatch_v1_abort(const place *at, const void *pointer) {
    report(at, pointer == NULL ? "a null pointer is used"
                               : "a pointer is misaligned, or points to an object that is too small");
}
