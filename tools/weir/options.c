/* SPDX-License-Identifier: MIT */
/*
 * options.c - the option table and the walk over argv. An option may be written -name or
 * --name. What an argument means is in option_*.c.
 */
#include "option_parse.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *const option_section_names[SECTION_COUNT] = {
    [SECTION_STANDARD] = "Machine",
    [SECTION_DRIVES] = "Drives",
    [SECTION_DISPLAY] = "Display",
    [SECTION_CHAR] = "Serial ports, monitor, QMP",
    [SECTION_BOOT] = "Boot",
    [SECTION_RUN] = "Commands in a Linux guest",
    [SECTION_DEBUG] = "Debugging and running",
};

// clang-format off
const struct option option_table[] = {
#define S SECTION_STANDARD
    {"help", NULL, "print this list and exit", option_help, S},
    {"version", NULL, "print the version and exit", option_version, S},
    {"machine", "TYPE[,accel=NAME]", "kind of machine: pc (default) or none; help lists them",
     option_machine, S},
    {"M", "TYPE", "same as -machine", option_machine, S},
    {"cpu", "MODEL[,+FLAG][,-FLAG]", "CPU model and features (default host); help lists them",
     option_cpu, S},
    {"accel", "NAME[,PROP=VALUE...]",
     "how the CPU is executed: jit[,tb-size=SIZE][,windows=off], interp; "
     "check[,engine=NAME][,step=N][,ram-step=N][,limit=N] runs the interpreter and another engine "
     "in lock-step and reports the first difference; help lists them", option_accel, S},
    {"icount", "[shift=]N[,sleep=on|off]",
     "deterministic time: 2^N ns (N 0 to 10) for each executed instruction; sleep=off: an idle CPU "
     "skips to the next timer instead of waiting", option_icount, S},
    {"smp", "[cpus=]N", "number of CPUs (1 for now)", option_smp, S},
    {"m", "[size=]SIZE", "RAM; MiB, or with a suffix k, M, G (default 128M)", option_memory, S},
    {"name", "NAME", "name of the guest, shown by `info name` and SMBIOS", option_name, S},
    {"uuid", "UUID", "the machine's UUID, for SMBIOS", option_uuid, S},
    {"rtc", "[base=utc|localtime|DATE]",
     "what the real-time clock starts with (default utc); DATE is 2024-01-31 or "
     "2024-01-31T12:00:00", option_rtc, S},
    {"device", "NAME[,PROP=VALUE...][,id=ID]",
     "add a device; help lists them, NAME,help its properties", option_device, S},
    {"vmi", "on|3|13[,counters=on][,base=ADDRESS][,faults=stop|guest]",
     "a VMI option ROM (API 3.0, or 13.0) for kernels that look for one; counters=on: counts all "
     "calls and prints them at exit", option_vmi, S},
    {"hostcall",
     "[share=NAME,path=DIR[,ro][,virtiofs][,dax=on|off|MIB],...][,SERVICE=on,...]"
     "[,ring=0|3|v86][,tools=on]",
     "let the guest call the host (off by default): a directory as a share; console, control, "
     "time, args, random, clip, log, sg, extern, all; arg=TEXT and env=NAME=VALUE for it to read; "
     "who may; "
     "tools=on: programs for DOS on floppy B: (A: if that is free)", option_hostcall, S},
    {"mem-export", "PATH", "share guest RAM with a process that connects to this unix socket",
     option_string, S},
    {"nodefaults", NULL, "no default devices, serial ports and monitor", option_flag, S},
    {"net", "none", "no network card (there is none yet)", option_net, S},
    {"nic", "none", "same as -net none", option_net, S},
#undef S
#define S SECTION_DRIVES
    {"hda", "FILE", "image of the first IDE disk; also a plain argument", option_image, S},
    {"hdb", "FILE", "image of the second IDE disk", option_image, S},
    {"hdc", "FILE", "image of the third IDE disk", option_image, S},
    {"hdd", "FILE", "image of the fourth IDE disk", option_image, S},
    {"cdrom", "FILE", "CD-ROM image (third IDE drive)", option_image, S},
    {"fda", "FILE", "image of the first floppy disk", option_image, S},
    {"fdb", "FILE", "image of the second floppy disk", option_image, S},
    {"drive",
     "[file=]FILE[,if=ide|floppy|virtio|none][,index=N][,media=disk|cdrom][,format=raw]"
     "[,snapshot=on][,readonly=on][,id=ID][,serial=TEXT]", "a drive with everything said",
     option_drive, S},
    {"snapshot", NULL, "keep all writes in temporary files; images stay unchanged", option_flag,
     S},
#undef S
#define S SECTION_DISPLAY
    {"nographic", NULL, "serial port and monitor share this terminal (Ctrl-A h for help)",
     option_nographic, S},
    {"display", "none", "kind of display: none (screendump and screentext show the screen)",
     option_display, S},
    {"vga", "std|none", "graphics card (default std)", option_vga, S},
#undef S
#define S SECTION_CHAR
    {"serial", "BACKEND",
     "connect the next serial port: null, none, stdio, mon:stdio, file:PATH, pty, pipe:PATH, "
     "tcp:HOST:PORT[,server=on][,wait=off], telnet:HOST:PORT..., unix:PATH[,server=on]"
     "[,wait=off], chardev:ID", option_serial, S},
    {"parallel", "none|null", "no parallel port (there is none yet)", option_parallel, S},
    {"monitor", "BACKEND",
     "connect the monitor: stdio, none, pty, tcp:, telnet:, unix:, chardev:ID", option_monitor,
     S},
    {"qmp", "BACKEND", "QMP (JSON) on unix:, tcp:, stdio, chardev:ID", option_qmp, S},
    {"qmp-pretty", "BACKEND", "same as -qmp with indented JSON", option_qmp, S},
    {"chardev", "KIND,id=ID[,PROP=VALUE...]",
     "a backend for -serial chardev:ID, -mon, -device: null, stdio, file, pipe, pty, socket "
     "(path= or host=,port=; server=, wait=, telnet=); mux=on shares it", option_chardev, S},
    {"mon", "[chardev=]ID[,mode=readline|control][,pretty=on]",
     "a monitor (readline) or QMP (control) on a -chardev", option_mon, S},
    {"debugcon", "BACKEND", "connect the debug console (port 0xe9)", option_debugcon, S},
    {"echr", "N", "code of the escape key of a shared terminal (default 1, Ctrl-A)",
     option_echr, S},
#undef S
#define S SECTION_BOOT
    {"boot", "[order=]LETTERS[,menu=on][,once=LETTERS]",
     "boot order: a floppy, c disk, d CD-ROM, n network; once= is used instead of order= "
     "until weir ends", option_boot, S},
    {"kernel", "FILE", "boot this Linux bzImage or multiboot kernel directly", option_string,
     S},
    {"initrd", "FILE", "initial RAM disk of -kernel; multiboot: modules, comma separated",
     option_string, S},
    {"append", "TEXT", "command line of -kernel", option_string, S},
    {"bios", "FILE", "firmware image (default bios-256k.bin)", option_string, S},
    {"L", "DIRECTORY", "where firmware and option ROMs are looked for", option_string, S},
#undef S
#define S SECTION_RUN
    {"exec", "COMMAND",
     "boot Linux, run this shell command there with the shares mounted, and end with its status "
     "(124: -timeout, 125: it could not be run); see weir-run(1)", option_run_text, S},
    {"share", "DIR[,name=NAME][,at=PATH][,ro=on][,writeback=on][,virtiofs=on|off]"
     "[,dax=on|off|MIB]",
     "share this directory with the guest; with -exec it is mounted there at PATH (default: the "
     "path it has here), and the first one is the working directory. virtiofs: a virtio-fs device "
     "for it (default: with -exec, but for writeback), dax: its window (default: 256 MiB for 64 "
     "bits)", option_share, S},
    {"root", "DIR|IMAGE|none",
     "root directory of -exec: a directory (default /) or a disk image, both left unchanged; none: "
     "the initrd", option_run_text, S},
    {"modules", "DIR", "lib/modules/VERSION of the kernel of -exec (default: found near it)",
     option_run_text, S},
    {"cwd", "PATH", "working directory of -exec in the guest", option_run_text, S},
    {"env", "NAME[=VALUE]", "environment variable of -exec; without VALUE as it is here",
     option_env, S},
    {"stdin", NULL, "pass standard input to the command of -exec", option_run_flag, S},
    {"timeout", "SECONDS", "longest time that the command of -exec may take", option_seconds, S},
    {"boot-timeout", "SECONDS", "longest time until it starts (default 120)", option_seconds, S},
    {"verbose", NULL, "show what the kernel of -exec writes", option_run_flag, S},
    {"quiet", NULL, "say nothing about progress", option_run_flag, S},
#undef S
#define S SECTION_DEBUG
    {"S", NULL, "do not start the CPU: `cont` in the monitor does", option_flag, S},
    {"gdb", "ADDRESS",
     "wait for gdb on tcp::PORT (this host), tcp:HOST:PORT, unix:PATH or stdio; the machine stops "
     "when it connects", option_gdb, S},
    {"s", NULL, "same as -gdb tcp::1234", option_gdb, S},
    {"symbols", "FILE",
     "names of addresses for the monitor and logs: an ELF file, a System.map or a copy of "
     "/proc/kallsyms; may be given again", option_symbols, S},
    {"d", "ITEM[,ITEM...]", "log these items; help lists them", option_log_items, S},
    {"D", "FILE", "write the log to FILE instead of standard error; %d is the process id",
     option_log_file, S},
    {"dfilter", "RANGE[,RANGE...]", "log code only of START+SIZE, START-SIZE or START..END",
     option_log_filter, S},
    {"plugin", "FILE.so[,OPTION=VALUE...]",
     "load a program that watches the guest; with weir come count, drcov and syscalls; may be "
     "given again", option_plugin, S},
    {"trace", "FILE[,memory=on][,events=on][,cpl=N][,cr3=N][,first=ADDRESS][,last=ADDRESS]",
     "write every instruction, and what else is chosen, to FILE; `weir trace` shows it",
     option_trace, S},
    {"singlestep", NULL, "one instruction per block, so that -d exec, in_asm... show each",
     option_flag, S},
    {"perfmap", NULL, "name translated code for perf(1) in /tmp/perf-PID.map", option_flag, S},
    {"jitdump", NULL, "write translated code to jit-PID.dump for `perf inject -j`", option_flag,
     S},
    {"no-reboot", NULL, "exit instead of rebooting", option_flag, S},
    {"no-shutdown", NULL, "stop instead of exiting when the guest powers off", option_flag, S},
    {"quit-on-eof", NULL,
     "exit when standard input has ended, all of it was taken and the guest was silent for a "
     "second", option_flag, S},
    {"pidfile", "FILE", "write the process id to FILE", option_string, S},
#undef S
    {NULL, NULL, NULL, NULL, SECTION_STANDARD},
};
// clang-format on

