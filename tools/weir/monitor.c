/* SPDX-License-Identifier: MIT */
/*
 * monitor.c - the line editor of one monitor client: arrows, Home/End, Ctrl-A E B F P N D H K U
 * W L, history, Tab. Appending a character to the end of the line echoes just that character,
 * so that a script on a socket sees plain text.
 */
#include "monitor.h"

#include <stdlib.h>
#include <string.h>

#define PROMPT "(weir) "

struct monitor *monitor_new(struct tool *tool, void (*write)(void *, const char *, size_t),
                            void *ctx, bool plain)
{
    struct monitor *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->tool = tool;
    m->write = write;
    m->ctx = ctx;
    m->plain = plain;
    return m;
}

void monitor_free(struct monitor *m)
{
    if (!m)
        return;
    for (unsigned k = 0; k < m->history_count; k++)
        free(m->history[k]);
    free(m);
}

static void put(struct monitor *m, const char *text)
{
    m->write(m->ctx, text, strlen(text));
}

void monitor_banner(struct monitor *m)
{
    char text[128];
    snprintf(text, sizeof(text), "Weir %s monitor - type 'help' for more information\n",
             weir_version());
    put(m, text);
}

static void move_left(struct monitor *m, unsigned columns)
{
    char text[32];
    if (!columns || m->plain)
        return;
    snprintf(text, sizeof(text), "\033[%uD", columns);
    put(m, text);
}

void monitor_prompt(struct monitor *m)
{
    put(m, PROMPT);
    m->write(m->ctx, m->line, m->length);
    move_left(m, m->length - m->cursor);
    m->shown = m->cursor;
}

void monitor_notice(struct monitor *m, const char *text)
{
    put(m, m->plain ? "\n" : "\r\033[K");
    put(m, text);
    monitor_prompt(m);
}

/* Shows the line again from `from` on; the terminal's cursor stands at m->shown. */
static void redraw(struct monitor *m, unsigned from)
{
    if (m->plain)
        return;
    move_left(m, m->shown > from ? m->shown - from : 0);
    m->write(m->ctx, m->line + from, m->length - from);
    put(m, "\033[K");
    move_left(m, m->length - m->cursor);
    m->shown = m->cursor;
}

static void insert(struct monitor *m, const char *text, unsigned n)
{
    if (m->length + n >= sizeof(m->line))
        return;
    memmove(m->line + m->cursor + n, m->line + m->cursor, m->length - m->cursor);
    memcpy(m->line + m->cursor, text, n);
    unsigned from = m->cursor;
    m->cursor += n;
    m->length += n;
    if (m->cursor == m->length) {
        m->write(m->ctx, text, n);
        m->shown = m->cursor;
    } else {
        redraw(m, from);
    }
}

static void erase(struct monitor *m, unsigned from, unsigned to)
{
    if (from >= to || to > m->length)
        return;
    memmove(m->line + from, m->line + to, m->length - to);
    m->length -= to - from;
    m->cursor = from;
    redraw(m, from);
}

static void move_to(struct monitor *m, unsigned cursor)
{
    if (cursor > m->length)
        return;
    if (cursor < m->cursor)
        move_left(m, m->cursor - cursor);
    else
        m->write(m->ctx, m->line + m->cursor, cursor - m->cursor);
    m->cursor = m->shown = cursor;
}

static unsigned word_start(const struct monitor *m)
{
    unsigned at = m->cursor;
    while (at && m->line[at - 1] == ' ')
        at--;
    while (at && m->line[at - 1] != ' ')
        at--;
    return at;
}

/* ---- history ---- */

static void remember(struct monitor *m)
{
    if (!m->length)
        return;
    if (m->history_count && !strcmp(m->history[m->history_count - 1], m->line))
        return;
    char *copy = strdup(m->line);
    if (!copy)
        return;
    if (m->history_count == HISTORY_MAX) {
        free(m->history[0]);
        memmove(m->history, m->history + 1, (HISTORY_MAX - 1) * sizeof(m->history[0]));
        m->history_count--;
    }
    m->history[m->history_count++] = copy;
}

static void recall(struct monitor *m, int step)
{
    unsigned at = m->history_at + (unsigned)step;
    if (at > m->history_count) /* wraps below zero too */
        return;
    const char *line = at < m->history_count ? m->history[at] : "";
    m->history_at = at;
    snprintf(m->line, sizeof(m->line), "%s", line);
    m->length = m->cursor = (unsigned)strlen(m->line);
    redraw(m, 0);
}

/* ---- completion ---- */

static void list_completions(struct monitor *m, const char *line)
{
    const char *name;
    size_t start;
    put(m, "\n");
    for (unsigned k = 0; (name = command_complete(m->tool, line, k, &start)); k++) {
        put(m, k ? "  " : "");
        put(m, name);
    }
    put(m, "\n");
    monitor_prompt(m);
}

