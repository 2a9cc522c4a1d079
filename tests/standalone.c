/* Runs an emitted network without Python, so that a sanitizer sees its C alone and an emulator can run it.
 *
 *     program FROM TO
 *
 * Stands behind the network in one file, with these defined by standalone.py: `NET_TYPE`, `CALL(function)`, the casts
 * `INPUTS`, `TARGETS`, `NO_BYTES` and `OUTPUTS` of the arrays `given` and `made`, how many there are of them (GIVEN, MADE) and of
 * outputs with those that only train (HEADS), the bytes of one example in each, and how far behind a tensor kernels may read
 * (READ_AHEAD). All memory is as large as the network asks for, to the byte. */
#include <stdio.h>
#include <stdlib.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

typedef struct {
    int64_t threads, seed, step, count;
    double lr;
} settings;

/* Memory of the arena that belongs to no tensor of a step, as pairs of where and how many bytes. */
typedef struct {
    int64_t count, *pairs;
} gaps;

static void demand(int fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "%s\n", what);
        exit(3);
    }
}

static void *new_bytes(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64); /* as an arena must lie */
    demand(memory != NULL, "no memory");
    return memory;
}

static void *read_bytes(FILE *file, size_t bytes)
{
    void *memory = new_bytes(bytes);
    demand(fread(memory, 1, bytes, file) == bytes, "the file is too short");
    return memory;
}

static void write_bytes(FILE *file, const void *memory, size_t bytes)
{
    demand(fwrite(memory, 1, bytes, file) == bytes, "the file cannot be written");
}

static gaps read_gaps(FILE *file)
{
    int64_t *count = read_bytes(file, sizeof *count);
    const gaps found = { *count, read_bytes(file, (size_t)*count * 2 * sizeof *count) };
    free(count);
    return found;
}

/* What gaps hold, by the byte of the arena: signaling NaNs, each with its number. What is computed from one is a quiet NaN,
 * and what is copied has another number, so that both show where they are written. */
static unsigned char fill_of(int64_t byte)
{
    enum { SIZE = sizeof(*((NET_TYPE *)0)->arena) };
    const uint64_t number = (uint64_t)(byte / SIZE) & 0xFFFFF;
    const uint64_t nan = (SIZE == 8 ? 0x7FF4000000000000u : 0x7FA00000u) | number;
    return (unsigned char)(nan >> 8 * (byte % SIZE));
}

/* From here on only what lies between the gaps may be written, and so many bytes behind it may be read besides. */
static void close_gaps(const NET_TYPE *net, gaps found)
{
    for (int64_t i = 0; i < found.count; ++i) {
        char *gap = (char *)net->arena + found.pairs[2 * i];
        const size_t bytes = (size_t)found.pairs[2 * i + 1];
        for (size_t k = 0; k < bytes; ++k)
            gap[k] = (char)fill_of(found.pairs[2 * i] + (int64_t)k);
#ifdef __SANITIZE_ADDRESS__
        if (bytes > READ_AHEAD)
            __asan_poison_memory_region(gap + READ_AHEAD, bytes - READ_AHEAD);
#endif
    }
}

static void open_gaps(const NET_TYPE *net, gaps found)
{
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(net->arena, CALL(memory_size)(2));
#endif
    for (int64_t i = 0; i < found.count; ++i)
        for (int64_t at = found.pairs[2 * i]; at < found.pairs[2 * i] + found.pairs[2 * i + 1]; ++at)
            demand(((unsigned char *)net->arena)[at] == fill_of(at), "memory between the tensors was written");
}

int main(int argc, char **argv)
{
    demand(argc == 3, "usage: program FROM TO");
    FILE *from = fopen(argv[1], "rb"), *to = fopen(argv[2], "wb");
    demand(from && to, "the files cannot be opened");
    settings *s = read_bytes(from, sizeof *s);
    const size_t arena_bytes = CALL(memory_size)(2);
    NET_TYPE net = { .threads = (int)s->threads, .seed = (uint64_t)s->seed, .step = s->step, .lr = s->lr, .batch = CALL(max_batch)() HYPERPARAMETERS };
    net.arena = read_bytes(from, arena_bytes);
    int64_t *const pool = CALL(pool)();
    if (pool)
        pool[1] = 10000000000, pool[2] = 0; /* All workers are waited for, always. */
    const gaps predicting = read_gaps(from), differentiating = read_gaps(from), training = read_gaps(from);
    void *given[GIVEN], *made[MADE];
    for (int i = 0; i < GIVEN; ++i)
        given[i] = read_bytes(from, (size_t)s->count * given_bytes[i]);
    for (int i = 0; i < MADE; ++i)
        made[i] = new_bytes((size_t)s->count * made_bytes[i]);
    const int n = s->count < MAX_BATCH ? (int)s->count : MAX_BATCH;

    close_gaps(&net, predicting);
    CALL(predict)(&net, INPUTS, s->count, OUTPUTS);
    for (int i = 0; i < MADE; ++i)
        write_bytes(to, made[i], (size_t)s->count * made_bytes[i]);
    double *sums = new_bytes(2 * MADE * sizeof *sums);
    memset(sums, 0, 2 * MADE * sizeof *sums);
    CALL(evaluate)(&net, INPUTS, TARGETS, NULL, s->count, OUTPUTS, sums);
    write_bytes(to, sums, 2 * MADE * sizeof *sums);
    open_gaps(&net, predicting);

    double losses[4][2 * HEADS + 2] = { 0 };
    close_gaps(&net, differentiating);
    demand(!CALL(gradients)(&net, INPUTS, TARGETS, NULL, n, losses[0]), "gradients: the loss is not finite");
    open_gaps(&net, differentiating);
    write_bytes(to, net.arena, arena_bytes);

    int64_t *order = new_bytes((size_t)s->count * sizeof *order), position = 0;
    for (int64_t i = 0; i < s->count; ++i)
        order[i] = s->count - 1 - i;
    const int64_t batches = (s->count + MAX_BATCH - 1) / MAX_BATCH;
    double *rates = new_bytes((size_t)batches * sizeof *rates);
    for (int64_t i = 0; i < batches; ++i)
        rates[i] = s->lr;
    close_gaps(&net, training);
    demand(!CALL(loss)(&net, INPUTS, TARGETS, NULL, n, losses[1]), "loss: it is not finite");
    demand(!CALL(train_step)(&net, INPUTS, TARGETS, NULL, n, losses[2]), "train_step: the loss is not finite");
    demand(!CALL(train_batches)(&net, INPUTS, TARGETS, NULL, NO_BYTES, order, s->count, &position, rates, 1e9, losses[3]), "train_batches: the loss is not finite");
    open_gaps(&net, training);
    write_bytes(to, losses, sizeof losses);
    write_bytes(to, net.arena, arena_bytes);

    const volatile float small = 1e-30f;
    demand(small * 1e-10f > 0, "a call has left the CPU without its smallest numbers");
    demand(fclose(to) == 0 && fclose(from) == 0, "the files cannot be closed");
    for (int i = 0; i < GIVEN; ++i)
        free(given[i]);
    for (int i = 0; i < MADE; ++i)
        free(made[i]);
    free(predicting.pairs), free(differentiating.pairs), free(training.pairs);
    free(net.arena), free(sums), free(order), free(rates), free(s);
    return 0;
}
