/* Runs one Noise test vector of the common JSON form through core/noise. */
#ifndef TESTS_VECTOR_RUN_H
#define TESTS_VECTOR_RUN_H

#include <jansson.h>

enum vector_result { VECTOR_PASSED, VECTOR_SKIPPED, VECTOR_FAILED };

/* ret_why: a sentence, for what is not VECTOR_PASSED. */
enum vector_result vector_run(json_t *vector, char *ret_why, size_t cap);

#endif
