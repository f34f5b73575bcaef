/* SPDX-License-Identifier: MIT */
/*
 * A machine of one's own that gdb can attach to:
 *
 *      $ ./gdb_stub tcp::1234
 *      $ gdb -ex 'target remote :1234'
 *      (gdb) watch *(int *)0x2000
 *      (gdb) continue
 *
 * The loop around weir_run needs nothing for that: breakpoints pause the machine, and weir_run
 * waits until gdb lets it go on. Without an address it counts for a moment and ends.
 */
#include <stdio.h>
#include <weir/gdb.h>
#include <weir/memory.h>
#include <weir/weir.h>
#include <weir/machine.h>

static void monitor(void *ctx, const char *command, struct weir_text *out)
{
    (void)ctx;
    weir_textf(out, "'%s' is no command of this program\n", command);
}

int main(int argc, char **argv)
{
    /* again: inc dword [rdi]; jmp again */
    static const uint8_t code[] = {0xff, 0x07, 0xeb, 0xfc};
    struct weir_config config;
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.ram_bytes = 4 << 20;
    weir *vm;
    if (weir_create(&config, &vm) < 0 || weir_boot_flat(vm, 64, 0x1000, 0x8000, 0x100000) < 0)
        return 1;
    weir_mem_write(vm, 0x1000, code, sizeof(code));
    weir_vcpu *cpu = weir_get_vcpu(vm, 0);
    weir_reg_set_u64(cpu, WEIR_RDI, 0x2000);

    struct weir_gdb_config gdb_config = {.size = sizeof(gdb_config),
                                         .address = argc > 1 ? argv[1] : "tcp::0",
                                         .monitor = monitor};
    weir_gdb *gdb;
    if (weir_gdb_listen(vm, &gdb_config, &gdb) < 0) {
        fprintf(stderr, "%s\n", weir_last_error(vm));
        return 1;
    }
    fprintf(stderr, "gdb can come to %s\n", weir_gdb_where(gdb));

    struct weir_exit exit = {.reason = WEIR_EXIT_PAUSED};
    while (weir_run(cpu, argc > 1 ? 0 : 100000, &exit) == 0 && exit.reason == WEIR_EXIT_PAUSED)
        ;
    uint32_t count = 0;
    weir_mem_read(vm, 0x2000, &count, sizeof(count));
    printf("counted to %u\n", count);
    weir_gdb_close(gdb, 0);
    weir_destroy(vm);
    return argc == 1 && count != 50000;
}
