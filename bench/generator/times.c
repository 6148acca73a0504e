#define _GNU_SOURCE
#include "times.h"

#include <err.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#define TICK_NS 100

/* In ticks. */
static uint32_t *times;
static size_t time_count, time_capacity;

uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void note_time(uint64_t ns) {
    if (time_count == time_capacity) {
        time_capacity = time_capacity == 0 ? 1 << 16 : 2 * time_capacity;
        times = realloc(times, time_capacity * sizeof *times);
        if (times == NULL) errx(70, "out of memory");
    }
    uint64_t ticks = ns / TICK_NS;
    times[time_count++] = ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
}

size_t count_times(void) {
    return time_count;
}

static int compare_times(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return a < b ? -1 : a > b;
}

void sort_times(void) {
    qsort(times, time_count, sizeof *times, compare_times);
}

double percentile_ms(double share) {
    if (time_count == 0) return NAN;
    size_t at = (size_t)(share * (double)time_count);
    return (double)times[at < time_count ? at : time_count - 1] * TICK_NS / 1e6;
}
