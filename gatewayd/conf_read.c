/*
 * Readers of the general types: maps, lists, numbers, durations, sizes, percentages, words. Every value is checked as
 * text against what its rule permits and complaints say what would have been right. YAML's own ideas of what a plain
 * scalar might mean (yes, 0x10, 1:30) are not consulted, so a value means the same to every reader of the file.
 */

#include <stdio.h>

#include "gatewayd/conf_internal.h"

static void *at(void *base, const struct conf_rule *rule)
{
    return (char *)base + rule->offset;
}

void conf_wrong(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, const char *expected)
{
    char shown[CONF_SHOWN + 4];

    switch (node->kind) {
    case CONF_NOTHING:
        conf_bad(r, node, "%s: expected %s, but there is no value", rule->key, expected);
        break;
    case CONF_SCALAR:
        conf_bad(r, node, "%s: expected %s, not '%s'", rule->key, expected, conf_shown(node->text, CONF_SHOWN, shown));
        break;
    case CONF_LIST:
        conf_bad(r, node, "%s: expected %s, not a list", rule->key, expected);
        break;
    case CONF_MAP:
        conf_bad(r, node, "%s: expected %s, not a map", rule->key, expected);
        break;
    case CONF_BROKEN:
        r->bad = true;
        break;
    }
}

bool conf_is_word(const struct conf_node *node, const char *word)
{
    return node && word && node->kind == CONF_SCALAR && str_eq(node->text, str_of(word));
}

static void unknown_keys(struct conf_reader *r, const struct conf_rule *keys, const struct conf_node *map)
{
    char shown[CONF_SHOWN + 4];

    for (const struct conf_node *v = map->first; v; v = v->next) {
        const struct conf_rule *k = keys;
        while (k->key && strcmp(k->key, v->key->text.at) != 0)
            k++;
        if (k->key)
            continue;
        struct conf_guess guess = conf_guess(v->key->text);
        for (k = keys; k->key; k++)
            conf_guess_offer(&guess, k->key);
        conf_bad(r, v->key, "unknown key '%s'%s", conf_shown(v->key->text, CONF_SHOWN, shown), conf_guess_text(&guess));
    }
}

/* A default is read from its text like any value, so it can not be what the file may not say. */
static void read_standard(struct conf_reader *r, const struct conf_rule *rule, void *base)
{
    struct conf_node node = {.kind = CONF_SCALAR, .text = str_of(rule->standard)};

    rule->read(r, rule, &node, base);
}

static void standards(struct conf_reader *r, const struct conf_rule *keys, void *base)
{
    for (const struct conf_rule *k = keys; k->key; k++) {
        if (k->standard)
            read_standard(r, k, base);
        else if (k->read == conf_read_map)
            standards(r, k->inner, at(base, k));
    }
}

static void read_keys(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    if (node->kind != CONF_MAP && node->kind != CONF_NOTHING) {
        conf_wrong(r, rule, node, "keys and their values");
        return;
    }
    for (const struct conf_rule *k = rule->inner; k->key; k++) {
        const struct conf_node *value = conf_child(node, k->key);
        if (value)
            k->read(r, k, value, at(base, rule));
        else if (k->needed)
            conf_bad(r, node, "%s: the key '%s' is needed", rule->key, k->key);
    }
    if (node->kind == CONF_MAP)
        unknown_keys(r, rule->inner, node);
}

void conf_read_map(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    standards(r, rule->inner, at(base, rule));
    read_keys(r, rule, node, base);
}

void conf_read_overrides(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    read_keys(r, rule, node, base);
}

/* The items' memory and their number; NULL when there are none or memory is out. */
static char *items_new(struct conf_reader *r, const struct conf_rule *rule, size_t count, void *base)
{
    char *items = count ? conf_new(r, count * rule->item) : NULL;

    if (items) {
        *(void **)at(base, rule) = items;
        *(size_t *)(void *)((char *)base + rule->count) = count;
    }
    return items;
}

/* An empty list could mean none or all, so it is neither. */
static bool some(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node)
{
    if (node->count == 0) {
        conf_bad(r, node, "%s: name at least one or leave the key out", rule->key);
        return false;
    }
    if (rule->most && node->count > rule->most) {
        conf_bad(r, node, "%s: %zu are too many, %llu are possible", rule->key, node->count,
                 (unsigned long long)rule->most);
        return false;
    }
    return true;
}

static bool list_of_some(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node)
{
    if (node->kind == CONF_LIST)
        return some(r, rule, node);
    conf_wrong(r, rule, node, "a list");
    return false;
}

