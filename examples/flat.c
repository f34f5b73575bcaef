/* SPDX-License-Identifier: MIT */
/* Boots a few bytes of 32-bit code in a bare machine and reads registers afterwards. */
#include <stdio.h>
#include <weir/machine.h>
#include <weir/memory.h>
#include <weir/weir.h>

static void print_log(void *ctx, enum weir_log_item item, const char *text, size_t length)
{
    (void)ctx;
    (void)item;
    fwrite(text, 1, length, stderr);
}

int main(void)
{
    /* mov eax, 6; mov ecx, 7; imul eax, ecx; hlt */
    static const uint8_t code[] = {0xb8, 6, 0, 0, 0, 0xb9, 7, 0, 0, 0, 0x0f, 0xaf, 0xc1, 0xf4};
    struct weir_config config;
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.ram_bytes = 1 << 20;
    config.log = print_log;

    weir *vm;
    if (weir_create(&config, &vm) < 0)
        return 1;
    weir_mem_write(vm, 0x1000, code, sizeof(code));
    if (weir_boot_flat(vm, 32, 0x1000, 0x8000, 0) < 0) {
        fprintf(stderr, "%s\n", weir_last_error(vm));
        return 1;
    }

    weir_vcpu *cpu = weir_get_vcpu(vm, 0);
    struct weir_exit exit;
    union weir_value eax, rip;
    if (weir_run(cpu, 0, &exit) < 0 || exit.reason != WEIR_EXIT_HALT) {
        fprintf(stderr, "not halted: %s\n", weir_last_error(vm));
        return 1;
    }
    weir_reg_get(cpu, WEIR_RAX, &eax);
    weir_reg_get(cpu, WEIR_RIP, &rip);
    printf("eax=%llu rip=%#llx instructions=%llu\n", (unsigned long long)eax.u64,
           (unsigned long long)rip.u64, (unsigned long long)exit.instructions);
    weir_destroy(vm);
    return eax.u64 == 42 ? 0 : 1;
}
