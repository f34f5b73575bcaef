/* SPDX-License-Identifier: MIT */
/*
 * trace.c - `weir trace`: prints, filters and counts what `-trace` wrote, and finds where two
 * traces part.
 */
#include "tool.h"

#include <weir/machine.h>
#include <weir/trace.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BAR_FROM_BYTES (8u << 20) /* files shorter than that are read at once */
#define NAMES_MAX      4096u

struct trace {
    const char *file[2];
    unsigned files;
    bool count, quiet, intel, usage;
    unsigned kinds; /* bits by enum weir_trace_kind */
    uint64_t first, last, data_first, data_last, limit, cr3;
    bool by_data, by_cr3;
    int cpl;
    bool bar_shown;
};

static const char usage[] =
    "usage: weir trace [options] FILE            print a trace\n"
    "       weir trace --count [options] FILE    count its instructions and events by name\n"
    "       weir trace FILE FILE                 where two traces part\n"
    "options: --kind=insn|memory|event[,...]  --pc=FIRST-LAST  --data=FIRST-LAST (memory)\n"
    "         --cr3=N  --cpl=N  --limit=N (records)  -M att|intel  --quiet (no progress bar)\n";

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "weir: trace: %s: %s\n", what, why);
    return 1;
}

/* ---- arguments ---- */

static bool set_range(const char *text, uint64_t *first, uint64_t *last)
{
    char copy[64];
    snprintf(copy, sizeof(copy), "%s", text);
    char *dash = strchr(copy, '-');
    if (dash)
        *dash = 0;
    return parse_u64(copy, first) &&
           (dash ? parse_u64(dash + 1, last) : (*last = *first, true)) && *first <= *last;
}

static bool set_kinds(struct trace *t, const char *text)
{
    static const char *const names[] = {"insn", "memory", "event"};
    t->kinds = 0;
    while (*text) {
        size_t length = strcspn(text, ",");
        unsigned k = 0;
        while (k < ARRAY_SIZE(names) &&
               (strlen(names[k]) != length || strncmp(names[k], text, length)))
            k++;
        if (k == ARRAY_SIZE(names))
            return false;
        t->kinds |= 1u << k;
        text += length + (text[length] == ',');
    }
    return t->kinds;
}

static bool set_option(struct trace *t, const char *name, const char *value)
{
    uint64_t n;
    if (!strcmp(name, "--kind"))
        return set_kinds(t, value);
    if (!strcmp(name, "--pc"))
        return set_range(value, &t->first, &t->last);
    if (!strcmp(name, "--data"))
        return (t->by_data = set_range(value, &t->data_first, &t->data_last));
    if (!strcmp(name, "--limit"))
        return parse_u64(value, &t->limit);
    if (!strcmp(name, "--cr3"))
        return (t->by_cr3 = parse_u64(value, &t->cr3));
    if (!strcmp(name, "--cpl")) {
        bool ok = parse_u64(value, &n) && n < 4;
        t->cpl = (int)n;
        return ok;
    }
    t->intel = !strcmp(value, "intel");
    return !strcmp(name, "-M") && (t->intel || !strcmp(value, "att"));
}

static bool parse(struct trace *t, int argc, char **argv)
{
    for (int k = 1; k < argc; k++) {
        char name[16];
        const char *equals = strchr(argv[k], '=');
        if (argv[k][0] != '-') {
            if (t->files == 2)
                return false;
            t->file[t->files++] = argv[k];
            continue;
        }
        if (!strcmp(argv[k], "--count") || !strcmp(argv[k], "--quiet")) {
            t->count |= argv[k][2] == 'c';
            t->quiet |= argv[k][2] == 'q';
            continue;
        }
        if (!strcmp(argv[k], "--help")) {
            t->usage = true;
            continue;
        }
        snprintf(name, sizeof(name), "%.*s",
                 equals ? (int)(equals - argv[k]) : (int)strlen(argv[k]), argv[k]);
        const char *value = equals ? equals + 1 : k + 1 < argc ? argv[++k] : NULL;
        if (!value || !set_option(t, name, value)) {
            fail(argv[k], "not understood");
            return false;
        }
    }
    return t->files || t->usage;
}

