/* The region's clock: begins at nothing, is the same for everyone, and may have begun before the boot. */

#include "libshm/clock.h"

#include <time.h>

#include "libshm/boot.h"
#include "libshm/layout.h"
#include "tests/libshm/fixture.h"

static void test_begins_with_the_region(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct fixture f;
    struct gws_region view;
    uint64_t first;
    uint64_t second;

    (void)state;
    fixture_create(&f, &dims);
    view = fixture_view(&f, GWS_LOOK);
    first = gws_clock_ns(&f.region);
    second = gws_clock_ns(&view);
    assert_true(first < 60 * UINT64_C(1000000000));
    assert_true(second >= first);
    assert_in_range(gws_clock_ms(&view), second / 1000000, second / 1000000 + 60000);
    gws_region_close(&view);
    fixture_close(&f);
}

static void test_base_before_the_boot(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct fixture f;
    uint64_t hours = UINT64_C(100000) * 3600 * 1000;

    (void)state;
    fixture_create(&f, &dims);
    atomic_store(&f.region.header->base_boot_ns, gws_clock_boot_ns() - hours * 1000000);
    assert_in_range(gws_clock_ms(&f.region), hours, hours + 60000);
    fixture_close(&f);
}

static void test_real_time(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct fixture f;
    uint64_t now;

    (void)state;
    fixture_create(&f, &dims);
    now = gws_region_real_base(&f.region) + gws_clock_ms(&f.region);
    assert_in_range(now, gws_clock_real_ms() - 60000, gws_clock_real_ms() + 60000);
    assert_in_range(now / 1000, (uint64_t)time(NULL) - 60, (uint64_t)time(NULL) + 60);
    fixture_close(&f);
}

static void test_boot_is_known(void **state)
{
    struct gws_boot one;
    struct gws_boot two;

    (void)state;
    gws_boot_read(&one);
    gws_boot_read(&two);
    assert_memory_equal(&one, &two, sizeof(one));
    if (access("/proc/sys/kernel/random/boot_id", R_OK) == 0)
        assert_true(one.id[0] != 0 && one.id[1] != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begins_with_the_region),
        cmocka_unit_test(test_base_before_the_boot),
        cmocka_unit_test(test_real_time),
        cmocka_unit_test(test_boot_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
