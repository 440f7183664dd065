/*
 * What is shown of a region that may hold anything: a reading of it is always text, and always a document.
 */

#include "tests/gatewayd/rig.h"

#include "gatewayd/overview.h"
#include "libshm/cooldown.h"

static const char config[] = "state: /tmp/x\nendpoints: [{name: a, url: \"http://127.0.0.1:1/v1\", key: none}]\n";

/* A name is somebody's word in shared memory, and ends on a terminal and in JSON. */
static void cleans_the_name_of_an_account(void **state)
{
    static const struct gws_cooldown_rules rules = {1000, 100000};
    static const char name[] = "\x1b[2J\xff";
    struct rig rig;
    struct overview overview;

    (void)state;
    rig_open(&rig, config);
    uint64_t now = gws_clock_ms(rig.region);
    int account = gws_name_account(rig.region, name, rig.plan->generation);
    assert_true(account >= 0);
    assert_int_equal(gws_name_set_account(rig.region, rig.plan->targets[0].row, (uint32_t)account), 0);
    gws_cooldown_hit(rig.region, (uint32_t)account, &rules, gws_cooldown_gen(rig.region, (uint32_t)account),
                     GWS_COOL_QUOTA, 60000, now);
    overview_read(&overview, rig.region, rig.f.path, now);
    assert_int_equal(overview.count, 1);
    assert_string_equal(overview.endpoints[0].state.reason, "?[2J? exhausted 1m00s, quota spent");
    assert_string_equal(overview.endpoints[0].account, "?[2J?");
    assert_string_equal(overview.endpoints[0].owed.reason, "exhausted 1m00s, quota spent");
    json_decref(overview_json(&overview));
    overview_fini(&overview);
    rig_close(&rig);
}

/* A row whose state is `open` beside a breaker that is `closed` would be a riddle: a model's is meant. */
static void tells_whose_breaker_is_open(void **state)
{
    static const struct gws_breaker_rules rules = {.failures = 1, .half_open = 1, .successes = 1, .open_ms = 5000,
                                                   .max_open_ms = 5000, .lease_ms = 1000};
    static const char *const told[] = {"closed", "1 model open", "1 model held", "2 models held", "forced_open"};
    struct rig rig;
    struct overview overview;
    struct gws_permit permit;
    uint64_t retry_at;

    (void)state;
    rig_open(&rig, "state: /tmp/x\nendpoints: [{name: a, url: \"http://127.0.0.1:1/v1\", key: none}]\n"
                   "models: {m: {endpoints: [a]}, n: {endpoints: [a]}}\n");
    uint64_t now = gws_clock_ms(rig.region);
    for (size_t i = 0; i < 5; i++) {
        overview_read(&overview, rig.region, rig.f.path, now);
        assert_string_equal(overview_breaker(&overview.endpoints[0], now).text, told[i]);
        uint32_t row = overview.names.rows[i == 3 ? 0 : i == 2 ? 2 : 1].row;
        if (i == 0) {
            assert_int_equal(gws_breaker_permit(rig.region, row, &rules, now, &permit, &retry_at), GWS_GO);
            gws_breaker_report(rig.region, row, &rules, permit, GWS_FAILED, now, 0, 0);
        } else {
            gws_breaker_force_open(rig.region, row, 0, now, 0);
        }
        overview_fini(&overview);
    }
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cleans_the_name_of_an_account),
        cmocka_unit_test(tells_whose_breaker_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
