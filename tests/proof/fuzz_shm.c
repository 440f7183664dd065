/*
 * Damaged regions. An input is a list of patches, two bytes of place and up to eight of content, put into a good file;
 * then the file is opened as a tool would and as a worker would. Whatever it holds, it is refused with a sentence, or
 * everything there is to ask of it can be asked: no crash, no endless loop, no access outside the mapping.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libshm/adapt.h"
#include "libshm/breaker.h"
#include "libshm/budget.h"
#include "libshm/check.h"
#include "libshm/cooldown.h"
#include "libshm/estimate.h"
#include "libshm/event.h"
#include "libshm/export.h"
#include "libshm/gate.h"
#include "libshm/latency.h"
#include "libshm/limit.h"
#include "libshm/name.h"
#include "libshm/order.h"
#include "libshm/quota.h"
#include "libshm/slot.h"
#include "libshm/stat.h"
#include "libshm/ticket.h"
#include "libshm/waiter.h"
#include "tests/fuzz/fuzz.h"

/* Places: the header, then a byte of each section in turn (see tests/fuzz/driver.c for how seeds are broken). */
const struct fuzz_word fuzz_seeds[] = {
    WORD(" \x00\x00gwshm"),
    WORD(" \x00\x28\x01\x00\x00\x00"),
    WORD(" \x02\x00\xff\xff\xff\xff\xff\xff\xff\xff \x02\x08\xff\xff\xff\xff\xff\xff\xff\xff"),
    WORD(" \x04\x00\x80\x00\x00\x00\x00\x00\x00\x80 \x08\x00\xff\xff\x00\x00\x00\x00\x00\x40"),
};
const size_t fuzz_seed_count = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);
const struct fuzz_word fuzz_words[] = {
    WORD("\xff\xff\xff\xff\xff\xff\xff\xff"), WORD("\x00\x00\x00\x00"), WORD("\x00\x00\x00\x80"), WORD("\x00\x10"),
    WORD("\x7f"), WORD("\x01"),
};
const size_t fuzz_word_count = sizeof(fuzz_words) / sizeof(fuzz_words[0]);

static char path[64];
static unsigned char *good;
static size_t size;
static size_t notes;

static void make_good(void)
{
    const struct gws_dims dims = {.slots = 4, .guests = 1, .domains = 4, .endpoints = 2, .limits = 2, .events = 16,
                                  .quotas = 2, .models = 2};
    const struct gws_owner owner = {geteuid(), getegid(), 0600};
    struct gws_region region;
    struct gws_fault fault;

    snprintf(path, sizeof(path), "/dev/shm/gwshm-fuzz-%d", (int)getpid());
    if (gws_region_create(&region, path, &dims, &owner, &fault) != 0 ||
        gws_slot_enter(&region, gws_slot_reserve(&region, GWS_ROLE_MASTER, 1, 0), path) != 0 ||
        gws_name_endpoint(&region, "a", "b", 1, 1) < 0 || gws_name_pair(&region, 0, "m", 1) < 0)
        abort();
    size = region.size;
    good = malloc(size);
    if (good == NULL)
        abort();
    memcpy(good, region.base, size);
    gws_region_close(&region);
}

static void hear(void *context, const struct gws_check_note *note)
{
    (void)context;
    notes += note->text[0] != '\0';
}

