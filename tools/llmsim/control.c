/*
 * The remote control. A document is read whole into a copy of the settings first and the copy put in place last, so
 * that a mistyped key leaves a running rehearsal as it was. This is the only place that builds a JSON tree.
 */

#include "tools/llmsim/control.h"

#include <jansson.h>

#include "tools/llmsim/spec.h"

struct change {
    struct settings settings;
    struct fault_set faults;
    double rpm, tpm;
    bool down, reset;
    bool new_faults, new_rpm, new_tpm;
    char *why;
    size_t why_size;
};

static bool wrong(struct change *ch, const char *key, const char *wants)
{
    snprintf(ch->why, ch->why_size, "'%s' wants %s", key, wants);
    return false;
}

/* A duration as text, or as a number of milliseconds. */
static bool read_duration(struct change *ch, const char *key, const json_t *v, int64_t *ms)
{
    if (json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= 1000000000) {
        *ms = json_integer_value(v);
        return true;
    }
    if (json_is_string(v) && spec_duration(str_of(json_string_value(v)), ms))
        return true;
    return wrong(ch, key, "a duration like \"300ms\", or milliseconds");
}

static bool read_rate(struct change *ch, const char *key, const json_t *v)
{
    if (json_is_number(v) && json_number_value(v) >= 0) {
        ch->settings.rate = json_number_value(v);
        return true;
    }
    if (json_is_string(v) && spec_rate(str_of(json_string_value(v)), &ch->settings.rate))
        return true;
    return wrong(ch, key, "a rate like \"50/s\", or tokens a second");
}

static bool read_count(struct change *ch, const char *key, const json_t *v, uint64_t max, uint64_t *out)
{
    char wants[80];

    if (json_is_integer(v) && json_integer_value(v) >= 0 && (uint64_t)json_integer_value(v) <= max) {
        *out = (uint64_t)json_integer_value(v);
        return true;
    }
    snprintf(wants, sizeof(wants), "a whole number from 0 to %llu", (unsigned long long)max);
    return wrong(ch, key, wants);
}

static bool read_bool(struct change *ch, const char *key, const json_t *v, bool *out)
{
    *out = json_is_true(v);
    return json_is_boolean(v) || wrong(ch, key, "true or false");
}

static bool read_faults(struct change *ch, const char *key, const json_t *v)
{
    const json_t *item;
    size_t i;

    if (!json_is_array(v) || json_array_size(v) > FAULTS_MAX)
        return wrong(ch, key, "a list of at most 64 faults, like [\"503\"]");
    ch->faults.count = 0;
    ch->new_faults = true;
    json_array_foreach(v, i, item) {
        if (!json_is_string(item))
            return wrong(ch, key, "a list of texts, like [\"503\"]");
        if (!fault_parse(json_string_value(item), &ch->faults.list[ch->faults.count], ch->why, ch->why_size))
            return false;
        ch->faults.count++;
    }
    return true;
}

static bool read_member(struct change *ch, const char *key, const json_t *v)
{
    uint64_t n = 0;
    bool good;

    if (strcmp(key, "down") == 0)
        return read_bool(ch, key, v, &ch->down);
    if (strcmp(key, "reset") == 0)
        return read_bool(ch, key, v, &ch->reset);
    if (strcmp(key, "faults") == 0)
        return read_faults(ch, key, v);
    if (strcmp(key, "latency") == 0)
        return read_duration(ch, key, v, &ch->settings.latency_ms);
    if (strcmp(key, "ttft") == 0)
        return read_duration(ch, key, v, &ch->settings.ttft_ms);
    if (strcmp(key, "rate") == 0)
        return read_rate(ch, key, v);
    if (strcmp(key, "tokens") == 0) {
        good = read_count(ch, key, v, ANSWER_TOKENS_MAX, &n);
        ch->settings.tokens = (unsigned)n;
    } else if (strcmp(key, "answer_bytes") == 0) {
        good = read_count(ch, key, v, ANSWER_BYTES_MAX, &n);
        ch->settings.answer_bytes = n;
    } else if (strcmp(key, "rpm") == 0) {
        good = ch->new_rpm = read_count(ch, key, v, UINT32_MAX, &n);
        ch->rpm = (double)n;
    } else if (strcmp(key, "tpm") == 0) {
        good = ch->new_tpm = read_count(ch, key, v, UINT32_MAX, &n);
        ch->tpm = (double)n;
    } else {
        snprintf(ch->why, ch->why_size,
                 "unknown key '%s'; known are down faults latency ttft tokens rate rpm tpm answer_bytes reset", key);
        return false;
    }
    return good;
}

