/// The C SDK for llem experiments.
///
/// An experiment is a WebAssembly component with two functions: one describes it (its name, parameters and datasets), the
/// other runs it. It runs in the `llem` host, which owns the models, the devices and the energy counters. All that an
/// experiment does goes through calls of the host, which these headers wrap in plain structs and functions.
///
/// Start at:
///
/// - `llem_experiment_run` (experiment.h): runs the phases of an experiment in order.
/// - `llem_model_load_granted` (model.h): loads a model, generates, scores.
/// - `llem_request_from_text` (request.h): prompts, and how their tokens are chosen.
/// - `llem_measurement` (measurement.h): the time, energy and operations of a closed window (meter.h).
/// - `llem_arrivals_apply_to` (request_list.h): sends the requests of a workload at given times.
///
/// Calls that may fail return `llem_result` (error.h). Memory is never freed one by one (memory.h).
#ifndef LLEM_H
#define LLEM_H

#include "llem/about.h"
#include "llem/arrivals.h"
#include "llem/batch.h"
#include "llem/devices.h"
#include "llem/efficiency.h"
#include "llem/error.h"
#include "llem/experiment.h"
#include "llem/flops.h"
#include "llem/goodput.h"
#include "llem/inputs.h"
#include "llem/measurement.h"
#include "llem/memory.h"
#include "llem/meter.h"
#include "llem/model.h"
#include "llem/policy.h"
#include "llem/quantity.h"
#include "llem/report.h"
#include "llem/request.h"
#include "llem/request_list.h"
#include "llem/statistics.h"
#include "llem/steady_state.h"
#include "llem/tokenizer.h"
#include "llem/trial.h"
#include "llem/warmup.h"

#endif
