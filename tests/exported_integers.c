/* Runs an exported quantized network on bytes, in memory to the byte, so that a sanitizer sees every byte that it touches.
 *
 *     program N FROM TO
 *
 * Behind `-include NAME.h`; NET is the name, NAME_ its symbols in capitals as CONSTANT(...). Predicts N examples a call. */
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

int main(int argc, char **argv)
{
    demand(argc == 4, "usage: program N FROM TO");
    const int each = atoi(argv[1]);
    FILE *from = fopen(argv[2], "rb"), *to = fopen(argv[3], "wb");
    demand(from && to, "no files");
    void *memory = malloc(CONSTANT(MEMORY));
    unsigned char *x = malloc((size_t)each * CONSTANT(INPUTS)), *out = malloc((size_t)each * CONSTANT(OUTPUTS));
    demand(memory && x && out, "no memory");
    memset(memory, 0xA5, CONSTANT(MEMORY));
    for (int n; (n = (int)fread(x, CONSTANT(INPUTS), (size_t)each, from)) > 0;) {
        demand(CALL(predict_quantized)(x, n, out, memory) == 0, "predict");
        demand(fwrite(out, CONSTANT(OUTPUTS), (size_t)n, to) == (size_t)n, argv[3]);
    }
    demand(CALL(predict_quantized)(NULL, 1, out, memory) != 0 && CALL(predict_quantized)(x, 0, out, memory) != 0, "codes");
    fclose(from), fclose(to);
    free(memory), free(x), free(out);
    return 0;
}