static void put_in_place(struct sim *sim, struct change *ch)
{
    int64_t now = sim_now_ms();

    sim->settings = ch->settings;
    sim->down = ch->down;
    if (ch->new_faults) {
        sim->faults = ch->faults;
        sim->faults.since_ms = now;
    }
    if (ch->new_rpm)
        limiter_set(&sim->limiter.requests, ch->rpm, now);
    if (ch->new_tpm)
        limiter_set(&sim->limiter.tokens, ch->tpm, now);
    if (ch->reset)
        sim_forget(sim);
}

bool control_change(struct sim *sim, struct str document, char *why, size_t why_size)
{
    static struct change ch; /* large, and there is never more than one */
    json_error_t error;
    json_t *root = json_loadb(document.at, document.len, JSON_REJECT_DUPLICATES, &error);
    const char *key;
    json_t *value;
    bool good = true;

    if (!json_is_object(root)) {
        snprintf(why, why_size, "the control document is not a JSON object: %s",
                 root ? "it is something else" : error.text);
        json_decref(root);
        return false;
    }
    ch.settings = sim->settings;
    ch.down = sim->down;
    ch.reset = ch.new_faults = ch.new_rpm = ch.new_tpm = false;
    ch.why = why;
    ch.why_size = why_size;
    json_object_foreach(root, key, value) {
        if (!read_member(&ch, key, value)) {
            good = false;
            break;
        }
    }
    json_decref(root);
    if (good)
        put_in_place(sim, &ch);
    return good;
}

static void print_settings(const struct sim *sim, struct buf *out)
{
    const struct settings *s = &sim->settings;

    sim_must(buf_add_str(out, STR("{\"name\":\"")));
    sim_must(buf_add_json(out, str_of(sim->name)));
    sim_must(buf_addf(out,
                      "\",\"down\":%s,\"latency\":\"%lldms\",\"ttft\":\"%lldms\",\"tokens\":%u,\"rate\":\"%.12g/s\","
                      "\"answer_bytes\":%zu,\"rpm\":%.0f,\"tpm\":%.0f,\"faults\":[",
                      sim->down ? "true" : "false", (long long)s->latency_ms, (long long)s->ttft_ms, s->tokens, s->rate,
                      s->answer_bytes, sim->limiter.requests.per_minute, sim->limiter.tokens.per_minute));
    for (unsigned i = 0; i < sim->faults.count; i++)
        sim_must(buf_addf(out, "%s\"%s\"", i ? "," : "", sim->faults.list[i].text));
    sim_must(buf_add_str(out, STR("]")));
}

static void print_counts(const struct counts *c, struct buf *out)
{
    const char *comma = "";

    sim_must(buf_addf(out,
                      ",\"requests\":%llu,\"connections_total\":%llu,\"connections_open\":%llu,\"in_flight\":%llu,"
                      "\"peak_in_flight\":%llu,\"aborted\":%llu,\"refused\":%llu,\"by_status\":{",
                      (unsigned long long)c->requests, (unsigned long long)c->connections_total,
                      (unsigned long long)c->connections_open, (unsigned long long)c->in_flight,
                      (unsigned long long)c->peak_in_flight, (unsigned long long)c->aborted,
                      (unsigned long long)c->refused));
    for (int status = 0; status < SIM_STATUS_MAX; status++) {
        if (c->by_status[status]) {
            sim_must(buf_addf(out, "%s\"%d\":%llu", comma, status, (unsigned long long)c->by_status[status]));
            comma = ",";
        }
    }
    sim_must(buf_add_str(out, STR("},\"by_path\":{")));
    comma = "";
    for (enum api api = API_CHAT; api < API_CONTROL; api++) {
        if (c->by_api[api]) {
            sim_must(buf_addf(out, "%s\"%s\":%llu", comma, api_paths[api].path, (unsigned long long)c->by_api[api]));
            comma = ",";
        }
    }
    sim_must(buf_add_str(out, STR("}")));
}

void control_print(struct sim *sim, bool log, struct buf *out)
{
    print_settings(sim, out);
    print_counts(&sim->counts, out);
    if (log) {
        sim_must(buf_add_str(out, STR(",\"log\":")));
        journal_print(&sim->journal, sim->last_request, out);
    }
    sim_must(buf_add_str(out, STR("}\n")));
}
