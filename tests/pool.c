/* Exercises the thread pool of an emitted network without the network: stands behind its C in one file.
 *
 *     program CALLERS CALLS THREADS PATIENCE FORKS
 *
 * So many threads make so many calls each, that wait for workers so many ns (-1: as the pool does of itself, back-off and
 * all). What the parts of a call do to plain memory comes out right only if barriers, begin and end keep it in order. After
 * that the process forks so often; the child and then the parent make calls again. Prints how many parts calls had. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { ROUNDS = 5, MOST_PARTS = 64 };

#ifdef NO_THREADS
int NO_THREADS(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *given);
int NO_THREADS(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *given)
{
    (void)thread, (void)attributes, (void)run, (void)given;
    return EAGAIN;
}
#endif

typedef struct {
    int64_t numbers[MOST_PARTS], sum;
    int parts;
} job;

static void demand(int fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "%s\n", what);
        _exit(3);
    }
}

static void job_part(const void *call, thread_barrier *barrier, int part, int parts)
{
    job *const j = *(job *const *)call;
    if (part == 0)
        j->parts = parts;
    for (int round = 0; round < ROUNDS; ++round) {
        j->numbers[part] += part + round;
        wait_at_barrier(barrier, parts);
        if (part == round % parts) /* Another one each time. */
            for (int i = 0; i < parts; ++i)
                j->sum += j->numbers[i];
        wait_at_barrier(barrier, parts);
    }
}

typedef struct {
    int calls, threads, least, most;
} caller;

static void *make_calls(void *given)
{
    caller *const c = given;
    c->least = MOST_PARTS, c->most = 0;
    for (int i = 0; i < c->calls; ++i) {
        job one = { { 0 }, 0, 0 }, *const address = &one;
        own_pool.share(&own_pool, c->threads, 0, job_part, &address);
        demand(one.parts >= 1 && one.parts <= c->threads, "not so many threads were asked for");
        int64_t sum = 0;
        for (int part = 0; part < one.parts; ++part)
            for (int round = 0; round < ROUNDS; ++round)
                sum += (int64_t)(ROUNDS - round) * (part + round);
        demand(one.sum == sum, "the sum is wrong");
        c->least = one.parts < c->least ? one.parts : c->least;
        c->most = one.parts > c->most ? one.parts : c->most;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    demand(argc == 6, "usage: program CALLERS CALLS THREADS PATIENCE FORKS");
    const int callers = atoi(argv[1]), patience = atoi(argv[4]);
    if (patience >= 0)
        own_pool.patience = patience, own_pool.most_backoff = 0;
    caller c[MOST_PARTS];
    pthread_t thread[MOST_PARTS];
    for (int i = 0; i < callers; ++i)
        c[i] = (caller){ atoi(argv[2]), atoi(argv[3]), 0, 0 };
    for (int i = 1; i < callers; ++i)
        demand(!pthread_create(&thread[i], NULL, make_calls, &c[i]), "no thread");
    make_calls(&c[0]);
    for (int i = 1; i < callers; ++i)
        demand(!pthread_join(thread[i], NULL), "the thread cannot be joined");
    for (int i = 0; i < callers; ++i)
        printf("%d %d\n", c[i].least, c[i].most);
    fflush(stdout);
    for (int forks = atoi(argv[5]); forks > 0; --forks) {
        const pid_t child = fork();
        demand(child >= 0, "no process");
        alarm(60); /* The child's own; the parent's is set anew each time. */
        make_calls(&c[0]);
        if (child == 0) {
            printf("%d %d\n", c[0].least, c[0].most);
            fflush(stdout);
            _exit(0);
        }
        int status;
        demand(waitpid(child, &status, 0) == child && status == 0, "the child has failed");
    }
    return 0;
}
