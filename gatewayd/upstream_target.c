#include "gatewayd/upstream_internal.h"

#include <stdlib.h>

/* What is the same for every request to an endpoint is made once: the lines with its credential, its parsed URLs. */

static CURLU *url_make(const struct target *target, struct str path)
{
    struct buf text = {0};
    CURLU *url = curl_url();
    bool ok = url && buf_addf(&text, "%s%.*s", target->plan->conf->base, (int)path.len, path.at) == 0 &&
              buf_add(&text, "", 1) == 0 &&
              curl_url_set(url, CURLUPART_URL, text.data, CURLU_PATH_AS_IS) == CURLUE_OK;
    buf_fini(&text);
    if (ok)
        return url;
    curl_url_cleanup(url);
    return NULL;
}

/* The paths of an API are few: their parsed URLs are kept, and only what looks like an identifier is parsed anew. */
CURLU *upstream_target_url(struct transfer *t, struct str path)
{
    struct target *target = t->target;
    for (unsigned i = 0; i < PATHS_KEPT && target->paths[i].url; i++)
        if (str_eq(path, (struct str){target->paths[i].path, target->paths[i].len}))
            return target->paths[i].url;
    CURLU *url = url_make(target, path);
    if (!url)
        return NULL;
    char *copy = target->next_path < PATHS_KEPT ? strndup(path.at, path.len) : NULL;
    if (!copy) {
        t->url_owned = url;
        return url;
    }
    target->paths[target->next_path++] = (struct kept_path){copy, path.len, url};
    return url;
}

int upstream_target_init(struct target *target, const struct plan_target *plan)
{
    struct buf lines = {0};
    struct str key = plan->key ? secret_text(plan->key) : (struct str){0};
    int rc = 0;
    target->plan = plan;
    target->two = plan->conf->http2 && strncmp(plan->conf->base, "https:", 6) == 0;
    if (key.len > 0) {
        const char *name = plan->conf->auth == CONF_AUTH_BEARER      ? "Authorization: Bearer "
                           : plan->conf->auth == CONF_AUTH_X_API_KEY ? "x-api-key: "
                                                                     : "api-key: ";
        rc = buf_addf(&lines, "%s%.*s", name, (int)key.len, key.at);
    }
    for (size_t i = 0; rc == 0 && i < plan->conf->header_count; i++)
        rc = buf_addf(&lines, "%s%s: %s", buf_len(&lines) ? "\r\n" : "", plan->conf->headers[i].name,
                      plan->conf->headers[i].value);
    if (rc == 0)
        rc = buf_add(&lines, "", 1);
    target->fixed = lines.data;
    target->fixed_len = rc == 0 ? buf_len(&lines) - 1 : 0;
    return rc;
}

void upstream_target_fini(struct target *target)
{
    while (target->idle) {
        struct transfer *t = target->idle;
        target->idle = t->next;
        event_timer_stop(&t->refused);
        curl_easy_cleanup(t->easy);
        buf_fini(&t->lines);
        if (t->block.data)
            explicit_bzero(t->block.data, t->block.size);
        buf_fini(&t->block);
        free(t);
    }
    for (unsigned i = 0; i < PATHS_KEPT; i++) {
        curl_url_cleanup(target->paths[i].url);
        free(target->paths[i].path);
    }
    if (target->fixed)
        explicit_bzero(target->fixed, target->fixed_len);
    free(target->fixed);
}
