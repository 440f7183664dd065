#include "gatewayd/admit_internal.h"

#include "libshm/clock.h"

/*
 * The limits of the gateway's own that guard a try, in their fixed order: requests a day, tokens a minute, requests a
 * minute, each of the endpoint first and then of its account. They are taken one after the other, and a refusal undoes
 * those before it.
 */

enum { DAY, TOKENS, REQUESTS, KINDS };
enum { OWN, ACCOUNT, OWNERS };
enum { STEPS = KINDS * OWNERS, NS_PER_MS = 1000000 };
_Static_assert((int)STEPS == (int)ADMIT_LIMITS, "there is room to name them all");

struct taking {
    struct gws_region *region;
    const struct plan_limits *limits[OWNERS];
    uint64_t tokens;
    uint64_t now, now_ns, real_ms;
};

static struct taking begin(struct gws_region *region, const struct plan_candidate *c, uint64_t tokens, uint64_t now)
{
    return (struct taking){
        .region = region,
        .limits = {&c->target->limits, &c->target->account->limits},
        .tokens = tokens,
        .now = now,
        .now_ns = gws_clock_ns(region),
        .real_ms = gws_clock_real_ms(),
    };
}

static struct gws_limit_charge *charge_of(struct ticket *ticket, unsigned owner)
{
    return owner == OWN ? &ticket->tpm : &ticket->account_tpm;
}

/* The first ms in which it is there, counted from the moment at which the limit was asked: `now` may be older. */
static uint64_t moment(const struct taking *t, uint64_t retry_ns)
{
    if (retry_ns > UINT64_MAX - t->now_ns)
        return UINT64_MAX;
    return (t->now_ns + retry_ns) / NS_PER_MS + 1;
}

/* 0, or 1 and until when it is refused. */
static int take_one(const struct taking *t, unsigned step, struct ticket *ticket, uint64_t *until)
{
    const struct plan_limits *l = t->limits[step % OWNERS];
    uint64_t retry_ns = 0;
    int rc = 0;
    switch (step / OWNERS) {
    case DAY:
        *until = t->now + gws_quota_left_of_day(&l->rpd, t->real_ms);
        return l->rpd_row != PLAN_NO_ROW ? gws_quota_reserve(t->region, l->rpd_row, &l->rpd, 1, t->real_ms) : 0;
    case TOKENS:
        if (l->tpm_row != PLAN_NO_ROW)
            rc = gws_limit_charge(t->region, l->tpm_row, &l->tpm, t->tokens, t->now_ns,
                                  charge_of(ticket, step % OWNERS), &retry_ns);
        break;
    case REQUESTS:
        if (l->rpm_row != PLAN_NO_ROW)
            rc = gws_limit_take(t->region, l->rpm_row, &l->rpm, 1, t->now_ns, &retry_ns);
        break;
    }
    *until = moment(t, retry_ns);
    return rc;
}

static void undo_one(const struct taking *t, unsigned step, struct ticket *ticket)
{
    const struct plan_limits *l = t->limits[step % OWNERS];
    switch (step / OWNERS) {
    case DAY:
        if (l->rpd_row != PLAN_NO_ROW)
            gws_quota_settle(t->region, l->rpd_row, &l->rpd, 1, 0, t->real_ms);
        break;
    case TOKENS:
        if (l->tpm_row != PLAN_NO_ROW)
            gws_limit_settle(t->region, l->tpm_row, &l->tpm, *charge_of(ticket, step % OWNERS), 0, t->now_ns);
        break;
    case REQUESTS:
        if (l->rpm_row != PLAN_NO_ROW)
            gws_limit_undo(t->region, l->rpm_row, &l->rpm, 1);
        break;
    }
}

static int peek_one(const struct taking *t, unsigned step, uint64_t *until)
{
    const struct plan_limits *l = t->limits[step % OWNERS];
    uint64_t retry_ns = 0;
    int rc = 0;
    switch (step / OWNERS) {
    case DAY:
        *until = t->now + gws_quota_left_of_day(&l->rpd, t->real_ms);
        return l->rpd_row != PLAN_NO_ROW ? gws_quota_peek(t->region, l->rpd_row, &l->rpd, 1, t->real_ms) : 0;
    case TOKENS:
        if (l->tpm_row != PLAN_NO_ROW)
            rc = gws_limit_peek(t->region, l->tpm_row, &l->tpm, t->tokens, t->now_ns, &retry_ns);
        break;
    case REQUESTS:
        if (l->rpm_row != PLAN_NO_ROW)
            rc = gws_limit_peek(t->region, l->rpm_row, &l->rpm, 1, t->now_ns, &retry_ns);
        break;
    }
    *until = moment(t, retry_ns);
    return rc;
}

