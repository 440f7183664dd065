#include "gatewayd/request_steps.h"

#include "gatewayd/reply.h"

/* What the gateway answers itself, without asking anyone: its health, its models, that it knows none of that name. */

static enum step_result answer_own(struct request *r, int status, const char *content_type, struct str body)
{
    bool head_only = str_eq(r->head->method, STR("HEAD"));
    buf_clear(&r->text);
    if (reply_whole(&r->text, status, content_type, body, r->id, r->keep_alive, r->head->minor, head_only) != 0)
        return request_fail_here(r);
    struct iovec piece = {buf_at(&r->text), buf_len(&r->text)};
    sock_send(r->client, &piece, 1);
    r->status = status;
    return DONE;
}

static enum step_result answer_ready(struct request *r)
{
    const struct plan_model *pool = r->service->plan->pool;
    for (uint32_t m = 0; m <= r->service->plan->model_count; m++) {
        const struct plan_model *model = &r->service->plan->models[m];
        for (uint32_t i = 0; i < model->candidate_count && (model != pool || r->service->plan->model_count == 0); i++) {
            struct refused refused;
            if (!admit_peek(r->service->region, &model->candidates[i], 0, &refused))
                return answer_own(r, 200, "text/plain", STR("ready\n"));
        }
    }
    return answer_own(r, 503, "text/plain", STR("no endpoint can take a request now\n"));
}

enum step_result request_model_not_found(struct request *r, struct str name)
{
    struct str hint = route_nearest(r->service->plan, name);
    char *text = hint.at ? arena_printf(&r->arena, "Model '%.*s' not found. Did you mean '%.*s'?",
                                        (int)(name.len < 128 ? name.len : 128), name.at, (int)hint.len, hint.at)
                         : arena_printf(&r->arena, "Model '%.*s' not found",
                                        (int)(name.len < 128 ? name.len : 128), name.at);
    return text ? request_fail(r, 404, "invalid_request_error", "model_not_found", text) : request_fail_here(r);
}

enum step_result request_own(struct request *r)
{
    struct str resolved;
    switch (r->route.kind) {
    case ROUTE_HEALTH:
        return answer_own(r, 200, "text/plain", STR("healthy\n"));
    case ROUTE_READY:
        return answer_ready(r);
    case ROUTE_MODELS:
        return answer_own(r, 200, "application/json", r->service->models_json);
    case ROUTE_MODEL_ONE: {
        bool known = route_model(r->service->plan, r->route.asked, &resolved) && r->service->plan->model_count;
        struct buf json = {0};
        if (!known)
            return request_model_not_found(r, r->route.asked);
        enum step_result result = route_model_json(r->route.asked, &json) == 0
                                      ? answer_own(r, 200, "application/json", buf_str(&json))
                                      : request_fail_here(r);
        buf_fini(&json);
        return result;
    }
    case ROUTE_BAD_METHOD:
        return request_fail(r, 405, "invalid_request_error", "method_not_allowed",
                            "This path does not know that method");
    case ROUTE_UNKNOWN:
        return request_fail(r, 404, "invalid_request_error", "unknown_url",
                            "Unknown path: the gateway serves /v1/…, /health and /ready");
    case ROUTE_BAD_BODY: {
        char *text = arena_printf(&r->arena, "The request's body is not JSON that can be routed: %s", r->route.why);
        return text ? request_fail(r, 400, "invalid_request_error", "bad_request", text) : request_fail_here(r);
    }
    case ROUTE_MODEL:
    case ROUTE_POOL:
    case ROUTE_ONCE:
        break;
    }
    return NEXT;
}
