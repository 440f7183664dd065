/*
 * A region to try gatewayctl on, without a daemon: made through the operations of libshm alone, with every state that
 * the tool has to show. `make_region PATH` makes it and goes; `make_region PATH live` also plays the master (lock,
 * slot, one worker, answers to SIGHUP and SIGTERM) until it is told to stop. PATH.bad beside it makes the next reload
 * fail, PATH.mute makes it go unanswered. `make_region PATH rated` also lets the windows of two models open them.
 * `make_region PATH crowd` makes one as large as they come: 200 endpoints with four models each, a full log, and every
 * fourth endpoint's breaker open.
 *
 *   us-east  healthy, 2 in flight, 95 good and 5 bad of 100       models gpt-4.1, deepseek/v3
 *            6 bad of 60 in the last minute; first token after 120 ms, after 900 ms for 2 of 100
 *   eu-west  its own breaker open by 5 failures in a row          model gpt-4.1
 *            evidence of it: down, then no route; of sgp/gpt-4.1: a 502
 *   sgp      degraded: gpt-4.1 cools, gpt-4o is well              models gpt-4.1, gpt-4o
 *   relay    exhausted: all it has is *, refused 3 times in a row model *
 *   spare    drained                                              model *
 *   account "example": its quota is spent
 *   quota "client/trading/usd": 1250000 spent today, of no limit; limit "endpoint/us-east/rpm": all 10 of an hour used
 *   rated: sgp/gpt-4o opened by 12 failures of 20, us-east/gpt-4.1 by 15 slow ones of 20
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include "libshm/breaker.h"
#include "libshm/clock.h"
#include "libshm/cooldown.h"
#include "libshm/event.h"
#include "libshm/evidence.h"
#include "libshm/gate.h"
#include "libshm/latency.h"
#include "libshm/limit.h"
#include "libshm/name.h"
#include "libshm/order.h"
#include "libshm/quota.h"
#include "libshm/slot.h"
#include "libshm/stat.h"
#include "libshm/window.h"

static const struct gws_breaker_rules breaker_rules = {
    .failures = 5, .half_open = 3, .successes = 3, .open_ms = 600000, .max_open_ms = 600000, .stable_ms = 60000,
    .lease_ms = 1000};
static const struct gws_breaker_rules window_rules = {
    .half_open = 3, .successes = 3, .open_ms = 600000, .max_open_ms = 600000, .stable_ms = 60000, .lease_ms = 1000,
    .window_ms = 60000, .rate = 5000, .slow_rate = 7500, .min_requests = 20};
static const struct gws_cooldown_rules cooldown_rules = {.default_ms = 600000, .max_ms = 3600000};

static volatile sig_atomic_t reload, stop;

static void on_signal(int number)
{
    if (number == SIGHUP)
        reload = 1;
    else
        stop = 1;
}

static uint32_t must(int result, const char *what)
{
    if (result < 0) {
        fprintf(stderr, "make_region: %s: %s\n", what, strerror(-result));
        exit(1);
    }
    return (uint32_t)result;
}

struct rows {
    uint32_t us_east, us_east_gpt, eu_west, sgp, sgp_gpt, sgp_4o, relay, spare, example, quota;
    uint32_t us_east_cells, us_east_rpm;
};

/* The names of one configuration; called again with the next generation, as a reload does. */
static struct rows name_all(struct gws_region *region, uint64_t config)
{
    struct rows rows;
    struct gws_name_info info;
    rows.us_east = must(gws_name_endpoint(region, "us-east", "http://us/v1", 20, config), "us-east");
    rows.us_east_gpt = must(gws_name_pair(region, rows.us_east, "gpt-4.1", config), "us-east/gpt-4.1");
    must(gws_name_pair(region, rows.us_east, "deepseek/v3", config), "us-east/deepseek/v3");
    rows.eu_west = must(gws_name_endpoint(region, "eu-west", "http://eu/v1", 10, config), "eu-west");
    must(gws_name_pair(region, rows.eu_west, "gpt-4.1", config), "eu-west/gpt-4.1");
    rows.sgp = must(gws_name_endpoint(region, "sgp", "http://sgp/v1", 1000, config), "sgp");
    rows.sgp_gpt = must(gws_name_pair(region, rows.sgp, "gpt-4.1", config), "sgp/gpt-4.1");
    rows.sgp_4o = must(gws_name_pair(region, rows.sgp, "gpt-4o", config), "sgp/gpt-4o");
    rows.relay = must(gws_name_endpoint(region, "relay", "http://relay/v1", 1000, config), "relay");
    must(gws_name_pair(region, rows.relay, "*", config), "relay/*");
    rows.spare = must(gws_name_endpoint(region, "spare", "http://spare/v1", 1000, config), "spare");
    must(gws_name_pair(region, rows.spare, "*", config), "spare/*");
    rows.example = must(gws_name_account(region, "example", config), "example");
    rows.quota = must(gws_name_quota(region, "client/trading/usd", config), "client/trading/usd");
    rows.us_east_rpm = must(gws_name_limit(region, "endpoint/us-east/rpm", config), "endpoint/us-east/rpm");
    gws_name_domain_read(region, rows.us_east, &info);
    rows.us_east_cells = info.endpoint;
    return rows;
}