static struct refused limited(const struct taking *t, unsigned step, uint64_t until)
{
    const struct plan_limits *l = t->limits[step % OWNERS];
    const uint32_t rows[] = {[DAY] = l->rpd_row, [TOKENS] = l->tpm_row, [REQUESTS] = l->rpm_row};
    bool day = step / OWNERS == DAY;
    return (struct refused){.why = REFUSAL_LIMITED, .until = until, .exhausted = day, .by_quota = day,
                            .limit_row = rows[step / OWNERS]};
}

void admit_limits_count(struct gws_region *region, const struct refused *refused)
{
    if (refused->by_quota)
        gws_quota_count_refusal(region, refused->limit_row);
    else
        gws_limit_count_refusal(region, refused->limit_row);
}

bool admit_limits_take(struct gws_region *region, const struct plan_candidate *c, uint64_t tokens, uint64_t now,
                       struct ticket *ticket, struct refused *refused)
{
    const struct taking t = begin(region, c, tokens, now);
    for (unsigned step = 0; step < STEPS; step++) {
        uint64_t until;
        if (take_one(&t, step, ticket, &until) == 0)
            continue;
        *refused = limited(&t, step, until);
        while (step-- > 0)
            undo_one(&t, step, ticket);
        return false;
    }
    return true;
}

void admit_limits_undo(struct gws_region *region, const struct plan_candidate *c, struct ticket *ticket)
{
    const struct taking t = begin(region, c, 0, 0);
    for (unsigned step = STEPS; step-- > 0;)
        undo_one(&t, step, ticket);
}

void admit_limits_commit(struct gws_region *region, const struct plan_candidate *c)
{
    const struct plan_limits *both[OWNERS] = {&c->target->limits, &c->target->account->limits};
    for (unsigned i = 0; i < OWNERS; i++)
        if (both[i]->rpd_row != PLAN_NO_ROW)
            gws_quota_settle(region, both[i]->rpd_row, &both[i]->rpd, 1, 1, gws_clock_real_ms());
}

void admit_limits_settle(struct gws_region *region, const struct ticket *ticket)
{
    const struct plan_target *target = ticket->candidate->target;
    const struct plan_limits *own = &target->limits, *account = &target->account->limits;
    uint64_t cost = ticket->cost_known ? ticket->tokens : 0;
    if (!ticket->cost_known && !ticket->cost_nothing)
        return;
    if (own->tpm_row != PLAN_NO_ROW)
        gws_limit_settle(region, own->tpm_row, &own->tpm, ticket->tpm, cost, gws_clock_ns(region));
    if (account->tpm_row != PLAN_NO_ROW)
        gws_limit_settle(region, account->tpm_row, &account->tpm, ticket->account_tpm, cost, gws_clock_ns(region));
}

bool admit_limits_refuse(struct gws_region *region, const struct plan_candidate *c, uint64_t tokens, uint64_t now,
                         struct refused *refused)
{
    const struct taking t = begin(region, c, tokens, now);
    struct refused latest = {0};
    for (unsigned step = 0; step < STEPS; step++) {
        uint64_t until;
        if (peek_one(&t, step, &until) != 0 && until > latest.until)
            latest = limited(&t, step, until);
    }
    if (latest.why == REFUSAL_NONE)
        return false;
    *refused = latest;
    return true;
}

unsigned admit_limits_now(struct gws_region *region, const struct plan_candidate *c, uint64_t tokens,
                          struct admit_limit out[ADMIT_LIMITS])
{
    static const char *const names[] = {[DAY] = "rpd", [TOKENS] = "tpm", [REQUESTS] = "rpm"};
    const struct taking t = begin(region, c, tokens, gws_clock_ms(region));
    unsigned count = 0;
    for (unsigned step = 0; step < STEPS; step++) {
        uint64_t until;
        if (peek_one(&t, step, &until) != 0)
            out[count++] = (struct admit_limit){names[step / OWNERS], step % OWNERS == ACCOUNT, until};
    }
    return count;
}
