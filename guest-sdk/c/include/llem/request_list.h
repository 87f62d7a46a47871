/// Workloads: a list of requests, and requests that arrive at given times.
#ifndef LLEM_REQUEST_LIST_H
#define LLEM_REQUEST_LIST_H

#include "arrivals.h"
#include "policy.h"

/// Options of a workload that runs a list of requests in order, once or several times.
typedef struct llem_request_list_options {
    /// The requests.
    llem_requests requests;
    /// How often the whole list is run. 0 means once. Repetitions of a request are thus spread over the run, so that
    /// drift affects all requests alike.
    size_t rounds;
} llem_request_list_options;

/// Creates a workload that runs a list of requests.
llem_workload_policy llem_request_list(llem_request_list_options options);

/// Removes requests that do not fit the model's context, and adds a warning to the record if there are any.
llem_result llem_requests_fitting(llem_requests *requests, llem_model model);

/// Sends the requests of a workload at the times of an arrival process, in a continuous batch.
llem_workload_policy llem_arrivals_apply_to(llem_arrivals arrivals, llem_workload_policy workload,
                                            llem_batch_options options);

#endif
