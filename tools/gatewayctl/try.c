/*
 * try: is it them or us? Every endpoint of the configuration is asked directly, past the gateway and its breakers, so
 * it works when the gateway does not run. The region is not looked at and learns nothing of it.
 */

#include "tools/gatewayctl/try.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/gatewayctl/args.h"
#include "tools/gatewayctl/command.h"
#include "tools/gatewayctl/config.h"
#include "tools/gatewayctl/out.h"

static const char usual_message[] = "Say hello in one word.";

struct job {
    const struct ctl *ctl;
    const struct conf *conf;
    const char *message;
    const char *model;              /* as asked, or NULL: any that the endpoint serves */
    const struct conf_model *found; /* NULL: it goes upstream as it is */
    const char *upstream;           /* its name then */
    const char *endpoint;           /* this one alone, or NULL */
    json_t *rows;
    unsigned asked, failed;
    int name_width, model_width;
};

/* Nearest of the names that were looked at. */
struct near {
    const char *wanted;
    const char *name;
    unsigned distance;
};

static bool is_name(struct near *near, const char *name)
{
    unsigned distance = str_distance(str_of(near->wanted), str_of(name));
    if (distance < near->distance) {
        near->distance = distance;
        near->name = name;
    }
    return strcmp(near->wanted, name) == 0;
}

static int unknown(const struct job *job, const char *what, const struct near *near)
{
    if (near->name)
        out_say("there is no %s %s; did you mean %s?", what, near->wanted, near->name);
    else
        out_say("there is no %s %s in %s", what, near->wanted, job->conf->file);
    return CTL_NO_NAME;
}

static struct near looking_for(const char *name)
{
    return (struct near){.wanted = name, .distance = 3 + (unsigned)(strlen(name) / 6)};
}

static int find_model(struct job *job)
{
    const struct conf *conf = job->conf;
    struct near near = looking_for(job->model);
    for (size_t i = 0; i < conf->model_count; i++)
        if (is_name(&near, conf->models[i].name)) {
            job->found = &conf->models[i];
            return 0;
        }
    for (size_t i = 0; i < conf->alias_count; i++)
        if (is_name(&near, conf->aliases[i].name)) {
            const struct conf_alias *alias = &conf->aliases[i];
            job->found = alias->model == SIZE_MAX ? NULL : &conf->models[alias->model];
            job->upstream = alias->target;
            return 0;
        }
    job->upstream = job->model;
    return conf->model_count > 0 ? unknown(job, "model", &near) : 0;
}

static int find_endpoint(const struct job *job)
{
    struct near near = looking_for(job->endpoint);
    for (size_t i = 0; i < job->conf->endpoint_count; i++)
        if (is_name(&near, job->conf->endpoints[i].name))
            return 0;
    return unknown(job, "endpoint", &near);
}

/* Whether the model is served there, and under which name. */
static bool serves(const struct conf *conf, const struct conf_model *model, size_t endpoint, const char **as)
{
    *as = model->name;
    if (model->candidate_count == 0)
        return endpoint < conf->endpoint_count;
    for (size_t i = 0; i < model->candidate_count; i++)
        if (model->candidates[i].endpoint == endpoint) {
            *as = model->candidates[i].as ? model->candidates[i].as : model->name;
            return true;
        }
    return false;
}

/* What to ask an endpoint for: the model, or NULL for its name alone. False when there is nothing. */
static bool choose_model(const struct job *job, size_t endpoint, const struct conf_model **model, const char **as)
{
    *model = job->found;
    *as = job->upstream;
    if (job->found)
        return serves(job->conf, job->found, endpoint, as);
    if (job->model)
        return true;
    for (size_t i = 0; i < job->conf->model_count; i++) {
        *model = &job->conf->models[i];
        if (serves(job->conf, *model, endpoint, as))
            return true;
    }
    return false;
}

