/* SPDX-License-Identifier: MIT */
/*
 * fuzz_hostcall.c - argument blocks that no guest should send, for every service, from CPL 0 and 3,
 * with some pages not there. Blocks are made from the table of services (numbers, handles, names
 * and regions of all kinds where they belong), then often spoilt. Beside the share is a directory
 * that must never change; a process with guest RAM scribbles over the ring.
 *
 *   usage: fuzz_hostcall SEED COUNT|SECONDSs      seed 0: by the clock
 */
#include "rnd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cpu/cpu.h"
#include "hostcall/hostcall.h"
#include <weir/export.h>
#include <weir/machine.h>

#define CODE    0x1000u
#define STACK   0x7000u
#define HANDLER 0x600u
#define BLOCK   0x20000u /* and 64 KiB behind it */
#define NAMES   0x40000u
#define DATA    0x100000u
#define PD      0x80000u
#define PT      0x81000u
#define IDT     0x82000u
#define GDT     0x83000u
#define TSS     0x84000u
#define RAM     (8u << 20)

static weir *vm;
static struct vcpu *c;
static char dir[64];
static uint32_t handles[16]; /* that some call gave out */
static uint64_t cursors[8];
static struct weir_export_slot *ring;
static uint64_t calls, faults, errors[256];

static void *ram(uint32_t gpa)
{
    return vm->ram.base + gpa;
}
static void die(const char *what)
{
    printf("FAILED: %s, call %llu, seed %llu\n", what, (unsigned long long)calls,
           (unsigned long long)seed);
    exit(1);
}
static void shell(const char *format)
{
    char command[900];
    snprintf(command, sizeof(command), format, dir);
    if (system(command) != 0)
        die(command);
}

/* ---- the world ---- */

static void fill_share(void)
{
    shell("cd %s/share && chmod -R u+rwx . && rm -rf ./* ./.??* && mkdir d d/e && echo hello "
          ">f && "
          "echo x >d/x && ln -s f l && ln -s ../out/secret out && ln -s /etc/passwd abs && "
          "ln -s loop loop && mkfifo fifo && echo long >'a long name.text' && : >README && "
          ": >readme && head -c 100000 /dev/zero >big");
}
static void check_outside(void)
{
    shell("cd %s && test \"$(ls -A out)\" = secret && test \"$(cat out/secret)\" = secret && "
          "test \"$(ls | tr '\\n' ' ')\" = 'out ram share '");
}

static void put_tables(void)
{
    uint32_t *pd = ram(PD), *pt = ram(PT);
    for (uint32_t k = 0; k < 1024; k++)
        pt[k] = k << 12 | 7;
    pd[0] = PT | 7;
    pd[1] = 1u << 22 | 0x87;
    uint64_t gdt[6] = {
        0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff, 0};
    gdt[5] = 0x67 | (uint64_t)TSS << 16 | 0x8bull << 40;
    memcpy(ram(GDT), gdt, sizeof(gdt));
    uint32_t tss[3] = {0, STACK, 16};
    memcpy(ram(TSS), tss, sizeof(tss));
    for (uint32_t v = 0; v < 32; v++) {
        uint64_t gate = (HANDLER + v) | 8u << 16 | 0x8e00ull << 32;
        memcpy(ram(IDT + 8 * v), &gate, 8);
        memcpy(ram(HANDLER + v), "\xf4", 1);
    }
}

static unsigned serve_own(weir_call *call, void *block, void *ctx)
{
    char bytes[300];
    uint64_t n = weir_call_read(call, 0, bytes, sizeof(bytes));
    weir_call_write(call, n / 2, bytes, n);
    return (unsigned)weir_call_bytes(call) & 127;
}

static void connect_peer(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct weir_export_hello hello;
    int fds[WEIR_EXPORT_FDS], s = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    char control[CMSG_SPACE(sizeof(fds))];
    struct iovec iov = {&hello, sizeof(hello)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (s < 0 || connect(s, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        recvmsg(s, &m, 0) <= 0)
        die("connect");
    memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fds));
    ring = mmap(NULL, WEIR_EXPORT_SLOTS * sizeof(*ring), PROT_READ | PROT_WRITE, MAP_SHARED,
                fds[WEIR_EXPORT_RING], 0);
    if (ring == MAP_FAILED)
        die("mmap");
}

