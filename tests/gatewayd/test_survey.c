/*
 * Why nobody can serve a request, in the words that go into the answer, and when somebody could: the document, the
 * counts behind it, the soonest moment.
 */

#include "tests/gatewayd/rig.h"

#include "gatewayd/survey.h"
#include "libshm/order.h"

enum { BY = 1000 };

static const char text[] =
    "state: /tmp/x\n"
    "endpoints:\n"
    "  - {name: a, url: \"http://127.0.0.1:1/v1\", key: none, max_concurrent: 1, limits: {rpm: 60, burst: 2},\n"
    "     breaker: {half_open: 1, successes: 3}}\n"
    "  - {name: b, url: \"http://127.0.0.1:2/v1\", key: none, dialects: [openai, anthropic]}\n"
    "  - {name: c, url: \"http://127.0.0.1:3/v1\", key: none, limits: {rpd: 5}}\n"
    "models: {m: {endpoints: [a, b]}, fallback: {endpoints: [c]}}\n";

struct scene {
    struct rig rig;
    struct gws_region *region;
    const struct plan_model *m;
    const struct plan_candidate *a, *b;
    struct pick_mark marks[2];
    struct verdict last[2];
    struct pick_state state;
    struct survey survey;
    struct buf json;
    uint64_t waits[2]; /* the waits in the document, in tenths of a second */
    uint64_t now;
};

static void begin(struct scene *s)
{
    memset(s, 0, sizeof *s);
    rig_open(&s->rig, text);
    s->region = s->rig.region;
    s->m = rig_model(&s->rig, "m");
    s->a = rig_candidate(s->m, "a");
    s->b = rig_candidate(s->m, "b");
    s->state = (struct pick_state){.marks = s->marks, .pinned = -1};
    s->now = gws_clock_ms(s->region);
}

static void end(struct scene *s)
{
    buf_fini(&s->json);
    rig_close(&s->rig);
}

/* The document, with a "#" for every wait, because time goes on. */
static const char *shown(struct scene *s)
{
    size_t count = 0;

    assert_int_equal(buf_add(&s->json, "", 1), 0);
    char *to = buf_at(&s->json);
    for (const char *at = to; (*to = *at) != '\0'; to++) {
        unsigned long long seconds, tenths;
        int len = 0;
        if (*at++ != ' ' || sscanf(at, "%llu.%1llus%n", &seconds, &tenths, &len) != 2 || len == 0)
            continue;
        assert_true(count < 2);
        s->waits[count++] = seconds * 10 + tenths;
        at += len;
        *++to = '#';
    }
    return buf_at(&s->json);
}

static const char *make(struct scene *s)
{
    buf_clear(&s->json);
    assert_int_equal(survey_begin(&s->survey, &s->json), 0);
    assert_int_equal(survey_add(&s->survey, &s->json, s->region, s->m, &s->state, s->last, false), 0);
    assert_int_equal(survey_end(&s->json), 0);
    return shown(s);
}

/* Half a second is given to the clock between the setting and the reading of a wait. */
static void assert_wait(const struct scene *s, size_t index, uint64_t tenths)
{
    assert_in_range(s->waits[index], tenths - 5, tenths);
}

static void assert_counts(const struct scene *s, unsigned tried, unsigned limited, unsigned full, unsigned open,
                          unsigned other)
{
    assert_int_equal(s->survey.tried, tried);
    assert_int_equal(s->survey.limited, limited);
    assert_int_equal(s->survey.full, full);
    assert_int_equal(s->survey.open, open);
    assert_int_equal(s->survey.other, other);
}

static void assert_soonest(const struct scene *s, int64_t ms, bool limit)
{
    assert_true(s->survey.soonest_ms <= ms && s->survey.soonest_ms > ms - 500);
    assert_int_equal(s->survey.limit_is_soonest, limit);
}

static void cool(struct scene *s, uint32_t row, enum gws_cooldown_reason reason, int64_t ms)
{
    static const struct gws_cooldown_rules rules = {1000, 100000000};

    gws_cooldown_hit(s->region, row, &rules, gws_cooldown_gen(s->region, row), reason, ms, s->now);
}

static void says_what_is_available_and_what_failed(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_string_equal(make(&s), "{\"a\":\"available\",\"b\":\"available\"}");
    assert_counts(&s, 0, 0, 0, 0, 0);
    assert_int_equal(s.survey.soonest_ms, -1);

    s.marks[0].tries = s.marks[1].tries = 1;
    s.last[0] = (struct verdict){CLASS_SERVER, GWS_NO_WAIT, 503};
    s.last[1] = (struct verdict){CLASS_TRANSPORT, GWS_NO_WAIT, 0};
    assert_string_equal(make(&s), "{\"a\":\"failed: server (503)\",\"b\":\"failed: transport\"}");
    assert_counts(&s, 2, 0, 0, 0, 0);
    assert_int_equal(s.survey.soonest_ms, -1);
    end(&s);
}