void conf_read_named(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    struct conf_rule name = {.key = rule->key, .read = rule->each}, value = {.key = rule->key, .inner = rule->inner};

    if (node->kind != CONF_MAP) {
        conf_wrong(r, rule, node, "names, each with its keys");
        return;
    }
    if (!some(r, rule, node))
        return;
    char *item = items_new(r, rule, node->count, base);
    for (const struct conf_node *v = node->first; v && item; v = v->next, item += rule->item) {
        rule->each(r, &name, v->key, item);
        value.key = v->key->text.at;
        conf_read_map(r, &value, v, item);
    }
}

void conf_read_list(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    struct conf_rule each = {.key = rule->key, .read = rule->each, .inner = rule->inner, .words = rule->words};

    if (!list_of_some(r, rule, node))
        return;
    char *item = items_new(r, rule, node->count, base);
    for (const struct conf_node *v = node->first; v && item; v = v->next, item += rule->item)
        rule->each(r, &each, v, item);
}

/* The same for what must not stand in quotes, where it would be a text to every other reader of YAML. */
static void wrong_plain(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node,
                        const char *expected)
{
    char shown[CONF_SHOWN + 4];

    if (node->kind == CONF_SCALAR && node->quoted)
        conf_bad(r, node, "%s: expected %s, not the text \"%s\" in quotes", rule->key, expected,
                 conf_shown(node->text, CONF_SHOWN, shown));
    else
        conf_wrong(r, rule, node, expected);
}

void conf_read_bool(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    bool yes = conf_is_word(node, "true");

    if (node->quoted || (!yes && !conf_is_word(node, "false")))
        wrong_plain(r, rule, node, "true or false");
    else
        *(bool *)at(base, rule) = yes;
}

/*
 * "12.5" as 1250 with two places: a decimal number without sign, exponent or surplus zeros in front, and with no more
 * places than there are.
 */
static bool scaled(struct str s, unsigned places, uint64_t *out)
{
    uint64_t value = 0;
    size_t i = 0, digits = 0;
    bool point = false;

    for (; i < s.len; i++) {
        if (s.at[i] == '.' && !point && digits) {
            point = true;
            digits = 0;
            continue;
        }
        if (s.at[i] < '0' || s.at[i] > '9' || (point && digits == places))
            return false;
        if (!point && digits == 1 && value == 0)
            return false;
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.at[i] - '0'), &value))
            return false;
        digits++;
    }
    if (!digits)
        return false;
    for (size_t left = point ? places - digits : places; left > 0; left--)
        if (__builtin_mul_overflow(value, 10u, &value))
            return false;
    *out = value;
    return true;
}

/* 12.5 from 1250 with two places. */
static const char *unscaled(uint64_t value, unsigned places, char out[32])
{
    uint64_t unit = 1;
    int len;

    for (unsigned i = 0; i < places; i++)
        unit *= 10;
    if (value % unit == 0) {
        snprintf(out, 32, "%llu", (unsigned long long)(value / unit));
        return out;
    }
    len = snprintf(out, 32, "%llu.%0*llu", (unsigned long long)(value / unit), (int)places,
                   (unsigned long long)(value % unit));
    while (out[len - 1] == '0')
        out[--len] = '\0';
    return out;
}

/* The number as a rule permits it, in units of 10^-places; `suffix` must follow it. */
static bool number(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, unsigned places,
                   struct str suffix, uint64_t *out)
{
    char expected[128], low[32], high[32];
    struct str s = node->text;
    uint64_t value = 0;
    bool good = node->kind == CONF_SCALAR && s.len > suffix.len && (!node->quoted || suffix.len);

    good = good && !memcmp(s.at + s.len - suffix.len, suffix.at, suffix.len);
    good = good && scaled((struct str){s.at, s.len - suffix.len}, places, &value);
    if (good && value >= rule->least && value <= rule->most) {
        *out = value;
        return true;
    }
    snprintf(expected, sizeof expected, "%s from %s%s to %s%s", suffix.len ? "a percentage" :
             places ? "a number" : "a whole number", unscaled(rule->least, places, low), suffix.at,
             unscaled(rule->most, places, high), suffix.at);
    if (suffix.len)
        conf_wrong(r, rule, node, expected);
    else
        wrong_plain(r, rule, node, expected);
    return false;
}

static void narrow(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base,
                   unsigned places, struct str suffix)
{
    uint64_t value;

    if (conf_is_word(node, rule->off))
        *(uint32_t *)at(base, rule) = 0;
    else if (number(r, rule, node, places, suffix, &value))
        *(uint32_t *)at(base, rule) = (uint32_t)value;
}

void conf_read_u32(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    narrow(r, rule, node, base, 0, STR(""));
}

void conf_read_u64(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    number(r, rule, node, 0, STR(""), at(base, rule));
}

void conf_read_percent(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    narrow(r, rule, node, base, 2, STR("%"));
}

void conf_read_factor(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    narrow(r, rule, node, base, 2, STR(""));
}

void conf_read_millionths(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    narrow(r, rule, node, base, 6, STR(""));
}

