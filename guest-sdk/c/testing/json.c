#include "json.h"
#include "llem/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void skip_space(const char **at) {
    *at += strspn(*at, " \t\r\n");
}

static void take(const char **at, const char *word) {
    size_t length = strlen(word);
    if (strncmp(*at, word, length) != 0) {
        llem_abort("JSON: '%s' is expected at '%.20s'", word, *at);
    }
    *at += length;
}

static unsigned hexadecimal(const char **at) {
    char digits[5] = {0};
    for (size_t index = 0; index < 4 && (*at)[index] != '\0'; index++) {
        digits[index] = (*at)[index];
    }
    char *end;
    unsigned long code = strtoul(digits, &end, 16);
    if (end != digits + 4) {
        llem_abort("JSON: four hexadecimal digits are expected at '%.20s'", *at);
    }
    *at += 4;
    return (unsigned)code;
}

/// Writes a code point as UTF-8, and returns the position after it.
static char *write_code_point(char *to, unsigned code) {
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    int length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (int index = length - 1; index > 0; index--) {
        to[index] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    to[0] = (char)(marks[length] | code);
    return to + length;
}

static const char *parse_text(const char **at) {
    take(at, "\"");
    // Escaped characters are not shorter than what they stand for.
    const char *end = *at;
    while (*end != '"' && *end != '\0') {
        end += *end == '\\' && end[1] != '\0' ? 2 : 1;
    }
    char *text = llem_alloc((size_t)(end - *at) + 1), *to = text;
    while (**at != '"' && **at != '\0') {
        char byte = *(*at)++;
        if (byte != '\\') {
            *to++ = byte;
            continue;
        }
        char escape = *(*at)++;
        const char *known = strchr("b\bf\fn\nr\rt\t", escape);
        if (escape == 'u') {
            unsigned code = hexadecimal(at);
            if (code >= 0xD800 && code < 0xDC00) {
                take(at, "\\u");
                code = 0x10000 + ((code - 0xD800) << 10) + (hexadecimal(at) - 0xDC00);
            }
            to = write_code_point(to, code);
        } else {
            *to++ = known != NULL && escape >= 'b' ? known[1] : escape;
        }
    }
    take(at, "\"");
    return text;
}

static llem_json parse_value(const char **at);

static llem_json parse_list(const char **at) {
    llem_json list = {.kind = LLEM_JSON_LIST};
    take(at, "[");
    skip_space(at);
    while (**at != ']') {
        if (list.items.count > 0) {
            take(at, ",");
        }
        llem_push(&list.items, parse_value(at));
        skip_space(at);
    }
    take(at, "]");
    return list;
}

static llem_json parse_object(const char **at) {
    llem_json object = {.kind = LLEM_JSON_OBJECT};
    take(at, "{");
    skip_space(at);
    while (**at != '}') {
        if (object.members.count > 0) {
            take(at, ",");
            skip_space(at);
        }
        llem_json_member member = {.name = parse_text(at)};
        skip_space(at);
        take(at, ":");
        member.value = parse_value(at);
        llem_push(&object.members, member);
        skip_space(at);
    }
    take(at, "}");
    return object;
}

static llem_json parse_value(const char **at) {
    skip_space(at);
    switch (**at) {
    case '{':
        return parse_object(at);
    case '[':
        return parse_list(at);
    case '"':
        return (llem_json){.kind = LLEM_JSON_TEXT, .text = parse_text(at)};
    case 't':
        take(at, "true");
        return (llem_json){.kind = LLEM_JSON_BOOLEAN, .boolean = true};
    case 'f':
        take(at, "false");
        return (llem_json){.kind = LLEM_JSON_BOOLEAN};
    case 'n':
        take(at, "null");
        return (llem_json){.kind = LLEM_JSON_NULL};
    default: {
        size_t length = strspn(*at, "+-.0123456789eE");
        if (length == 0) {
            llem_abort("JSON: a value is expected at '%.20s'", *at);
        }
        llem_json number = {.kind = LLEM_JSON_NUMBER, .text = llem_format("%.*s", (int)length, *at)};
        *at += length;
        return number;
    }
    }
}

llem_json llem_json_parse(const char *text) {
    llem_json value = parse_value(&text);
    skip_space(&text);
    if (*text != '\0') {
        llem_abort("JSON: nothing more is expected at '%.20s'", text);
    }
    return value;
}

char *llem_read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        llem_abort("%s cannot be read", path);
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = llem_alloc((size_t)size + 1);
    bool is_whole = fread(text, 1, (size_t)size, file) == (size_t)size;
    fclose(file);
    if (!is_whole) {
        llem_abort("%s cannot be read", path);
    }
    return text;
}

const llem_json *llem_json_at(const llem_json *value, const char *name) {
    static const llem_json null;
    for (size_t index = 0; index < value->members.count; index++) {
        if (strcmp(value->members.items[index].name, name) == 0) {
            return &value->members.items[index].value;
        }
    }
    return &null;
}

double llem_json_number(const llem_json *value) {
    return value->text != NULL ? strtod(value->text, NULL) : NAN;
}

uint64_t llem_json_whole(const llem_json *value) {
    return value->kind == LLEM_JSON_NUMBER ? strtoull(value->text, NULL, 10) : 0;
}

const char *llem_json_text(const llem_json *value) {
    return value->kind == LLEM_JSON_TEXT ? value->text : "";
}
