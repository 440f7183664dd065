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
    json_decref(overview_json(&overview));
    overview_fini(&overview);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cleans_the_name_of_an_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