static json_t *ms_or_null(uint64_t us)
{
    return us > 0 ? json_real((double)us / 1000) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text[0] ? json_string(text) : json_null();
}

static void ms_text(uint64_t us, char out[24])
{
    if (us > 0)
        snprintf(out, 24, "%.0fms", (double)us / 1000);
    else
        snprintf(out, 24, "-");
}

/* Each line when it is known: of ten endpoints the ninth may hang for a minute. */
static void show(struct job *job, const char *endpoint, const char *model, const struct try_reply *reply,
                 const struct try_outcome *outcome)
{
    if (job->ctl->json) {
        json_t *status = reply->status ? json_integer(reply->status) : json_null();
        json_array_append_new(
            job->rows, show_must(json_pack("{s:s, s:s, s:b, s:s, s:o, s:o, s:o, s:o, s:o}", "endpoint", endpoint,
                                           "model", model, "good", (int)outcome->good, "outcome", outcome->name,
                                           "status", status, "first_byte_ms", ms_or_null(reply->first_us), "total_ms",
                                           ms_or_null(reply->total_us), "answer", text_or_null(outcome->answer),
                                           "error", text_or_null(outcome->error))));
        return;
    }
    char status[24] = "-", first[24], total[24];
    if (reply->status)
        snprintf(status, sizeof(status), "%d", reply->status);
    ms_text(reply->first_us, first);
    ms_text(reply->total_us, total);
    printf("%-*s  %-*s  %-8s  %6s  %10s  %8s  %s\n", job->name_width, endpoint, job->model_width, model, outcome->name,
           status, first, total, outcome->good ? outcome->answer : outcome->error);
    out_flush();
}

static void refuse(struct job *job, const char *endpoint, const char *model, const char *name, const char *why)
{
    struct try_reply reply = {0};
    struct try_outcome outcome = {.name = name};
    snprintf(outcome.error, sizeof(outcome.error), "%s", why);
    show_clean(outcome.error);
    show(job, endpoint, model, &reply, &outcome);
}

static uint32_t either(uint32_t own, uint32_t otherwise)
{
    return own ? own : otherwise;
}

static void ask(struct job *job, const struct conf_endpoint *endpoint, const struct conf_model *model, const char *as,
                const struct secret *key)
{
    const struct conf_timeouts none = {0}, *own = model ? &model->timeouts : &none, *theirs = &endpoint->timeouts;
    uint32_t total = either(own->total, theirs->total);
    struct try_question question = {
        .endpoint = endpoint,
        .key = key,
        .model = as,
        .message = job->message,
        .connect_ms = either(own->connect, theirs->connect),
        .response_ms = either(own->response, theirs->response),
    };
    if (total && total < question.response_ms)
        question.response_ms = total;
    struct try_reply reply;
    struct try_outcome outcome;
    try_ask(&question, &reply);
    if (try_wants_newer_limit(&question, &reply)) {
        try_reply_fini(&reply);
        question.newer_limit = true;
        try_ask(&question, &reply);
    }
    try_read(&question, &reply, (int64_t)time(NULL), &outcome);
    job->failed += !outcome.good;
    show(job, endpoint->name, as, &reply, &outcome);
    try_reply_fini(&reply);
}

/* With its key, if that can be had. */
static void try_endpoint(struct job *job, const struct conf_endpoint *endpoint, const struct conf_model *model,
                         const char *as)
{
    struct conf_problems problems = {0};
    struct secret *key = NULL;
    if (endpoint->key.source == CONF_KEY_PASSTHROUGH) {
        refuse(job, endpoint->name, as, "skipped", "its key is the client's own");
        return;
    }
    job->asked++;
    int result = secret_load(&endpoint->key, endpoint->key_prefixes, endpoint->key_prefix_count, endpoint->name, &key,
                             &problems);
    if (result < 0)
        show_must(NULL);
    if (result == 0) {
        ask(job, endpoint, model, as, key);
    } else {
        /* That says nothing about the gateway: who reads it must not take it for the cause of an outage. */
        bool own = endpoint->key.source == CONF_KEY_ENV;
        char why[TRY_TEXT];
        snprintf(why, sizeof(why), "%s%s", problems.count ? problems.list[0].message : "its key cannot be had",
                 own ? " in the environment of gatewayctl; the gateway has its own" : "");
        job->failed++;
        refuse(job, endpoint->name, as, "key", why);
    }
    secret_free(key);
    conf_problems_fini(&problems);
}

