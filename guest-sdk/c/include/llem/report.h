/// Results and messages of a script. Each is written to the run's journal at once.
#ifndef LLEM_REPORT_H
#define LLEM_REPORT_H

#include "error.h"
#include "quantity.h"

/// The name and value of a label, which distinguishes metrics of one name.
typedef struct llem_label {
    const char *name;
    const char *value;
} llem_label;

LLEM_LIST(llem_labels, llem_label);

/// A named result of the experiment.
typedef struct llem_metric {
    /// The name in snake case: `joules_per_output_token`.
    const char *name;
    /// The value of the metric. The record marks its source as the script's claim.
    llem_quantity quantity;
    /// The labels.
    llem_labels labels;
} llem_metric;

LLEM_LIST(llem_metrics, llem_metric);

/// Adds a metric to a list if the reading is known. A label may be added with `llem_metric_label`.
void llem_metrics_add(llem_metrics *list, const char *name, llem_reading reading);

/// Adds a label to the last metric of a list. Does nothing if the list is empty.
void llem_metrics_label(llem_metrics *list, const char *name, const char *value);

/// A point of a curve.
typedef struct llem_point {
    double x;
    double y;
} llem_point;

LLEM_LIST(llem_points, llem_point);

/// A curve.
typedef struct llem_series {
    /// The name in snake case.
    const char *name;
    /// What the x axis shows, and its unit.
    const char *x, *x_unit;
    /// What the y axis shows, and its unit.
    const char *y, *y_unit;
    /// The points.
    llem_points points;
} llem_series;

LLEM_LIST(llem_rows_of_text, llem_texts);

/// A table of text.
typedef struct llem_table {
    /// The name in snake case.
    const char *name;
    /// The column heads.
    llem_texts columns;
    /// The rows. Each has as many cells as there are column heads.
    llem_rows_of_text rows;
} llem_table;

/// The severity of a log line. The values are those of the contract.
typedef enum llem_level { LLEM_DEBUG, LLEM_INFO, LLEM_WARN, LLEM_ERROR } llem_level;

/// Writes a line to the run's log, formatted as `printf` does.
__attribute__((format(printf, 2, 3))) void llem_log(llem_level level, const char *format, ...);

/// Adds a warning to the record, formatted as `printf` does.
__attribute__((format(printf, 1, 2))) void llem_warn(const char *format, ...);

/// Shows progress to the user: `done` of `total`, which is 0 if it is not known, and what is counted.
void llem_show_progress(uint64_t done, uint64_t total, const char *label);

/// Reports a metric. Fails with `LLEM_INVALID_ARGUMENT` if the name is empty, if the value or uncertainty is not finite,
/// if the uncertainty is negative, if this llem does not know the source, or if the unit has more than 64 bytes or
/// contains control characters.
llem_result llem_add_metric(const llem_metric *metric);

/// Reports a curve. Fails with `LLEM_INVALID_ARGUMENT` if the name is empty, if a coordinate is not finite, or if a unit
/// has more than 64 bytes or contains control characters.
llem_result llem_add_series(const llem_series *series);

/// Reports a table. Fails with `LLEM_INVALID_ARGUMENT` if a row and the column heads differ in length.
llem_result llem_add_table(const llem_table *table);

/// Writes a file into the run's folder. Fails with `LLEM_INVALID_ARGUMENT` if the name is not a single path component,
/// or if an artifact of this name exists.
llem_result llem_write_artifact(const char *name, const void *content, size_t size);

/// A named part of the run. Phases nest.
typedef struct llem_phase {
    int32_t handle;
} llem_phase;

/// Begins a phase inside the open one.
llem_result llem_phase_begin(const char *name, llem_phase *phase);

/// Ends the phase, and with it all phases that are still open inside.
llem_result llem_phase_end(llem_phase phase);

#endif
