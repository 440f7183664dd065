#ifndef TESTS_TOP_SUPPORT_H
#define TESTS_TOP_SUPPORT_H

/* Readings of a region that there never was, for the tests of `top`. */

#include "tools/gatewayctl/top_reading.h"

struct sample {
    const char *name;
    enum state_kind kind;
    const char *reason;
    uint64_t tried;
    uint64_t errors;
    uint64_t firsts; /* samples of the first token, all of `first_us` */
    uint64_t first_us;
    uint64_t in_flight;
    const char *models[3]; /* NULL: no more */
    const char *account;   /* NULL: not known */
    bool account_cools;
};

/* To be given to top_model_feed(), or to top_reading_fini(). */
struct top_reading support_reading(const struct sample *samples, size_t count);

/* Put an event in front of the others. */
void support_event(struct top_reading *reading, const char *kind, const char *label, const char *from, const char *to,
                   const char *change);

#endif
