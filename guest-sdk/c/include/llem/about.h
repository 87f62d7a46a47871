/// The description of an experiment or a policy, and the macros that make a program a component.
#ifndef LLEM_ABOUT_H
#define LLEM_ABOUT_H

#include "policy.h"

/// A parameter that can be set with `-p name=value`.
typedef struct llem_about_parameter {
    /// The name in kebab case.
    const char *name;
    /// One line of help for the user.
    const char *summary;
    /// The value if the parameter is not set. Its kind is the type of the parameter.
    llem_value default_value;
} llem_about_parameter;

/// A dataset that can be granted with `--dataset name=file`.
typedef struct llem_about_dataset {
    /// The name in kebab case.
    const char *name;
    /// One line of help for the user.
    const char *summary;
    /// Whether the host refuses the run without the dataset.
    bool required;
} llem_about_dataset;

LLEM_LIST(llem_about_parameters, llem_about_parameter);
LLEM_LIST(llem_about_datasets, llem_about_dataset);

/// The description of an experiment or a policy: its name, parameters and datasets.
typedef struct llem_about {
    /// The name in kebab case.
    const char *name;
    /// The version of the script.
    const char *version;
    /// One line that says what the script is for.
    const char *summary;
    /// The parameters.
    llem_about_parameters parameters;
    /// The datasets.
    llem_about_datasets datasets;
    /// Whether WASI's clocks (`time`, `clock_gettime`) follow the host's monotonic clock. By default they are seeded:
    /// the same in every run.
    bool monotonic_clocks;
} llem_about;

/// Creates a description without parameters or datasets, with seeded clocks.
llem_about llem_about_new(const char *name, const char *version, const char *summary);

/// Adds a parameter that holds a whole number.
void llem_about_integer(llem_about *about, const char *name, int64_t default_value, const char *summary);

/// Adds a parameter that holds a number.
void llem_about_number(llem_about *about, const char *name, double default_value, const char *summary);

/// Adds a parameter that holds text.
void llem_about_text(llem_about *about, const char *name, const char *default_value, const char *summary);

/// Adds a parameter that is true or false.
void llem_about_boolean(llem_about *about, const char *name, bool default_value, const char *summary);

/// Adds a dataset that the user may grant.
void llem_about_add_dataset(llem_about *about, const char *name, const char *summary);

/// Adds a dataset without which the host refuses the run.
void llem_about_add_required_dataset(llem_about *about, const char *name, const char *summary);

/// The functions of a component: the description, and one of the others.
typedef struct llem_component {
    /// Returns the description.
    llem_about (*about)(void);
    /// Runs the experiment.
    llem_result (*run)(void);
    /// Creates the policy of a warm-up component.
    llem_warmup_policy (*warmup)(void);
    /// Creates the policy of a workload component.
    llem_workload_policy (*workload)(void);
    /// Creates the policy of a metrics component.
    llem_metrics_policy (*metrics)(void);
} llem_component;

/// The component that one of the macros below defines.
extern const llem_component llem_the_component;

/// Makes the program an experiment: `LLEM_EXPERIMENT(about, run);` takes a function `llem_about about(void)` and a function
/// `llem_result run(void)`.
#define LLEM_EXPERIMENT(about_function, run_function)                                                                   \
    const llem_component llem_the_component = {.about = (about_function), .run = (run_function)}

/// Makes the program a warm-up policy: `LLEM_WARMUP(about, policy);` takes a function that creates the policy.
#define LLEM_WARMUP(about_function, policy_function)                                                                    \
    const llem_component llem_the_component = {.about = (about_function), .warmup = (policy_function)}

/// Makes the program a workload policy: `LLEM_WORKLOAD(about, policy);` takes a function that creates the policy.
#define LLEM_WORKLOAD(about_function, policy_function)                                                                  \
    const llem_component llem_the_component = {.about = (about_function), .workload = (policy_function)}

/// Makes the program a metrics policy: `LLEM_METRICS(about, policy);` takes a function that creates the policy.
#define LLEM_METRICS(about_function, policy_function)                                                                   \
    const llem_component llem_the_component = {.about = (about_function), .metrics = (policy_function)}

#endif
