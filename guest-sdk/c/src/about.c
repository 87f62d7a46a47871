#include "llem/about.h"

llem_about llem_about_new(const char *name, const char *version, const char *summary) {
    return (llem_about){.name = name, .version = version, .summary = summary};
}

static void add_parameter(llem_about *about, const char *name, llem_value default_value, const char *summary) {
    llem_push(&about->parameters, (llem_about_parameter){name, summary, default_value});
}

void llem_about_integer(llem_about *about, const char *name, int64_t default_value, const char *summary) {
    add_parameter(about, name, (llem_value){.kind = LLEM_INTEGER, .integer = default_value}, summary);
}

void llem_about_number(llem_about *about, const char *name, double default_value, const char *summary) {
    add_parameter(about, name, (llem_value){.kind = LLEM_NUMBER, .number = default_value}, summary);
}

void llem_about_text(llem_about *about, const char *name, const char *default_value, const char *summary) {
    add_parameter(about, name, (llem_value){.kind = LLEM_TEXT, .text = default_value}, summary);
}

void llem_about_boolean(llem_about *about, const char *name, bool default_value, const char *summary) {
    add_parameter(about, name, (llem_value){.kind = LLEM_BOOLEAN, .boolean = default_value}, summary);
}

void llem_about_add_dataset(llem_about *about, const char *name, const char *summary) {
    llem_push(&about->datasets, (llem_about_dataset){name, summary, false});
}

void llem_about_add_required_dataset(llem_about *about, const char *name, const char *summary) {
    llem_push(&about->datasets, (llem_about_dataset){name, summary, true});
}
