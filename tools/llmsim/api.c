/* The table of paths. A search through nine rows costs less than the cache miss of anything cleverer. */

#include "tools/llmsim/api.h"

const struct api_path api_paths[API_COUNT] = {
    [API_CHAT] = {"chat", "/v1/chat/completions", "POST", "messages"},
    [API_COMPLETIONS] = {"completions", "/v1/completions", "POST", "prompt"},
    [API_EMBEDDINGS] = {"embeddings", "/v1/embeddings", "POST", "input"},
    [API_MODERATIONS] = {"moderations", "/v1/moderations", "POST", "input"},
    [API_RESPONSES] = {"responses", "/v1/responses", "POST", "input"},
    [API_MESSAGES] = {"messages", "/v1/messages", "POST", "messages"},
    [API_MODELS] = {"models", "/v1/models", "GET", NULL},
    [API_OTHER] = {"other", "other", "", NULL},
    [API_CONTROL] = {"control", "/sim", "", NULL},
};

enum api api_of(struct str path)
{
    for (enum api api = API_CHAT; api < API_OTHER; api++) {
        if (str_eq(path, str_of(api_paths[api].path)))
            return api;
    }
    if (str_starts(path, STR("/v1/models/")) && path.len > sizeof("/v1/models/") - 1)
        return API_MODELS;
    return str_eq(path, STR("/sim")) ? API_CONTROL : API_OTHER;
}
