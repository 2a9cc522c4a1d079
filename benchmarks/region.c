/* What it costs that threads share a call: stands behind the C of a network that shares its work. `region THREADS` prints
 * medians in microseconds: an empty region, a barrier inside of one, a region after the workers have gone to sleep. */
#include <stdio.h>
#include <stdlib.h>

enum { REGIONS = 20000, BARRIERS = 100, NAPS = 200 };

static void barriers_part(const void *call, thread_barrier *barrier, int part, int parts)
{
    (void)part;
    for (int i = *(const int *)call; i > 0; --i)
        wait_at_barrier(barrier, parts);
}

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The median of so many regions of so many barriers, with naps between. */
static double measure(int threads, int regions, int barriers, useconds_t nap_us)
{
    static int64_t spent[REGIONS];
    for (int i = 0; i < regions; ++i) {
        if (nap_us)
            usleep(nap_us);
        const int64_t start = now_ns();
        own_pool.share(&own_pool, threads, 0, barriers_part, &barriers);
        spent[i] = now_ns() - start;
    }
    qsort(spent, (size_t)regions, sizeof *spent, ascending);
    return 1e-3 * (double)spent[regions / 2];
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 2;
    own_pool.patience = 10000000, own_pool.most_backoff = 0; /* All workers take part, always. */
    measure(threads, REGIONS, 0, 0);
    const double region = measure(threads, REGIONS, 0, 0), many = measure(threads, REGIONS / 10, BARRIERS, 0);
    printf("%.3f %.3f %.1f\n", region, (many - region) / BARRIERS, measure(threads, NAPS, 0, 1000));
    return 0;
}
