/* SPDX-License-Identifier: MIT */
/* monitor_debug.c - break, watch, delete, step, trace; info walk, info events. See debug.h. */
#include "debug.h"
#include "monitor.h"

#include <weir/inspect.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void report(struct command_call *c, int error)
{
    if (error < 0)
        text_printf(c->out, "Error: %s\n", tool_error(c->tool));
}

/* ---- texts ---- */

bool debug_symbol(struct tool *t, const char *name, uint64_t *address)
{
    return t->vm && weir_symbol_find(t->vm, name, address, NULL) >= 0;
}

static void place_text(weir *vm, uint64_t pc, char *text, size_t bytes)
{
    uint64_t offset = 0;
    const char *name = weir_symbol_at(vm, pc, &offset);
    *text = 0;
    if (name && offset)
        snprintf(text, bytes, " <%.80s+0x%llx>", name, (unsigned long long)offset);
    else if (name)
        snprintf(text, bytes, " <%.80s>", name);
}

void debug_insn_text(weir_vcpu *cpu, uint64_t pc, char *text, size_t bytes)
{
    uint8_t code[15];
    char insn[96] = "(not mapped)", place[120];
    size_t length = sizeof(code);
    while (length && weir_virt_read(cpu, pc, code, length) < 0)
        length--;
    if (length && weir_disassemble(code, length, (unsigned)weir_code_bits(cpu), pc, false, insn,
                                   sizeof(insn)) <= 0)
        snprintf(insn, sizeof(insn), "(bad)");
    place_text(weir_vcpu_vm(cpu), pc, place, sizeof(place));
    snprintf(text, bytes, "0x%llx%s: %s", (unsigned long long)pc, place, insn);
}

void debug_notice(struct tool *t, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    pthread_mutex_lock(&t->event_lock);
    if (text && t->notice_count < ARRAY_SIZE(t->notices)) {
        t->notices[t->notice_count++] = text;
        text = NULL;
    }
    pthread_mutex_unlock(&t->event_lock);
    free(text);
    loop_wake(&t->loop);
}

char *debug_next_notice(struct tool *t)
{
    char *text = NULL;
    pthread_mutex_lock(&t->event_lock);
    if (t->notice_count) {
        text = t->notices[0];
        memmove(t->notices, t->notices + 1, --t->notice_count * sizeof(t->notices[0]));
    }
    pthread_mutex_unlock(&t->event_lock);
    return text;
}

/* ---- handlers, in the vCPU's thread ---- */

static void count_hit(struct debug_point *p)
{
    __atomic_add_fetch(&p->hits, 1, __ATOMIC_RELAXED);
}

static unsigned on_breakpoint(void *ctx, weir_vcpu *cpu, struct weir_breakpoint_event *event)
{
    struct debug_point *p = ctx;
    char text[256];
    count_hit(p);
    debug_insn_text(cpu, event->head.pc, text, sizeof(text));
    debug_notice(p->tool, "breakpoint %u at %s\n", p->number, text);
    return WEIR_PAUSE;
}

static unsigned on_access(void *ctx, weir_vcpu *cpu, struct weir_memory_event *event)
{
    struct debug_point *p = ctx;
    char text[256];
    count_hit(p);
    debug_insn_text(cpu, event->head.pc, text, sizeof(text));
    debug_notice(p->tool, "watch %u: %s of %u bytes at 0x%llx by %s\n", p->number,
                 event->write ? "write" : "read", event->size,
                 (unsigned long long)(p->physical ? event->gpa : event->gva), text);
    return WEIR_PAUSE;
}

