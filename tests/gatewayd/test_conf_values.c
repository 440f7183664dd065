/*
 * The configuration, as far as it is accepted: every default, every key away from its default, and the files in etc/.
 * The keys of etc/gatewayd.yaml and of the schema are compared in both directions, so that neither can grow alone.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "gatewayd/conf_internal.h"
#include "gatewayd/log.h"

#ifndef SOURCE_ROOT
#define SOURCE_ROOT "."
#endif

#define ONE "endpoints: [{name: a, url: http://h/v1}]\n"

static struct conf *good(const char *text)
{
    struct conf_problems problems = {0};
    struct conf *conf = NULL;
    int rc = conf_parse("test", str_of(text), &conf, &problems);

    conf_problems_print(&problems, "test", stderr);
    assert_int_equal(problems.count, 0);
    assert_int_equal(rc, 0);
    conf_problems_fini(&problems);
    return conf;
}

static struct conf *loaded(const char *name)
{
    struct conf_problems problems = {0};
    struct conf *conf = NULL;
    char file[512];

    snprintf(file, sizeof file, "%s/etc/%s", SOURCE_ROOT, name);
    int rc = conf_load(file, &conf, &problems);
    conf_problems_print(&problems, file, stderr);
    assert_int_equal(rc, 0);
    assert_int_equal(problems.count, 0);
    conf_problems_fini(&problems);
    return conf;
}

static void check_endpoint_defaults(const struct conf_endpoint *e)
{
    assert_string_equal(e->name, "example");
    assert_string_equal(e->url, "https://api.example.com/v1");
    assert_string_equal(e->base, "https://api.example.com/v1");
    assert_null(e->unix_socket);
    assert_int_equal(e->key.source, CONF_KEY_ENV);
    assert_string_equal(e->key.text, "EXAMPLE_API_KEY");
    assert_int_equal(e->key_prefix_count, 0);
    assert_int_equal(e->auth, CONF_AUTH_BEARER);
    assert_int_equal(e->account, 0);
    assert_int_equal(e->dialects, CONF_DIALECT_OPENAI);
    assert_int_equal(e->weight, 1);
    assert_int_equal(e->priority, 1);
    assert_int_equal(e->max_concurrent, 1000);
    assert_true(e->adaptive);
    assert_memory_equal(&e->limits, &(struct conf_limits){0}, sizeof e->limits);
    assert_memory_equal(&e->timeouts, (&(struct conf_timeouts){5000, 10000, 60000, 30000, 600000}), sizeof e->timeouts);
    assert_memory_equal(&e->breaker, (&(struct conf_breaker){5, 5000, 20, 60000, 3, 3, 5000, 30000}),
                        sizeof e->breaker);
    assert_memory_equal(&e->cooldown, (&(struct conf_backoff){2000, 300000}), sizeof e->cooldown);
    assert_memory_equal(&e->quota, (&(struct conf_backoff){900000, 21600000}), sizeof e->quota);
    assert_int_equal(e->maintenance_count, 0);
    assert_int_equal(e->price_factor, 1000000);
    assert_int_equal(e->slow_start, 0);
    assert_false(e->health.on);
    assert_int_equal(e->header_count, 0);
    assert_true(e->http2);
    assert_null(e->ca_file);
    assert_null(e->proxy);
    assert_int_equal(e->usage, CONF_USAGE_INJECT);
}

static void check_defaults(const struct conf *c)
{
    char state[200];

    assert_int_equal(c->listen_count, 1);
    assert_string_equal(c->listen[0].host, "127.0.0.1");
    assert_int_equal(c->listen[0].port, 8080);
    assert_null(c->listen[0].path);
    assert_int_equal(c->listen[0].mode, 0660);
    assert_false(c->listen[0].open);
    assert_int_equal(c->listen[0].per_ip.rps + c->listen[0].per_ip.burst + c->listen[0].per_ip.connections, 0);
    assert_int_equal(c->admin.listen_count, 0);
    assert_int_equal(c->admin.token.line, 0);
    assert_false(c->admin.open_metrics);
    assert_null(c->admin.group);
    assert_in_range(c->workers, 1, 100);
    assert_null(c->user);
    assert_true(conf_default_state(state, sizeof state));
    assert_string_equal(c->state, state);
    assert_null(c->ledger);
    assert_int_equal(c->limits.connections, 20000);
    assert_int_equal(c->limits.header, 32 << 10);
    assert_int_equal(c->limits.body, 32 << 20);
    assert_int_equal(c->limits.buffered, 512 << 20);
    assert_int_equal(c->limits.header_timeout, 10000);
    assert_int_equal(c->limits.idle_timeout, 75000);
    assert_int_equal(c->log.level, LOG_INFO_LEVEL);
    assert_string_equal(c->log.access, "stdout");
    assert_true(c->log.json);
    assert_int_equal(c->drain.reload, 600000);
    assert_int_equal(c->drain.stop, 30000);
    assert_true(c->expose);
    assert_int_equal(c->notify_count + c->model_count + c->alias_count + c->client_count, 0);
    assert_memory_equal(&c->retry, (&(struct conf_retry){5, 3, 500, 200, 60000, 3000, 2000, 3}), sizeof c->retry);
    assert_int_equal(c->wait.max, 30000);
    assert_int_equal(c->wait.queue, 1000);
    assert_true(c->stream.replay);
    assert_int_equal(c->stream.hold, 0);
    assert_int_equal(c->hedge.after, 0);
    assert_int_equal(c->hedge.budget, 200);
    assert_false(c->exhausted_stale);
    assert_int_equal(c->cache.size, 0);
    assert_int_equal(c->cache.ttl, 300000);
    assert_int_equal(c->cache.stale, 3600000);
    assert_int_equal(c->cache.max_entry, 1 << 20);
    assert_false(c->cache.shared);
    assert_true(c->cache.coalesce);
    assert_int_equal(c->master_key.line, 0);
    assert_int_equal(c->account_count, 1);
    assert_string_equal(c->accounts[0].name, "example");
    assert_int_equal(c->endpoint_count, 1);
    check_endpoint_defaults(&c->endpoints[0]);
}

/* The shortest file and the one that spells every default out are the same configuration. */
static void defaults(void **state)
{
    static const char *const files[] = {"minimal.yaml", "gatewayd.yaml"};
    (void)state;

    for (int i = 0; i < 2; i++) {
        struct conf *c = loaded(files[i]);
        check_defaults(c);
        conf_free(c);
    }
}

