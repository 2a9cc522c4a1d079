/* Runs an exported network as its user would, on memory to the byte, so that a sanitizer sees every number that it touches.
 *
 *     program WEIGHTS N FROM TO
 *
 * WEIGHTS is - for those in the C.
 * Behind `-include NAME.h`; NET is the name, NAME_ its symbols in capitals as CONSTANT(...). Predicts N examples a call. */
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

/* As many bytes as asked for, at an address that is a multiple of the alignment and of nothing more. */
static void *exact_memory(size_t bytes)
{
    void *memory = memalign(CONSTANT(ALIGNMENT), bytes ? bytes : 1);
    demand(memory != NULL, "no memory");
    return memory;
}

static void *contents(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    demand(file && fseek(file, 0, SEEK_END) == 0, path);
    *bytes = (size_t)ftell(file);
    rewind(file);
    void *memory = exact_memory(*bytes);
    demand(fread(memory, 1, *bytes, file) == *bytes, path);
    fclose(file);
    return memory;
}

int main(int argc, char **argv)
{
    demand(argc == 5, "usage: program WEIGHTS N FROM TO");
    size_t weights_bytes = 0, x_bytes;
    const int embedded = strcmp(argv[1], "-") == 0;
    void *weights = embedded ? NULL : contents(argv[1], &weights_bytes);
    const int each = atoi(argv[2]);
    char *x = (char *)contents(argv[3], &x_bytes);
    FILE *to = fopen(argv[4], "wb");
    demand(to != NULL, argv[4]);

    CALL(t) net;
    const size_t bytes = CALL(memory_size)(each, 0);
    void *memory = exact_memory(bytes);
    memset(memory, 0xFF, bytes); /* Not-a-number: nothing may be read before it was written. */
    demand(CALL(init)(&net, memory, bytes, each, 0, 0) == 0, "init");
    demand(embedded || CALL(load_weights)(&net, weights, weights_bytes) == 0, "load_weights");
    const size_t example = CONSTANT(INPUTS) * sizeof(REAL), result = CONSTANT(OUTPUTS) * sizeof(REAL);
    const int count = (int)(x_bytes / example);
    for (int first = 0; first < count; first += each) {
        const int n = count - first < each ? count - first : each;
        REAL *given = (REAL *)malloc((size_t)n * example), *made = (REAL *)malloc((size_t)n * result);
        memcpy(given, x + (size_t)first * example, (size_t)n * example);
        demand(CALL(predict)(&net, given, n, made) == 0, "predict");
        demand(fwrite(made, result, (size_t)n, to) == (size_t)n, argv[4]);
        free(given), free(made);
    }
    const volatile float small = 1e-30f;
    demand(small * 1e-10f > 0, "a call has left the CPU without its smallest numbers");
    fclose(to);
    free(x), free(memory), free(weights);
    return 0;
}
