// The memory of what the host returns.

#include "llem/memory.h"

#include <string.h>

/// Takes memory for a list or text that the host returns from the current arena. The byte after it is zero, so that
/// texts are C strings.
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t alignment,
                                                                size_t new_size) {
    (void)alignment;
    if (old != NULL && new_size <= old_size) {
        ((unsigned char *)old)[new_size] = 0;
        return old;
    }
    void *memory = llem_alloc(new_size + 1);
    if (old_size > 0) {
        memcpy(memory, old, old_size);
    }
    return memory;
}