static void says_who_cools(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    cool(&s, s.a->pair_row, GWS_COOL_RATE, 3300);
    cool(&s, s.b->target->account->row, GWS_COOL_QUOTA, 60300);
    s.marks[0].tries = 1; /* what it is now says more than how it failed */
    assert_string_equal(make(&s), "{\"a\":\"cooling #\",\"b\":\"exhausted #\"}");
    assert_wait(&s, 0, 33);
    assert_wait(&s, 1, 603);
    assert_counts(&s, 1, 2, 0, 0, 0);
    assert_soonest(&s, 3300, true);
    cool(&s, s.a->target->account->row, GWS_COOL_AUTH, 90300);
    assert_string_equal(make(&s), "{\"a\":\"exhausted #\",\"b\":\"exhausted #\"}");
    assert_wait(&s, 0, 903);
    assert_counts(&s, 1, 1, 0, 0, 1); /* a refused credential is not a limit */
    assert_soonest(&s, 60300, true);
    end(&s);
}

static void says_who_is_open(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    for (int i = 0; i < 5; i++) {
        gws_breaker_probe_failed(s.region, s.a->target->row, &s.a->target->breaker, s.now, 0);
        gws_breaker_probe_failed(s.region, s.b->pair_row, &s.b->breaker, s.now, 0);
    }
    gws_breaker_force_open(s.region, s.b->target->row, 0, s.now, BY);
    rig_pass_ms(&s.rig, 700);
    assert_string_equal(make(&s), "{\"a\":\"open #\",\"b\":\"forced_open\"}");
    assert_wait(&s, 0, 43);
    assert_counts(&s, 0, 0, 0, 2, 0);
    assert_soonest(&s, 4300, false);
    s.now = gws_clock_ms(s.region);
    gws_breaker_force_open(s.region, s.b->target->row, s.now + 30300, s.now, BY);
    assert_string_equal(make(&s), "{\"a\":\"open #\",\"b\":\"forced_open #\"}");
    assert_wait(&s, 1, 303);
    gws_order_drain(s.region, s.b->target->row, s.now, BY);
    assert_string_equal(make(&s), "{\"a\":\"open #\",\"b\":\"drained\"}");
    assert_counts(&s, 0, 0, 0, 1, 1);
    end(&s);
}

/* A breaker whose trial is out is half open, and whoever asks again in a moment may find it closed. */
static void says_who_is_half_open(void **state)
{
    struct scene s;
    struct ticket trial = {0};
    struct refused refused;

    (void)state;
    begin(&s);
    for (int i = 0; i < 5; i++)
        gws_breaker_probe_failed(s.region, s.a->pair_row, &s.a->breaker, s.now, 0);
    rig_pass_ms(&s.rig, 10000);
    s.now = gws_clock_ms(s.region);
    assert_int_equal(admit_take(s.region, s.a, 0, &trial, &refused), 0);
    assert_true(trial.pair.trial);
    gws_order_drain(s.region, s.b->target->row, s.now, BY);
    assert_string_equal(make(&s), "{\"a\":\"half_open\",\"b\":\"drained\"}");
    assert_counts(&s, 0, 0, 0, 1, 1);
    assert_true(s.survey.soonest_ms >= 0 && s.survey.soonest_ms <= 250);
    admit_release(s.region, &trial);
    end(&s);
}

static void says_who_is_full_or_limited(void **state)
{
    struct scene s;
    struct ticket ticket = {0};
    struct refused refused;

    (void)state;
    begin(&s);
    gws_order_drain(s.region, s.b->target->row, s.now, BY);
    assert_int_equal(admit_take(s.region, s.a, 0, &ticket, &refused), 0);
    assert_string_equal(make(&s), "{\"a\":\"full\",\"b\":\"drained\"}");
    assert_counts(&s, 0, 0, 1, 0, 1);
    assert_int_equal(s.survey.soonest_ms, -1); /* when it ends, and nobody knows when */
    admit_release(s.region, &ticket);
    assert_int_equal(admit_take(s.region, s.a, 0, &ticket, &refused), 0);
    admit_release(s.region, &ticket);
    assert_string_equal(make(&s), "{\"a\":\"limited #\",\"b\":\"drained\"}");
    assert_wait(&s, 0, 10);
    assert_counts(&s, 0, 1, 0, 0, 1);
    assert_soonest(&s, 1001, true);
    end(&s);
}

/* The third refusal in a row, and the requests of a day: what a wait will not cure soon. */
static void says_who_is_exhausted(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    for (int i = 0; i < 3; i++) {
        cool(&s, s.a->pair_row, GWS_COOL_RATE, i < 2 ? 0 : 3300);
        assert_string_equal(make(&s), i < 2 ? "{\"a\":\"available\",\"b\":\"available\"}"
                                            : "{\"a\":\"exhausted #\",\"b\":\"available\"}");
    }
    assert_counts(&s, 0, 1, 0, 0, 0);
    assert_int_equal(s.survey.spent, 0);
    end(&s);
}

