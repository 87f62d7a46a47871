/// Errors, and checks that name their place.
#ifndef LLEM_ERROR_H
#define LLEM_ERROR_H

#include <stddef.h>

/// The kind of failure of a call, for programs. The values are those of the contract.
typedef enum llem_error_code {
    /// An argument is out of its range or contradicts another one. The message names it.
    LLEM_INVALID_ARGUMENT,
    /// No model, file, dataset, parameter or device has this name.
    LLEM_NOT_FOUND,
    /// The resource exists, but the user did not grant it. The message names the flag that grants it.
    LLEM_NOT_GRANTED,
    /// This build, device or model does not support the call.
    LLEM_UNSUPPORTED,
    /// The call would exceed a limit of the run: memory, output size or number of resources.
    LLEM_LIMIT_REACHED,
    /// The work was started and failed.
    LLEM_FAILED,
} llem_error_code;

/// The reason why a call failed.
typedef struct llem_error {
    /// The kind of failure, for programs. If `run` returns the error, it decides the exit code of `llem exec`.
    llem_error_code code;
    /// One sentence for people.
    const char *message;
} llem_error;

/// The result of a call that may fail: `LLEM_OK`, or the reason of the failure. Values are returned through the last
/// parameter, which is unchanged if the call fails.
typedef const llem_error *llem_result;

/// The result of a call that did not fail.
#define LLEM_OK ((llem_result)NULL)

/// Returns from the calling function if the call fails, with the reason of the call.
#define LLEM_TRY(call)                                                                                                  \
    do {                                                                                                               \
        llem_result llem_try_result = (call);                                                                          \
        if (llem_try_result != LLEM_OK) {                                                                              \
            return llem_try_result;                                                                                    \
        }                                                                                                              \
    } while (0)

/// Creates an error in the current arena, with a message that is formatted as `printf` does.
__attribute__((format(printf, 2, 3))) llem_result llem_fail(llem_error_code code, const char *format, ...);

/// Returns the code in the contract's spelling: `invalid-argument`.
const char *llem_error_code_name(llem_error_code code);

/// The name of the source file, without its folder, so that equal sources give equal components in all folders.
#ifdef __FILE_NAME__
#define LLEM_FILE __FILE_NAME__
#else
#define LLEM_FILE __FILE__
#endif

/// Ends the run if the condition is false. The record names the condition, the file and the line. It is not left out
/// of optimised builds. Use it for what cannot happen, and `llem_fail` for what can. A failed `assert` of the C library
/// is reported in the same way.
#define llem_check(condition) ((condition) ? (void)0 : llem_check_failed(#condition, LLEM_FILE, __LINE__, __func__))

/// Ends the run with a message that names this place, as Rust's `panic!` does.
#define llem_abort(...) llem_abort_at(LLEM_FILE, __LINE__, __func__, __VA_ARGS__)

/// Reports a failed check and ends the run. `llem_check` calls it.
_Noreturn void llem_check_failed(const char *condition, const char *file, int line, const char *function);

/// Reports a message and ends the run. `llem_abort` calls it.
_Noreturn __attribute__((format(printf, 4, 5))) void llem_abort_at(const char *file, int line, const char *function,
                                                                  const char *format, ...);

#endif