static void measure(struct job *job)
{
    const struct conf_model *model;
    const char *as;
    job->name_width = (int)strlen("ENDPOINT");
    job->model_width = (int)strlen("MODEL");
    for (size_t i = 0; i < job->conf->endpoint_count; i++) {
        int width = (int)strlen(job->conf->endpoints[i].name);
        job->name_width = width > job->name_width ? width : job->name_width;
        width = choose_model(job, i, &model, &as) ? (int)strlen(as) : 0;
        job->model_width = width > job->model_width ? width : job->model_width;
    }
    printf("%-*s  %-*s  %-8s  %6s  %10s  %8s  %s\n", job->name_width, "ENDPOINT", job->model_width, "MODEL", "OUTCOME",
           "STATUS", "FIRST BYTE", "TOTAL", "ANSWER");
    out_flush();
}

static int try_all(struct job *job)
{
    job->rows = show_must(json_array());
    if (!job->ctl->json)
        measure(job);
    for (size_t i = 0; i < job->conf->endpoint_count; i++) {
        const struct conf_endpoint *endpoint = &job->conf->endpoints[i];
        const struct conf_model *model;
        const char *as;
        if (job->endpoint && strcmp(job->endpoint, endpoint->name) != 0)
            continue;
        if (choose_model(job, i, &model, &as))
            try_endpoint(job, endpoint, model, as);
        else if (job->endpoint || !job->model)
            refuse(job, endpoint->name, job->model ? job->model : "-", "skipped", "it serves no such model");
    }
    if (job->ctl->json)
        out_json(json_pack("{s:O, s:I, s:I}", "tries", job->rows, "asked", (json_int_t)job->asked, "failed",
                           (json_int_t)job->failed));
    else if (job->asked == 0)
        puts("nobody was asked");
    else if (job->failed > 0)
        printf("%u of %u failed\n", job->failed, job->asked);
    else
        printf("all %u answered\n", job->asked);
    json_decref(job->rows);
    return job->failed > 0 || job->asked == 0 ? CTL_NO : CTL_DONE;
}

static int prepare(struct job *job)
{
    int status = job->endpoint ? find_endpoint(job) : 0;
    if (status == 0 && job->model)
        status = find_model(job);
    if (status == 0 && !job->model && job->conf->model_count == 0)
        status = out_usage("try", "which model? %s names none; say -m MODEL", job->conf->file);
    if (status == 0 && (secret_setup() != 0 || try_setup() != 0)) {
        out_say("libsodium or libcurl does not start; is the system's random source missing?");
        status = CTL_NO;
    }
    return status;
}

int command_try(const struct ctl *ctl, int argc, char **argv)
{
    struct job job = {.ctl = ctl, .message = usual_message};
    const struct args_option options[] = {{"--model", "-m", NULL, &job.model},
                                          {"--endpoint", NULL, NULL, &job.endpoint}};
    if (args_take(&argc, argv, options, 2, argv[0]) != 0 || args_operands(argc, argv, 0, 1) != 0)
        return CTL_USAGE;
    if (argc > 1)
        job.message = argv[1];
    struct conf *conf = NULL;
    int status = config_load(ctl, &conf);
    if (status != 0)
        return status;
    job.conf = conf;
    status = prepare(&job);
    if (status == 0)
        status = try_all(&job);
    conf_free(conf);
    return status;
}
