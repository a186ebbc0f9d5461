/* The results as a table for people and as JSON for programs. */
#include "check/tool/tool.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const words[] = {"not run", "passed", "FAILED"};
static const char *const json_words[] = {"not_run", "passed", "failed"};

static void totals(const struct shown *list, unsigned count, unsigned ret[3])
{
    ret[0] = ret[1] = ret[2] = 0;
    for (unsigned i = 0; i < count; i++)
        ret[list[i].report.result]++;
}

void show_text(const struct subject *s, const struct shown *list, unsigned count)
{
    unsigned sum[3];
    printf("%s: ", s->name);
    if (s->note.id[0]) /* else it has none that can be read */
        printf("%s %s, ", s->note.id, s->note.version);
    printf("seed %llu\n", (unsigned long long)s->seed);
    for (unsigned i = 0; i < count; i++) {
        const struct try_report *r = &list[i].report;
        printf("  %-22s %-8s %5u ms", list[i].row->name, words[r->result], list[i].ms);
        if (r->cases)
            printf("  %u cases", r->cases);
        printf("\n");
        if (r->why[0])
            printf("      %s %s\n", r->result == TRY_PASSED ? "but:" : "why:", r->why);
        if (r->remedy[0])
            printf("      do:  %s\n", r->remedy);
    }
    totals(list, count, sum);
    printf(
        "%u passed, %u failed, %u not run\n", sum[TRY_PASSED], sum[TRY_FAILED], sum[TRY_NOT_RUN]);
}

int show_json(const struct subject *s, const struct shown *list, unsigned count)
{
    unsigned sum[3];
    json_t *rows = json_array();
    for (unsigned i = 0; i < count; i++) {
        const struct try_report *r = &list[i].report;
        json_array_append_new(
            rows, json_pack("{s:s, s:s, s:s, s:s, s:i, s:i}", "check", list[i].row->name, "result",
                      json_words[r->result], "why", r->why, "remedy", r->remedy, "ms",
                      (int)list[i].ms, "cases", (int)r->cases));
    }
    totals(list, count, sum);
    json_t *all = json_pack("{s:i, s:s, s:s, s:s, s:I, s:i, s:i, s:i, s:o}", "format", 1, "file",
        s->name, "id", s->note.id, "version", s->note.version, "seed", (json_int_t)s->seed,
        "passed", (int)sum[TRY_PASSED], "failed", (int)sum[TRY_FAILED], "not_run",
        (int)sum[TRY_NOT_RUN], "checks", rows);
    int bad = !all || json_dumpf(all, stdout, JSON_INDENT(2)) != 0;
    printf("\n");
    json_decref(all);
    return bad;
}