static void build(void)
{
    struct weir_config config;
    char text[300], socket[100];
    struct weir_service own = {.size = sizeof(own),
                               .number = WEIR_HC_USER + 7,
                               .name = "own",
                               .block_bytes = 24,
                               .count_at = 16,
                               .writes_regions = true,
                               .fn = serve_own};
    snprintf(dir, sizeof(dir), "/tmp/weir-fuzz-XXXXXX");
    if (!mkdtemp(dir))
        die("mkdtemp");
    shell("mkdir %1$s/share; mkdir %1$s/out; printf secret >%1$s/out/secret");
    fill_share();
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.ram_bytes = RAM;
    snprintf(text, sizeof(text),
             "all=on,share=s,path=%s/share,share=r,path=%s/share,ro=on,arg=one,env=A=B", dir,
             dir);
    snprintf(socket, sizeof(socket), "%s/ram", dir);
    if (weir_create(&config, &vm) < 0 || weir_hostcall_enable(vm, text) < 0 ||
        weir_service_add(vm, &own) < 0 || weir_mem_export(vm, socket) < 0 ||
        weir_boot_flat(vm, 32, CODE, STACK, 0) < 0)
        die(vm ? weir_last_error(vm) : "weir_create");
    weir_set_reset_exits(vm, true);
    c = &vm->cpu;
    put_tables();
    connect_peer(socket);
}

/* ---- blocks ---- */

static uint32_t address(void)
{
    switch (below(400)) {
    case 0:
        return BLOCK + below(0x10000);
    case 1:
        return (uint32_t)rnd();
    case 2:
        return RAM - below(5000);
    default:
        return DATA + below(RAM - DATA - 0x20000);
    }
}

static struct weir_hc_region region(void)
{
    static const uint32_t lengths[] = {0, 1, 4095, 4096, 65535, 65536, 0xffffffff, 17u << 20};
    uint32_t kind = one_in(500) ? (uint32_t)rnd() : one_in(20) ? below(3) : 0;
    uint32_t length = one_in(200) ? lengths[below(ARRAY_SIZE(lengths))] : below(9000);
    uint64_t at = one_in(2000) ? rnd() : address();
    return (struct weir_hc_region){at, length, kind};
}

static struct weir_hc_text name(unsigned which)
{
    static const char *const names[] = {"f",
                                        "d",
                                        "d/x",
                                        "l",
                                        "fifo",
                                        "out",
                                        "abs",
                                        "loop",
                                        "..",
                                        ".",
                                        "",
                                        "/",
                                        "../out/secret",
                                        "../out/new",
                                        "new",
                                        "new2",
                                        "d/new",
                                        "F",
                                        "\\D\\X",
                                        "D\\*.*",
                                        "*.*",
                                        "????????.???",
                                        "X:\\F",
                                        "A LONG NAME.TEXT",
                                        "*LONG*",
                                        "README",
                                        "NUL",
                                        "CON.TXT",
                                        "FILE.",
                                        "...",
                                        "d/..",
                                        "D\\..\\..",
                                        "big",
                                        "\\\\a\\b",
                                        "\xff\xfe",
                                        "d/e/../../f",
                                        ":",
                                        "?",
                                        ".hidden",
                                        "Z:",
                                        "d\\e"};
    uint32_t at = NAMES + 0x2000 * which + below(64);
    char *to = ram(at);
    unsigned n = 0;
    if (one_in(20)) {
        for (n = below(5000); n-- > 0;)
            to[n] = (char)(one_in(9) ? '/' : 'a' + below(26));
        n = 4999;
    } else {
        const char *from = names[below(ARRAY_SIZE(names))];
        n = (unsigned)strlen(from);
        memcpy(to, from, n + 1);
    }
    uint32_t length = one_in(10) ? below(5000) : n;
    uint16_t kind = (uint16_t)(one_in(50) ? rnd() : one_in(20) ? below(3) : 0);
    uint16_t flags =
        (uint16_t)(below(2) | (one_in(3) ? WEIR_HC_NUL : 0) | (one_in(30) ? 2 : 0));
    return (struct weir_hc_text){one_in(30) ? address() : at, length, kind, flags};
}

