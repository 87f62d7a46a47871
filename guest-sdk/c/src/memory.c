#include "llem/memory.h"
#include "llem/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// The size of a block. Larger items get a block of their own.
enum { BLOCK = 1 << 16, ALIGNMENT = 16 };

typedef struct block {
    struct block *previous;
    size_t used;
    size_t size;
    _Alignas(ALIGNMENT) unsigned char bytes[];
} block;

struct llem_arena {
    block *last;
};

static llem_arena whole_run;
static llem_arena *current = &whole_run;

llem_arena *llem_arena_new(void) {
    llem_arena *arena = calloc(1, sizeof *arena);
    llem_check(arena != NULL);
    return arena;
}

void llem_arena_free(llem_arena *arena) {
    if (arena == NULL) {
        return;
    }
    while (arena->last != NULL) {
        block *previous = arena->last->previous;
        free(arena->last);
        arena->last = previous;
    }
    free(arena);
}

llem_arena *llem_arena_use(llem_arena *arena) {
    llem_arena *previous = current;
    current = arena != NULL ? arena : &whole_run;
    return previous;
}

void *llem_alloc(size_t size) {
    size_t rounded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    llem_check(rounded >= size);
    block *last = current->last;
    if (last == NULL || last->size - last->used < rounded) {
        size_t room = rounded > BLOCK ? rounded : BLOCK;
        llem_check(room <= SIZE_MAX - sizeof(block));
        last = calloc(1, sizeof(block) + room);
        llem_check(last != NULL);
        *last = (block){.previous = current->last, .size = room};
        current->last = last;
    }
    void *memory = last->bytes + last->used;
    last->used += rounded;
    return memory;
}

void *llem_copy(const void *from, size_t size) {
    void *copy = llem_alloc(size);
    if (size > 0) {
        memcpy(copy, from, size);
    }
    return copy;
}

char *llem_text(const char *text) {
    return llem_copy(text, strlen(text) + 1);
}

char *llem_format(const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    llem_check(length >= 0);
    char *text = llem_alloc((size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *llem_repeat(const char *text, size_t count) {
    size_t length = strlen(text);
    llem_check(length == 0 || count < SIZE_MAX / length);
    char *repeated = llem_alloc(length * count + 1);
    for (size_t index = 0; index < count; index++) {
        memcpy(repeated + index * length, text, length);
    }
    return repeated;
}

void *llem_grow(void *items, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) {
        return items;
    }
    // A list whose items came from elsewhere has a capacity of 0, and is copied at its first growth.
    size_t larger = count < 4 ? 8 : 2 * count;
    llem_check(larger > count && larger <= SIZE_MAX / size);
    void *grown = llem_alloc(larger * size);
    if (count > 0) {
        memcpy(grown, items, count * size);
    }
    *capacity = larger;
    return grown;
}
