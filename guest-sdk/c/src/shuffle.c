#include "llem/lengths.h"

#include <math.h>
#include <string.h>

/// Draws a whole number below `count`. The probabilities differ by less than `count` / 2^53.
static size_t below(size_t count, llem_uniform_source uniform) {
    return (size_t)(uniform.next(uniform.self) * (double)count);
}

llem_result llem_draw_pick(size_t count, const llem_tokens *items, llem_uniform_source uniform, llem_tokens *picked) {
    if (count > 0 && items->count == 0) {
        return llem_fail(LLEM_INVALID_ARGUMENT, "there are no items to pick from");
    }
    llem_tokens list = {0};
    for (size_t index = 0; index < count; index++) {
        llem_push(&list, items->items[below(items->count, uniform)]);
    }
    *picked = list;
    return LLEM_OK;
}

llem_result llem_draw_sample(uint32_t count, uint32_t population, llem_uniform_source uniform, llem_tokens *numbers) {
    if (count > population) {
        return llem_fail(LLEM_INVALID_ARGUMENT, "%u different numbers cannot be drawn from %u", count, population);
    }
    // The first places of a shuffle from the front.
    uint32_t *places = llem_alloc((size_t)population * sizeof *places);
    for (uint32_t place = 0; place < population; place++) {
        places[place] = place;
    }
    for (uint32_t index = 0; index < count; index++) {
        size_t place = index + below(population - index, uniform);
        uint32_t drawn = places[place];
        places[place] = places[index];
        places[index] = drawn;
    }
    *numbers = (llem_tokens){.items = places, .count = count};
    return LLEM_OK;
}

/// Shuffles from the end (Durstenfeld, "Algorithm 235: Random permutation", CACM 7(7), 1964).
void llem_draw_shuffle(void *items, size_t count, size_t size, llem_uniform_source uniform) {
    unsigned char *bytes = items, *held = llem_alloc(size);
    for (size_t last = count; last-- > 1;) {
        size_t place = below(last + 1, uniform);
        memcpy(held, bytes + last * size, size);
        memmove(bytes + last * size, bytes + place * size, size);
        memcpy(bytes + place * size, held, size);
    }
}
