/* The judge of the rehearsals: what is whole, what is honest about not being so, and what lies. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/bench/verdict.h"

#define TEXT "word01 word02 word03 "
#define EVENT(text) "data: {\"choices\":[{\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define FIRST "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
#define ALL FIRST EVENT("word01 ") EVENT("word02 ") EVENT("word03 ")
#define DONE "data: [DONE]\n\n"
#define ERROR "data: {\"error\":{\"message\":\"cut\"}}\n\n"
#define ANSWER(text) "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"" text "\"}}]}"

static void expect(enum verdict want, int status, bool streamed, bool ended, const char *body)
{
    struct verdict_input in = {status, streamed, ended, body, strlen(body), TEXT, strlen(TEXT)};
    enum verdict got = verdict_of(&in);

    if (got != want)
        fail_msg("%s instead of %s: %s", verdict_names[got], verdict_names[want], body);
}

static void streams(void **state)
{
    (void)state;
    expect(VERDICT_WHOLE, 200, true, true, ALL DONE);
    expect(VERDICT_WHOLE, 200, true, true, ": comment\n\n" ALL "data: {\"choices\":[],\"usage\":{}}\n\n" DONE);
    expect(VERDICT_ANNOUNCED, 200, true, false, FIRST EVENT("word01 ") ERROR);
    expect(VERDICT_ANNOUNCED, 200, true, true, FIRST EVENT("word01 ") ERROR);
    expect(VERDICT_BROKEN, 200, true, false, FIRST EVENT("word01 "));
    expect(VERDICT_BROKEN, 200, true, false, FIRST EVENT("word01 ") "data: {\"cho");
    expect(VERDICT_BROKEN, 200, true, false, ALL DONE);
}

static void streams_that_lie(void **state)
{
    (void)state;
    expect(VERDICT_SHORT, 200, true, true, FIRST EVENT("word01 ") DONE);
    expect(VERDICT_SHORT, 200, true, true, ALL);
    expect(VERDICT_SHORT, 200, true, true, "");
    expect(VERDICT_WRONG, 200, true, true, FIRST EVENT("word01 ") ERROR DONE);
    expect(VERDICT_WRONG, 200, true, true, FIRST EVENT("word01 ") EVENT("word01 ") EVENT("word02 ") DONE);
    expect(VERDICT_WRONG, 200, true, true, ALL EVENT("word04 ") DONE);
    expect(VERDICT_WRONG, 200, true, true, ALL DONE EVENT("word01 "));
    expect(VERDICT_WRONG, 200, true, false, FIRST EVENT("word02 "));
}

static void whole_answers(void **state)
{
    (void)state;
    expect(VERDICT_WHOLE, 200, false, true, ANSWER(TEXT));
    expect(VERDICT_BROKEN, 200, false, false, ANSWER(TEXT));
    expect(VERDICT_SHORT, 200, false, true, ANSWER("word01 "));
    expect(VERDICT_SHORT, 200, false, true, ANSWER(""));
    expect(VERDICT_SHORT, 200, false, true, "{}");
    expect(VERDICT_WRONG, 200, false, true, ANSWER("word02 "));
    expect(VERDICT_WRONG, 200, false, true, "{\"error\":{\"message\":\"quota\"}}");
}

static void refusals(void **state)
{
    (void)state;
    expect(VERDICT_REFUSED, 503, false, true, "{\"error\":{}}");
    expect(VERDICT_REFUSED, 429, true, true, "");
    expect(VERDICT_BROKEN, 502, true, false, "{\"err");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(streams), cmocka_unit_test(streams_that_lie),
                                       cmocka_unit_test(whole_answers), cmocka_unit_test(refusals)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