static void model_defaults(void **state)
{
    struct conf *c = good("models: {m: }\nendpoints: [{name: a, url: http://h}, {name: b, url: http://h}]\n");
    const struct conf_model *m = &c->models[0];
    (void)state;

    assert_string_equal(m->name, "m");
    assert_int_equal(m->candidate_count, 2);
    assert_int_equal(m->candidates[1].endpoint, 1);
    assert_null(m->candidates[1].as);
    assert_int_equal(m->strategy, CONF_WEIGHTED);
    assert_int_equal(m->fallback_count, 0);
    assert_int_equal(m->patience, 10000);
    assert_int_equal(m->context, 0);
    assert_int_equal(m->overflow, CONF_OVERFLOW_FALLBACK);
    assert_memory_equal(&m->timeouts, &(struct conf_timeouts){0}, sizeof m->timeouts);
    assert_memory_equal(&m->price, &(struct conf_price){0}, sizeof m->price);
    assert_int_equal(m->min_chars, 0);
    conf_free(c);
}

#define HASH "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static const char everything[] =
    "listen:\n"
    "  - tcp: '[::1]:0'\n"
    "    per_ip: {rps: 10, burst: 20, connections: 30}\n"
    "    trusted_proxies: [10.0.0.0/8, '::1']\n"
    "    open: true\n"
    "  - {unix: /tmp/s, mode: '0600', group: g}\n"
    "  - {tcp: ':81', per_ip: {rps: 7}}\n"
    "admin: {listen: [{tcp: 'localhost:9901'}, {unix: /tmp/a}], token: env:T, open_metrics: true, group: ops}\n"
    "workers: 7\nuser: someone\nstate: /tmp/state\nledger: /tmp/l.db\n"
    "limits: {connections: 1, header: 1KiB, body: 2KiB, buffered: 3KiB, header_timeout: 1s, idle_timeout: 1.5s}\n"
    "log: {level: error, access: /tmp/log, format: text}\n"
    "drain: {reload: 1m, stop: 0}\nexpose: true\n"
    "notify: [{url: 'https://h/x', on: [close, budget]}, {url: 'http://g'}]\n"
    "accounts: {acc: {key: file:/k, limits: {tpm: 100, burst: 10, rpd: 5, usd_per_day: 0.5}}}\n"
    "models:\n"
    "  m1: {endpoints: [b, {name: a, as: up}], strategy: least_busy, fallback: [m2, al], patience: 1s, context: 2000,\n"
    "       overflow: truncate, timeouts: {first_token: 7s}, price: {input: 2.5, output: 8},\n"
    "       validate: {min_chars: 4}}\n"
    "  m2: {strategy: round_robin, price: {input: 1, cached_input: 0.000001}, overflow: reject, validate: off}\n"
    "  m3: {strategy: latency}\n"
    "aliases: {al: m3}\n"
    "retry: {attempts: 1, per_endpoint: 2, base: 3ms, factor: 1.5, max: 4ms, jitter: 5.25%, budget: 0%,\n"
    "        budget_min: 0}\n"
    "wait: {max: 1s, queue: 0}\nstream: {rescue: off, hold: 5ms}\nhedge: {after: 6ms, budget: 7%}\nexhausted: stale\n"
    "cache: {size: 1MiB, ttl: 1s, stale: 2s, max_entry: 2KiB, scope: shared, coalesce: false}\n"
    "clients:\n"
    "  - {name: c, keys: ['blake2b:" HASH "'], unix: {uid: [5, root], gid: [6]}, models: [al, m2], endpoints: [b],\n"
    "     limits: {rpm: 10, burst: 4, tpm: 11, rpd: 12, concurrency: 13, usd_per_day: 14.000001}}\n"
    "secrets: {master_key: file:/m}\ncluster: off\n"
    "endpoints:\n"
    "  - name: a\n    url: HTTPS://H:1/x/\n    key: passthrough\n    key_prefixes: [p1, p2]\n    auth: x-api-key\n"
    "    account: acc\n    dialects: [anthropic, openai]\n    weight: 2\n    priority: 0\n    max_concurrent: 3\n"
    "    adaptive: false\n    limits: {rpm: 4, burst: 3, tpm: 5, rpd: 6}\n"
    "    timeouts: {connect: 11ms, first_token: 12ms, response: 13ms, idle: 14ms, total: 15ms}\n"
    "    breaker: {failures: 1, rate: 2.5%, min_requests: 3, window: 4s, successes: 5, half_open: 6, open: 7s,\n"
    "              max_open: 8s}\n"
    "    cooldown: {default: 1s, max: 1s}\n    quota: {default: 2s, max: 3s}\n"
    "    maintenance: ['23:00-01:30 UTC', '12:00-24:00 UTC']\n    price_factor: 0.15\n    slow_start: 9s\n"
    "    health: {path: /p, interval: 1s, timeout: 20ms}\n    headers: {X-A: b c, X-N: ''}\n    http2: off\n"
    "    ca_file: /ca\n    proxy: socks5h://p:1\n    usage: estimate\n"
    "  - {name: b, url: 'unix:/tmp/a:b:/v1/', auth: api-key, health: {}}\n"
    "  - {name: d, url: http://h, account: acc}\n";

