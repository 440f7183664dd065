/*
 * The judge. It knows nothing of the operation that was interrupted: whatever it was, a region in which a process died
 * must be one that the check finds no fault in, each shared word must be what it was or what it was to become, and
 * every limit must have exactly the room that the living leave it.
 */

#include "tests/proof/steps.h"

#include "libshm/breaker.h"
#include "libshm/budget.h"
#include "libshm/check.h"
#include "libshm/evidence.h"
#include "libshm/gate.h"
#include "libshm/layout.h"
#include "libshm/limit.h"
#include "libshm/name.h"
#include "libshm/quota.h"
#include "libshm/waiter.h"

static const char *subject;

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail_msg("%s: not so: %s (judge.c:%d)", subject, #condition, __LINE__);                                    \
    } while (0)

static void hear(void *context, const struct gws_check_note *note)
{
    (void)context;
    if (note->kind == GWS_CHECK_FAULT)
        fail_msg("%s: %s: %s", subject, note->section, note->text);
}

/* The sections whose words all processes share, from and to. */
static struct gws_sections sections_of(const struct scene *s)
{
    struct gws_sections at;

    assert_true(gws_layout_sections(&s->f.region.dims, &at));
    return at;
}

static bool same_domains(const struct scene *s, const unsigned char *a, const unsigned char *b, bool with_windows)
{
    const size_t window = offsetof(struct gws_domain_row, window);
    const size_t rest = offsetof(struct gws_domain_row, pad_answer);
    const size_t row = sizeof(struct gws_domain_row);

    for (uint32_t i = 0; i < s->f.region.dims.domains; i++, a += row, b += row)
        if (memcmp(a, b, with_windows ? row : window) != 0 || memcmp(a + rest, b + rest, row - rest) != 0)
            return false;
    return true;
}

bool scene_same_words(const struct scene *s, const unsigned char *a, const unsigned char *b, bool with_windows)
{
    struct gws_sections at = sections_of(s);

    return same_domains(s, a + at.domains, b + at.domains, with_windows) &&
           memcmp(a + at.limits, b + at.limits, at.stats - at.limits) == 0 &&
           memcmp(a + at.quotas, b + at.quotas, at.cells - at.quotas) == 0 &&
           memcmp(a + at.models, b + at.models, at.histograms - at.models) == 0;
}

static void words_are_old_or_new(const struct scene *s, uint64_t from, uint64_t to, const unsigned char *start,
                                 const unsigned char *end)
{
    const unsigned char *now = s->f.region.base;

    for (uint64_t at = from; at < to; at += 8)
        MUST(memcmp(now + at, start + at, 8) == 0 || memcmp(now + at, end + at, 8) == 0);
}

static void all_words_are_old_or_new(const struct scene *s, const unsigned char *start, const unsigned char *end)
{
    struct gws_sections at = sections_of(s);

    words_are_old_or_new(s, at.domains, at.gauges, start, end);
    words_are_old_or_new(s, at.limits, at.stats, start, end);
    words_are_old_or_new(s, at.quotas, at.cells, start, end);
    words_are_old_or_new(s, at.models, at.histograms, start, end);
}

static struct gws_evidence evidence_in(const struct scene *s, const unsigned char *copy)
{
    struct gws_region view = s->f.region;
    struct gws_evidence seen = {.at = 0};

    view.evidence = (struct gws_evidence_row *)(uintptr_t)(copy + sections_of(s).evidence);
    (void)gws_evidence_read(&view, 0, &seen);
    return seen;
}

/* Whoever died over it left the record as it was, or the new one, or nothing that anybody takes for one. */
static void evidence_is_old_or_new(const struct scene *s, const unsigned char *start, const unsigned char *end)
{
    struct gws_evidence old = evidence_in(s, start);
    struct gws_evidence new = evidence_in(s, end);
    struct gws_evidence seen;

    if (gws_evidence_read(&s->f.region, 0, &seen))
        MUST(memcmp(&seen, &old, sizeof(seen)) == 0 || memcmp(&seen, &new, sizeof(seen)) == 0);
}

