/* An explanation as it is read: a headline with the answer, a line for each endpoint, and what would happen then. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gatewayd/times.h"
#include "tools/gatewayctl/explain.h"
#include "tools/gatewayctl/out.h"

static const char *strategy_name(const struct plan_model *model)
{
    static const char *const names[] = {"weighted", "round_robin", "latency", "least_busy"};
    return names[model->conf ? model->conf->strategy : CONF_WEIGHTED];
}

static const char *answer_name(enum explain_answer answer)
{
    static const char *const names[] = {"now", "behind", "no"};
    return names[answer];
}

static const char *fate_name(enum explain_fate fate)
{
    static const char *const names[] = {"goes", "waits", "passes", "skipped"};
    return names[fate];
}

static const char *endpoint_of(const struct explain_candidate *c)
{
    return c->candidate->target->conf->name;
}

/* A string of a view, clean. */
struct text {
    char text[160];
};

static struct text text_of(struct str s)
{
    struct text out;
    snprintf(out.text, sizeof(out.text), "%.*s", (int)s.len, s.at);
    show_clean(out.text);
    return out;
}

/* Where it goes when this model cannot serve it. */
static void say_next(const struct explain_model *m, char *out, size_t size)
{
    if (m->next)
        snprintf(out, size, "goes on to %s", text_of(m->next->model->name).text);
    else
        snprintf(out, size, "fails");
}

static void say_skipped(const struct explain_model *m, char *out, size_t size)
{
    static const char *const ways[] = {"", "; it is refused", "; its messages are truncated"};
    const struct conf_model *conf = m->model->conf;
    if (m->fits)
        snprintf(out, size, "no endpoint of it understands that dialect");
    else
        snprintf(out, size, "%" PRIu64 " tokens do not fit its context of %" PRIu64 "%s", m->prompt,
                 conf->context, ways[conf->overflow]);
}

static void say_fate(const struct explain_model *m, char *out, size_t size)
{
    char next[192], whom[192] = "";
    say_next(m, next, sizeof(next));
    if (m->soonest)
        snprintf(whom, sizeof(whom), "%s in %s", endpoint_of(m->soonest), times_span(m->soonest_ms).text);
    struct times_text most = times_span(m->patience_ms);
    switch (m->fate) {
    case EXPLAIN_GOES:
        snprintf(out, size, "if nobody could take it, it would wait up to %s for one of them; then it %s", most.text,
                 next);
        break;
    case EXPLAIN_WAITS:
        if (m->place)
            snprintf(out, size, "nobody can take it now: it waits up to %s for a place; then it %s", most.text, next);
        else
            snprintf(out, size, "nobody can take it now: it waits for %s, up to %s; then it %s", whom, most.text, next);
        break;
    case EXPLAIN_PASSES:
        if (whom[0])
            snprintf(out, size, "nobody can take it within %s (first %s): it %s at once", most.text, whom, next);
        else
            snprintf(out, size, "nobody can take it, and waiting does not help: it %s at once", next);
        break;
    case EXPLAIN_SKIPPED:
        say_skipped(m, out, size);
        break;
    }
}

static void say_headline(const struct explain *e, char *out, size_t size)
{
    const struct explain_model *m = e->ends;
    struct text asked = text_of(e->asked), resolved = text_of(e->resolved);
    bool alias = !str_eq(e->asked, e->resolved);
    char name[340], other[200] = "";
    snprintf(name, sizeof(name), "%s%s%s%s", asked.text, alias ? " (" : "", alias ? resolved.text : "",
             alias ? ")" : "");
    if (m && m->fallback)
        snprintf(other, sizeof(other), ", as the model %s", text_of(m->model->name).text);
    if (m && m->fate == EXPLAIN_GOES)
        snprintf(out, size, "%s goes to %s now%s", name, endpoint_of(m->chosen), other);
    else if (m)
        snprintf(out, size, "%s waits: nobody can take it now%s", name, other);
    else
        snprintf(out, size, "%s fails with %d %s: %s", name, e->error.status, e->error.code, e->error.message);
}

static void join_reasons(const struct explain_candidate *c, char *out, size_t size)
{
    size_t length = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < c->count && length < size; i++)
        length += (size_t)snprintf(out + length, size - length, "%s%s", i ? "; " : "", c->reasons[i].text);
}