static void every_key_of_an_endpoint(void **state)
{
    struct conf *c = good(everything);
    const struct conf_endpoint *e = c->endpoints;
    (void)state;

    assert_string_equal(e->url, "HTTPS://H:1/x/");
    assert_string_equal(e->base, "HTTPS://H:1/x");
    assert_int_equal(e->key.source, CONF_KEY_PASSTHROUGH);
    assert_int_equal(e->key_prefix_count, 2);
    assert_string_equal(e->key_prefixes[1], "p2");
    assert_int_equal(e->auth, CONF_AUTH_X_API_KEY);
    assert_int_equal(e->dialects, CONF_DIALECT_OPENAI | CONF_DIALECT_ANTHROPIC);
    assert_int_equal(e->weight, 2);
    assert_int_equal(e->priority, 0);
    assert_int_equal(e->max_concurrent, 3);
    assert_false(e->adaptive);
    assert_memory_equal(&e->limits, (&(struct conf_limits){.rpm = 4, .rpm_burst = 3, .tpm = 5, .rpd = 6}),
                        sizeof e->limits);
    assert_memory_equal(&e->timeouts, (&(struct conf_timeouts){11, 12, 13, 14, 15}), sizeof e->timeouts);
    assert_memory_equal(&e->breaker, (&(struct conf_breaker){1, 250, 3, 4000, 5, 6, 7000, 8000}), sizeof e->breaker);
    assert_memory_equal(&e->cooldown, (&(struct conf_backoff){1000, 1000}), sizeof e->cooldown);
    assert_memory_equal(&e->quota, (&(struct conf_backoff){2000, 3000}), sizeof e->quota);
    assert_int_equal(e->maintenance_count, 2);
    assert_int_equal(e->maintenance[0].from, 23 * 60);
    assert_int_equal(e->maintenance[0].to, 90);
    assert_int_equal(e->maintenance[1].to, 24 * 60);
    assert_int_equal(e->price_factor, 150000);
    assert_int_equal(e->slow_start, 9000);
    assert_true(e->health.on);
    assert_string_equal(e->health.path, "/p");
    assert_int_equal(e->health.interval, 1000);
    assert_int_equal(e->health.timeout, 20);
    assert_int_equal(e->header_count, 2);
    assert_string_equal(e->headers[0].name, "X-A");
    assert_string_equal(e->headers[0].value, "b c");
    assert_string_equal(e->headers[1].value, "");
    assert_false(e->http2);
    assert_string_equal(e->ca_file, "/ca");
    assert_string_equal(e->proxy, "socks5h://p:1");
    assert_int_equal(e->usage, CONF_USAGE_ESTIMATE);
    assert_string_equal(e[1].unix_socket, "/tmp/a:b");
    assert_string_equal(e[1].base, "http://localhost/v1");
    assert_int_equal(e[1].auth, CONF_AUTH_API_KEY);
    assert_true(e[1].health.on);
    assert_string_equal(e[1].health.path, "/models");
    assert_int_equal(e[1].key.source, CONF_KEY_NONE);
    conf_free(c);
}

