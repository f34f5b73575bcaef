/* SPDX-License-Identifier: MIT */
/*
 * A machine whose guest has a file read by another process (ram_server.c) into scattered pages of
 * its memory.   usage: ram_export RAM_SERVER
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weir/hostservice.h>
#include <weir/machine.h>
#include <weir/memory.h>

enum { CODE = 0x1000, BLOCK = 0x8000, PIECES = 24, PIECE_BYTES = 1000 };

static weir *vm;

/* The guest executes one host call: ud1 eax, [BLOCK]; hlt. Returns its status. */
static unsigned call(struct weir_hc_extern *block, uint16_t service, uint32_t length)
{
    static const uint8_t code[] = {0x0f, 0xb9, 0x05, 0x00, 0x80, 0x00, 0x00, 0xf4};
    struct weir_exit e;
    block->header =
        (struct weir_hc_header){WEIR_HC_MAGIC, WEIR_HC_VERSION, service, 0, 0, length};
    weir_mem_write(vm, CODE, code, sizeof(code));
    weir_mem_write(vm, BLOCK, block, length);
    if (weir_boot_flat(vm, 32, CODE, 0x7000, 0) < 0 ||
        weir_run(weir_get_vcpu(vm, 0), 0, &e) < 0 || e.reason != WEIR_EXIT_HALT)
        exit(1);
    weir_mem_read(vm, BLOCK, block, length);
    return block->header.error;
}

static int make_machine(const char *socket)
{
    struct weir_config config;
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.ram_bytes = 8 << 20;
    if (weir_create(&config, &vm) < 0)
        return -1;
    if (weir_hostcall_enable(vm, "extern=on") == 0 && weir_mem_export(vm, socket) == 0)
        return 0;
    fprintf(stderr, "%s\n", weir_last_error(vm));
    return -1;
}

static int check(const char *expected)
{
    char got[PIECE_BYTES];
    for (unsigned k = 0; k < PIECES; k++) {
        weir_mem_read(vm, 0x100000 + 0x2345 * k, got, sizeof(got));
        if (memcmp(got, expected + PIECE_BYTES * k, sizeof(got)) != 0)
            return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static char bytes[PIECES * PIECE_BYTES];
    char dir[] = "/tmp/weir-export-XXXXXX", socket[64], file[64];
    struct {
        struct weir_hc_extern a;
        struct weir_hc_region more[PIECES - 1];
    } b;
    if (argc < 2 || !mkdtemp(dir))
        return 1;
    snprintf(socket, sizeof(socket), "%s/ram", dir);
    snprintf(file, sizeof(file), "%s/file", dir);
    for (unsigned k = 0; k < sizeof(bytes); k++)
        bytes[k] = (char)(k * k >> 5);
    FILE *f = fopen(file, "w");
    if (!f || fwrite(bytes, 1, sizeof(bytes), f) != sizeof(bytes) || fclose(f) ||
        make_machine(socket) < 0)
        return 1;
    pid_t server = fork();
    if (server == 0) {
        execl(argv[1], argv[1], socket, file, (char *)NULL);
        _exit(127);
    }
    unsigned error;
    do { /* until it has connected */
        usleep(1000);
        memset(&b, 0, sizeof(b));
        b.a.region_count = PIECES;
        b.a.writable = 1;
        b.a.words[0] = 1;
        for (unsigned k = 0; k < PIECES; k++)
            (&b.a.regions[0])[k] =
                (struct weir_hc_region){0x100000 + 0x2345 * k, PIECE_BYTES, WEIR_HC_LINEAR};
        error = call(&b.a, WEIR_HC_EXTERN_SUBMIT, sizeof(b));
    } while (error == WEIR_HC_EOPNOTSUPP && waitpid(server, NULL, WNOHANG) == 0);
    b.a.region_count = 0;
    b.a.wait_ms = 100;
    while (!error && (error = call(&b.a, WEIR_HC_EXTERN_POLL, sizeof(b.a))) == WEIR_HC_EAGAIN)
        error = 0;
    bool good = !error && b.a.result == (int)sizeof(bytes) && check(bytes) == 0;
    printf("status %u, %d bytes read, %s\n", error, b.a.result, good ? "all right" : "WRONG");
    weir_destroy(vm); /* which ends the server */
    waitpid(server, NULL, 0);
    unlink(file);
    rmdir(dir);
    return good ? 0 : 1;
}