static void print_candidates(const struct explain_model *m)
{
    static const char *const heads[] = {"", "ENDPOINT", "PRIORITY", "ANSWER", "WHY"};
    static const enum out_color colors[] = {OUT_GREEN, OUT_PLAIN, OUT_YELLOW};
    struct out_table table;
    out_table_init(&table, heads, 5, 0x4);
    for (uint32_t i = 0; i < m->model->candidate_count; i++) {
        const struct explain_candidate *c = &m->candidates[i];
        char why[480];
        join_reasons(c, why, sizeof(why));
        out_cell(&table, OUT_GREEN, "%s", c->answer == EXPLAIN_NOW ? "->" : "");
        if (c->candidate->as.at)
            out_cell(&table, OUT_PLAIN, "%s as %s", endpoint_of(c), c->candidate->as.at);
        else
            out_cell(&table, OUT_PLAIN, "%s", endpoint_of(c));
        out_cell(&table, OUT_PLAIN, "%" PRIu32, c->candidate->target->conf->priority);
        out_cell(&table, colors[c->answer], "%s", answer_name(c->answer));
        out_cell(&table, OUT_PLAIN, "%s", why);
    }
    out_table_print(&table);
    out_table_fini(&table);
}

void explain_text(const struct explain *e)
{
    char line[640];
    say_headline(e, line, sizeof(line));
    puts(line);
    for (unsigned i = 0; i < e->count; i++) {
        const struct explain_model *m = &e->models[i];
        printf("\n%s%s, %s\n", i ? "fallback " : "", text_of(m->model->name).text,
               strategy_name(m->model));
        print_candidates(m);
        say_fate(m, line, sizeof(line));
        puts(line);
    }
}

static json_t *ms_or_null(uint64_t ms)
{
    return ms == 0 || ms == UINT64_MAX ? json_null() : json_integer((json_int_t)ms);
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *candidate_json(const struct explain *e, const struct explain_candidate *c)
{
    const struct conf_endpoint *conf = c->candidate->target->conf;
    json_t *reasons = show_must(json_array());
    for (unsigned i = 0; i < c->count; i++)
        json_array_append_new(reasons, json_pack("{s:s, s:s, s:o}", "code", c->reasons[i].code, "text",
                                                 c->reasons[i].text, "until_ms", ms_or_null(c->reasons[i].until_ms)));
    json_t *order = c->place.order ? json_integer((json_int_t)c->place.order) : json_null();
    return show_must(json_pack("{s:s, s:s, s:o, s:I, s:I, s:o, s:s, s:o, s:o}", "endpoint", conf->name, "account",
                              e->plan->conf->accounts[conf->account].name, "as",
                              text_or_null(c->candidate->as.at), "priority", (json_int_t)conf->priority, "weight",
                              (json_int_t)conf->weight, "order", order, "answer", answer_name(c->answer), "until_ms",
                              ms_or_null(c->until_ms), "reasons", reasons));
}

static json_t *model_json(const struct explain *e, const struct explain_model *m)
{
    char text[640];
    json_t *list = show_must(json_array());
    for (uint32_t i = 0; i < m->model->candidate_count; i++)
        json_array_append_new(list, candidate_json(e, &m->candidates[i]));
    say_fate(m, text, sizeof(text));
    json_t *soonest = m->soonest_ms == UINT64_MAX ? json_null() : json_integer((json_int_t)m->soonest_ms);
    return show_must(json_pack(
        "{s:s, s:b, s:s, s:s, s:o, s:I, s:o, s:b, s:o, s:s, s:o}", "model", text_of(m->model->name).text,
        "fallback", (int)m->fallback, "strategy", strategy_name(m->model), "fate",
        fate_name(m->fate), "endpoint", text_or_null(m->chosen ? endpoint_of(m->chosen) : NULL), "patience_ms",
        (json_int_t)m->patience_ms, "soonest_ms", soonest, "place", (int)m->place, "next",
        text_or_null(m->next ? text_of(m->next->model->name).text : NULL), "then", text, "candidates", list));
}

void explain_json(const struct explain *e)
{
    char text[640];
    const struct explain_model *m = e->ends;
    json_t *list = show_must(json_array());
    for (unsigned i = 0; i < e->count; i++)
        json_array_append_new(list, model_json(e, &e->models[i]));
    say_headline(e, text, sizeof(text));
    json_t *error = m ? json_null()
                      : json_pack("{s:i, s:s, s:s}", "status", e->error.status, "code", e->error.code, "message",
                                  e->error.message);
    out_json(json_pack("{s:s, s:s, s:o, s:o, s:s, s:o, s:o}", "model", text_of(e->asked).text, "resolved",
                       text_of(e->resolved).text, "endpoint",
                       text_or_null(m && m->chosen ? endpoint_of(m->chosen) : NULL), "answered_as",
                       text_or_null(m ? text_of(m->model->name).text : NULL), "text", text, "error", error,
                       "models", list));
}