static void complete(struct monitor *m)
{
    char line[LINE_MAX_BYTES], common[64] = "";
    const char *name;
    size_t start = 0;
    unsigned count = 0;
    snprintf(line, sizeof(line), "%.*s", (int)m->cursor, m->line);
    for (; (name = command_complete(m->tool, line, count, &start)); count++) {
        if (!count)
            snprintf(common, sizeof(common), "%s", name);
        size_t same = 0;
        while (common[same] && common[same] == name[same])
            same++;
        common[same] = 0;
    }
    size_t typed = m->cursor - start;
    if (count && strlen(common) > typed)
        insert(m, common + typed, (unsigned)(strlen(common) - typed));
    else if (count > 1)
        list_completions(m, line);
    if (count == 1)
        insert(m, " ", 1);
}

/* ---- keys ---- */

struct monitor_text {
    struct weir_text text;
    struct monitor *monitor;
};

static void monitor_put(struct weir_text *text, const char *chars, size_t length)
{
    struct monitor *m = ((struct monitor_text *)(void *)text)->monitor;
    m->write(m->ctx, chars, length);
}

static void enter(struct monitor *m)
{
    struct monitor_text out = {.text.put = monitor_put, .monitor = m};
    char line[LINE_MAX_BYTES];
    put(m, "\n");
    m->line[m->length] = 0;
    memcpy(line, m->line, m->length + 1);
    remember(m);
    m->length = m->cursor = m->shown = 0;
    m->history_at = m->history_count;
    pthread_mutex_lock(&m->tool->lock);
    if (m->tool->vm)
        command_execute(m->tool, m, line, &out.text);
    bool quitting = m->tool->quitting;
    pthread_mutex_unlock(&m->tool->lock);
    if (!quitting)
        monitor_prompt(m);
}

static void control_key(struct monitor *m, uint8_t key)
{
    switch (key) {
    case 'A' - '@':
        move_to(m, 0);
        break;
    case 'B' - '@':
        move_to(m, m->cursor - 1);
        break;
    case 'D' - '@':
        erase(m, m->cursor, m->cursor + 1);
        break;
    case 'E' - '@':
        move_to(m, m->length);
        break;
    case 'F' - '@':
        move_to(m, m->cursor + 1);
        break;
    case 'H' - '@':
    case 127:
        if (m->cursor)
            erase(m, m->cursor - 1, m->cursor);
        break;
    case '\t':
        complete(m);
        break;
    case 'K' - '@':
        erase(m, m->cursor, m->length);
        break;
    case 'L' - '@':
        put(m, "\033[2J\033[H");
        monitor_prompt(m);
        break;
    case 'N' - '@':
        recall(m, 1);
        break;
    case 'P' - '@':
        recall(m, -1);
        break;
    case 'U' - '@':
        erase(m, 0, m->cursor);
        break;
    case 'W' - '@':
        erase(m, word_start(m), m->cursor);
        break;
    default:
        break;
    }
}

/* The last byte of ESC [ ... or ESC O ... */
static void escape_key(struct monitor *m, uint8_t byte)
{
    static const char finals[] = "ABCDHF";
    static const uint8_t keys[] = {'P' - '@', 'N' - '@', 'F' - '@',
                                   'B' - '@', 'A' - '@', 'E' - '@'};
    const char *at = byte ? strchr(finals, byte) : NULL;
    if (at)
        control_key(m, keys[at - finals]);
    else if (byte == '~' && (m->escape_parameter == '1' || m->escape_parameter == '7'))
        control_key(m, 'A' - '@');
    else if (byte == '~' && (m->escape_parameter == '4' || m->escape_parameter == '8'))
        control_key(m, 'E' - '@');
    else if (byte == '~' && m->escape_parameter == '3')
        control_key(m, 'D' - '@');
}

static void input_byte(struct monitor *m, uint8_t byte)
{
    bool after_cr = m->last_was_cr;
    m->last_was_cr = byte == '\r';
    if (m->escape == 1) {
        m->escape = byte == '[' || byte == 'O' ? 2 : 0;
        m->escape_parameter = 0;
    } else if (m->escape == 2) {
        if (byte >= '0' && byte <= '?') {
            m->escape_parameter = m->escape_parameter ? m->escape_parameter : (char)byte;
            return;
        }
        m->escape = 0;
        escape_key(m, byte);
    } else if (byte == 27) {
        m->escape = 1;
    } else if (byte == '\n' && after_cr) {
        return; /* the second half of \r\n */
    } else if (byte == '\r' || byte == '\n') {
        enter(m);
    } else if (byte < ' ' || byte == 127) {
        control_key(m, byte);
    } else {
        insert(m, (const char *)&byte, 1);
    }
}

void monitor_input(struct monitor *m, const uint8_t *data, size_t length)
{
    for (size_t k = 0; k < length; k++)
        input_byte(m, data[k]);
}
