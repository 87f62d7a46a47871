#include "convert.h"

llem_quantity quantity_from(WIT(types_quantity_t) quantity) {
    return (llem_quantity){quantity.value, quantity.uncertainty, text_from(quantity.unit), text_from(quantity.source)};
}

llem_reading reading_from(WIT(types_reading_t) reading) {
    return reading.tag == LLEM_EXPERIMENT_TYPES_READING_KNOWN ? llem_known(quantity_from(reading.val.known))
                                                              : llem_unavailable(text_from(reading.val.unavailable));
}

llem_texts texts_from(host_list_string_t texts) {
    llem_texts list = {0};
    for (size_t index = 0; index < texts.len; index++) {
        llem_push(&list, text_from(texts.ptr[index]));
    }
    return list;
}

llem_value value_from(WIT(types_value_t) value) {
    switch (value.tag) {
    case LLEM_EXPERIMENT_TYPES_VALUE_TEXT:
        return (llem_value){.kind = LLEM_TEXT, .text = text_from(value.val.text)};
    case LLEM_EXPERIMENT_TYPES_VALUE_INTEGER:
        return (llem_value){.kind = LLEM_INTEGER, .integer = value.val.integer};
    case LLEM_EXPERIMENT_TYPES_VALUE_NUMBER:
        return (llem_value){.kind = LLEM_NUMBER, .number = value.val.number};
    default:
        return (llem_value){.kind = LLEM_BOOLEAN, .boolean = value.val.boolean};
    }
}

WIT(types_quantity_t) wit_quantity(llem_quantity quantity) {
    return (WIT(types_quantity_t)){
        .value = quantity.value,
        .uncertainty = quantity.uncertainty,
        .unit = wit_text(quantity.unit),
        .source = wit_text(quantity.source),
    };
}

WIT(types_value_t) wit_value(llem_value value) {
    switch (value.kind) {
    case LLEM_TEXT:
        return (WIT(types_value_t)){.tag = LLEM_EXPERIMENT_TYPES_VALUE_TEXT, .val.text = wit_text(value.text)};
    case LLEM_INTEGER:
        return (WIT(types_value_t)){.tag = LLEM_EXPERIMENT_TYPES_VALUE_INTEGER, .val.integer = value.integer};
    case LLEM_NUMBER:
        return (WIT(types_value_t)){.tag = LLEM_EXPERIMENT_TYPES_VALUE_NUMBER, .val.number = value.number};
    default:
        return (WIT(types_value_t)){.tag = LLEM_EXPERIMENT_TYPES_VALUE_BOOLEAN, .val.boolean = value.boolean};
    }
}

host_list_string_t wit_texts(llem_texts texts) {
    host_string_t *list = llem_alloc(texts.count * sizeof *list);
    for (size_t index = 0; index < texts.count; index++) {
        list[index] = wit_text(texts.items[index]);
    }
    return (host_list_string_t){list, texts.count};
}
