/* SPDX-License-Identifier: MIT */
/*
 * command.c - the monitor's commands: the table (also of help, completion and the manual page),
 * parsing of arguments, dispatch.
 */
#include "debug.h"
#include "monitor.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

// clang-format off
const struct command command_table[] = {
    {"help", "?", "?w", "[command]", "show the commands, or one of them", monitor_help},
    {"info", NULL, "?S", "[topic]",
     "show the state of a part of the machine; without topic the list", monitor_info},
    {"quit", "q", "", "", "end weir", monitor_quit},
    {"stop", "s", "", "", "stop the machine", monitor_stop},
    {"cont", "c", "", "", "let the machine run again", monitor_cont},
    {"system_reset", NULL, "", "", "reset the machine as its reset button does",
     monitor_system_reset},
    {"system_powerdown", NULL, "", "", "press the power button (ACPI event)",
     monitor_system_powerdown},
    {"nmi", NULL, "", "", "inject a non-maskable interrupt", monitor_nmi},
    {"sendkey", NULL, "w?l", "keys [hold_ms]",
     "press keys together, as in ctrl-alt-f1, and release them after hold_ms (100)",
     monitor_sendkey},
    {"mouse_move", NULL, "ll?l", "dx dy [dz]", "move the mouse (dz: wheel)",
     monitor_mouse_move},
    {"mouse_button", NULL, "l", "state", "mouse buttons: 1 left, 2 middle, 4 right, added up",
     monitor_mouse_button},
    {"screendump", NULL, "F?w", "file [png|ppm]",
     "write a picture of the screen; the format also by the file's extension",
     monitor_screendump},
    {"clipboard", NULL, "?S", "[TEXT]", "show, or set, the text shared with the guest (host calls)",
     monitor_clipboard},
    {"screentext", NULL, "", "", "show the text screen as text", monitor_screentext},
    {"change", NULL, "wF", "drive file", "put another medium into a drive", monitor_change},
    {"eject", NULL, "?ww", "[-f] drive",
     "take the medium out of a drive; -f although the guest locked it", monitor_eject},
    {"log", NULL, "w", "item[,item...]|none", "choose what is logged", monitor_log},
    {"logfile", NULL, "F", "file", "write the log to this file", monitor_logfile},
    {"singlestep", NULL, "?w", "[on|off]",
     "run with one instruction per block, or normally again", monitor_singlestep},
    {"gdbserver", NULL, "?F", "[address]",
     "wait for gdb there (tcp::1234, unix:PATH); none ends it", monitor_gdbserver},
    {"break", "b", "?l", "[address]",
     "stop before the instruction at a virtual address, unseen by the guest; without address the "
     "list", monitor_break},
    {"watch", NULL, "?llw", "[address [bytes [r|w|rw][p]]]",
     "stop after accesses to these bytes (4, writes); p: a physical address", monitor_watch},
    {"delete", NULL, "?l", "[number]", "remove a breakpoint, watch or trace, or all",
     monitor_delete},
    {"step", NULL, "?l", "[count]", "execute instructions (1) and stop, unseen by the guest",
     monitor_step},
    {"trace", NULL, "w?ll", "page address [instructions]",
     "log accesses to the page around a virtual address, and after each the next instructions (20; "
     "0: until the procedure returns)", monitor_trace},
    {"symbols", NULL, "F?l", "file [offset]",
     "use the names of an ELF file, a System.map or a copy of /proc/kallsyms", monitor_symbols},
    {"x", NULL, "/l", "/fmt addr",
     "dump memory at a virtual address; fmt = count, letter (x d u o c i), size (b h w g)",
     monitor_x},
    {"xp", NULL, "/l", "/fmt addr", "dump memory at a physical address", monitor_xp},
    {"print", "p", "/l", "/fmt expr", "show the value of an expression; $reg is a register",
     monitor_print},
    {"i", NULL, "/l", "/fmt port", "read an I/O port (b, h or w bytes wide)", monitor_i},
    {"o", NULL, "/ll", "/fmt port value", "write an I/O port", monitor_o},
    {"sum", NULL, "ll", "addr size", "checksum of physical memory", monitor_sum},
    {"memsave", NULL, "llF", "addr size file", "save virtual memory to a file",
     monitor_memsave},
    {"pmemsave", NULL, "llF", "addr size file", "save physical memory to a file",
     monitor_pmemsave},
    {"flush", NULL, "", "", "write all data of the drives to the host", monitor_flush},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};
// clang-format on

const char *command_name_at(const void *ctx, unsigned i)
{
    return command_table[i].name;
}

/* ---- arguments ---- */

static const char *skip_blanks(const char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    return s;
}

/* A word, or "in quotes" with \" \\ \n inside. NULL at the end of the line. */
static char *parse_word(const char **s)
{
    struct strbuf b;
    const char *c = skip_blanks(*s);
    if (!*c)
        return NULL;
    strbuf_init(&b);
    if (*c == '"') {
        for (c++; *c && *c != '"'; c++) {
            if (*c == '\\' && c[1]) {
                c++;
                strbuf_add(&b, *c == 'n' ? "\n" : c, 1);
            } else {
                strbuf_add(&b, c, 1);
            }
        }
        c += *c == '"';
    } else {
        size_t n = strcspn(c, " \t");
        strbuf_add(&b, c, n);
        c += n;
    }
    *s = c;
    return b.data;
}

