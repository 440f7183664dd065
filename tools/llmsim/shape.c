/* A row for each: what stands before the message, and between it and the end, with the place of further members. */

#include "tools/llmsim/shape.h"

#include "tools/llmsim/sim.h"

struct shape {
    const char *name, *before, *between, *after;
};

static const struct shape shapes[] = {
    {"anthropic", "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"", "\"", "}}"},
    {"azure", "{\"error\":{\"code\":\"429\",\"message\":\"", "\"", "}}"},
    {"bare", "{\"message\":\"", "\"", "}"},
    {"gemini", "{\"error\":{\"code\":429,\"message\":\"", "\",\"status\":\"RESOURCE_EXHAUSTED\"", "}}"},
    {"holysheep", "{\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"",
     "\",\"param\":null,\"type\":\"rate_limit\"", "}}"},
    {"mistral", "{\"object\":\"error\",\"message\":\"",
     "\",\"type\":\"rate_limited\",\"param\":null,\"code\":\"1300\",\"raw_status_code\":429", "}"},
    {"openrouter", "{\"error\":{\"message\":\"",
     "\",\"code\":429,\"metadata\":{\"provider_name\":\"llmsim\",\"raw\":\"rate limited upstream\"}", "}}"},
};

const struct shape *shape_find(struct str name)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        if (str_eq(name, str_of(shapes[i].name)))
            return &shapes[i];
    }
    return NULL;
}

void shape_print(const struct shape *shape, struct str message, struct str more, struct buf *out)
{
    sim_must(buf_add_str(out, str_of(shape->before)));
    sim_must(buf_add_json(out, message));
    sim_must(buf_add_str(out, str_of(shape->between)));
    sim_must(buf_add_str(out, more));
    sim_must(buf_add_str(out, str_of(shape->after)));
}
