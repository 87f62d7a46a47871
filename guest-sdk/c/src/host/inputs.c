#include "llem/inputs.h"
#include "convert.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

llem_result llem_parameter(const char *name, llem_value *value) {
    host_string_t text = wit_text(name);
    WIT(inputs_value_t) given;
    WIT(inputs_error_t) error;
    LLEM_TRY(result_from(WIT(inputs_parameter)(&text, &given, &error), &error));
    *value = value_from(given);
    return LLEM_OK;
}

static llem_result out_of_range(const char *name, const llem_value *value) {
    static const char *const kinds[] = {"text", "a whole number", "a number", "true or false"};
    const char *shown = value->kind == LLEM_INTEGER  ? llem_format("%lld", (long long)value->integer)
                        : value->kind == LLEM_NUMBER ? llem_format("%g", value->number)
                        : value->kind == LLEM_TEXT   ? llem_format("\"%s\"", value->text)
                                                     : (value->boolean ? "true" : "false");
    return llem_fail(LLEM_INVALID_ARGUMENT, "parameter '%s' is out of range: %s (%s)", name, shown, kinds[value->kind]);
}

llem_result llem_parameter_i64(const char *name, int64_t *value) {
    llem_value given;
    LLEM_TRY(llem_parameter(name, &given));
    if (given.kind != LLEM_INTEGER) {
        return out_of_range(name, &given);
    }
    *value = given.integer;
    return LLEM_OK;
}

llem_result llem_parameter_u32(const char *name, uint32_t *value) {
    llem_value given;
    LLEM_TRY(llem_parameter(name, &given));
    if (given.kind != LLEM_INTEGER || given.integer < 0 || given.integer > UINT32_MAX) {
        return out_of_range(name, &given);
    }
    *value = (uint32_t)given.integer;
    return LLEM_OK;
}

llem_result llem_parameter_f64(const char *name, double *value) {
    llem_value given;
    LLEM_TRY(llem_parameter(name, &given));
    if (given.kind != LLEM_NUMBER && given.kind != LLEM_INTEGER) {
        return out_of_range(name, &given);
    }
    *value = given.kind == LLEM_NUMBER ? given.number : (double)given.integer;
    return LLEM_OK;
}

llem_result llem_parameter_text(const char *name, const char **value) {
    llem_value given;
    LLEM_TRY(llem_parameter(name, &given));
    if (given.kind != LLEM_TEXT) {
        return out_of_range(name, &given);
    }
    *value = given.text;
    return LLEM_OK;
}

llem_result llem_parameter_bool(const char *name, bool *value) {
    llem_value given;
    LLEM_TRY(llem_parameter(name, &given));
    if (given.kind != LLEM_BOOLEAN) {
        return out_of_range(name, &given);
    }
    *value = given.boolean;
    return LLEM_OK;
}

llem_result llem_parameter_i64_within(const char *name, int64_t minimum, int64_t maximum, int64_t *value) {
    int64_t given;
    LLEM_TRY(llem_parameter_i64(name, &given));
    if (given < minimum || given > maximum) {
        const char *wanted = maximum == INT64_MAX
                                 ? llem_format("%lld or more", (long long)minimum)
                                 : llem_format("a number from %lld to %lld", (long long)minimum, (long long)maximum);
        return llem_fail(LLEM_INVALID_ARGUMENT, "%s is %lld: set it to %s with -p %s=NUMBER", name, (long long)given,
                         wanted, name);
    }
    *value = given;
    return LLEM_OK;
}

llem_result llem_parameter_u32_within(const char *name, uint32_t minimum, uint32_t maximum, uint32_t *value) {
    int64_t given, most = maximum == UINT32_MAX ? INT64_MAX : maximum;
    LLEM_TRY(llem_parameter_i64_within(name, minimum, most, &given));
    return llem_parameter_u32(name, value);
}

llem_result llem_parameter_f64_within(const char *name, double minimum, double maximum, double *value) {
    double given;
    LLEM_TRY(llem_parameter_f64(name, &given));
    if (!(given >= minimum && given <= maximum)) {
        const char *wanted = isinf(maximum) ? llem_format("%g or more", minimum)
                                            : llem_format("a number from %g to %g", minimum, maximum);
        return llem_fail(LLEM_INVALID_ARGUMENT, "%s is %g: set it to %s with -p %s=NUMBER", name, given, wanted, name);
    }
    *value = given;
    return LLEM_OK;
}