static void accounts_are_shared_or_ones_own(void **state)
{
    struct conf *c = good(everything);
    (void)state;

    assert_int_equal(c->account_count, 2);
    assert_string_equal(c->accounts[0].name, "acc");
    assert_string_equal(c->accounts[1].name, "b");
    assert_memory_equal(&c->accounts[0].limits,
                        (&(struct conf_limits){.tpm = 100, .tpm_burst = 10, .rpd = 5, .usd_per_day = 500000}),
                        sizeof(struct conf_limits));
    assert_int_equal(c->endpoints[0].account, 0);
    assert_int_equal(c->endpoints[1].account, 1);
    assert_int_equal(c->endpoints[2].account, 0);
    assert_int_equal(c->endpoints[2].key.source, CONF_KEY_FILE);
    assert_string_equal(c->endpoints[2].key.text, "/k");
    conf_free(c);
    /* An account that is not under accounts: is shared all the same, and "none" is a key of one's own. */
    c = good("accounts: {z: {key: env:Z}}\nendpoints: [{name: a, url: http://h, account: x}, {name: b, url: http://h, "
             "account: x}, {name: d, url: http://h, account: z, key: none}, {name: z, url: http://h}]\n");
    assert_int_equal(c->account_count, 2);
    assert_int_equal(c->endpoints[0].account, 1);
    assert_int_equal(c->endpoints[1].account, 1);
    assert_int_equal(c->endpoints[2].key.source, CONF_KEY_NONE);
    assert_int_equal(c->endpoints[3].account, 0);
    assert_int_equal(c->endpoints[3].key.source, CONF_KEY_ENV);
    conf_free(c);
}

