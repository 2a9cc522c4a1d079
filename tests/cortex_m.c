/* What a program for a Cortex-M needs before newlib's start: the vector table, the FPU, and its data copied to RAM. */
#include <stdint.h>

extern uint32_t stored_data[], data_begin[], data_end[], stack_top[];
extern void _start(void);
void reset(void);

static void fault(void)
{
    for (;;)
        __asm__ volatile("bkpt 0");
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_top, (const void *)reset, (const void *)fault, (const void *)fault, (const void *)fault, (const void *)fault, (const void *)fault,
};

void reset(void)
{
#ifdef __ARM_FP
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: access to the FPU */
    __asm__ volatile("dsb\n\tisb");
#endif
    for (uint32_t *to = data_begin, *from = stored_data; to < data_end; ++to, ++from)
        *to = *from;
    _start();
}