/* ---- for option functions ---- */

enum parse_result option_fail(struct options *o, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(o->error, sizeof(o->error), format, args);
    va_end(args);
    for (char *c = o->error; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = '?'; /* one line, whatever the user typed */
    return PARSE_FAIL;
}

char *option_keep(struct options *o, char *string)
{
    if (o->kept_count == o->kept_capacity) {
        unsigned capacity = o->kept_capacity ? o->kept_capacity * 2 : 32;
        void **bigger = realloc(o->kept, capacity * sizeof(*bigger));
        if (!bigger)
            return string; /* then it is simply never freed */
        o->kept = bigger;
        o->kept_capacity = capacity;
    }
    o->kept[o->kept_count++] = string;
    return string;
}

char *option_printf(struct options *o, const char *format, ...)
{
    char *string = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&string, format, args) < 0)
        string = NULL;
    va_end(args);
    return string ? option_keep(o, string) : "";
}

enum parse_result option_props(struct options *o, struct props *p, const char *what,
                               const char *string, const char *implied,
                               const char *const *names)
{
    const char *error, *unknown;
    if (!props_parse(p, string, implied, &error)) {
        props_free(p);
        return option_fail(o, "%s: %s", what, error);
    }
    if (names && (unknown = props_unknown(p, names))) {
        option_fail(o, "%s: unknown property '%s', the nearest is '%s'", what, unknown,
                    suggest_from(unknown, names));
        props_free(p);
        return PARSE_FAIL;
    }
    return PARSE_OK;
}

