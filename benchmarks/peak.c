/* The most multiply-adds a second that the machine does: `peak THREADS SECONDS` prints them for float and for double.
   Every thread adds up twelve vectors of its own, in registers, which hides the latency of the two units. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define SUMS 12
#define ROUNDS 100000

#define MEASURE(real)                                                                                       \
    static double measure_##real(int threads, double seconds)                                               \
    {                                                                                                       \
        typedef real vector __attribute__((vector_size(BYTES)));                                            \
        double best = 0;                                                                                    \
        const double end = omp_get_wtime() + seconds;                                                       \
        while (omp_get_wtime() < end) {                                                                     \
            const double start = omp_get_wtime();                                                           \
            _Pragma("omp parallel num_threads(threads)")                                                    \
            {                                                                                               \
                vector sums[SUMS], a, b;                                                                    \
                for (int lane = 0; lane < (int)(BYTES / sizeof(real)); lane++)                              \
                    a[lane] = (real)0.999, b[lane] = (real)1e-3;                                            \
                __asm__ volatile("" : "+x"(a), "+x"(b));                                                    \
                for (int i = 0; i < SUMS; i++)                                                              \
                    sums[i] = b;                                                                            \
                for (int round = 0; round < ROUNDS; round++)                                                \
                    for (int i = 0; i < SUMS; i++)                                                          \
                        sums[i] = sums[i] * a + b;                                                          \
                for (int i = 0; i < SUMS; i++)                                                              \
                    __asm__ volatile("" : : "x"(sums[i]));                                                  \
            }                                                                                               \
            const double work = (double)threads * ROUNDS * SUMS * (BYTES / sizeof(real));                   \
            const double rate = work / (omp_get_wtime() - start);                                           \
            best = rate > best ? rate : best;                                                               \
        }                                                                                                   \
        return best;                                                                                        \
    }

MEASURE(float)
MEASURE(double)

int main(int count, char **arguments)
{
    const int threads = count > 1 ? atoi(arguments[1]) : 1;
    const double seconds = count > 2 ? atof(arguments[2]) : 0.2;
    printf("%.0f %.0f\n", measure_float(threads, seconds), measure_double(threads, seconds));
    return 0;
}