static void ask_everything(struct gws_region *r)
{
    static struct gws_latency_counts counts;
    static struct gws_event events[64];
    const struct gws_breaker_rules rules = {.failures = 1, .half_open = 1, .successes = 1, .window_ms = 60000,
                                            .rate = 1};
    const struct gws_cooldown_rules cool = {1, 2};
    const struct gws_adapt_rules adapt = {.max = 5};
    const struct gws_quota_rules day = {.limit = 5};
    struct gws_limit_rules rate = gws_limit_rules(5, 1000, 0);
    struct gws_event_cursor cursor = {{0}};
    struct gws_slots slots = {{0}};
    struct gws_export_time time = {.now_ms = 5};
    struct gws_limit_charge charge;
    struct gws_slot_info slot;
    struct gws_quota_info quota;
    struct gws_name_info name;
    struct gws_permit permit;
    uint64_t stats[GWS_STATS];
    uint64_t word;
    FILE *null = fopen("/dev/null", "w");

    notes += gws_region_check(r, 5, hear, NULL);
    if (null != NULL) {
        (void)gws_export_write(r, null, &time);
        fclose(null);
    }
    for (int i = -1; i < 6; i++)
        gws_slot_read(r, i, &slot);
    (void)gws_event_collect(r, &cursor, events, 64);
    for (uint32_t row = 0; row < 5; row++) {
        (void)gws_name_domain_read(r, row, &name);
        (void)gws_name_quota_read(r, row, &name);
        if (gws_breaker_permit(r, row, &rules, 5, &permit, &word) == GWS_GO)
            gws_breaker_report(r, row, &rules, permit, GWS_FAILED, 6, 0, 1);
        gws_cooldown_hit(r, row, &cool, gws_cooldown_gen(r, row), GWS_COOL_RATE, GWS_NO_WAIT, 7);
        gws_order_drain(r, row, 8, 0);
        (void)gws_ticket_next(r, row);
        gws_latency_feed(r, row, 5, 10, 9);
        (void)gws_latency_expect(r, row, 10, 9);
        gws_adapt_overload(r, row, &adapt, 10);
        gws_adapt_success(r, row, &adapt, 5);
        (void)gws_gate_take(r, row, gws_adapt_limit(r, row, &adapt));
        gws_gate_give(r, row);
        gws_latency_count(r, row, GWS_LATENCY_TOTAL, 77);
        gws_latency_read(r, row, GWS_LATENCY_TOTAL, &counts);
        (void)gws_latency_quantile(&counts, 9990);
        gws_stat_read(r, row, stats);
        (void)gws_waiter_collect(r, row, &slots);
        if (gws_limit_charge(r, row, &rate, 2, 11, &charge, &word) == GWS_LIMIT_TAKEN)
            gws_limit_settle(r, row, &rate, charge, 1, 12);
        gws_limit_publish(r, row, &rate, 13);
        if (gws_quota_reserve(r, row, &day, 1, 14) == GWS_QUOTA_RESERVED)
            gws_quota_settle(r, row, &day, 1, 1, 15);
        gws_quota_restore(r, row, 3, 4);
        (void)gws_quota_read(r, row, &quota);
        gws_estimate_learn(r, row, 5, 6);
        (void)gws_estimate_tokens(r, row, 7);
    }
    (void)gws_budget_take(r, GWS_TALLY_RETRIES, &(struct gws_budget_rules){.min = 1});
}

/* The whole file is within reach of two bytes: a place counts in words. */
static void patch(unsigned char *bytes, const uint8_t *data, size_t length)
{
    for (size_t i = 1; i + 3 <= length; i += 11) {
        size_t at = ((size_t)data[i] << 8 | data[i + 1]) * 8 % size;
        size_t content = length - i - 2 < 8 ? length - i - 2 : 8;
        memcpy(bytes + at, data + i + 2, at + content <= size ? content : size - at);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct gws_region region;
    struct gws_fault fault = {{0}};
    unsigned char *bytes;
    int result;

    if (good == NULL)
        make_good();
    if (gws_region_open(&region, path, GWS_CHANGE, geteuid(), &fault) != GWS_OPEN_DONE)
        abort();
    bytes = region.base;
    patch(bytes, data, length);
    ask_everything(&region); /* scribbled on while it is open */
    memcpy(bytes, good, size);
    patch(bytes, data, length);
    for (int access = GWS_LOOK; access <= GWS_CHANGE; access++) {
        struct gws_region again;
        result = gws_region_open(&again, path, (enum gws_access)access, geteuid(), &fault);
        if (result != GWS_OPEN_DONE && fault.text[0] == '\0')
            abort();
        if (result != GWS_OPEN_DONE)
            continue;
        if (access == GWS_CHANGE)
            (void)gws_slot_guest(&again, path, 5);
        ask_everything(&again);
        gws_region_close(&again);
    }
    memcpy(bytes, good, size);
    gws_region_close(&region);
    return 0;
}

__attribute__((destructor)) static void tidy(void)
{
    if (path[0] != '\0')
        unlink(path);
    free(good);
}