int option_choice(struct options *o, const char *what, const char *value,
                  const char *const *words)
{
    for (int k = 0; words[k]; k++)
        if (!strcmp(words[k], value))
            return k;
    option_fail(o, "%s: unknown value '%s', the nearest is '%s'", what, value,
                suggest_from(value, words));
    return -1;
}

const char *option_prop(struct options *o, const struct props *p, const char *name)
{
    const char *value = props_get(p, name);
    return value ? option_printf(o, "%s", value) : NULL;
}

enum parse_result option_bool_prop(struct options *o, const struct props *p, const char *what,
                                   const char *name, bool *value)
{
    const char *text = props_get(p, name);
    if (text && !parse_on_off(text, value))
        return option_fail(o, "%s: %s=%s: use on or off", what, name, text);
    return PARSE_OK;
}

/* ---- the walk ---- */

static const char *option_name_at(const void *ctx, unsigned i)
{
    return option_table[i].name;
}

static enum parse_result parse_one(struct options *o, int argc, char **argv, int *k)
{
    const char *word = argv[*k];
    if (word[0] != '-' || !word[1]) {
        if (o->image_count++)
            return option_fail(o, "'%s': a second disk image; use -hdb or -drive", word);
        return option_image(o, "hda", word);
    }
    const char *name = word + 1 + (word[1] == '-');
    for (const struct option *opt = option_table; opt->name; opt++) {
        if (strcmp(opt->name, name))
            continue;
        if (!opt->argument)
            return opt->parse(o, name, NULL);
        if (*k + 1 >= argc)
            return option_fail(o, "-%s needs an argument: %s", name, opt->argument);
        return opt->parse(o, name, argv[++*k]);
    }
    return option_fail(o, "unknown option '%s', the nearest is '-%s'", word,
                       suggest(name, option_name_at, NULL));
}

