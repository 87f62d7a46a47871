// The frame of the generated guest: the writer of answers, `describe` and `run`. `calls.c` holds the generated calls.
#include <stdlib.h>
#include <string.h>

#include "experiment.h"

static char *answers;
static size_t length, capacity;

static void put(const char *text, size_t count) {
  if (length + count > capacity) {
    capacity = 2 * (length + count);
    answers = realloc(answers, capacity);
  }
  memcpy(answers + length, text, count);
  length += count;
}

static void put_digits(uint64_t value) {
  char digits[20];
  size_t at = sizeof digits;
  do digits[--at] = '0' + value % 10;
  while (value /= 10);
  put(digits + at, sizeof digits - at);
}

static void put_hex(uint64_t value, int digits) {
  while (digits-- > 0) put(&"0123456789abcdef"[value >> (4 * digits) & 15], 1);
}

// Returns a text of `times` copies. It is not freed, because the guest ends soon.
static experiment_string_t text(const char *bytes, size_t count, size_t times) {
  experiment_string_t made = {malloc(count * times + 1), count * times};
  for (size_t at = 0; at < times; at++) memcpy(made.ptr + at * count, bytes, count);
  return made;
}

static void write_bool(bool *v) { put(*v ? "true" : "false", *v ? 4 : 5); }
static void write_u32(uint32_t *v) { put_digits(*v); }

static void write_u64(uint64_t *v) {
  put("\"", 1);
  put_digits(*v);
  put("\"", 1);
}

static void write_s64(int64_t *v) {
  put("\"-", *v < 0 ? 2 : 1);
  put_digits(*v < 0 ? -(uint64_t)*v : (uint64_t)*v);
  put("\"", 1);
}

static void write_f32(float *v) {
  uint32_t bits;
  memcpy(&bits, v, sizeof bits);
  put("\"f32:", 5);
  if (*v != *v) put("nan", 3);
  else put_hex(bits, 8);
  put("\"", 1);
}

static void write_f64(double *v) {
  uint64_t bits;
  memcpy(&bits, v, sizeof bits);
  put("\"f64:", 5);
  if (*v != *v) put("nan", 3);
  else put_hex(bits, 16);
  put("\"", 1);
}

static void write_string(experiment_string_t *v) {
  put("\"", 1);
  for (size_t at = 0; at < v->len; at++) {
    uint8_t byte = v->ptr[at];
    if (byte == '"' || byte == '\\' || byte < 32) {
      put("\\u", 2);
      put_hex(byte, 4);
    } else {
      put((char *)&v->ptr[at], 1);
    }
  }
  put("\"", 1);
}

#include "calls.c"

static experiment_string_t literal(const char *words) { return text(words, strlen(words), 1); }

typedef llem_experiment_description_parameter_t parameter_t;

exports_llem_experiment_script_own_about_t exports_llem_experiment_script_describe(void) {
  experiment_string_t name = literal("conformance"), version = literal("0.1.0");
  experiment_string_t summary = literal("Calls every function of the contract.");
  llem_experiment_description_own_about_t about =
      llem_experiment_description_constructor_about(&name, &version, &summary);
  parameter_t parameters[] = {
      {literal("whole"), literal("a whole number"), {LLEM_EXPERIMENT_TYPES_VALUE_INTEGER, {.integer = -3}}},
      {literal("number"), literal("a number"), {LLEM_EXPERIMENT_TYPES_VALUE_NUMBER, {.number = 0.1}}},
      {literal("flag"), literal("true or false"), {LLEM_EXPERIMENT_TYPES_VALUE_BOOLEAN, {.boolean = true}}},
      {literal("text"), literal("a text"),
       {LLEM_EXPERIMENT_TYPES_VALUE_TEXT, {.text = literal("h\u00e9llo \U0001f980")}}},
  };
  for (size_t at = 0; at < 4; at++) {
    llem_experiment_description_method_about_add_parameter(llem_experiment_description_borrow_about(about),
                                                           &parameters[at]);
  }
  llem_experiment_description_dataset_input_t rows = {literal("rows"), literal("the rows that are read"), false};
  llem_experiment_description_method_about_add_dataset(llem_experiment_description_borrow_about(about), &rows);
  return about;
}

bool exports_llem_experiment_script_run(exports_llem_experiment_script_error_t *error) {
  cases();
  experiment_string_t name = literal("answers.jsonl");
  experiment_list_u8_t content = {(uint8_t *)answers, length};
  return llem_experiment_report_write_artifact(&name, &content, (llem_experiment_report_error_t *)error);
}
