/* Who may answer, in which order; how long each is waited for; when a candidate may be tried again. */

#include "tests/gatewayd/rig.h"

#include "gatewayd/course.h"

#define CONFIG                                                                                                         \
    "endpoints:\n"                                                                                                     \
    "  - {name: a, url: 'http://127.0.0.1:1/v1'}\n"                                                                    \
    "  - {name: b, url: 'http://127.0.0.1:2/v1', dialects: [openai, anthropic]}\n"                                     \
    "models:\n"                                                                                                        \
    "  small: {endpoints: [a, b], fallback: [large, other], context: 1000, patience: 2s}\n"                            \
    "  large: {endpoints: [a], context: 4000}\n"                                                                       \
    "  other: {endpoints: [b]}\n"                                                                                      \
    "wait: {max: 7s}\n"                                                                                                \
    "retry: {base: 500ms, factor: 2, max: 3s, jitter: 30%}\n"

struct scene {
    struct rig rig;
    struct arena arena;
    struct route route;
    struct course course;
};

static void begin(struct scene *s, const char *model, bool anthropic, bool fallbacks)
{
    *s = (struct scene){0};
    rig_open(&s->rig, CONFIG);
    s->route = (struct route){.kind = ROUTE_MODEL, .asked = str_of(model), .anthropic = anthropic, .choices = 1};
    s->route.model = route_model(s->rig.plan, s->route.asked, &s->route.resolved);
    assert_non_null(s->route.model);
    assert_int_equal(course_make(&s->course, s->rig.plan, &s->route, fallbacks, &s->arena), 0);
}

static void end(struct scene *s)
{
    arena_fini(&s->arena);
    rig_close(&s->rig);
}

static void assert_now(const struct scene *s, const char *name)
{
    assert_true(str_eq(s->course.now->name, str_of(name)));
}

static void test_models_in_order(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, "small", false, true);
    assert_now(&s, "small");
    s.course.now = course_next(&s.course, false);
    assert_now(&s, "large");
    s.course.now = course_next(&s.course, false);
    assert_now(&s, "other");
    assert_null(course_next(&s.course, false));
    end(&s);

    begin(&s, "small", false, false);
    assert_null(course_next(&s.course, false));
    end(&s);

    begin(&s, "small", false, true);
    s.course.fixed = true;
    assert_null(course_next(&s.course, false));
    end(&s);

    begin(&s, "small", true, true); /* nobody of `large` understands it */
    s.course.now = course_next(&s.course, false);
    assert_now(&s, "other");
    end(&s);
}

static char *prompt_of(size_t tokens)
{
    static char text[65536];
    int n = snprintf(text, sizeof text, "{\"model\":\"small\",\"messages\":[{\"role\":\"user\",\"content\":\"");

    memset(text + n, 'x', tokens * 4);
    strcpy(text + n + tokens * 4, "\"}]}");
    return text;
}

static void test_context(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, "small", false, true);
    course_estimate(&s.course, s.rig.region, str_of(prompt_of(400)));
    assert_true(course_fits(s.course.now)); /* 500 of its 1000 are kept for the answer */
    course_estimate(&s.course, s.rig.region, str_of(prompt_of(600)));
    assert_false(course_fits(s.course.now));
    struct stage *next = course_next(&s.course, true);
    assert_true(str_eq(next->name, STR("large")));
    assert_int_equal(course_room(&s.course, s.course.now), 500);
    course_estimate(&s.course, s.rig.region, str_of(prompt_of(8000)));
    next = course_next(&s.course, true); /* whose context is unknown */
    assert_true(str_eq(next->name, STR("other")));
    end(&s);

    begin(&s, "large", false, true);
    course_estimate(&s.course, s.rig.region, str_of(prompt_of(8000)));
    assert_null(course_next(&s.course, true));
    end(&s);
}

static void test_patience(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, "small", false, true);
    assert_int_equal(course_patience(&s.course), 2000);
    s.course.now->waited_ms = 1500;
    assert_int_equal(course_patience(&s.course), 500);
    s.course.now->waited_ms = 2500;
    assert_int_equal(course_patience(&s.course), 0);
    end(&s);
    begin(&s, "small", false, false); /* nobody else to go to */
    assert_int_equal(course_patience(&s.course), 7000);
    end(&s);
}

static void test_backoff_of_one_endpoint(void **state)
{
    static const uint64_t waits[] = {500, 1000, 2000, 3000, 3000};
    const struct verdict failed = {CLASS_SERVER, GWS_NO_WAIT, 500}, told = {CLASS_RATE, 1200, 429};
    struct scene s;

    (void)state;
    begin(&s, "small", false, true);
    struct pick_mark *mark = &s.course.now->pick.marks[1];
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        mark->tries++;
        course_failed(&s.course, 1, failed, false, 10000);
        assert_int_equal(mark->again_at, 10000 + waits[i]);
        assert_false(mark->barred);
    }
    /* The wait it named is kept in the region; ours would come on top. */
    course_failed(&s.course, 1, told, false, 10000);
    assert_int_equal(mark->again_at, 10000);
    assert_int_equal(s.course.now->last[1].class, CLASS_RATE);
    course_failed(&s.course, 1, failed, true, 10000);
    assert_true(mark->barred);
    assert_false(s.course.now->pick.marks[0].barred);
    end(&s);
}

/* Never less than asked, and never much more. */
static void test_spread(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, "small", false, true);
    for (uint32_t random = 0; random < 5000; random += 7) {
        uint64_t spread = course_spread(&s.course, 1000, random);
        assert_in_range(spread, 1000, 1300);
        spread = course_spread(&s.course, 60000, random);
        assert_in_range(spread, 60000, 61000);
    }
    assert_int_equal(course_spread(&s.course, 0, 12345), 0);
    assert_int_equal(course_spread(&s.course, 1000, 300), 1300);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models_in_order),
        cmocka_unit_test(test_context),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_backoff_of_one_endpoint),
        cmocka_unit_test(test_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