void conf_read_money(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    number(r, rule, node, 6, STR(""), at(base, rule));
}

struct unit {
    struct str suffix;
    uint64_t worth;
};

static const struct unit time_units[] = {{{"ms", 2}, 1}, {{"s", 1}, 1000}, {{"m", 1}, 60000}, {{"h", 1}, 3600000}};
static const struct unit size_units[] = {
    {{"KiB", 3}, 1 << 10}, {{"MiB", 3}, 1 << 20}, {{"GiB", 3}, 1 << 30}, {{"B", 1}, 1}};

/* A number and its unit, as a whole number of the smallest unit; 0 may go without. */
static bool united(struct str s, const struct unit *units, size_t count, uint64_t *out)
{
    uint64_t thousandths, value;
    size_t digits = 0;

    if (str_eq(s, STR("0"))) {
        *out = 0;
        return true;
    }
    while (digits < s.len && ((s.at[digits] >= '0' && s.at[digits] <= '9') || s.at[digits] == '.'))
        digits++;
    for (size_t i = 0; i < count; i++) {
        if (!str_eq((struct str){s.at + digits, s.len - digits}, units[i].suffix))
            continue;
        if (!scaled((struct str){s.at, digits}, 3, &thousandths) ||
            __builtin_mul_overflow(thousandths, units[i].worth, &value) || value % 1000)
            return false;
        *out = value / 1000;
        return true;
    }
    return false;
}

/* In the largest unit that leaves no rest. `units` ascend, but for bytes at the end. */
static const char *unit_text(uint64_t value, const struct unit *units, size_t count, char out[32])
{
    const struct unit *best = NULL;

    for (size_t i = 0; i < count; i++)
        if (value % units[i].worth == 0 && (!best || units[i].worth > best->worth))
            best = &units[i];
    if (value == 0 || !best)
        best = &units[0];
    snprintf(out, 32, "%llu%s", (unsigned long long)(value / best->worth), best->suffix.at);
    return out;
}

static bool quantity(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node,
                     const struct unit *units, size_t count, const char *what, uint64_t *out)
{
    char expected[128], low[32], high[32];
    uint64_t value;

    if (conf_is_word(node, rule->off)) {
        *out = 0;
        return true;
    }
    if (node->kind != CONF_SCALAR || !united(node->text, units, count, &value)) {
        snprintf(expected, sizeof expected, "%s%s%s", rule->off ? rule->off : "", rule->off ? " or " : "", what);
        conf_wrong(r, rule, node, expected);
        return false;
    }
    if (value < rule->least || value > rule->most) {
        snprintf(expected, sizeof expected, "%s to %s", unit_text(rule->least, units, count, low),
                 unit_text(rule->most, units, count, high));
        conf_wrong(r, rule, node, expected);
        return false;
    }
    *out = value;
    return true;
}

void conf_read_duration(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    uint64_t value;

    if (quantity(r, rule, node, time_units, 4, "a duration like 250ms, 5s, 10m or 2h", &value))
        *(uint32_t *)at(base, rule) = (uint32_t)value;
}

void conf_read_size(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    uint64_t value;

    if (quantity(r, rule, node, size_units, 4, "a size like 64KiB, 8MiB or 1GiB", &value))
        *(size_t *)at(base, rule) = (size_t)value;
}

/* Which of the rule's words it is; complains and returns false when it is none. */
static bool choice(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, unsigned *out)
{
    char expected[160];
    size_t len = 0;

    for (unsigned i = 0; rule->words[i]; i++) {
        if (conf_is_word(node, rule->words[i])) {
            *out = i;
            return true;
        }
        const char *between = i == 0 ? "" : rule->words[i + 1] ? ", " : " or ";
        len += (size_t)snprintf(expected + len, sizeof expected - len, "%s%s", between, rule->words[i]);
    }
    conf_wrong(r, rule, node, expected);
    return false;
}

void conf_read_word(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    choice(r, rule, node, at(base, rule));
}

void conf_read_flag(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    unsigned index;

    if (choice(r, rule, node, &index))
        *(bool *)at(base, rule) = index != 0;
}

void conf_read_bits(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    unsigned index, bits = 0;

    if (node->kind == CONF_SCALAR && !node->line) { /* a default: one word */
        if (choice(r, rule, node, &index))
            *(unsigned *)at(base, rule) = 1u << index;
        return;
    }
    if (!list_of_some(r, rule, node))
        return;
    for (const struct conf_node *v = node->first; v; v = v->next) {
        if (!choice(r, rule, v, &index))
            continue;
        if (bits & 1u << index)
            conf_bad(r, v, "%s: '%s' is listed twice", rule->key, rule->words[index]);
        bits |= 1u << index;
    }
    *(unsigned *)at(base, rule) = bits;
}
