/* All endpoints as one document, the same for whoever asks: gatewayctl status, the admin server, its stream. */

#include "gatewayd/overview.h"
#include "gatewayd/show.h"
#include "gatewayd/words.h"

/* In a row now, or those that opened it. */
static uint32_t failures_of(const struct state_domain *domain)
{
    return domain->breaker.mode == GWS_OPEN ? domain->tripped_by : domain->breaker.failures;
}

static json_t *models_json(const struct overview_endpoint *endpoint, uint64_t now)
{
    json_t *list = show_must(json_array());
    for (size_t i = 0; i < endpoint->model_count; i++) {
        const struct state_domain *model = &endpoint->models[i];
        struct state_view state = state_of_domain(model, now);
        json_t *row = json_pack("{s:s, s:s, s:s, s:I, s:s, s:I}", "name", model->name, "state", state_name(state.kind),
                                "reason", state.reason, "until_ms", (json_int_t)state.until_ms, "breaker",
                                words_breaker_name(&model->breaker, now), "failures", (json_int_t)failures_of(model));
        json_array_append_new(list, show_must(row));
    }
    return list;
}

static json_t *account_json(const struct overview_endpoint *endpoint)
{
    const struct state_view *owed = &endpoint->owed;
    if (!endpoint->account[0])
        return show_must(json_null());
    return show_must(json_pack("{s:s, s:s, s:s, s:I}", "name", endpoint->account, "state", state_name(owed->kind),
                               "reason", owed->reason, "until_ms", (json_int_t)owed->until_ms));
}

/* A number that is not known is null, not 0. */
static json_t *real_or_null(double number)
{
    return show_must(number >= 0 ? json_real(number) : json_null());
}

static json_t *endpoint_json(const struct overview_endpoint *endpoint, uint64_t now)
{
    json_t *last = endpoint->last_ok ? json_integer((json_int_t)overview_since(endpoint->last_ok, now)) : json_null();
    double error_rate = overview_error_rate(endpoint);
    return show_must(json_pack(
        "{s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:o, s:f, s:{s:o, s:o}, s:o, s:o, s:o}", "name",
        endpoint->name->info.name, "state", state_name(endpoint->state.kind), "reason", endpoint->state.reason,
        "until_ms", (json_int_t)endpoint->state.until_ms, "breaker", words_breaker_name(&endpoint->own.breaker, now),
        "failures", (json_int_t)failures_of(&endpoint->own), "in_flight", (json_int_t)endpoint->in_flight, "limit",
        (json_int_t)endpoint->limit, "requests", (json_int_t)endpoint->tried, "rps",
        real_or_null(overview_rate(endpoint)), "error_rate", error_rate > 0 ? error_rate : 0.0, "first_token_ms", "p50",
        real_or_null(overview_first_ms(endpoint, OVERVIEW_MEDIAN)), "p99",
        real_or_null(overview_first_ms(endpoint, OVERVIEW_SLOWEST)), "last_success_ms", last, "account",
        account_json(endpoint), "models", models_json(endpoint, now)));
}

json_t *overview_json(const struct overview *overview)
{
    json_t *list = show_must(json_array());
    for (size_t i = 0; i < overview->count; i++)
        json_array_append_new(list, endpoint_json(&overview->endpoints[i], overview->now));
    json_t *master = overview->master ? json_integer(overview->master) : json_null();
    return show_must(json_pack("{s:o, s:{s:b, s:I, s:I, s:I, s:f, s:I, s:I, s:o, s:I}}", "endpoints", list, "summary",
                       "serving", (int)overview->serving, "endpoints", (json_int_t)overview->count, "usable",
                       (json_int_t)overview->usable, "requests", (json_int_t)overview->tried, "success_rate",
                       overview_success_rate(overview), "parked",
                       (json_int_t)overview->parked, "workers", (json_int_t)overview->workers, "master", master,
                       "generation", (json_int_t)overview->generation));
}