/* And the next failure is recorded, whoever had claimed the record. */
static void evidence_goes_on(struct scene *s)
{
    struct gws_evidence seen;

    gws_evidence_note(&s->other, 0, 77, 503, "after", 5, SCENE_NOW + 1);
    MUST(gws_evidence_read(&s->f.region, 0, &seen));
    MUST(seen.outcomes[0] == 77 && seen.at == SCENE_NOW + 1 && strcmp(seen.text, "after") == 0);
}

/* A name is the one before, the one after, or not there. */
static void names_are_whole(struct scene *s)
{
    static const char *const known[] = {"us-east", "rpm", "usd", "new", "example"};
    struct gws_name_info info;

    for (uint32_t row = 0; row < s->f.region.dims.domains; row++) {
        bool found = false;
        if (!gws_name_domain_read(&s->f.region, row, &info))
            continue;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            found |= strcmp(info.name, known[i]) == 0;
        MUST(found);
        MUST(info.kind != GWS_KIND_PAIR || strcmp(info.model, "gpt") == 0);
    }
}

/* Every change of a breaker's word has its record, but for one: that of the process that died before it wrote it. */
static void history_has_one_gap_at_most(struct scene *s, const unsigned char *start)
{
    static struct gws_event events[6 * 16];
    struct gws_event_cursor cursor = {{0}};
    size_t count = gws_event_collect(&s->f.region, &cursor, events, sizeof(events) / sizeof(events[0]));
    const struct gws_domain_row *before =
        (const struct gws_domain_row *)(const void *)(start + ((unsigned char *)s->f.region.domains -
                                                               s->f.region.base));
    size_t after = 0;

    /* What stood in the log at the start tells of the way there. */
    for (size_t i = 0; i < count; i++)
        if (events[i].time >= SCENE_NOW)
            events[after++] = events[i];
    MUST(fixture_chain_breaks(events, after, GWS_EVENT_BREAKER, 0, before->breaker,
                              gws_breaker_word(&s->f.region, 0)) <= 1);
}

static void places_are_exact(struct scene *s)
{
    struct gws_region *r = &s->other;
    uint64_t held = gws_gate_sum(r, 0);
    uint64_t taken = 0;

    MUST(held <= SCENE_PLACES);
    while (gws_gate_take(r, 0, SCENE_PLACES) == GWS_GATE_TAKEN)
        taken++;
    MUST(held + taken == SCENE_PLACES);
    held = gws_tally_sum(r, GWS_TALLY_RETRIES);
    MUST(held <= SCENE_RETRIES);
    while (gws_budget_take(r, GWS_TALLY_RETRIES, &scene_budget) == GWS_BUDGET_TAKEN)
        held++;
    MUST(held == SCENE_RETRIES);
}

static void quota_is_exact(struct scene *s)
{
    struct gws_region *r = &s->other;
    struct gws_quota_info info;
    uint64_t used;
    uint64_t more = 0;
    uint64_t real;

    MUST(gws_quota_read(r, 0, &info));
    used = info.committed + info.reserved;
    real = info.day * UINT64_C(86400000);
    while (gws_quota_reserve(r, 0, &scene_quota, 1, real) == GWS_QUOTA_RESERVED)
        more++;
    MUST(used + more == SCENE_DAY || (used > SCENE_DAY && more == 0));
    /* And the next day all that is not reserved is there again. */
    gws_quota_settle(r, 0, &scene_quota, info.reserved + more, 0, real);
    MUST(gws_quota_reserve(r, 0, &scene_quota, SCENE_DAY, real + 86400000) == GWS_QUOTA_RESERVED);
}

