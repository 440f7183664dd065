/* Clocks and the fresh start of a simulator. */

#include "tools/llmsim/sim.h"

#include <time.h>

#include "gatewayd/http.h"

static int64_t clock_ms(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t sim_now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t sim_now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

int64_t sim_epoch_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

const char *sim_date(struct sim *sim, int64_t epoch_s)
{
    if (sim->date_s != epoch_s) {
        char date[30];
        http_date_format(epoch_s, date);
        memcpy(sim->date, date, sizeof(date));
        sim->date_s = epoch_s;
    }
    return sim->date;
}

void sim_forget(struct sim *sim)
{
    int64_t now = sim_now_ms();

    sim->counts = (struct counts){.connections_total = sim->counts.connections_open,
                                  .connections_open = sim->counts.connections_open,
                                  .in_flight = sim->counts.in_flight,
                                  .peak_in_flight = sim->counts.in_flight};
    sim->random = sim->seed;
    journal_forget(&sim->journal);
    limiter_set(&sim->limiter.requests, sim->limiter.requests.per_minute, now);
    limiter_set(&sim->limiter.tokens, sim->limiter.tokens.per_minute, now);
}
