/* SPDX-License-Identifier: MIT */
/* Two machines in two threads of one process: they share nothing. */
#include <pthread.h>
#include <stdio.h>
#include <weir/machine.h>
#include <weir/memory.h>

struct job {
    uint32_t start;
    uint64_t result;
    int status;
};

static void *run_job(void *ctx)
{
    struct job *job = ctx;
    /* xor eax, eax; l: add eax, ecx; dec ecx; jnz l; hlt: the sum of 1..ecx */
    static const uint8_t code[] = {0x31, 0xc0, 0x01, 0xc8, 0x49, 0x75, 0xfb, 0xf4};
    struct weir_config config;
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    weir *vm;
    job->status = weir_create(&config, &vm);
    if (job->status < 0)
        return NULL;
    weir_vcpu *cpu = weir_get_vcpu(vm, 0);
    weir_mem_write(vm, 0x1000, code, sizeof(code));
    weir_boot_flat(vm, 32, 0x1000, 0x8000, 0);
    union weir_value ecx = {.u64 = job->start}, eax;
    weir_reg_set(cpu, WEIR_RCX, &ecx);

    struct weir_exit exit;
    do /* in slices, as an embedder with other things to do would */
        job->status = weir_run(cpu, 100000, &exit);
    while (job->status == 0 && exit.reason == WEIR_EXIT_BUDGET);
    weir_reg_get(cpu, WEIR_RAX, &eax);
    job->result = eax.u64;
    weir_destroy(vm);
    return NULL;
}

int main(void)
{
    struct job jobs[2] = {{.start = 50000}, {.start = 60000}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, run_job, &jobs[i]);
    int bad = 0;
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        uint32_t sum = (uint32_t)((uint64_t)jobs[i].start * (jobs[i].start + 1) / 2);
        printf("1 + ... + %u = %llu\n", jobs[i].start, (unsigned long long)jobs[i].result);
        bad |= jobs[i].status < 0 || jobs[i].result != sum;
    }
    return bad;
}