static uint32_t number(void)
{
    switch (below(8)) {
    case 0:
        return (uint32_t)rnd();
    case 1:
        return UINT32_MAX;
    case 2:
        return 1u << below(32);
    case 3:
    case 4:
        return handles[below(ARRAY_SIZE(handles))];
    default:
        return below(4);
    }
}

static uint32_t make_fields(const struct service *s, uint8_t *block)
{
    for (unsigned at = 16; at + 4 <= s->bytes; at += 4)
        store_le(block + at, one_in(3) ? number() : 0, 4);
    if (s->number == WEIR_HC_FILE_OPEN && !one_in(4)) {
        struct weir_hc_open *a = (struct weir_hc_open *)block;
        a->share = below(2);
        a->dir = one_in(4) ? a->dir : 0;
        a->flags = one_in(4) ? 3 : below(0x800);
        a->deny = (uint16_t)(below(8) << 4);
    }
    if (s->number == WEIR_HC_FILE_FIND && one_in(2)) {
        struct weir_hc_find *a = (struct weir_hc_find *)block;
        a->flags = (uint16_t)below(9);
        a->cursor = cursors[below(ARRAY_SIZE(cursors))];
        a->share = a->dir = 0;
        a->attr = (uint8_t)rnd();
    }
    for (unsigned k = 0; k < 2; k++) {
        if (!s->text[k].at || one_in(16))
            continue;
        struct weir_hc_text t = name(k);
        if (s->text[k].direction == HC_TO_GUEST)
            t = (struct weir_hc_text){address(), below(600), (uint16_t)below(3), 0};
        memcpy(block + s->text[k].at, &t, sizeof(t));
    }
    uint32_t length = s->bytes;
    if (s->direction) {
        uint32_t count = one_in(30) ? below(1100) : below(5);
        store_le(block + s->count_at, one_in(40) ? rnd() : count, 4);
        for (uint32_t k = 0; k < count && length + 16 <= WEIR_HC_MAX_BLOCK; k++) {
            struct weir_hc_region r = region();
            if (count > 5)
                r.length %= 5000;
            memcpy(block + length, &r, sizeof(r));
            length += sizeof(r);
        }
    }
    return length;
}

static uint32_t make_block(uint8_t *block)
{
    const struct hostcall *h = vm->hostcall;
    unsigned pick = below(service_count + h->user_count);
    const struct service *s =
        pick < service_count ? &service_table[pick] : &h->user[pick - service_count];
    if (one_in(6)) /* without open files most others do nothing */
        for (s = service_table; s->number != WEIR_HC_FILE_OPEN;)
            s++;
    memset(block, 0, 256);
    uint32_t length = make_fields(s, block);
    struct weir_hc_header header = {WEIR_HC_MAGIC, WEIR_HC_VERSION, s->number, 0, 0, length};
    if (one_in(40)) {
        struct weir_hc_indirect in = {header, BLOCK + 0x4000};
        in.header.service = WEIR_HC_INDIRECT;
        in.header.length = sizeof(in);
        memmove(block + 0x4000, block, length > 0xc000 ? 0xc000 : length);
        memcpy(block + 0x4000, &header, sizeof(header));
        memcpy(block, &in, sizeof(in));
        return WEIR_HC_MAX_BLOCK;
    }
    memcpy(block, &header, sizeof(header));
    if (one_in(6)) {
        for (unsigned k = 1 + below(4); k-- > 0;)
            block[4 + below(length - 4)] ^= (uint8_t)(1u << below(8));
    }
    return length > sizeof(header) ? length : (uint32_t)sizeof(header);
}

/* ---- one call ---- */

static void set_ring(unsigned cpl)
{
    unsigned rpl = cpl ? 3 : 0;
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        c->seg[s] = (struct segment){.limit = 0xffffffff,
                                     .selector = (uint16_t)((cpl ? 0x20 : 0x10) | rpl),
                                     .attr = (uint16_t)(0xc093 | rpl << 5)};
    c->seg[SEG_CS].selector = (uint16_t)((cpl ? 0x18 : 0x08) | rpl);
    c->seg[SEG_CS].attr = (uint16_t)(0xc09b | rpl << 5);
    c->seg[SEG_TR] = (struct segment){TSS, 0x67, 0x28, 0x8b};
    c->gdtr = (struct table_register){GDT, 47};
    c->idtr = (struct table_register){IDT, 255};
    c->cpl = (uint8_t)rpl;
    c->cr0 |= CR0_PE | CR0_PG;
    c->cr3 = PD;
    c->cr4 |= CR4_PSE;
    c->flags = 0;
    c->rflags_rest = FLAG_FIXED;
    cpu_mode_update(c);
    tlb_flush_all(c);
}

