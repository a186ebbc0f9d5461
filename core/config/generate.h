/* What is written from the schema table. */
#ifndef CONFIG_GENERATE_H
#define CONFIG_GENERATE_H

#include "config/schema.h"

#include <stdio.h>

void cfg_generate_example(const struct cfg_schema *s, FILE *out);
void cfg_generate_json(const struct cfg_schema *s, FILE *out);

#endif
