#ifndef LLMSIM_SIM_H
#define LLMSIM_SIM_H

/* The one simulated provider of this process: how it is set, what it has seen. Every part works on it. */

#include <stdio.h>
#include <stdlib.h>

#include "tools/llmsim/answer.h"
#include "tools/llmsim/fault.h"
#include "tools/llmsim/journal.h"
#include "tools/llmsim/limiter.h"

enum { SIM_STATUS_MAX = 600 };

struct settings {
    int64_t latency_ms;  /* until an unstreamed answer */
    int64_t ttft_ms;     /* until the first token of a streamed one */
    unsigned tokens;     /* of an answer */
    double rate;         /* tokens a second of a stream; 0: all at once */
    size_t answer_bytes; /* of an unstreamed text; 0: its tokens */
};

struct counts {
    uint64_t requests, aborted, refused;
    uint64_t connections_total, connections_open;
    uint64_t in_flight, peak_in_flight;
    uint64_t by_status[SIM_STATUS_MAX];
    uint64_t by_api[API_COUNT];
};

struct conn;
struct ev_loop;

struct sim {
    struct ev_loop *loop;
    const char *name;
    struct settings settings;
    struct fault_set faults;
    struct limiter limiter;
    struct words words;
    struct counts counts;
    struct journal journal;
    FILE *record;           /* every request goes there, or NULL */
    struct buf record_line; /* for building one of its lines */
    bool down;        /* as if the process had died */
    bool has_control; /* a listener of its own for /sim */
    uint64_t seed, random;
    uint64_t last_request, last_connection; /* numbers given so far */
    struct conn *conns;
    struct buf scratch; /* for building one body; nobody keeps it */
    int64_t date_s;     /* the second that `date` tells */
    char date[32];
};

/* A simulator that is out of memory has nothing true left to say. */
static inline void sim_must(int r)
{
    if (r < 0) {
        fputs("llmsim: out of memory\n", stderr);
        exit(1);
    }
}

int64_t sim_now_ms(void);   /* monotonic */
int64_t sim_now_us(void);   /* the same clock */
int64_t sim_epoch_ms(void); /* of the calendar */
const char *sim_date(struct sim *sim, int64_t epoch_s); /* for the Date header */

/* Forget what was seen, refill the limiter, begin the random sequence again. What is open or in flight still counts. */
void sim_forget(struct sim *sim);

#endif