llem_result llem_parameter_sizes(const char *name, llem_tokens *sizes) {
    const char *text;
    LLEM_TRY(llem_parameter_text(name, &text));
    llem_tokens list = {0};
    char *part = llem_text(text), *rest = part;
    while (part != NULL) {
        rest = strchr(part, ',');
        if (rest != NULL) {
            *rest++ = '\0';
        }
        char *end;
        errno = 0;
        unsigned long size = strtoul(part, &end, 10);
        end += strspn(end, " \t");
        if (errno != 0 || *end != '\0' || size == 0 || strchr(part, '-') != NULL) {
            return llem_fail(LLEM_INVALID_ARGUMENT, "%s: '%s' is no whole number above 0", name, part);
        }
        llem_push(&list, (uint32_t)size);
        part = rest;
    }
    *sizes = list;
    return LLEM_OK;
}

uint64_t llem_seed(void) {
    return WIT(inputs_seed)();
}

static llem_result find_field(const llem_row *row, const char *name, const llem_value **value) {
    const char *known = "";
    for (size_t index = 0; index < row->fields.count; index++) {
        const llem_field *field = &row->fields.items[index];
        if (strcmp(field->name, name) == 0) {
            *value = &field->value;
            return LLEM_OK;
        }
        known = index == 0 ? field->name : llem_format("%s, %s", known, field->name);
    }
    return llem_fail(LLEM_INVALID_ARGUMENT, "row %llu has no field '%s'; it has %s", (unsigned long long)row->index, name,
                     known);
}

static llem_result not_a(const llem_row *row, const char *name, const llem_value *value, const char *kind) {
    const char *shown = value->kind == LLEM_INTEGER  ? llem_format("%lld", (long long)value->integer)
                        : value->kind == LLEM_NUMBER ? llem_format("%g", value->number)
                        : value->kind == LLEM_TEXT   ? llem_format("\"%s\"", value->text)
                                                     : (value->boolean ? "true" : "false");
    return llem_fail(LLEM_INVALID_ARGUMENT, "row %llu: field '%s' is %s, which is not %s",
                     (unsigned long long)row->index, name, shown, kind);
}

/// Returns whether a number was parsed from the whole text, apart from white space around it.
static bool is_whole(const char *text, const char *end) {
    return end != text && end[strspn(end, " \t\r\n")] == '\0' && errno == 0;
}

llem_result llem_row_i64(const llem_row *row, const char *name, int64_t *value) {
    const llem_value *given;
    LLEM_TRY(find_field(row, name, &given));
    char *end = NULL;
    errno = 0;
    int64_t number = given->kind == LLEM_TEXT ? strtoll(given->text, &end, 10) : given->integer;
    if (given->kind == LLEM_TEXT ? !is_whole(given->text, end) : given->kind != LLEM_INTEGER) {
        return not_a(row, name, given, "a whole number (i64)");
    }
    *value = number;
    return LLEM_OK;
}

llem_result llem_row_u64(const llem_row *row, const char *name, uint64_t *value) {
    const llem_value *given;
    LLEM_TRY(find_field(row, name, &given));
    char *end = NULL;
    errno = 0;
    bool is_text = given->kind == LLEM_TEXT;
    uint64_t number = is_text ? strtoull(given->text, &end, 10) : (uint64_t)given->integer;
    if (is_text ? !is_whole(given->text, end) || strchr(given->text, '-') != NULL
                : given->kind != LLEM_INTEGER || given->integer < 0) {
        return not_a(row, name, given, "a whole number (u64)");
    }
    *value = number;
    return LLEM_OK;
}

llem_result llem_row_f64(const llem_row *row, const char *name, double *value) {
    const llem_value *given;
    LLEM_TRY(find_field(row, name, &given));
    double number = NAN;
    if (given->kind == LLEM_TEXT) {
        char *end;
        errno = 0;
        number = strtod(given->text, &end);
        number = is_whole(given->text, end) ? number : NAN;
    } else if (given->kind == LLEM_NUMBER || given->kind == LLEM_INTEGER) {
        number = given->kind == LLEM_NUMBER ? given->number : (double)given->integer;
    }
    if (!isfinite(number)) {
        return not_a(row, name, given, "a finite number");
    }
    *value = number;
    return LLEM_OK;
}

llem_result llem_row_text(const llem_row *row, const char *name, const char **value) {
    const llem_value *given;
    LLEM_TRY(find_field(row, name, &given));
    if (given->kind != LLEM_TEXT) {
        return not_a(row, name, given, "text");
    }
    *value = given->text;
    return LLEM_OK;
}

llem_result llem_row_bool(const llem_row *row, const char *name, bool *value) {
    const llem_value *given;
    LLEM_TRY(find_field(row, name, &given));
    bool is_text = given->kind == LLEM_TEXT;
    bool is_true = is_text ? strcasecmp(given->text, "true") == 0 : given->kind == LLEM_BOOLEAN && given->boolean;
    bool is_false = is_text ? strcasecmp(given->text, "false") == 0 : given->kind == LLEM_BOOLEAN && !given->boolean;
    if (!is_true && !is_false) {
        return not_a(row, name, given, "true or false");
    }
    *value = is_true;
    return LLEM_OK;
}