static void trouble(struct gws_region *region, const struct rows *rows)
{
    uint64_t now = gws_clock_ms(region);
    struct gws_permit permit;
    uint64_t retry_at;
    for (int i = 0; i < 5; i++) {
        if (gws_breaker_permit(region, rows->eu_west, &breaker_rules, now, &permit, &retry_at) != GWS_GO)
            must(-1, "permit");
        gws_breaker_report(region, rows->eu_west, &breaker_rules, permit, GWS_FAILED, now, 0, 0);
    }
    const uint8_t server = 9, transport = 12; /* CLASS_SERVER and CLASS_TRANSPORT, and 1 */
    gws_evidence_note(region, rows->eu_west, server, 503, "down", 4, now);
    gws_evidence_note(region, rows->eu_west, transport, 0, "no \033 route", 10, now);
    gws_evidence_note(region, rows->sgp_gpt, server, 502, "Bad gateway", 11, now);
    gws_cooldown_hit(region, rows->sgp_gpt, &cooldown_rules, gws_cooldown_gen(region, rows->sgp_gpt), GWS_COOL_RATE,
                     GWS_NO_WAIT, now);
    uint32_t star = must(gws_name_pair(region, rows->relay, "*", 1), "relay/*");
    for (uint64_t at = now; at < now + 3; at++)
        gws_cooldown_hit(region, star, &cooldown_rules, gws_cooldown_gen(region, star), GWS_COOL_RATE,
                         at == now + 2 ? GWS_NO_WAIT : 1, at);
    gws_cooldown_hit(region, rows->example, &cooldown_rules, gws_cooldown_gen(region, rows->example), GWS_COOL_QUOTA,
                     GWS_NO_WAIT, now);
    gws_order_drain(region, rows->spare, now, getuid());
    const struct gws_quota_rules daily = {.limit = 0};
    gws_quota_restore(region, rows->quota, gws_quota_day(&daily, gws_clock_real_ms()), 1250000);
    const struct gws_limit_rules rpm = gws_limit_rules(10, UINT64_C(3600) * 1000000000, 0);
    gws_limit_publish(region, rows->us_east_rpm, &rpm, gws_clock_ns(region));
    gws_limit_take(region, rows->us_east_rpm, &rpm, 10, gws_clock_ns(region), &(uint64_t){0});
}

