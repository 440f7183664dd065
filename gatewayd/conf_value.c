/*
 * Readers of the particular types: names, paths, keys, hours, headers, hashes, users. What later code would have to
 * quote, escape or distrust (a name with a slash, a header with a credential) is refused here once.
 */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/conf_internal.h"

enum { NAME_MAX_BYTES = 127 };

static void *at(void *base, const struct conf_rule *rule)
{
    return (char *)base + rule->offset;
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool conf_is_made_of(struct str s, const char *others)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_alnum(s.at[i]) && !(s.at[i] && strchr(others, s.at[i])))
            return false;
    return true;
}

bool conf_is_visible(struct str s, const char *but)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] <= ' ' || s.at[i] > '~' || strchr(but, s.at[i]))
            return false;
    return true;
}

static void keep(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    *(const char **)at(base, rule) = conf_text(r, node->text.at, node->text.len);
}

void conf_read_text(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    uint64_t most = rule->most ? rule->most : 255;

    if (node->kind == CONF_SCALAR && node->text.len && node->text.len <= most && conf_is_visible(node->text, ""))
        keep(r, rule, node, base);
    else
        conf_wrong(r, rule, node, "a word of visible ASCII characters");
}

void conf_read_path(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    uint64_t most = rule->most ? rule->most : 4000;

    if (conf_is_word(node, rule->off)) {
        *(const char **)at(base, rule) = NULL;
    } else if (node->kind != CONF_SCALAR || node->text.len == 0 ||
               (rule->words && !strchr(node->text.at, '/') && !conf_is_word(node, rule->words[0]) &&
                !conf_is_word(node, rule->words[1]))) {
        conf_wrong(r, rule, node, rule->words ? "stdout, off or a path with a slash" : rule->off ? "off or a path" :
                   "a path");
    } else if (node->text.len > most) {
        conf_bad(r, node, "%s: the path has %zu characters; at most %llu are possible%s", rule->key, node->text.len,
                 (unsigned long long)most, most == CONF_SUN_PATH_MAX ? " for a socket" : "");
    } else {
        keep(r, rule, node, base);
    }
}

/* "." and "..": as a part of a URL's path, encoded or not, every browser takes them for directions. */
static bool leads_elsewhere(const struct conf_node *node)
{
    return conf_is_word(node, ".") || conf_is_word(node, "..");
}

void conf_read_name(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    if (leads_elsewhere(node))
        conf_bad(r, node, "%s: '%s' cannot be a name: no URL could lead to it", rule->key, node->text.at);
    else if (node->kind == CONF_SCALAR && node->text.len && node->text.len <= NAME_MAX_BYTES &&
        conf_is_made_of(node->text, "._-"))
        keep(r, rule, node, base);
    else
        conf_wrong(r, rule, node, "a name of letters, digits, '.', '_' and '-', at most 127 of them");
}

/* Models carry slashes and colons ("openai/gpt-4.1:free"); "*" stands for all models that are not named. */
void conf_read_model_name(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    if (node->kind == CONF_SCALAR && node->text.len && node->text.len <= NAME_MAX_BYTES &&
        conf_is_visible(node->text, "\"\\") && !conf_is_word(node, "*"))
        keep(r, rule, node, base);
    else
        conf_wrong(r, rule, node, "a model's name: visible ASCII without quotes and backslashes, at most 127 of it");
}

static bool good_variable(struct str s)
{
    return s.len && s.len <= 255 && conf_is_made_of(s, "_") && !(s.at[0] >= '0' && s.at[0] <= '9');
}

/* Base64 of at least a sealed box around one byte (49 bytes, 66 characters). */
static bool good_sealed(struct str s)
{
    while (s.len && s.at[s.len - 1] == '=')
        s.len--;
    return s.len >= 66 && s.len <= 16384 && s.len % 4 != 1 && conf_is_made_of(s, "+/-_");
}

static const char *const key_forms[] = {
    [CONF_KEY_NONE] = "none", [CONF_KEY_ENV] = "env:NAME", [CONF_KEY_FILE] = "file:PATH",
    [CONF_KEY_SEALED] = "sealed:TEXT", [CONF_KEY_PASSTHROUGH] = "passthrough"};

