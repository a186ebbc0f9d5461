/* noise-vectors FILE: runs a file of Noise test vectors and says what passed. */
#include "vector_run.h"

#include "noise/aead.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXIT_SKIP 77 /* for ctest */

static int run_file(json_t *vectors)
{
    unsigned counts[3] = {0};
    json_t *v;
    size_t i;
    json_array_foreach(vectors, i, v)
    {
        static const char *const words[] = {"passed", "skipped", "FAILED"};
        const char *name = json_string_value(json_object_get(v, "protocol_name"));
        char why[160];
        enum vector_result r = vector_run(v, why, sizeof why);
        counts[r]++;
        printf("%-44s %s%s%s\n", name ? name : "?", words[r], r == VECTOR_PASSED ? "" : ": ",
            r == VECTOR_PASSED ? "" : why);
    }
    printf("%u passed, %u skipped, %u failed\n", counts[VECTOR_PASSED], counts[VECTOR_SKIPPED],
        counts[VECTOR_FAILED]);
    return counts[VECTOR_FAILED] > 0 || counts[VECTOR_PASSED] == 0;
}

int main(int argc, char **argv)
{
    json_error_t e;
    if (argc != 2) {
        fprintf(stderr, "usage: noise-vectors FILE\n");
        return 2;
    }
    if (access(argv[1], R_OK) != 0) {
        printf("SKIP: %s is not here\n", argv[1]);
        return EXIT_SKIP;
    }
    json_t *file = json_load_file(argv[1], 0, &e);
    if (!file) {
        fprintf(stderr, "%s:%d:%d: %s\n", argv[1], e.line, e.column, e.text);
        return 1;
    }
    printf("sealing: %s\n", aead_init());
    int ret = run_file(json_is_array(file) ? file : json_object_get(file, "vectors"));
    json_decref(file);
    return ret;
}
