/// Numbers of continuous distributions, from uniform random numbers.
#ifndef VARIATES_H
#define VARIATES_H

#include "llem/arrivals.h"

/// Draws from the exponential distribution of mean 1 by inverting its distribution function. The logarithm is finite
/// because uniform numbers are below 1.
double llem_exponential_variate(llem_uniform_source uniform);

/// Draws from the standard normal distribution (Box and Muller, Annals of Mathematical Statistics 29(2), 1958).
double llem_normal_variate(llem_uniform_source uniform);

#endif
