/// A reader of JSON (RFC 8259) for tests: run records, and the table of numbers that all SDKs share.
#ifndef LLEM_JSON_H
#define LLEM_JSON_H

#include "llem/memory.h"

typedef struct llem_json llem_json;

/// A member of an object.
typedef struct llem_json_member llem_json_member;

LLEM_LIST(llem_json_items, llem_json);
LLEM_LIST(llem_json_members, llem_json_member);

/// A value.
struct llem_json {
    enum llem_json_kind {
        LLEM_JSON_NULL,
        LLEM_JSON_BOOLEAN,
        LLEM_JSON_NUMBER,
        LLEM_JSON_TEXT,
        LLEM_JSON_LIST,
        LLEM_JSON_OBJECT,
    } kind;
    /// The text, or the digits of a number as they are in the file.
    const char *text;
    /// The value of a boolean.
    bool boolean;
    /// The items of a list.
    llem_json_items items;
    /// The members of an object, in the order of the file.
    llem_json_members members;
};

struct llem_json_member {
    const char *name;
    llem_json value;
};

/// Parses a text that is one value. The test ends if it is not JSON.
llem_json llem_json_parse(const char *text);

/// Reads a file as text. The test ends if it cannot be read.
char *llem_read_file(const char *path);

/// Returns the member of this name of an object, or a null value if there is none.
const llem_json *llem_json_at(const llem_json *value, const char *name);

/// Returns a number, or NaN if the value is none. The texts `NaN`, `Infinity` and `-Infinity` are numbers, too.
double llem_json_number(const llem_json *value);

/// Returns a whole number that is not negative, or 0 if the value is none.
uint64_t llem_json_whole(const llem_json *value);

/// Returns a text, or an empty one if the value is none.
const char *llem_json_text(const llem_json *value);

#endif
