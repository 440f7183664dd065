/*
 * Takes part in a running gateway's decisions: asks whether an endpoint may be tried now, and says how it went.
 *
 *   cc permit.c $(pkg-config --cflags --libs libshm) -o permit
 *   ./permit /run/gatewayd/state us-east ok|failed
 */

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libshm/libshm.h>

/* The user that the gateway's workers run as. A file that is neither his, ours nor root's is not believed. */
static uid_t workers_user(void)
{
    const struct passwd *user = getpwnam("gatewayd");

    if (user == NULL)
        user = getpwnam("nobody");
    return user != NULL ? user->pw_uid : geteuid();
}

int main(int argc, char **argv)
{
    /* The numbers of the endpoint's `breaker:` in the gateway's configuration. */
    const struct gws_breaker_rules rules = {.failures = 5, .half_open = 3, .successes = 3, .open_ms = 5000,
                                            .max_open_ms = 30000, .stable_ms = 300000, .lease_ms = 66000};
    struct gws_region region;
    struct gws_name_info name = {.kind = GWS_KIND_NONE};
    struct gws_permit permit;
    struct gws_fault fault;
    uint64_t retry_at;
    uint32_t row = 0;

    if (argc != 4)
        return fprintf(stderr, "usage: permit STATE ENDPOINT ok|failed\n"), 2;
    if (gws_region_open(&region, argv[1], GWS_CHANGE, workers_user(), &fault) != GWS_OPEN_DONE)
        return fprintf(stderr, "%s\n", fault.text), 3;
    if (gws_slot_guest(&region, argv[1], gws_clock_ms(&region)) != 0)
        return fprintf(stderr, "all guest slots are taken\n"), 3;
    while (row < region.dims.domains && !(gws_name_domain_read(&region, row, &name) &&
                                          name.kind == GWS_KIND_ENDPOINT && strcmp(name.name, argv[2]) == 0))
        row++;
    if (row == region.dims.domains)
        return fprintf(stderr, "the gateway has no endpoint '%s'\n", argv[2]), 4;
    if (gws_breaker_permit(&region, row, &rules, gws_clock_ms(&region), &permit, &retry_at) != GWS_GO) {
        printf("no: ask again at %llu\n", (unsigned long long)retry_at);
        gws_slot_leave(&region);
        return 1;
    }
    printf("go%s\n", permit.trial ? ", on trial" : "");
    gws_breaker_report(&region, row, &rules, permit, strcmp(argv[3], "ok") == 0 ? GWS_OK : GWS_FAILED,
                       gws_clock_ms(&region), 0, (uint32_t)getpid() * 2654435761u);
    gws_slot_leave(&region);
    gws_region_close(&region);
    return 0;
}