static void every_key_of_the_listeners(void **state)
{
    struct conf *c = good(everything);
    (void)state;

    assert_int_equal(c->listen_count, 3);
    assert_string_equal(c->listen[0].host, "::1");
    assert_int_equal(c->listen[0].port, 0);
    assert_true(c->listen[0].open);
    assert_memory_equal(&c->listen[0].per_ip, (&(struct conf_per_ip){10, 20, 30}), sizeof(struct conf_per_ip));
    assert_int_equal(c->listen[0].trusted_proxy_count, 2);
    assert_int_equal(c->listen[0].trusted_proxies[0].family, AF_INET);
    assert_int_equal(c->listen[0].trusted_proxies[0].bits, 8);
    assert_int_equal(c->listen[0].trusted_proxies[0].address[0], 10);
    assert_int_equal(c->listen[0].trusted_proxies[1].family, AF_INET6);
    assert_int_equal(c->listen[0].trusted_proxies[1].bits, 128);
    assert_string_equal(c->listen[1].path, "/tmp/s");
    assert_null(c->listen[1].host);
    assert_int_equal(c->listen[1].mode, 0600);
    assert_string_equal(c->listen[1].group, "g");
    assert_string_equal(c->listen[2].host, "");
    assert_int_equal(c->listen[2].per_ip.burst, 7);
    assert_int_equal(c->admin.listen_count, 2);
    assert_string_equal(c->admin.listen[0].host, "127.0.0.1");
    assert_int_equal(c->admin.listen[1].mode, 0600);
    assert_string_equal(c->admin.token.text, "T");
    assert_true(c->admin.open_metrics);
    assert_string_equal(c->admin.group, "ops");
    conf_free(c);
}

static void every_key_of_models_and_clients(void **state)
{
    struct conf *c = good(everything);
    const struct conf_model *m = c->models;
    const struct conf_client *k = c->clients;
    (void)state;

    assert_int_equal(m->candidate_count, 2);
    assert_int_equal(m->candidates[0].endpoint, 1);
    assert_int_equal(m->candidates[1].endpoint, 0);
    assert_string_equal(m->candidates[1].as, "up");
    assert_int_equal(m->strategy, CONF_LEAST_BUSY);
    assert_int_equal(m->fallback_count, 2);
    assert_int_equal(m->fallback[0], 1);
    assert_int_equal(m->fallback[1], 2);
    assert_int_equal(m->patience, 1000);
    assert_int_equal(m->context, 2000);
    assert_int_equal(m->overflow, CONF_OVERFLOW_TRUNCATE);
    assert_memory_equal(&m->timeouts, (&(struct conf_timeouts){.first_token = 7000}), sizeof m->timeouts);
    assert_memory_equal(&m->price, (&(struct conf_price){2500000, 8000000, 2500000}), sizeof m->price);
    assert_int_equal(m->min_chars, 4);
    assert_int_equal(m[1].strategy, CONF_ROUND_ROBIN);
    assert_int_equal(m[1].overflow, CONF_OVERFLOW_REJECT);
    assert_int_equal(m[1].price.cached_input, 1);
    assert_int_equal(m[2].strategy, CONF_LATENCY);
    assert_string_equal(c->aliases[0].name, "al");
    assert_int_equal(c->aliases[0].model, 2);
    assert_string_equal(c->aliases[0].target, "m3");
    assert_string_equal(k->name, "c");
    assert_int_equal(k->key_count, 1);
    assert_int_equal(k->keys[0][1], 0x11);
    assert_int_equal(k->keys[0][31], 0xff);
    assert_int_equal(k->uid_count, 2);
    assert_int_equal(k->uids[0], 5);
    assert_int_equal(k->uids[1], 0);
    assert_int_equal(k->gids[0], 6);
    assert_int_equal(k->model_count, 2);
    assert_int_equal(k->models[0], 2);
    assert_string_equal(k->model_names[0], "al");
    assert_int_equal(k->endpoint_count, 1);
    assert_int_equal(k->endpoints[0], 1);
    assert_memory_equal(&k->limits, (&(struct conf_limits){10, 4, 11, 0, 12, 13, 14000001}), sizeof k->limits);
    conf_free(c);
}

