#include "variates.h"

#include <math.h>

/// 2 pi, rounded to the nearest double.
static const double TAU = 6.283185307179586476925;

double llem_exponential_variate(llem_uniform_source uniform) {
    return -log1p(-uniform.next(uniform.self));
}

double llem_normal_variate(llem_uniform_source uniform) {
    double radius = sqrt(2.0 * llem_exponential_variate(uniform));
    return radius * cos(TAU * uniform.next(uniform.self));
}