static void says_whose_day_is_spent(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    const struct plan_limits *l = &rig_candidate(rig_model(&s.rig, "fallback"), "c")->target->limits;
    uint64_t real = gws_clock_real_ms();
    gws_quota_settle(s.region, l->rpd_row, &l->rpd, 0, 5, real);
    s.m = rig_model(&s.rig, "fallback");
    assert_string_equal(make(&s), "{\"c\":\"exhausted #\"}");
    assert_counts(&s, 0, 1, 0, 0, 0);
    assert_int_equal(s.survey.spent, 1);
    assert_soonest(&s, (int64_t)gws_quota_left_of_day(&l->rpd, real), true);
    end(&s);
}

/* The model asked for, and those that stand in for it, whose endpoints are named with theirs. */
static void surveys_a_chain(void **state)
{
    struct scene s;
    struct pick_mark others[1] = {{.tries = 1}};
    const struct verdict last[1] = {{CLASS_SERVER, GWS_NO_WAIT, 500}};
    struct pick_state state_of_other = {.marks = others, .pinned = -1};

    (void)state;
    begin(&s);
    cool(&s, s.a->pair_row, GWS_COOL_RATE, 9300);
    s.marks[1].tries = 2;
    s.last[1] = (struct verdict){CLASS_SILENCE, GWS_NO_WAIT, 0};
    assert_int_equal(survey_begin(&s.survey, &s.json), 0);
    assert_int_equal(survey_add(&s.survey, &s.json, s.region, s.m, &s.state, s.last, false), 0);
    assert_int_equal(survey_add(&s.survey, &s.json, s.region, rig_model(&s.rig, "fallback"), &state_of_other, last,
                                true), 0);
    assert_int_equal(survey_end(&s.json), 0);
    assert_string_equal(shown(&s), "{\"a\":\"cooling #\",\"b\":\"failed: silence\","
                                   "\"c/fallback\":\"failed: server (500)\"}");
    assert_counts(&s, 2, 1, 0, 0, 0);
    assert_int_equal(s.survey.listed, 3);
    assert_soonest(&s, 9300, true);
    end(&s);
}

static void leaves_out_who_does_not_understand(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.state.dialect = CONF_DIALECT_ANTHROPIC;
    assert_string_equal(make(&s), "{\"b\":\"available\"}");
    assert_int_equal(s.survey.listed, 1);
    end(&s);
}

static void assert_error(const struct survey *survey, int status, const char *code, const char *message)
{
    struct survey_error error = survey_error(survey, false);

    assert_int_equal(error.status, status);
    assert_string_equal(error.code, code);
    assert_string_equal(error.message, message);
}

/* What ends first is the status; the sentence is true of every endpoint. */
static void tells_what_stands_in_the_way(void **state)
{
    static const char limited[] = "Every endpoint is rate limited", open[] = "Every endpoint's circuit breaker is open",
                      out[] = "Every endpoint is out of service",
                      mixed[] = "Every endpoint is rate limited, out of service, or behind an open circuit breaker";

    (void)state;
    assert_error(&(struct survey){.limited = 2}, 429, "rate_limit_exceeded", limited);
    assert_error(&(struct survey){.limited = 1, .other = 1}, 429, "rate_limit_exceeded", mixed);
    assert_error(&(struct survey){.limited = 1, .open = 1, .limit_is_soonest = true}, 429, "rate_limit_exceeded",
                 mixed);
    assert_error(&(struct survey){.limited = 1, .open = 1}, 503, "circuit_open", mixed);
    assert_error(&(struct survey){.open = 1, .other = 1}, 503, "circuit_open", mixed);
    assert_error(&(struct survey){.open = 2}, 503, "circuit_open", open);
    assert_error(&(struct survey){.other = 2}, 503, "circuit_open", out);
    assert_error(&(struct survey){.limited = 2, .spent = 2}, 429, "quota_exceeded",
                 "The requests of the day are spent");
    assert_error(&(struct survey){.limited = 1, .full = 1}, 503, "at_capacity",
                 "Every endpoint that could serve this is at its limit of requests");
}

static void escapes_names(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    struct plan_candidate odd = *s.a;
    struct plan_target target = *odd.target;
    struct conf_endpoint conf = *target.conf;
    conf.name = "a\"},\n";
    target.conf = &conf;
    odd.target = &target;
    struct plan_model model = *s.m;
    model.candidates = &odd;
    model.candidate_count = 1;
    s.m = &model;
    assert_string_equal(make(&s), "{\"a\\\"},\\n\":\"available\"}");
    model.candidate_count = 0;
    assert_string_equal(make(&s), "{}");
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_is_available_and_what_failed),
        cmocka_unit_test(says_who_cools),
        cmocka_unit_test(says_who_is_open),
        cmocka_unit_test(says_who_is_half_open),
        cmocka_unit_test(says_who_is_full_or_limited),
        cmocka_unit_test(says_who_is_exhausted),
        cmocka_unit_test(says_whose_day_is_spent),
        cmocka_unit_test(surveys_a_chain),
        cmocka_unit_test(leaves_out_who_does_not_understand),
        cmocka_unit_test(tells_what_stands_in_the_way),
        cmocka_unit_test(escapes_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