static bool key_form(struct str s, enum conf_key_source *source, struct str *text)
{
    *text = (struct str){0};
    for (unsigned i = CONF_KEY_NONE; i <= CONF_KEY_PASSTHROUGH; i++) {
        struct str form = str_of(key_forms[i]);
        const char *colon = strchr(form.at, ':');
        size_t prefix = colon ? (size_t)(colon - form.at) + 1 : form.len;
        if (colon ? !str_starts(s, (struct str){form.at, prefix}) : !str_eq(s, form))
            continue;
        *source = (enum conf_key_source)i;
        *text = (struct str){s.at + prefix, s.len - prefix};
        return true;
    }
    return false;
}

void conf_read_key(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    struct conf_key *key = at(base, rule);
    char forms[128], shown[CONF_SHOWN + 4];
    enum conf_key_source source;
    struct str text;
    size_t len = 0;

    for (unsigned i = CONF_KEY_ENV; i <= CONF_KEY_PASSTHROUGH + 1; i++) {
        unsigned form = i % (CONF_KEY_PASSTHROUGH + 1);
        if (rule->most & 1u << form)
            len += (size_t)snprintf(forms + len, sizeof forms - len, "%s%s", len ? ", " : "", key_forms[form]);
    }
    if (node->kind != CONF_SCALAR) {
        char expected[160];
        snprintf(expected, sizeof expected, "one of %s", forms);
        conf_wrong(r, rule, node, expected);
    } else if (!key_form(node->text, &source, &text)) {
        conf_bad(r, node, "%s: expected one of %s; '%s' looks like the key itself, which does not belong in this file",
                 rule->key, forms, conf_shown(node->text, 4, shown));
    } else if (!(rule->most & 1u << source)) {
        conf_bad(r, node, "%s: expected one of %s, not %s", rule->key, forms, key_forms[source]);
    } else if (source == CONF_KEY_ENV && !good_variable(text)) {
        conf_bad(r, node, "%s: what follows env: must be the name of a variable", rule->key);
    } else if (source == CONF_KEY_FILE && (text.len == 0 || text.len > 4000)) {
        conf_bad(r, node, "%s: what follows file: must be a path", rule->key);
    } else if (source == CONF_KEY_SEALED && !good_sealed(text)) {
        conf_bad(r, node, "%s: what follows sealed: is not what `gatewayctl seal` prints", rule->key);
    } else {
        key->source = source;
        key->text = text.at && text.len ? conf_text(r, text.at, text.len) : NULL;
        key->line = node->line;
        key->column = node->column;
    }
}

/* "HH:MM" in minutes. 24:00 is the end of the day. */
static bool time_of_day(const char *s, uint16_t *out)
{
    for (int i = 0; i < 5; i++)
        if (i == 2 ? s[i] != ':' : s[i] < '0' || s[i] > '9')
            return false;
    int minutes = ((s[0] - '0') * 10 + (s[1] - '0')) * 60 + (s[3] - '0') * 10 + (s[4] - '0');
    *out = (uint16_t)minutes;
    return s[3] < '6' && minutes <= 24 * 60;
}

void conf_read_hours(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    struct conf_hours hours;
    const char *s = node->text.at;

    if (node->kind == CONF_SCALAR && node->text.len == 15 && time_of_day(s, &hours.from) && s[5] == '-' &&
        time_of_day(s + 6, &hours.to) && !strcmp(s + 11, " UTC") && hours.from != hours.to && hours.from < 24 * 60)
        *(struct conf_hours *)at(base, rule) = hours;
    else
        conf_wrong(r, rule, node, "hours like \"00:00-02:00 UTC\"");
}

/* NULL when a header of this name may be added to a request upstream, else why not. */
static const char *header_fault(struct str name)
{
    static const char *const credentials[] = {"authorization", "x-api-key", "api-key", NULL};
    static const char *const own[] = {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "host", "content-length", "expect",
        "accept-encoding", NULL};

    if (!name.len || name.len > NAME_MAX_BYTES || !conf_is_made_of(name, "!#$%&'*+-.^_`|~"))
        return "is no header name";
    for (unsigned i = 0; credentials[i]; i++)
        if (str_eq_nocase(name, str_of(credentials[i])))
            return "carries the credential: use key: and auth:";
    for (unsigned i = 0; own[i]; i++)
        if (str_eq_nocase(name, str_of(own[i])))
            return "belongs to the connection and is made by the gateway";
    if (name.len > 10 && str_eq_nocase((struct str){name.at, 10}, STR("x-gateway-")))
        return "is between clients and the gateway and never goes upstream";
    return NULL;
}

static void read_header(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *v,
                        struct conf_pair *pair)
{
    const char *fault = header_fault(v->key->text);
    char shown[CONF_SHOWN + 4];