static void every_other_key(void **state)
{
    struct conf *c = good(everything);
    (void)state;

    assert_int_equal(c->workers, 7);
    assert_string_equal(c->user, "someone");
    assert_string_equal(c->state, "/tmp/state");
    assert_string_equal(c->ledger, "/tmp/l.db");
    assert_int_equal(c->limits.connections, 1);
    assert_int_equal(c->limits.header, 1024);
    assert_int_equal(c->limits.body, 2048);
    assert_int_equal(c->limits.buffered, 3072);
    assert_int_equal(c->limits.header_timeout, 1000);
    assert_int_equal(c->limits.idle_timeout, 1500);
    assert_int_equal(c->log.level, LOG_ERROR_LEVEL);
    assert_string_equal(c->log.access, "/tmp/log");
    assert_false(c->log.json);
    assert_int_equal(c->drain.reload, 60000);
    assert_int_equal(c->drain.stop, 0);
    assert_true(c->expose);
    assert_int_equal(c->notify_count, 2);
    assert_string_equal(c->notify[0].url, "https://h/x");
    assert_int_equal(c->notify[0].on, CONF_NOTIFY_CLOSE | CONF_NOTIFY_BUDGET);
    assert_int_equal(c->notify[1].on, 15);
    assert_memory_equal(&c->retry, (&(struct conf_retry){1, 2, 3, 150, 4, 525, 0, 0}), sizeof c->retry);
    assert_int_equal(c->wait.max, 1000);
    assert_int_equal(c->wait.queue, 0);
    assert_false(c->stream.replay);
    assert_int_equal(c->stream.hold, 5);
    assert_int_equal(c->hedge.after, 6);
    assert_int_equal(c->hedge.budget, 700);
    assert_true(c->exhausted_stale);
    assert_int_equal(c->cache.size, 1 << 20);
    assert_int_equal(c->cache.ttl, 1000);
    assert_int_equal(c->cache.stale, 2000);
    assert_int_equal(c->cache.max_entry, 2048);
    assert_true(c->cache.shared);
    assert_false(c->cache.coalesce);
    assert_int_equal(c->master_key.source, CONF_KEY_FILE);
    conf_free(c);
}

/* Without models: any name goes, so an alias and a client's model are names and nothing else. */
static void names_without_models(void **state)
{
    struct conf *c = good(ONE "aliases: {x: gpt}\nclients: [{name: c, unix: {uid: [1]}, models: [x, y]}]\n"
                            "listen: [{tcp: ':80'}]\n");
    (void)state;

    assert_true(c->aliases[0].model == SIZE_MAX);
    assert_string_equal(c->aliases[0].target, "gpt");
    assert_int_equal(c->clients[0].model_count, 2);
    assert_true(c->clients[0].models[1] == SIZE_MAX);
    assert_string_equal(c->clients[0].model_names[1], "y");
    assert_false(c->expose);
    conf_free(c);
}

static char *whole_file(const char *name, size_t *len)
{
    char file[512], *text = malloc(1 << 16);
    FILE *in;

    snprintf(file, sizeof file, "%s/etc/%s", SOURCE_ROOT, name);
    in = fopen(file, "r");
    assert_non_null(in);
    *len = fread(text, 1, (1 << 16) - 1, in);
    text[*len] = '\0';
    fclose(in);
    return text;
}