static bool register_of_tool(void *ctx, const char *name, uint64_t *value)
{
    struct tool *t = ctx;
    weir_hold(t->vm);
    bool found = register_value(weir_get_vcpu(t->vm, 0), name, value);
    weir_release(t->vm);
    return found;
}

static bool symbol_of_tool(void *ctx, const char *name, uint64_t *value)
{
    return debug_symbol(ctx, name, value);
}

/* QEMU's: words for x and i start as x/4; each monitor would have its own, one set is simpler.
 */
static struct format format_defaults_of(char letter, unsigned size)
{
    return (struct format){.letter = letter, .size = size};
}

static bool parse_argument(struct command_call *c, const char *shape, const char **s,
                           unsigned at)
{
    char kind = *shape;
    struct argument *a = &c->args[at];
    struct expr_env env = {.reg = register_of_tool,
                           .name = symbol_of_tool,
                           .ctx = c->tool,
                           .path_follows = shape[1] == 'F'};
    struct format defaults = format_defaults_of('x', 4);
    const char *error = NULL;
    *s = skip_blanks(*s);
    if (kind == '/') {
        const char *text = **s == '/' ? *s + 1 : "";
        a->present = **s == '/';
        error = format_parse(&text, &a->format, &defaults);
        *s = a->present ? text : *s;
    } else if (!**s) {
        return true;
    } else if (kind == 'l') {
        a->present = true;
        error = expr_parse(s, &env, &a->number);
    } else if (kind == 'S') {
        a->present = true;
        a->string = strdup(*s);
        *s += strlen(*s);
    } else {
        a->string = parse_word(s);
        a->present = a->string != NULL;
    }
    if (error)
        text_printf(c->out, "%s\n", error);
    return !error;
}

bool command_arguments(struct command_call *c, const struct command *command, const char *s)
{
    unsigned count = 0;
    bool optional = false;
    for (const char *kind = command->shape; *kind; kind++) {
        if (*kind == '?') {
            optional = true;
            continue;
        }
        if (!parse_argument(c, kind, &s, count))
            return false;
        if (!c->args[count].present && !optional && *kind != '/') {
            text_printf(c->out, "%s: an argument is missing\n", command->name);
            command_usage(c->out, command);
            return false;
        }
        count++;
    }
    s = skip_blanks(s);
    if (*s) {
        text_printf(c->out, "%s: extraneous characters at the end of line: '%s'\n",
                    command->name, s);
        return false;
    }
    return true;
}

/* ---- dispatch ---- */

void command_usage(struct weir_text *out, const struct command *c)
{
    text_printf(out, "%s%s%s%s%s -- %s\n", c->name, c->alias ? "|" : "",
                c->alias ? c->alias : "", *c->params ? " " : "", c->params, c->help);
}

void command_execute(struct tool *t, struct monitor *m, const char *line, struct weir_text *out)
{
    struct command_call call = {.tool = t, .out = out, .monitor = m};
    char name[32];
    line = skip_blanks(line);
    size_t length = strcspn(line, " \t/");
    if (!length)
        return;
    snprintf(name, sizeof(name), "%.*s", (int)length, line);
    for (const struct command *c = command_table; c->name; c++) {
        if (strcmp(c->name, name) && (!c->alias || strcmp(c->alias, name)))
            continue;
        if (command_arguments(&call, c, line + length))
            c->run(&call);
        for (unsigned k = 0; k < ARGUMENT_MAX; k++)
            free(call.args[k].string);
        return;
    }
    text_printf(out, "unknown command: '%s', the nearest is '%s'\n", name,
                suggest(name, command_name_at, NULL));
}

void monitor_help(struct command_call *c)
{
    const char *name = c->args[0].string;
    for (const struct command *k = command_table; k->name; k++) {
        if (!name) {
            command_usage(c->out, k);
        } else if (!strcmp(k->name, name) || (k->alias && !strcmp(k->alias, name))) {
            command_usage(c->out, k);
            return;
        }
    }
    if (name)
        text_printf(c->out, "unknown command: '%s', the nearest is '%s'\n", name,
                    suggest(name, command_name_at, NULL));
}

/* ---- completion ---- */

static const char *drive_at(struct tool *t, unsigned i)
{
    const struct drive_state *d = t->drives;
    while (d && i--)
        d = d->next;
    return d ? d->id : NULL;
}

static const char *topic_at(struct tool *t, unsigned i)
{
    unsigned k = 0;
    while (tool_info_table[k].name && k < i)
        k++;
    return tool_info_table[k].name ? tool_info_table[k].name
                                   : weir_info_topic(t->vm, i - k, NULL);
}

const char *command_complete(struct tool *t, const char *line, unsigned i, size_t *word_start)
{
    const char *space = strrchr(line, ' '), *candidate;
    const char *word = space ? space + 1 : line;
    *word_start = (size_t)(word - line);
    bool info = !strncmp(line, "info ", 5), help = !strncmp(line, "help ", 5);
    bool drive = !strncmp(line, "eject ", 6) || !strncmp(line, "change ", 7);
    if (space && !info && !help && !drive)
        return NULL;
    for (unsigned k = 0;; k++) {
        candidate = info ? topic_at(t, k) : drive ? drive_at(t, k) : command_name_at(NULL, k);
        if (!candidate)
            return NULL;
        if (!strncmp(candidate, word, strlen(word)) && i-- == 0)
            return candidate;
    }
}