    conf_shown(v->key->text, CONF_SHOWN, shown);
    if (fault)
        conf_bad(r, v->key, "%s: '%s' %s", rule->key, shown, fault);
    if (v->kind != CONF_SCALAR) {
        struct conf_rule value = {.key = shown};
        conf_wrong(r, &value, v, "the header's text");
        return;
    }
    for (const struct conf_node *other = v->parent->first; other != v; other = other->next)
        if (str_eq_nocase(other->key->text, v->key->text) && !str_eq(other->key->text, v->key->text))
            conf_bad(r, v->key, "%s: '%s' is given twice", rule->key, shown);
    pair->name = conf_text(r, v->key->text.at, v->key->text.len);
    pair->value = conf_text(r, v->text.at, v->text.len);
}

void conf_read_headers(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    enum { HEADERS_MAX = 64 };

    if (node->kind != CONF_MAP || node->count > HEADERS_MAX) {
        conf_wrong(r, rule, node, "at most 64 names, each with its value");
        return;
    }
    struct conf_pair *pair = node->count ? conf_new(r, node->count * sizeof *pair) : NULL;
    if (!pair)
        return;
    *(struct conf_pair **)at(base, rule) = pair;
    *(size_t *)(void *)((char *)base + rule->count) = node->count;
    for (const struct conf_node *v = node->first; v; v = v->next)
        read_header(r, rule, v, pair++);
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = c ? strchr(digits, c) : NULL;

    return found ? (int)((found - digits) % 16) : -1;
}

void conf_read_hash(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    unsigned char *hash = at(base, rule);
    char shown[CONF_SHOWN + 4];

    if (node->kind != CONF_SCALAR) {
        conf_wrong(r, rule, node, "blake2b: and 64 hexadecimal digits");
        return;
    }
    bool good = node->text.len == 8 + 64 && str_starts(node->text, STR("blake2b:"));
    for (unsigned i = 0; good && i < 32; i++) {
        int high = hex_digit(node->text.at[8 + 2 * i]), low = hex_digit(node->text.at[9 + 2 * i]);
        good = high >= 0 && low >= 0;
        hash[i] = (unsigned char)(good ? high * 16 + low : 0);
    }
    if (!good)
        conf_bad(r, node, "%s: expected blake2b: and 64 hexadecimal digits, as `gatewayctl key new` prints them, not "
                 "'%s'", rule->key, conf_shown(node->text, str_starts(node->text, STR("blake2b:")) ? 64 : 4, shown));
}

enum id_kind { USER_ID, GROUP_ID };

/* 1 when there is no such name, -errno when the host could not say. */
static int look_up(enum id_kind kind, const char *name, uint32_t *id)
{
    char memory[16384];
    struct passwd user, *found_user = NULL;
    struct group group, *found_group = NULL;
    int rc;

    if (kind == USER_ID) {
        rc = getpwnam_r(name, &user, memory, sizeof memory, &found_user);
        if (found_user)
            *id = user.pw_uid;
    } else {
        rc = getgrnam_r(name, &group, memory, sizeof memory, &found_group);
        if (found_group)
            *id = group.gr_gid;
    }
    return found_user || found_group ? 0 : rc && rc != ENOENT ? -rc : 1;
}

static void read_id(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base,
                    enum id_kind kind)
{
    const char *what = kind == USER_ID ? "user" : "group";
    char shown[CONF_SHOWN + 4], expected[64];
    uint64_t id;

    if (node->kind == CONF_SCALAR && str_to_u64(node->text, &id) && id < UINT32_MAX) {
        *(uint32_t *)at(base, rule) = (uint32_t)id;
        return;
    }
    if (node->kind != CONF_SCALAR || !node->text.len || str_to_u64(node->text, &id)) {
        snprintf(expected, sizeof expected, "a %s's number or name", what);
        conf_wrong(r, rule, node, expected);
        return;
    }
    int rc = look_up(kind, node->text.at, at(base, rule));
    conf_shown(node->text, CONF_SHOWN, shown);
    if (rc > 0)
        conf_bad(r, node, "%s: this host has no %s '%s'", rule->key, what, shown);
    else if (rc < 0)
        conf_bad(r, node, "%s: the %s '%s' cannot be looked up: %s", rule->key, what, shown, strerror(-rc));
}

void conf_read_uid(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    read_id(r, rule, node, base, USER_ID);
}

void conf_read_gid(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    read_id(r, rule, node, base, GROUP_ID);
}