/* Removes the '#' from every setting: one that is followed by the setting itself or by its deeper indentation. */
static void uncomment(char *text)
{
    char *out = text, *line = text;

    while (*line) {
        size_t len = strcspn(line, "\n"), indent = strspn(line, " ");
        if (line[len] == '\n')
            len++;
        bool setting = line[indent] == '#' && line[indent + 1] != '\n' &&
                       (line[indent + 1] != ' ' || line[indent + 2] == ' ');
        for (size_t i = 0; i < len; i++)
            if (!(setting && i == indent))
                *out++ = line[i];
        line += len;
    }
    *out = '\0';
}

/* Every key a node holds must be in the table; marks it, and compares the value with the default. */
static void walk_file(const struct conf_rule *keys, const struct conf_node *map, bool *seen);
static void walk_value(const struct conf_rule *k, const struct conf_node *v, bool *seen)
{
    const struct conf_node *scalar = v->kind == CONF_LIST && k->read == conf_read_bits ? v->first : v;

    if (k->standard && scalar->kind == CONF_SCALAR)
        assert_string_equal(scalar->text.at, k->standard);
    if (!k->inner)
        return;
    if (k->read == conf_read_list || k->read == conf_read_named) {
        for (const struct conf_node *item = v->first; item; item = item->next)
            walk_file(k->inner, item, seen);
    } else {
        walk_file(k->inner, v, seen);
    }
}

/* `seen` is indexed by a rule's number in a walk over all tables: a rule's own number, and then those below it. */
static size_t rules_below(const struct conf_rule *keys)
{
    size_t count = 0;

    for (const struct conf_rule *k = keys; k->key; k++)
        count += 1 + (k->inner ? rules_below(k->inner) : 0);
    return count;
}

static void walk_file(const struct conf_rule *keys, const struct conf_node *map, bool *seen)
{
    if (map->kind != CONF_MAP)
        return;
    for (const struct conf_rule *k = keys; k->key; k++) {
        const struct conf_node *v = conf_child(map, k->key);
        *seen |= v != NULL;
        if (v)
            walk_value(k, v, seen + 1);
        seen += 1 + (k->inner ? rules_below(k->inner) : 0);
    }
}

static const bool *report_unseen(const struct conf_rule *keys, const bool *seen, size_t *missing)
{
    for (const struct conf_rule *k = keys; k->key; k++) {
        if (!*seen++) {
            print_error("etc/gatewayd.yaml does not show '%s'\n", k->key);
            ++*missing;
        }
        if (k->inner)
            seen = report_unseen(k->inner, seen, missing);
    }
    return seen;
}

/* With every setting in force the documented file has no problem, so it names no key that does not exist; and it has
 * every key of the schema, at its default where there is one. */
static void the_documented_file_is_complete(void **state)
{
    struct conf_problems p = {0};
    struct conf_reader r = {.problems = &p};
    size_t len, missing = 0;
    char *text = whole_file("gatewayd.yaml", &len);
    bool *seen = calloc(rules_below(conf_schema), sizeof *seen);
    (void)state;

    uncomment(text);
    conf_free(good(text));
    const struct conf_node *root = conf_tree(&r, str_of(text));
    assert_non_null(root);
    walk_file(conf_schema, root, seen);
    report_unseen(conf_schema, seen, &missing);
    assert_int_equal(missing, 0);
    arena_fini(&r.scratch);
    free(seen);
    free(text);
}

static void production(void **state)
{
    struct conf *c = loaded("production.yaml");
    (void)state;

    assert_int_equal(c->endpoint_count, 4);
    assert_int_equal(c->model_count, 6);
    assert_int_equal(c->client_count, 4);
    assert_int_equal(c->endpoints[0].key.source, CONF_KEY_FILE);
    assert_true(c->expose);
    conf_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(model_defaults),
        cmocka_unit_test(every_key_of_an_endpoint),
        cmocka_unit_test(accounts_are_shared_or_ones_own),
        cmocka_unit_test(every_key_of_the_listeners),
        cmocka_unit_test(every_key_of_models_and_clients),
        cmocka_unit_test(every_other_key),
        cmocka_unit_test(names_without_models),
        cmocka_unit_test(the_documented_file_is_complete),
        cmocka_unit_test(production),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
