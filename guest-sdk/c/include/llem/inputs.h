/// Parameters, datasets and random numbers: what the user gives to the experiment on the command line.
#ifndef LLEM_INPUTS_H
#define LLEM_INPUTS_H

#include "arrivals.h"
#include "error.h"
#include "lengths.h"
#include "request.h"

/// Returns the value of a declared parameter. Fails with `LLEM_NOT_FOUND` if `about` did not declare it.
llem_result llem_parameter(const char *name, llem_value *value);

/// Returns the value of a parameter that holds a whole number. Like the functions below, it fails with
/// `LLEM_INVALID_ARGUMENT` if the value does not fit the type.
llem_result llem_parameter_i64(const char *name, int64_t *value);
/// Returns the value of a parameter that holds a whole number, not negative and below 2^32.
llem_result llem_parameter_u32(const char *name, uint32_t *value);
/// Returns the value of a parameter that holds a number, whole or not.
llem_result llem_parameter_f64(const char *name, double *value);
/// Returns the value of a parameter that holds text.
llem_result llem_parameter_text(const char *name, const char **value);
/// Returns the value of a parameter that is true or false.
llem_result llem_parameter_bool(const char *name, bool *value);

/// Returns the value of a parameter that holds a whole number from `minimum` to `maximum`, both included. `INT64_MAX` means
/// that there is no maximum. Fails with `LLEM_INVALID_ARGUMENT` and the range if the number is out of it.
llem_result llem_parameter_i64_within(const char *name, int64_t minimum, int64_t maximum, int64_t *value);
/// Returns the value of a parameter that holds a whole number in a range. `UINT32_MAX` means that there is no maximum.
llem_result llem_parameter_u32_within(const char *name, uint32_t minimum, uint32_t maximum, uint32_t *value);
/// Returns the value of a parameter that holds a number in a range. `INFINITY` means that there is no maximum.
llem_result llem_parameter_f64_within(const char *name, double minimum, double maximum, double *value);

/// Returns the value of a text parameter that holds whole numbers above 0, separated by commas.
llem_result llem_parameter_sizes(const char *name, llem_tokens *sizes);

/// Returns the run's seed.
uint64_t llem_seed(void);

/// A field of a dataset row.
typedef struct llem_field {
    const char *name;
    llem_value value;
} llem_field;

LLEM_LIST(llem_fields, llem_field);

/// A row of a dataset.
typedef struct llem_row {
    /// The zero-based position of the row.
    uint64_t index;
    /// The fields, in the order of the file.
    llem_fields fields;
} llem_row;

LLEM_LIST(llem_rows, llem_row);

/// Returns a field as a type. Cells of CSV files are text and are parsed here: `007` is 7 as a number and stays `007` as
/// text. Fails with `LLEM_INVALID_ARGUMENT` if the row has no such field or if its value does not fit.
llem_result llem_row_i64(const llem_row *row, const char *name, int64_t *value);
/// Returns a field as a whole number that is not negative.
llem_result llem_row_u64(const llem_row *row, const char *name, uint64_t *value);
/// Returns a field as a finite number.
llem_result llem_row_f64(const llem_row *row, const char *name, double *value);
/// Returns a field as text.
llem_result llem_row_text(const llem_row *row, const char *name, const char **value);
/// Returns a field as true or false, in upper or lower case.
llem_result llem_row_bool(const llem_row *row, const char *name, bool *value);

/// A dataset that the user granted with `--dataset name=file`.
typedef struct llem_dataset {
    int32_t handle;
} llem_dataset;

/// Opens a granted dataset. Fails with `LLEM_NOT_GRANTED` if no `--dataset` names it.
llem_result llem_dataset_open(const char *name, llem_dataset *dataset);

/// Opens a dataset if it was granted. Fails if a granted file cannot be read.
llem_result llem_dataset_open_if_granted(const char *name, bool *is_granted, llem_dataset *dataset);

/// Returns the next row. `has_row` is false at the end.
llem_result llem_dataset_next(llem_dataset dataset, bool *has_row, llem_row *row);

/// Returns at most `most` of the next rows. The list is empty at the end.
llem_result llem_dataset_next_rows(llem_dataset dataset, uint32_t most, llem_rows *rows);

/// Returns the total number of rows. A file format that does not store it is read once to count them.
llem_result llem_dataset_length(llem_dataset dataset, uint64_t *length);

/// Goes back to the first row.
llem_result llem_dataset_rewind(llem_dataset dataset);

/// Closes the dataset.
void llem_dataset_close(llem_dataset dataset);

/// Opens a column of a dataset and returns its texts. `parameter` is the name of the text parameter that names the column
/// (`-p prompt-column=question`). In a ShareGPT file the column `prompt` is the first turn of each conversation that has
/// at least two turns. Fails at the first cell that is null, a list, an object, a number or empty, and names its
/// position.
llem_result llem_texts_if_granted(const char *dataset, const char *parameter, bool *is_granted, llem_texts *texts);

/// A named stream of random numbers (ChaCha8) from the run's seed. The same name and seed give the same numbers on every
/// machine.
typedef struct llem_random {
    int32_t handle;
} llem_random;

/// Opens the stream of this name at its beginning.
llem_random llem_random_new(const char *name);

/// Returns the next number, uniform over all values of a `uint64_t`.
uint64_t llem_random_next_u64(llem_random random);

/// Returns the next number, uniform in [0, 1), with 53 random bits.
double llem_random_next_f64(llem_random random);

/// Returns the results of `count` calls of `llem_random_next_u64`, in one call of the host.
llem_result llem_random_many_u64(llem_random random, uint32_t count, llem_times *numbers);

/// Returns the results of `count` calls of `llem_random_next_f64`, in one call of the host.
llem_result llem_random_many_f64(llem_random random, uint32_t count, llem_numbers *numbers);

/// Returns `count` token ids below `vocabulary`, each with the same probability.
llem_result llem_random_tokens(llem_random random, uint32_t count, uint32_t vocabulary, llem_tokens *tokens);

/// Returns `count` of the items, each drawn from all of them with the same probability. Fails with `LLEM_INVALID_ARGUMENT`
/// if there are no items.
llem_result llem_random_pick(llem_random random, size_t count, const llem_tokens *items, llem_tokens *picked);

/// Returns `count` different whole numbers below `population`, in random order: drawn without replacement. Fails with
/// `LLEM_INVALID_ARGUMENT` if `population` is smaller than `count`.
llem_result llem_random_sample(llem_random random, uint32_t count, uint32_t population, llem_tokens *numbers);

/// Puts `count` items of `size` bytes into random order. Each order has the same probability.
void llem_random_shuffle(llem_random random, void *items, size_t count, size_t size);

/// Returns the stream as a source of uniform random numbers. The pointer must stay valid.
llem_uniform_source llem_random_source(llem_random *random);

/// Creates the arrivals of a trace whose times, in s from the beginning of the measurement, are a column of a dataset.
llem_result llem_arrivals_trace_from_dataset(const char *dataset, const char *column, llem_arrivals *arrivals);

#endif
