/* Trains an exported network for some steps, without Python: on another machine, or watched by sanitizers.
 *
 *     program WEIGHTS FROM TO
 *
 * Behind `-include NAME.h`; NET is the name, UPPER the name in capitals. FROM holds mini-batches: their number n, n
 * examples, n classes. TO gets the loss of each step, and at the end the file of weights. Memory is exact to the byte. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOIN(a, b) a##_##b
#define JOINED(a, b) JOIN(a, b)
#define CALL(function) JOINED(NET, function)
#define CONSTANT(name) JOINED(UPPER, name)

static void demand(int fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "%s\n", what);
        exit(3);
    }
}

static void *exact_memory(size_t bytes)
{
    void *memory = memalign(CONSTANT(ALIGNMENT), bytes);
    demand(memory != NULL, "no memory");
    return memory;
}

int main(int argc, char **argv)
{
    demand(argc == 4, "usage: program WEIGHTS FROM TO");
    FILE *weights_file = fopen(argv[1], "rb"), *from = fopen(argv[2], "rb"), *to = fopen(argv[3], "wb");
    demand(weights_file && from && to, "the files cannot be opened");
    CALL(t) net;
    const size_t bytes = CALL(memory_size)(CONSTANT(MAX_BATCH), 1), weights_bytes = CALL(weights_size)();
    void *memory = exact_memory(bytes), *weights = exact_memory(weights_bytes);
    memset(memory, 0xFF, bytes);
    demand(fread(weights, 1, weights_bytes, weights_file) == weights_bytes, "the weights are too short");
    demand(CALL(init)(&net, memory, bytes, CONSTANT(MAX_BATCH), 1, SEED) == 0, "init");
    demand(CALL(load_weights)(&net, weights, weights_bytes) == 0, "load_weights");
    for (int32_t n; fread(&n, sizeof n, 1, from) == 1;) {
        float *x = (float *)malloc((size_t)n * CONSTANT(INPUTS) * sizeof *x), loss;
        int32_t *y = (int32_t *)malloc((size_t)n * sizeof *y);
        demand(fread(x, CONSTANT(INPUTS) * sizeof *x, (size_t)n, from) == (size_t)n, "x");
        demand(fread(y, sizeof *y, (size_t)n, from) == (size_t)n, "y");
        demand(CALL(train_step)(&net, x, y, n, &loss) == 0, "train_step");
        demand(fwrite(&loss, sizeof loss, 1, to) == 1, "the loss cannot be written");
        free(x), free(y);
    }
    demand(CALL(save_weights)(&net, weights, weights_bytes) == 0, "save_weights");
    demand(fwrite(weights, 1, weights_bytes, to) == weights_bytes, "the weights cannot be written");
    demand(fclose(to) == 0, "TO cannot be closed");
    fclose(weights_file), fclose(from), free(memory), free(weights);
    return 0;
}
