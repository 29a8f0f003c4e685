/* Counts of durations: 32 buckets for each power of two of nanoseconds, so that no value is off by more than 3 %. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { BUCKET_BITS = 5, BUCKETS = (64 - BUCKET_BITS) << BUCKET_BITS };

typedef struct {
    uint64_t counts[BUCKETS], total, sum, largest;
} Histogram;

static inline unsigned bucket_of(uint64_t value) {
    if (value < 1u << BUCKET_BITS)
        return (unsigned) value;
    unsigned shift = 63 - (unsigned) __builtin_clzll(value) - BUCKET_BITS;
    return ((shift + 1) << BUCKET_BITS) + (unsigned) ((value >> shift) & ((1u << BUCKET_BITS) - 1));
}

/* The middle of a bucket. */
static inline double bucket_value(unsigned bucket) {
    if (bucket < 1u << BUCKET_BITS)
        return bucket;
    unsigned shift = (bucket >> BUCKET_BITS) - 1;
    uint64_t low = (uint64_t) ((bucket & ((1u << BUCKET_BITS) - 1)) | 1u << BUCKET_BITS) << shift;
    return (double) low + (double) ((uint64_t) 1 << shift) / 2;
}

static inline void histogram_add(Histogram *histogram, uint64_t value) {
    histogram->counts[bucket_of(value)]++;
    histogram->total++;
    histogram->sum += value;
    if (value > histogram->largest)
        histogram->largest = value;
}

static inline double histogram_quantile(const Histogram *histogram, double quantile) {
    uint64_t wanted = (uint64_t) (quantile * (double) histogram->total), seen = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        seen += histogram->counts[bucket];
        if (seen > wanted)
            return bucket_value(bucket);
    }
    return (double) histogram->largest;
}

/* As members of a JSON object, in microseconds. */
static inline void histogram_print(const Histogram *histogram, const char *name, FILE *out) {
    fprintf(out, "\"%s\": {\"count\": %llu", name, (unsigned long long) histogram->total);
    if (histogram->total) {
        fprintf(out, ", \"mean\": %.3f, \"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"p999\": %.3f, \"max\": %.3f",
                (double) histogram->sum / (double) histogram->total / 1e3, histogram_quantile(histogram, .5) / 1e3,
                histogram_quantile(histogram, .9) / 1e3, histogram_quantile(histogram, .99) / 1e3,
                histogram_quantile(histogram, .999) / 1e3, (double) histogram->largest / 1e3);
        fprintf(out, ", \"histogram\": [");
        const char *separator = "";
        for (unsigned bucket = 0; bucket < BUCKETS; bucket++)
            if (histogram->counts[bucket]) {
                fprintf(out, "%s[%.3f, %llu]", separator, bucket_value(bucket) / 1e3,
                        (unsigned long long) histogram->counts[bucket]);
                separator = ", ";
            }
        fprintf(out, "]");
    }
    fprintf(out, "}");
}

#endif
