/* How long things took, each of them kept. */
#ifndef TIMES_H
#define TIMES_H

#include <stddef.h>
#include <stdint.h>

uint64_t now_ns(void);
/* Kept to 100 ns, and to 429 s at most. */
void note_time(uint64_t ns);
size_t count_times(void);
/* To be called when all are noted, before percentile_ms. */
void sort_times(void);
/* share: 0.5 is the median, 1 the longest. NaN where nothing was noted. */
double percentile_ms(double share);

#endif