static enum parse_result check_combinations(struct options *o)
{
    if ((o->initrd || o->append) && !o->kernel && !o->run.exec)
        return option_fail(o, "-%s needs -kernel", o->initrd ? "initrd" : "append");
    for (struct drive_option *d = o->drives; d && o->snapshot; d = d->next)
        d->drive.snapshot = !d->drive.is_cdrom;
    return PARSE_OK;
}

enum parse_result options_parse(struct options *o, int argc, char **argv)
{
    *o = (struct options){.escape_char = 1};
    weir_config_init(&o->config, sizeof(o->config));
    strbuf_init(&o->help);
    enum parse_result result = PARSE_OK;
    for (int k = 1; k < argc && result == PARSE_OK; k++)
        result = parse_one(o, argc, argv, &k);
    if (result == PARSE_OK)
        result = check_combinations(o);
    if (result == PARSE_OK)
        result = option_check_run(o);
    if (result == PARSE_OK)
        result = option_default_consoles(o);
    if (result == PARSE_OK)
        result = option_check_rest(o);
    if (result == PARSE_OK)
        result = option_check_gdb(o);
    return result;
}

void options_free(struct options *o)
{
    for (struct drive_option *d = o->drives, *next; d; d = next) {
        next = d->next;
        free(d);
    }
    for (struct device_option *d = o->devices, *next; d; d = next) {
        next = d->next;
        free(d);
    }
    for (struct chardev *c = o->chardevs, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    for (unsigned k = 0; k < o->kept_count; k++)
        free(o->kept[k]);
    free(o->kept);
    free(o->log_ranges);
    strbuf_free(&o->help);
}

/* ---- help ---- */

void options_help(struct weir_text *out)
{
    text_printf(out, "usage: weir [run] [options] [disk image]\n"
                     "       weir disas|trace|vmi|devices|cpus|help [arguments]\n");
    for (unsigned section = 0; section < SECTION_COUNT; section++) {
        text_printf(out, "\n%s:\n", option_section_names[section]);
        for (const struct option *opt = option_table; opt->name; opt++)
            if (opt->section == section)
                text_printf(out, "  -%s%s%s\n      %s\n", opt->name, opt->argument ? " " : "",
                            opt->argument ? opt->argument : "", opt->help);
    }
    text_printf(out, "\nweir(1) and weir-monitor(7) have the details.\n");
}
