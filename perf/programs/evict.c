/* Purpose: a cache server's day in minutes: values of other sizes in each phase, random eviction.
 *
 *   evict LIVE TURNOVERS VALUES
 *
 * In each phase values of its sizes come, until TURNOVERS times LIVE bytes have, and at least
 * VALUES of them (a phase of large ones would be over in a second), while random ones of whatever
 * age are evicted to keep LIVE bytes; nobody asks the allocator to give anything back (field case
 * F8). */
#include "memory.h"

static const char usage[] = "LIVE TURNOVERS VALUES";

enum { PHASES = 8, LOOKS = 24 };
static const struct {
    unsigned low, high;
} phases[PHASES] = {{32, 96},     {100, 200},  {150, 600},    {1000, 3000},
                    {64, 30000},  {300, 700},  {4000, 60000}, {40, 160}};

struct value {
    unsigned char *bytes;
    size_t size;
};

static struct value *values;
static size_t count_of_values, live;

static void insert(size_t size) {
    values[count_of_values++] = (struct value){get_filled(size, (unsigned char)size), size};
    live += size;
}

static void evict(struct random *random) {
    size_t victim = random_below(random, count_of_values);
    if (*values[victim].bytes != (unsigned char)values[victim].size)
        fail("contents");
    live -= values[victim].size;
    free(values[victim].bytes);
    values[victim] = values[--count_of_values];
}

int main(int count, char **arguments) {
    size_t most = number(count, arguments, 1, usage);
    size_t turnovers = number(count, arguments, 2, usage);
    size_t least = number(count, arguments, 3, usage);
    struct random random = {5};
    values = own_table(most / 32 * sizeof *values);
    begin_measuring();
    for (size_t phase = 0; phase < PHASES; phase++) {
        size_t width = phases[phase].high - phases[phase].low;
        size_t least_bytes = least * (phases[phase].low + width / 2);
        size_t bytes = most * turnovers > least_bytes ? most * turnovers : least_bytes;
        size_t come = 0;
        for (size_t look = 1; look <= LOOKS; look++) {
            while (come < bytes / LOOKS * look) {
                size_t size = phases[phase].low + random_below(&random, width);
                insert(size);
                come += size;
                while (live > most)
                    evict(&random);
            }
            take_sample((double)phase + (double)look / LOOKS, live);
        }
        printf("phase resident %zu live %zu\n", resident_bytes(), live);
    }
    print_samples();
    return 0;
}
