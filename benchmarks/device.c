/* Counts the instructions of one prediction on an emulated Cortex-M, behind `-include NAME.h`, with NET the network's name,
 * UPPER that in capitals and MEMORY the bytes that it wants. Under `qemu-system-arm -icount shift=0` an instruction takes a
 * nanosecond, and the system timer of these boards ticks every 40. */
#include <stdio.h>

#define JOIN(a, b) a##_##b
#define JOINED(a, b) JOIN(a, b)
#define CALL(function) JOINED(NET, function)
#define CONSTANT(name) JOINED(UPPER, name)

static volatile uint32_t *const timer = (volatile uint32_t *)0xE000E010; /* control, reload, current */
enum { CONTROL, RELOAD, CURRENT, TICK = 40 };

static float memory[MEMORY / sizeof(float)], x[CONSTANT(INPUTS)], out[CONSTANT(OUTPUTS)];

static uint32_t instructions_of_a_prediction(const CALL(t) *net)
{
    timer[CURRENT] = 0;
    const uint32_t before = timer[CURRENT];
    CALL(predict)(net, x, 1, out);
    return ((before - timer[CURRENT]) & 0xFFFFFF) * TICK;
}

int main(void)
{
    CALL(t) net;
    if (CALL(init)(&net, memory, sizeof memory, 1, 0, 0))
        return 1;
    for (int i = 0; i < CONSTANT(INPUTS); ++i)
        x[i] = (float)(i % 17) / 17;
    timer[RELOAD] = 0xFFFFFF;
    timer[CONTROL] = 5; /* on, at the speed of the processor */
    instructions_of_a_prediction(&net);
    printf("%lu\n", (unsigned long)instructions_of_a_prediction(&net));
    return 0;
}
