/* Runs an exported network on any number of threads, all of which must say the same bits as one alone.
 *
 *     program FROM TO
 *
 * FROM are the inputs of a full mini-batch, TO gets the outputs. Behind `-include NAME.h`, as exported.c; with POOL for threads
 * that are started and stopped. */
#ifdef POOL
#include <pthread.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOIN(a, b) a##_##b
#define JOINED(a, b) JOIN(a, b)
#define CALL(function) JOINED(NET, function)
#define CONSTANT(name) JOINED(UPPER, name)

enum { GIVEN = CONSTANT(MAX_BATCH) * CONSTANT(INPUTS), MADE = CONSTANT(MAX_BATCH) * CONSTANT(OUTPUTS), ROUNDS = 20 };

static REAL x[GIVEN], alone[MADE];

static void demand(int fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "%s\n", what);
        exit(3);
    }
}

static void start(CALL(t) *net)
{
    const size_t bytes = CALL(memory_size)(CONSTANT(MAX_BATCH), 0);
    void *const memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    demand(memory && CALL(init)(net, memory, bytes, CONSTANT(MAX_BATCH), 0, 0) == 0, "init");
}

static void predict_the_same(const CALL(t) *net)
{
    REAL out[MADE] = { 0 };
    demand(CALL(predict)(net, x, CONSTANT(MAX_BATCH), out) == 0, "predict");
    demand(memcmp(out, alone, sizeof out) == 0, "other bits than on one thread");
}

#ifdef POOL
static void *caller(void *given)
{
    CALL(t) net;
    start(&net);
    demand(CALL(set_threads)(&net, (CALL(threads) *)given) == 0, "set_threads");
    for (int i = 0; i < ROUNDS; ++i)
        predict_the_same(&net);
    free(net.memory);
    return NULL;
}

static void test_counts(CALL(t) *net)
{
    CALL(threads) threads;
    for (int count = 1; count <= CONSTANT(MOST_THREADS); ++count) {
        demand(CALL(start_threads)(&threads, count) == 0 && CALL(set_threads)(net, &threads) == 0, "start_threads");
        for (int i = 0; i < 3; ++i)
            predict_the_same(net);
        demand(CALL(stop_threads)(&threads) == 0, "stop_threads");
    }
    demand(CALL(set_threads)(net, NULL) == 0, "set_threads");
    predict_the_same(net);
}

/* Two callers with the same threads: one at a time has them. */
static void test_callers(void)
{
    CALL(threads) threads;
    pthread_t other;
    demand(CALL(start_threads)(&threads, 3) == 0, "start_threads");
    demand(pthread_create(&other, NULL, caller, &threads) == 0, "pthread_create");
    caller(&threads);
    pthread_join(other, NULL);
    demand(CALL(stop_threads)(&threads) == 0, "stop_threads");
}

static void test_bad_arguments(CALL(t) *net)
{
    CALL(threads) threads;
    const int counts[] = { -1, 0, CONSTANT(MOST_THREADS) + 1 };
    for (int i = 0; i < 3; ++i) {
        memset(&threads, 0xCD, sizeof threads);
        const CALL(threads) before = threads;
        demand(CALL(start_threads)(&threads, counts[i]) == CONSTANT(BAD_THREADS), "a bad number of threads");
        demand(memcmp(&threads, &before, sizeof threads) == 0, "something was written");
    }
    demand(CALL(start_threads)(NULL, 2) == CONSTANT(NULL_POINTER), "start_threads(NULL)");
    demand(CALL(stop_threads)(NULL) == CONSTANT(NULL_POINTER), "stop_threads(NULL)");
    demand(CALL(set_threads)(NULL, NULL) == CONSTANT(NULL_POINTER), "set_threads(NULL)");
    (void)net;
}
#else
static void test_counts(CALL(t) *net)
{
    for (int count = 1; count <= CONSTANT(MOST_THREADS); ++count) {
        demand(CALL(set_threads)(net, count) == 0, "set_threads");
        predict_the_same(net);
    }
}

static void test_callers(void)
{
}

static void test_bad_arguments(CALL(t) *net)
{
    const int counts[] = { -1, 0, CONSTANT(MOST_THREADS) + 1 }, before = net->threads;
    for (int i = 0; i < 3; ++i)
        demand(CALL(set_threads)(net, counts[i]) == CONSTANT(BAD_THREADS) && net->threads == before, "a bad number");
    demand(CALL(set_threads)(NULL, 1) == CONSTANT(NULL_POINTER), "set_threads(NULL)");
}
#endif

int main(int argc, char **argv)
{
    demand(argc == 3, "usage: program FROM TO");
    FILE *const from = fopen(argv[1], "rb"), *const to = fopen(argv[2], "wb");
    demand(from && to && fread(x, sizeof *x, GIVEN, from) == GIVEN, argv[1]);
    CALL(t) net;
    start(&net);
    demand(CALL(predict)(&net, x, CONSTANT(MAX_BATCH), alone) == 0, "predict");
    demand(fwrite(alone, sizeof *alone, MADE, to) == MADE, argv[2]);
    test_bad_arguments(&net);
    test_counts(&net);
    test_callers();
    free(net.memory);
    fclose(from), fclose(to);
    return 0;
}