static void log_line(struct tool *t, const char *format, ...) WEIR_PRINTF(2, 3);
static void log_line(struct tool *t, const char *format, ...)
{
    char line[400];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (n > 0)
        tool_log(t, WEIR_LOG_STEP, line,
                 (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

static unsigned on_trace(void *ctx, weir_vcpu *cpu, const struct weir_memory_event *access,
                         const struct weir_execute_event *execute,
                         const struct weir_step_event *step)
{
    struct debug_point *p = ctx;
    char text[256];
    const struct weir_event *head = access    ? &access->head
                                    : execute ? &execute->head
                                              : &step->head;
    if (!step)
        count_hit(p);
    debug_insn_text(cpu, step ? step->from : head->pc, text, sizeof(text));
    if (access)
        log_line(p->tool, "trace %u: %s of %u bytes at 0x%llx by %s\n", p->number,
                 access->write ? "write" : "read", access->size,
                 (unsigned long long)access->gva, text);
    else if (execute)
        log_line(p->tool, "trace %u: executes %s\n", p->number, text);
    else
        log_line(p->tool, "trace %u:  %5llu %s\n", p->number, (unsigned long long)step->count,
                 text);
    return WEIR_CONTINUE;
}

/* ---- the list ---- */

static struct debug_point *add_point(struct command_call *c, enum debug_kind kind)
{
    struct debug_point *p = calloc(1, sizeof(*p)), **end = &c->tool->points;
    if (!p) {
        text_printf(c->out, "Error: out of memory\n");
        return NULL;
    }
    while (*end)
        end = &(*end)->next;
    *p = (struct debug_point){.tool = c->tool,
                              .number = ++c->tool->point_count,
                              .kind = kind,
                              .address = (uint64_t)c->args[0].number,
                              .length = 1};
    *end = p;
    return p;
}

static void remove_point(struct tool *t, struct debug_point **at)
{
    struct debug_point *p = *at;
    if (p->handle && t->vm)
        weir_event_remove(t->vm, p->handle);
    *at = p->next;
    free(p);
}

/* Keeps a point whose registration gave no error; else tells it. */
static bool keep(struct command_call *c, struct debug_point *p, int error)
{
    struct debug_point **at = &c->tool->points;
    if (error >= 0)
        return true;
    report(c, error);
    p->handle = 0;
    while (*at != p)
        at = &(*at)->next;
    remove_point(c->tool, at);
    return false;
}

void debug_free(struct tool *t)
{
    char *text;
    while (t->points)
        remove_point(t, &t->points);
    while ((text = debug_next_notice(t)))
        free(text);
}

void debug_info_breakpoints(struct command_call *c)
{
    static const char *const kinds[] = {"break", "watch", "trace page"};
    if (!c->tool->points)
        text_printf(c->out, "no breakpoints, watches or traces\n");
    for (const struct debug_point *p = c->tool->points; p; p = p->next) {
        char place[120];
        uint64_t hits = __atomic_load_n(&p->hits, __ATOMIC_RELAXED);
        place_text(c->tool->vm, p->address, place, sizeof(place));
        text_printf(c->out, "%u: %s 0x%llx%s", p->number, kinds[p->kind],
                    (unsigned long long)p->address, place);
        if (p->kind == DEBUG_WATCH)
            text_printf(c->out, ", %llu bytes, %s%s", (unsigned long long)p->length,
                        p->access & WEIR_READ ? "r" : "", p->access & WEIR_WRITE ? "w" : "");
        text_printf(c->out, "%s, %llu hits\n", p->physical ? ", physical" : "",
                    (unsigned long long)hits);
    }
}

/* ---- commands ---- */

void monitor_break(struct command_call *c)
{
    if (!c->args[0].present) {
        debug_info_breakpoints(c);
        return;
    }
    struct debug_point *p = add_point(c, DEBUG_BREAK);
    if (!p)
        return;
    struct weir_filter filter = {.first = p->address};
    if (keep(c, p, weir_on_breakpoint(c->tool->vm, &filter, on_breakpoint, p, &p->handle)))
        text_printf(c->out, "breakpoint %u at 0x%llx\n", p->number,
                    (unsigned long long)p->address);
}

/* "r", "w", "rw", with "p" for a physical address. */
static bool access_of(const char *word, uint8_t *access, bool *physical)
{
    *access = 0;
    *physical = false;
    for (; *word; word++) {
        if (!strchr("rwp", *word))
            return false;
        *physical |= *word == 'p';
        *access |= *word == 'r' ? WEIR_READ : *word == 'w' ? WEIR_WRITE : 0;
    }
    if (!*access)
        *access = WEIR_WRITE;
    return true;
}

void monitor_watch(struct command_call *c)
{
    uint8_t access = WEIR_WRITE;
    bool physical = false;
    int64_t length = c->args[1].present ? c->args[1].number : 4;
    if (!c->args[0].present) {
        debug_info_breakpoints(c);
        return;
    }
    if (length <= 0 ||
        (uint64_t)c->args[0].number + (uint64_t)length - 1 < (uint64_t)c->args[0].number ||
        (c->args[2].present && !access_of(c->args[2].string, &access, &physical))) {
        text_printf(c->out, "watch: use watch address [bytes [r|w|rw][p]]\n");
        return;
    }
    struct debug_point *p = add_point(c, DEBUG_WATCH);
    if (!p)
        return;
    p->length = (uint64_t)length;
    p->access = access;
    p->physical = physical;
    struct weir_filter filter = {.first = p->address,
                                 .last = p->address + p->length - 1,
                                 .access = access,
                                 .physical = physical};
    if (keep(c, p, weir_on_memory(c->tool->vm, &filter, on_access, p, &p->handle)))
        text_printf(c->out, "watch %u at 0x%llx\n", p->number, (unsigned long long)p->address);
}

void monitor_delete(struct command_call *c)
{
    bool found = false;
    for (struct debug_point **at = &c->tool->points; *at;) {
        bool this_one = !c->args[0].present || (*at)->number == (uint64_t)c->args[0].number;
        found |= this_one;
        if (this_one)
            remove_point(c->tool, at);
        else
            at = &(*at)->next;
    }
    if (!found && c->args[0].present)
        text_printf(c->out, "delete: there is no number %lld\n", (long long)c->args[0].number);
}

void monitor_trace(struct command_call *c)
{
    char error[512];
    int64_t count = c->args[2].present ? c->args[2].number : 20;
    if (strcmp(c->args[0].string, "page") || !c->args[1].present || count < 0) {
        text_printf(c->out, "trace: use trace page address [instructions]\n");
        return;
    }
    if (!tool_log_open(c->tool, NULL, error, sizeof(error))) {
        text_printf(c->out, "Error: %s\n", error);
        return;
    }
    c->args[0].number = c->args[1].number;
    struct debug_point *p = add_point(c, DEBUG_TRACE);
    if (!p)
        return;
    struct weir_page_trace what = {.address = p->address, .count = (uint64_t)count};
    if (keep(c, p, weir_trace_page(c->tool->vm, &what, on_trace, p, &p->handle)))
        text_printf(c->out, "trace %u of the page of 0x%llx goes to %s\n", p->number,
                    (unsigned long long)p->address,
                    c->tool->log_path ? c->tool->log_path : "standard error");
}

void monitor_symbols(struct command_call *c)
{
    report(c, weir_symbols_load(c->tool->vm, c->args[0].string,
                                c->args[1].present ? c->args[1].number : 0));
}

/* ---- step ---- */

enum { STEP_WAIT_MS = 2000 };

static void show_place(struct command_call *c)
{
    char text[256];
    weir_vcpu *cpu = weir_get_vcpu(c->tool->vm, 0);
    weir_hold(c->tool->vm);
    debug_insn_text(cpu, weir_linear_rip(cpu), text, sizeof(text));
    weir_release(c->tool->vm);
    text_printf(c->out, "=> %s\n", text);
}

void monitor_step(struct command_call *c)
{
    struct tool *t = c->tool;
    const char *why_not;
    uint64_t handle;
    int64_t count = c->args[0].present ? c->args[0].number : 1;
    struct weir_step step = {.flags = WEIR_STEP_PAUSE | WEIR_STEP_END_ONLY,
                             .count = (uint64_t)count};
    if (count <= 0) {
        text_printf(c->out, "step: the number of instructions is at least 1\n");
        return;
    }
    tool_stop(t);
    weir_hold(t->vm);
    int error = weir_step(weir_get_vcpu(t->vm, 0), &step, NULL, NULL, &handle);
    weir_release(t->vm);
    if (error < 0) {
        report(c, error);
        return;
    }
    if (!tool_cont(t, &why_not)) {
        weir_event_remove(t->vm, handle);
        text_printf(c->out, "Error: %s\n", why_not);
        return;
    }
    for (int64_t end = host_time_ms() + STEP_WAIT_MS; host_time_ms() < end;) {
        if (weir_is_paused(t->vm)) {
            show_place(c);
            return;
        }
        usleep(200);
    }
    text_printf(c->out, "still stepping; the machine stops when it is done\n");
}

/* ---- info ---- */

void debug_info_walk(struct command_call *c)
{
    struct weir_walk walk;
    char text[1024];
    if (!c->args[0].present) {
        text_printf(c->out, "info walk: needs an address\n");
        return;
    }
    weir_vcpu *cpu = weir_get_vcpu(c->tool->vm, 0);
    weir_hold(c->tool->vm);
    int error = weir_walk(cpu, WEIR_THIS_SPACE, (uint64_t)c->args[0].number, &walk);
    weir_release(c->tool->vm);
    report(c, error);
    if (error >= 0 && weir_walk_text(&walk, text, sizeof(text)) >= 0)
        text_printf(c->out, "%s%s", text, *text && text[strlen(text) - 1] != '\n' ? "\n" : "");
}

static void filter_text(struct weir_text *out, const struct weir_filter *f)
{
    if (f->first || f->last)
        text_printf(out, " %s0x%llx", f->physical ? "physical " : "",
                    (unsigned long long)f->first);
    if (f->last > f->first)
        text_printf(out, "-0x%llx", (unsigned long long)f->last);
    if (f->access)
        text_printf(out, " %s%s%s", f->access & WEIR_READ ? "r" : "",
                    f->access & WEIR_WRITE ? "w" : "", f->access & WEIR_EXECUTE ? "x" : "");
    if (f->by & WEIR_BY_VCPU)
        text_printf(out, " vcpu=%u", f->vcpu);
    if (f->by & WEIR_BY_CR3)
        text_printf(out, " cr3=0x%llx", (unsigned long long)f->cr3);
    if (f->by & WEIR_BY_CPL)
        text_printf(out, " cpls=0x%x", f->cpls);
    if (f->by & WEIR_BY_PC)
        text_printf(out, " pc=0x%llx-0x%llx", (unsigned long long)f->pc_first,
                    (unsigned long long)f->pc_last);
    if (f->by & WEIR_BY_NUMBER)
        text_printf(out, " number=0x%llx-0x%llx", (unsigned long long)f->number_first,
                    (unsigned long long)f->number_last);
}

void debug_info_events(struct command_call *c)
{
    struct weir_event_info info;
    unsigned i = 0;
    for (; weir_event_list(c->tool->vm, i, &info) >= 0; i++) {
        text_printf(c->out, "%llu: %s", (unsigned long long)info.handle,
                    weir_event_name(info.kind, NULL));
        filter_text(c->out, &info.filter);
        text_printf(c->out, ", %llu hits\n", (unsigned long long)info.hits);
    }
    if (!i)
        text_printf(c->out, "nothing is watched\n");
}
