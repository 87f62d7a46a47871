// The exports of an experiment.

#include "../host/about.h"
#include "experiment.h"

exports_llem_experiment_script_own_about_t exports_llem_experiment_script_describe(void) {
    llem_about about = llem_the_component.about();
    return wit_about(&about);
}

bool exports_llem_experiment_script_run(exports_llem_experiment_script_error_t *error) {
    return export_result(llem_the_component.run(), error);
}