/* `good` tries that went well, and then so many others. */
static void fill_window(struct gws_region *region, uint32_t row, int good, int others, enum gws_outcome outcome)
{
    uint64_t now = gws_clock_ms(region);
    struct gws_permit permit;
    uint64_t retry_at;
    for (int i = 0; i < good + others; i++) {
        if (gws_breaker_permit(region, row, &window_rules, now, &permit, &retry_at) != GWS_GO)
            must(-1, "permit");
        gws_breaker_report(region, row, &window_rules, permit, i < good ? GWS_OK : outcome, now, 0, 0);
    }
}

static void traffic(struct gws_region *region, const struct rows *rows)
{
    for (int i = 0; i < 100; i++) {
        gws_stat_count(region, rows->us_east_cells, GWS_STAT_TRIES);
        gws_stat_count(region, rows->us_east_cells, i < 95 ? GWS_STAT_OK : GWS_STAT_FAILED);
        gws_latency_count(region, rows->us_east_cells, GWS_LATENCY_FIRST, i < 98 ? 120000 : 900000);
    }
    for (int i = 0; i < 60; i++)
        gws_window_add(region, rows->us_east, i < 6 ? GWS_SAMPLE_FAILED : GWS_SAMPLE_OK, gws_clock_ms(region));
    gws_stat_last_ok(region, rows->us_east_cells, gws_clock_ms(region) + 1);
    for (int i = 0; i < 2; i++)
        if (gws_gate_take(region, rows->us_east_cells, 20) != GWS_GATE_TAKEN)
            must(-1, "gate");
}

enum { CROWD = 200, CROWD_MODELS = 4 };

static void crowd(struct gws_region *region)
{
    uint64_t now = gws_clock_ms(region), retry_at;
    for (int i = 0; i < CROWD; i++) {
        char name[64], url[96];
        snprintf(name, sizeof(name), "endpoint-%03d", i);
        snprintf(url, sizeof(url), "http://%s/v1", name);
        uint32_t row = must(gws_name_endpoint(region, name, url, 100, 1), name);
        for (int m = 0; m < CROWD_MODELS; m++) {
            char model[32];
            snprintf(model, sizeof(model), "model-%d", m);
            must(gws_name_pair(region, row, model, 1), model);
        }
        for (int n = 0; i % 4 == 0 && n < 5; n++) {
            struct gws_permit permit;
            if (gws_breaker_permit(region, row, &breaker_rules, now, &permit, &retry_at) == GWS_GO)
                gws_breaker_report(region, row, &breaker_rules, permit, GWS_FAILED, now, 0, 0);
        }
    }
    uint32_t noisy = must(gws_name_account(region, "noisy", 1), "noisy");
    for (int i = 0; i < 600; i++)
        gws_cooldown_clear(region, noisy, now, getuid());
}

static void enter(struct gws_region *region, enum gws_role role, const char *path)
{
    int slot = (int)must(gws_slot_reserve(region, role, 1, gws_clock_ms(region)), "slot");
    if (gws_slot_enter(region, slot, path) != 0)
        must(-1, "enter");
}

static pid_t start_worker(const struct gws_region *region, const char *path, const struct rows *rows)
{
    struct gws_region own = *region;
    int ready[2];
    int slot = (int)must(gws_slot_reserve(&own, GWS_ROLE_WORKER, 1, gws_clock_ms(&own)), "worker's slot");
    if (pipe(ready) != 0)
        must(-1, "pipe");
    pid_t master = getpid(), pid = fork();
    if (pid == 0) {
        own.slot = -1;
        /* The parent's description holds the parent's lock; this process gets its own. */
        own.fd = open(path, O_RDWR | O_CLOEXEC);
        if (gws_slot_enter(&own, slot, path) != 0)
            _exit(1);
        traffic(&own, rows);
        gws_slot_count_request(&own);
        gws_event_record(&own, GWS_EVENT_WORKER_START, GWS_NO_DOMAIN, 0, (uint64_t)getpid(), GWS_BY_GATEWAY,
                         gws_clock_ms(&own));
        (void)!write(ready[1], "x", 1);
        while (getppid() == master)
            usleep(20000);
        _exit(0);
    }
    close(ready[1]);
    char byte;
    if (read(ready[0], &byte, 1) != 1)
        must(-1, "worker");
    close(ready[0]);
    return pid;
}

