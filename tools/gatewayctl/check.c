/*
 * check: is this file good? The problems go to stderr, as those of gatewayd -t and of every compiler do, so that
 * editors and scripts find them where they look. Secrets are fetched and judged as the daemon would, and thrown away.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gatewayd/conf.h"
#include "gatewayd/secret.h"
#include "gatewayd/unserved.h"
#include "tools/gatewayctl/args.h"
#include "tools/gatewayctl/command.h"
#include "tools/gatewayctl/out.h"

static int try_key(const struct conf_key *key, const char *const *prefixes, size_t count, const char *whose,
                   struct conf_problems *problems)
{
    struct secret *secret = NULL;
    int result = secret_load(key, prefixes, count, whose, &secret, problems);
    if (result == 0)
        secret_free(secret);
    return result < 0 ? result : 0;
}

static bool account_is_used(const struct conf *conf, size_t account)
{
    for (size_t i = 0; i < conf->endpoint_count; i++)
        if (conf->endpoints[i].account == account)
            return true;
    return false;
}

/* An account's key is tried through its endpoints, whose own it becomes; one that nobody uses is tried by itself. */
static int try_keys(const struct conf *conf, struct conf_problems *problems)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < conf->endpoint_count; i++) {
        const struct conf_endpoint *endpoint = &conf->endpoints[i];
        result = try_key(&endpoint->key, endpoint->key_prefixes, endpoint->key_prefix_count, endpoint->name, problems);
    }
    for (size_t i = 0; result == 0 && i < conf->account_count; i++)
        if (!account_is_used(conf, i))
            result = try_key(&conf->accounts[i].key, NULL, 0, conf->accounts[i].name, problems);
    return result;
}

static json_t *problems_json(const struct conf_problems *problems)
{
    json_t *list = show_must(json_array());
    for (size_t i = 0; i < problems->count; i++) {
        const struct conf_problem *problem = &problems->list[i];
        char message[1024];
        snprintf(message, sizeof(message), "%s", problem->message);
        show_clean(message);
        json_array_append_new(list, show_must(json_pack("{s:I, s:I, s:s}", "line", (json_int_t)problem->line, "column",
                                                       (json_int_t)problem->column, "message", message)));
    }
    return list;
}

int command_check(const struct ctl *ctl, int argc, char **argv)
{
    if (args_take(&argc, argv, NULL, 0, argv[0]) != 0)
        return CTL_USAGE;
    if (argc < 2)
        return out_usage(argv[0], "which file? FILE is missing");
    if (args_operands(argc, argv, 1, 1) != 0)
        return CTL_USAGE;
    if (secret_setup() != 0) {
        out_say("libsodium does not start; is the system's random source missing?");
        return CTL_NO;
    }

    const char *file = argv[1];
    struct conf_problems problems = {0};
    struct conf *conf = NULL;
    int result = conf_load(file, &conf, &problems);
    if (result == 0) {
        unserved_check(conf, &problems);
        result = try_keys(conf, &problems);
    }
    if (result < 0)
        show_must(NULL);
    bool good = result == 0 && problems.count == 0;
    if (ctl->json) {
        char name[4096];
        snprintf(name, sizeof(name), "%s", file);
        show_clean(name);
        out_json(json_pack("{s:s, s:b, s:o}", "file", name, "good", (int)good, "problems", problems_json(&problems)));
    } else if (good) {
        printf("%s: good\n", file);
    } else {
        conf_problems_print(&problems, file, stderr);
    }
    conf_problems_fini(&problems);
    conf_free(conf);
    return good ? CTL_DONE : CTL_NO;
}
