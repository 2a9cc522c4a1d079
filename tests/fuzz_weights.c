/* libFuzzer on the loader of weights of an exported network: what is not its file is refused with a code, and nothing is
 * written; what is taken can be predicted with. Behind `-include NAME.h`, as exported.c. */
#include <stdlib.h>
#include <string.h>

#define JOIN(a, b) a##_##b
#define JOINED(a, b) JOIN(a, b)
#define CALL(function) JOINED(NET, function)
#define CONSTANT(name) JOINED(UPPER, name)

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t bytes);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t bytes)
{
    CALL(t) net;
    REAL x[CONSTANT(INPUTS)] = { 0 }, out[CONSTANT(OUTPUTS)];
    const size_t needed = CALL(memory_size)(1, 0);
    const size_t place = CONSTANT(ALIGNMENT) < sizeof(void *) ? sizeof(void *) : CONSTANT(ALIGNMENT);
    void *memory = NULL, *weights = NULL;
    if (posix_memalign(&memory, place, needed) || posix_memalign(&weights, place, bytes ? bytes : 1))
        return 0;
    memcpy(weights, data, bytes);
    if (CALL(init)(&net, memory, needed, 1, 0, 0) != 0)
        abort();
    const CALL(t) before = net;
    const int error = CALL(load_weights)(&net, weights, bytes);
    if (error ? memcmp(&net, &before, sizeof net) != 0 : CALL(predict)(&net, x, 1, out) != 0)
        abort();
    if (error && CALL(predict)(&net, x, 1, out) != CONSTANT(NO_WEIGHTS))
        abort();
    free(memory), free(weights);
    return 0;
}
