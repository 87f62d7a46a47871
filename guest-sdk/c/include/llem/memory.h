/// Memory, and lists that grow.
///
/// All that the SDK returns lives in the current arena, which by default lives until the run ends. Nothing of it is freed
/// one by one. The only exception are the trials that `observe` of a metrics policy and `next` of a workload receive: they
/// are freed after the call, so that a long run does not need memory for every token. A policy that keeps a text of a
/// trial copies it with `llem_text`.
///
/// A script that creates much memory again and again may do so in an arena of its own.
#ifndef LLEM_MEMORY_H
#define LLEM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// A region of memory that is freed as a whole.
typedef struct llem_arena llem_arena;

/// Creates an arena.
llem_arena *llem_arena_new(void);

/// Frees an arena and all memory that was taken from it.
void llem_arena_free(llem_arena *arena);

/// Makes the arena the current one, and returns the previous one. `NULL` means the arena that lives until the end.
llem_arena *llem_arena_use(llem_arena *arena);

/// Takes zeroed memory from the current arena. The run ends if there is no memory left.
void *llem_alloc(size_t size);

/// Copies memory into the current arena.
void *llem_copy(const void *from, size_t size);

/// Copies text into the current arena.
char *llem_text(const char *text);

/// Formats text as `printf` does, in the current arena.
__attribute__((format(printf, 1, 2))) char *llem_format(const char *format, ...);

/// Returns the text `count` times, one after another.
char *llem_repeat(const char *text, size_t count);

/// Returns memory for one more than `count` items of `size` bytes, in the current arena. `llem_push` calls it.
void *llem_grow(void *items, size_t count, size_t *capacity, size_t size);

/// Adds an item to the end of a list: `llem_push(&list, item)`.
#define llem_push(list, ...)                                                                                            \
    ((list)->items = llem_grow((list)->items, (list)->count, &(list)->capacity, sizeof *(list)->items),                \
     (list)->items[(list)->count++] = __VA_ARGS__)

/// Declares a list type. `{0}` is an empty list.
#define LLEM_LIST(name, item)                                                                                           \
    typedef struct name {                                                                                              \
        item *items;                                                                                                   \
        size_t count;                                                                                                  \
        size_t capacity;                                                                                               \
    } name

LLEM_LIST(llem_numbers, double);
LLEM_LIST(llem_tokens, uint32_t);
LLEM_LIST(llem_times, uint64_t);
LLEM_LIST(llem_texts, const char *);
LLEM_LIST(llem_token_lists, llem_tokens);

/// A number that may be absent. `{0}` is absent.
typedef struct llem_optional_u32 {
    bool is_some;
    uint32_t value;
} llem_optional_u32;

/// A number that may be absent. `{0}` is absent.
typedef struct llem_optional_u64 {
    bool is_some;
    uint64_t value;
} llem_optional_u64;

/// A number that may be absent. `{0}` is absent.
typedef struct llem_optional_f64 {
    bool is_some;
    double value;
} llem_optional_f64;

/// A number that may be absent. `{0}` is absent.
typedef struct llem_optional_f32 {
    bool is_some;
    float value;
} llem_optional_f32;

/// A present number of any of the optional types: `request.top_k = (llem_optional_u32)LLEM_SOME(40)`.
#define LLEM_SOME(number) {true, (number)}

/// Nanoseconds of a number of seconds. Times and lengths of time are `uint64_t` numbers of nanoseconds.
#define LLEM_SECONDS(seconds) ((uint64_t)((seconds) * 1e9))

#endif