static void limit_refills(struct scene *s)
{
    struct gws_limit_rules rules = scene_limit();
    uint64_t later = (SCENE_NOW + UINT64_C(3600000)) * 1000000;
    uint64_t wait;

    for (int i = 0; i < SCENE_BURST; i++)
        MUST(gws_limit_take(&s->other, 0, &rules, 1, later, &wait) == GWS_LIMIT_TAKEN);
    MUST(gws_limit_take(&s->other, 0, &rules, 1, later, &wait) == GWS_LIMIT_FULL);
}

/* Whatever was lost, the breaker comes back by itself: trials are granted again, and enough of them close it. */
static void breaker_comes_back(struct scene *s)
{
    struct gws_region *r = &s->other;
    struct gws_breaker_view view = gws_breaker_view(gws_breaker_word(r, 0));
    uint64_t now = SCENE_NOW;

    MUST(view.mode != GWS_HALF || (view.outstanding <= 2 && view.outstanding + view.successes <= 2));
    if (view.mode == GWS_FORCED && view.t == 0)
        return;
    for (int i = 0; i < 6; i++) {
        struct gws_permit permit;
        uint64_t at;

        now += 20000; /* longer than any lease or open time here */
        MUST(gws_breaker_permit(r, 0, &scene_breaker, now, &permit, &at) == GWS_GO);
        gws_breaker_report(r, 0, &scene_breaker, permit, GWS_OK, now, 0, 0);
        if (gws_breaker_permit(r, 0, &scene_breaker, now, &permit, &at) == GWS_GO)
            gws_breaker_report(r, 0, &scene_breaker, permit, GWS_OK, now, 0, 0);
    }
    MUST(gws_breaker_view(gws_breaker_word(r, 0)).mode == GWS_CLOSED);
}

static void rings_go_on(struct scene *s)
{
    struct gws_event_cursor cursor = {{0}};
    struct gws_event event;
    int slot = gws_slot_reserve(&s->f.region, GWS_ROLE_WORKER, 1, SCENE_NOW);

    MUST(slot == SCENE_SLOT);
    gws_event_record(&s->other, GWS_EVENT_RELOAD, GWS_NO_DOMAIN, 1, 2, 3, UINT64_C(1) << 40);
    MUST(gws_event_collect(&s->f.region, &cursor, &event, 1) == 1);
    MUST(event.code == GWS_EVENT_RELOAD && event.new == 2 && event.time == UINT64_C(1) << 40);
}

void scene_judge(struct scene *s, const unsigned char *start, const unsigned char *end, const char *what)
{
    subject = what;
    MUST(gws_region_check(&s->f.region, SCENE_NOW, hear, NULL) == 0);
    if (start != NULL && end != NULL) {
        all_words_are_old_or_new(s, start, end);
        evidence_is_old_or_new(s, start, end);
    }
    if (start != NULL)
        history_has_one_gap_at_most(s, start);
    names_are_whole(s);
    places_are_exact(s);
    quota_is_exact(s);
    limit_refills(s);
    breaker_comes_back(s);
    evidence_goes_on(s);
    rings_go_on(s);
}

void scene_strict(struct scene *s, const char *what)
{
    struct gws_breaker_view view = gws_breaker_view(gws_breaker_word(&s->f.region, 0));
    struct gws_quota_info quota;

    subject = what;
    MUST(gws_region_check(&s->f.region, SCENE_NOW, hear, NULL) == 0);
    MUST(gws_gate_sum(&s->f.region, 0) <= SCENE_PLACES);
    MUST(gws_tally_sum(&s->f.region, GWS_TALLY_RETRIES) <= SCENE_RETRIES);
    /* What is reserved was let through; what is spent may turn out to be more. */
    MUST(gws_quota_read(&s->f.region, 0, &quota));
    MUST(quota.reserved == 0 || quota.reserved + quota.committed <= SCENE_DAY);
    MUST(view.mode != GWS_HALF || (view.outstanding <= 2 && view.outstanding + view.successes <= 2));
}