/* ---- progress ---- */

static void progress(struct trace *t, const weir_trace_reader *r, bool done)
{
    uint64_t at, size;
    weir_trace_position(r, &at, &size);
    if (t->quiet || size < BAR_FROM_BYTES || !isatty(STDERR_FILENO) ||
        (isatty(STDOUT_FILENO) && !t->count && t->files == 1))
        return;
    unsigned filled = size ? (unsigned)(at * 40 / size) : 40;
    if (done)
        fprintf(stderr, "\r%60s\r", "");
    else
        fprintf(stderr, "\r[%.*s%.*s] %3u %%", (int)filled,
                "########################################", (int)(40 - filled),
                "........................................",
                size ? (unsigned)(at * 100 / size) : 100);
}

/* ---- records ---- */

static bool wanted(const struct trace *t, const struct weir_trace_record *r)
{
    if (!(t->kinds >> r->kind & 1) || r->pc < t->first || r->pc > t->last)
        return false;
    if (t->by_data && (r->kind != WEIR_TRACE_MEMORY || r->gva > t->data_last ||
                       r->gva + r->size <= t->data_first))
        return false;
    return (!t->by_cr3 || !((t->cr3 ^ r->cr3) >> 12)) && (t->cpl < 0 || t->cpl == r->cpl);
}

static void disassemble(const struct trace *t, const struct weir_trace_record *r, char *text,
                        size_t bytes)
{
    if (!r->length ||
        weir_disassemble(r->bytes, r->length, r->bits, r->pc, t->intel, text, bytes) <= 0)
        snprintf(text, bytes, "(not readable)");
}

static void print_event(const struct weir_trace_record *r)
{
    printf("  ! %s %#" PRIx64, weir_event_name(r->event, NULL), r->number);
    for (unsigned k = 0; k < 6; k++)
        if (r->argument[k])
            printf(" %u:%#" PRIx64, k, r->argument[k]);
    printf(" at %" PRIx64 "\n", r->pc);
}

static void print(const struct trace *t, const struct weir_trace_record *r)
{
    char text[128];
    switch (r->kind) {
    case WEIR_TRACE_INSN:
        disassemble(t, r, text, sizeof(text));
        printf("%10" PRIu64 " %u %016" PRIx64 "  %s%s\n", r->count, r->cpl, r->pc, text,
               r->faulted ? "   (faulted)" : "");
        break;
    case WEIR_TRACE_MEMORY:
        printf("  %c %016" PRIx64 " (%" PRIx64 ") %u", r->write ? 'W' : 'R', r->gva, r->gpa,
               r->size);
        if (r->write)
            printf(" = %#" PRIx64, r->value);
        printf("\n");
        break;
    default:
        print_event(r);
    }
}

/* ---- counting ---- */

struct tally {
    char name[40];
    uint64_t count;
};

static void tally_add(struct tally *names, unsigned *count, const char *name)
{
    unsigned hash = 5381;
    for (const char *p = name; *p; p++)
        hash = hash * 33 + (uint8_t)*p;
    for (unsigned k = 0; k < NAMES_MAX; k++) {
        struct tally *n = &names[(hash + k) % NAMES_MAX];
        if (!n->count) {
            if (*count == NAMES_MAX - 1)
                return;
            ++*count;
            snprintf(n->name, sizeof(n->name), "%.39s", name);
        } else if (strcmp(n->name, name)) {
            continue;
        }
        n->count++;
        return;
    }
}

static void tally_record(const struct trace *t, const struct weir_trace_record *r,
                         struct tally *names, unsigned *count)
{
    char text[128];
    if (r->kind == WEIR_TRACE_INSN) {
        disassemble(t, r, text, sizeof(text));
        text[strcspn(text, " ")] = 0;
    } else if (r->kind == WEIR_TRACE_MEMORY) {
        snprintf(text, sizeof(text), "memory %s of %u", r->write ? "write" : "read", r->size);
    } else {
        snprintf(text, sizeof(text), "event %s", weir_event_name(r->event, NULL));
    }
    tally_add(names, count, text);
}