static void spoil_pages(bool on)
{
    uint32_t *pt = ram(PT);
    for (unsigned k = 0; k < 3; k++) {
        uint32_t page = one_in(8) ? (BLOCK >> 12) + below(8) : (DATA >> 12) + below(600);
        pt[page] = page << 12 | (on ? below(8) : 7);
    }
}

static void note_results(const uint8_t *block)
{
    const struct weir_hc_header *h = (const struct weir_hc_header *)block;
    errors[h->error & 255]++;
    if (h->error)
        return;
    if (h->service == WEIR_HC_FILE_OPEN)
        handles[below(ARRAY_SIZE(handles))] = ((const struct weir_hc_open *)block)->handle;
    if (h->service == WEIR_HC_FILE_FIND)
        cursors[below(ARRAY_SIZE(cursors))] = ((const struct weir_hc_find *)block)->cursor;
    if (h->service == WEIR_HC_SG_PIN)
        handles[below(ARRAY_SIZE(handles))] = ((const struct weir_hc_sg *)block)->handle;
    if (h->service == WEIR_HC_EXTERN_SUBMIT)
        handles[below(ARRAY_SIZE(handles))] = ((const struct weir_hc_extern *)block)->request;
}

static void scribble(void)
{
    struct weir_export_slot *slot = &ring[below(WEIR_EXPORT_SLOTS)];
    slot->result = (int32_t)rnd();
    slot->pieces = (uint32_t)rnd();
    slot->number = (uint32_t)rnd();
    __atomic_store_n(&slot->state, one_in(3) ? (uint32_t)rnd() : WEIR_EXPORT_DONE,
                     __ATOMIC_RELEASE);
}

static void one_call(void)
{
    static const uint8_t code[] = {0x0f, 0xb9, 0x05, 0x00, 0x00, 0x02, 0x00, 0xf4};
    static uint8_t block[WEIR_HC_MAX_BLOCK];
    struct weir_exit e;
    uint32_t length = make_block(block);
    bool pages = one_in(6);
    memcpy(ram(CODE), code, sizeof(code));
    memcpy(ram(BLOCK), block, length);
    blocks_flush(c); /* calls may have read files over code */
    if (pages)
        spoil_pages(true);
    set_ring(below(2) * 3);
    c->rip = CODE;
    c->gpr[RSP] = STACK;
    c->halted = false;
    if (one_in(5))
        scribble();
    if (weir_run((weir_vcpu *)c, 1, &e) < 0 && e.reason != WEIR_EXIT_TRIPLE_FAULT)
        die("weir_run");
    calls++;
    if (c->rip > CODE + sizeof(code) || c->rip < CODE)
        faults++;
    else
        note_results(ram(BLOCK));
    put_tables(); /* whatever was read over them */
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    seed = strtoull(argv[1], NULL, 0);
    seed = seed ? seed * 0x9e3779b97f4a7c15ull : (uint64_t)time(NULL) << 20;
    uint64_t count = strtoull(argv[2], NULL, 0);
    bool timed = strchr(argv[2], 's');
    time_t end = time(NULL) + (time_t)count;
    printf("seed %llu\n", (unsigned long long)seed);
    build();
    while (timed ? time(NULL) < end : calls < count) {
        one_call();
        if (calls % 4000 == 0) {
            check_outside();
            hostcall_reset(vm->hostcall);
            fill_share();
        }
    }
    check_outside();
    weir_destroy(vm);
    for (unsigned k = 1; k < ARRAY_SIZE(errors); k++)
        if (errors[k])
            printf("error %u: %llu\n", k, (unsigned long long)errors[k]);
    printf("%llu calls, %llu faults, %llu succeeded\n", (unsigned long long)calls,
           (unsigned long long)faults, (unsigned long long)errors[0]);
    char command[200];
    snprintf(command, sizeof(command), "chmod -R u+rwx %s; rm -rf %s", dir, dir);
    return system(command) != 0;
}