static void do_reload(struct gws_region *region, const char *path)
{
    char name[4096];
    snprintf(name, sizeof(name), "%s.bad", path);
    char mute[4096];
    snprintf(mute, sizeof(mute), "%s.mute", path);
    if (access(mute, F_OK) == 0)
        return;
    uint64_t now = gws_clock_ms(region);
    if (access(name, F_OK) != 0) {
        uint64_t next = gws_region_generation(region) + 1;
        name_all(region, next);
        gws_region_generation_next(region);
        gws_event_record(region, GWS_EVENT_RELOAD, GWS_NO_DOMAIN, 0, next, GWS_BY_GATEWAY, now);
        return;
    }
    snprintf(name, sizeof(name), "%s.report", path);
    FILE *report = fopen(name, "we");
    if (report) {
        fputs("gw.yaml:3:5: unknown key 'endpoint'\ngw.yaml:9:1: bad \033[31mcolor\n", report);
        fclose(report);
    }
    gws_event_record(region, GWS_EVENT_RELOAD_FAILED, GWS_NO_DOMAIN, 0, 0, GWS_BY_GATEWAY, now);
}

static void live(struct gws_region *region, const char *path, const struct rows *rows)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    pid_t worker = start_worker(region, path, rows);
    puts("ready");
    fflush(stdout);
    while (!stop) {
        usleep(10000);
        if (reload) {
            reload = 0;
            do_reload(region, path);
        }
    }
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
}

int main(int argc, char **argv)
{
    const struct gws_dims small = {
        .slots = 16, .guests = 4, .domains = 32, .endpoints = 8, .limits = 8, .events = 256};
    const struct gws_dims large = {
        .slots = 64, .guests = 8, .domains = 2048, .endpoints = 512, .limits = 1024, .events = 1024, .quotas = 512,
        .models = 64};
    const struct gws_owner owner = {.uid = geteuid(), .gid = getegid(), .mode = 0660};
    struct gws_region region;
    struct gws_fault fault;
    if (argc < 2)
        return 2;
    bool lives = argc > 2 && strcmp(argv[2], "live") == 0;
    if (lives && gws_lock_take(argv[1], &fault) < 0) {
        fprintf(stderr, "make_region: %s\n", fault.text);
        return 1;
    }
    bool crowded = argc > 2 && strcmp(argv[2], "crowd") == 0;
    if (gws_region_create(&region, argv[1], crowded ? &large : &small, &owner, &fault) != 0) {
        fprintf(stderr, "make_region: %s\n", fault.text);
        return 1;
    }
    gws_region_generation_next(&region);
    enter(&region, lives ? GWS_ROLE_MASTER : GWS_ROLE_WORKER, argv[1]);
    if (crowded) {
        crowd(&region);
        return 0;
    }
    struct rows rows = name_all(&region, 1);
    gws_event_record(&region, GWS_EVENT_MASTER_START, GWS_NO_DOMAIN, 0, 1, GWS_BY_GATEWAY, gws_clock_ms(&region));
    trouble(&region, &rows);
    if (argc > 2 && strcmp(argv[2], "rated") == 0) {
        fill_window(&region, rows.sgp_4o, 8, 12, GWS_FAILED);
        fill_window(&region, rows.us_east_gpt, 5, 15, GWS_SLOW);
    }
    if (lives)
        live(&region, argv[1], &rows);
    else
        traffic(&region, &rows);
    /* Without `live` the slot is left as it is: a worker that died, whose share of the bulkhead nobody has reaped. */
    if (lives)
        gws_slot_leave(&region);
    return 0;
}