static int by_count(const void *a, const void *b)
{
    const struct tally *x = a, *y = b;
    return x->count > y->count ? -1 : x->count < y->count;
}

/* ---- the commands ---- */

static weir_trace_reader *open_trace(const char *path)
{
    weir_trace_reader *r;
    const char *error;
    if (weir_trace_open(path, &r, &error) < 0)
        fail(path, error);
    return r;
}

static int show(struct trace *t)
{
    static struct tally names[NAMES_MAX];
    struct weir_trace_record record;
    unsigned name_count = 0;
    uint64_t shown = 0, read = 0;
    weir_trace_reader *r = open_trace(t->file[0]);
    if (!r)
        return 1;
    int rc = 0;
    while (shown < t->limit && (rc = weir_trace_next(r, &record)) > 0) {
        if (read++ % 65536 == 0)
            progress(t, r, false);
        if (!wanted(t, &record))
            continue;
        shown++;
        if (t->count)
            tally_record(t, &record, names, &name_count);
        else
            print(t, &record);
    }
    progress(t, r, true);
    bool damaged = shown < t->limit && rc < 0;
    weir_trace_close(r);
    qsort(names, NAMES_MAX, sizeof(names[0]), by_count);
    for (unsigned k = 0; k < name_count; k++)
        printf("%12" PRIu64 " %s\n", names[k].count, names[k].name);
    if (t->count)
        printf("%12" PRIu64 " records\n", shown);
    return damaged ? fail(t->file[0], "cut off or damaged here") : 0;
}

static bool same(const struct weir_trace_record *a, const struct weir_trace_record *b)
{
    return a->kind == b->kind && a->pc == b->pc && a->cpl == b->cpl && a->length == b->length &&
           !memcmp(a->bytes, b->bytes, sizeof(a->bytes)) && a->faulted == b->faulted &&
           a->gva == b->gva && a->size == b->size && a->write == b->write &&
           a->value == b->value && a->event == b->event && a->number == b->number &&
           !memcmp(a->argument, b->argument, sizeof(a->argument));
}

static int next_wanted(const struct trace *t, weir_trace_reader *r,
                       struct weir_trace_record *record)
{
    int rc;
    do
        rc = weir_trace_next(r, record);
    while (rc > 0 && !wanted(t, record));
    return rc;
}

/* Status 0: equal, 1: not. */
static int part(struct trace *t, weir_trace_reader *r[2])
{
    struct weir_trace_record record[2], before = {0};
    for (uint64_t n = 0;; n++) {
        int rc[2];
        if (n % 65536 == 0)
            progress(t, r[0], false);
        for (unsigned k = 0; k < 2; k++)
            rc[k] = next_wanted(t, r[k], &record[k]);
        if (rc[0] <= 0 && rc[1] <= 0) {
            progress(t, r[0], true);
            printf("equal: %" PRIu64 " records\n", n);
            return rc[0] < 0 || rc[1] < 0 ? fail("both", "cut off or damaged here") : 0;
        }
        if (rc[0] > 0 && rc[1] > 0 && same(&record[0], &record[1])) {
            before = record[0].kind == WEIR_TRACE_INSN ? record[0] : before;
            continue;
        }
        progress(t, r[0], true);
        printf("equal for %" PRIu64 " records; the last instruction:\n", n);
        if (before.length)
            print(t, &before);
        for (unsigned k = 0; k < 2; k++) {
            printf("then %s:\n", t->file[k]);
            if (rc[k] > 0)
                print(t, &record[k]);
            else
                printf("  the end\n");
        }
        return 1;
    }
}

int command_trace(int argc, char **argv)
{
    struct trace t = {.kinds = 7, .last = UINT64_MAX, .limit = UINT64_MAX, .cpl = -1};
    if (!parse(&t, argc, argv) || t.usage) {
        fputs(usage, t.usage ? stdout : stderr);
        return !t.usage;
    }
    if (t.files == 1)
        return show(&t);
    weir_trace_reader *r[2] = {open_trace(t.file[0]), open_trace(t.file[1])};
    int status = r[0] && r[1] ? part(&t, r) : 1;
    weir_trace_close(r[0]);
    weir_trace_close(r[1]);
    return status;
}
