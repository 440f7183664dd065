/*
 * Reading an export. The text may be of another version or damaged, so nothing in it is believed: a line is taken apart
 * into a word and keyed numbers, a key that is missing makes the line one to ignore, and every number is brought into
 * range by the module whose word it becomes.
 */

#include "libshm/export.h"

#include <errno.h>
#include <string.h>

#include "libshm/breaker_word.h"
#include "libshm/event.h"
#include "libshm/export_word.h"
#include "libshm/name_row.h"
#include "libshm/order.h"
#include "libshm/quota.h"
#include "libshm/restore.h"
#include "libshm/stat.h"
#include "libshm/word.h"

enum { FIELDS_MAX = 16, LINE_MAX_BYTES = 4096 };

struct field {
    const char *key;
    const char *value;
};

struct line {
    const char *word;
    struct field fields[FIELDS_MAX];
    size_t count;
};

struct import {
    struct gws_region *region;
    const struct gws_export_time *time;
    bool same_boot;
    uint64_t elapsed_ms; /* since the export, within the boot */
};

/* Cuts the text in place. A row's name is for people, and may look like anything; the rest are KEY=VALUE. */
static void cut(char *text, struct line *line)
{
    char *rest = text;

    line->word = strsep(&rest, " ");
    line->count = 0;
    if (strcmp(line->word, "time") != 0)
        (void)strsep(&rest, " ");
    while (rest != NULL && line->count < FIELDS_MAX) {
        char *key = strsep(&rest, " ");
        char *value = strchr(key, '=');
        if (value == NULL)
            continue;
        *value++ = '\0';
        line->fields[line->count++] = (struct field){key, value};
    }
}

static const char *get_text(const struct line *line, const char *key)
{
    for (size_t i = 0; i < line->count; i++)
        if (strcmp(line->fields[i].key, key) == 0)
            return line->fields[i].value;
    return NULL;
}

static bool get(const struct line *line, const char *key, uint64_t *value)
{
    const char *text = get_text(line, key);
    uint64_t number = 0;

    if (text == NULL || *text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
            return false;
    }
    *value = number;
    return true;
}

static bool get_hex128(const struct line *line, const char *key, ident *value)
{
    static const char digits[] = "0123456789abcdef";
    const char *text = get_text(line, key);

    if (text == NULL || strlen(text) != 32)
        return false;
    *value = 0;
    for (; *text != '\0'; text++) {
        const char *digit = strchr(digits, *text);
        if (digit == NULL)
            return false;
        *value = *value * 16 + (uint64_t)(digit - digits);
    }
    return true;
}

static bool find_row(const struct import *in, const struct line *line, enum gws_kind kind, uint32_t *row)
{
    ident id;
    int found = -ENOENT;

    if (!get_hex128(line, "id", &id))
        return false;
    found = name_row_find(name_range(in->region, kind), kind, id);
    if (found >= 0)
        *row = (uint32_t)found;
    return found >= 0;
}

static bool find_domain(const struct import *in, const struct line *line, uint32_t *row)
{
    return find_row(in, line, GWS_KIND_ENDPOINT, row) || find_row(in, line, GWS_KIND_PAIR, row) ||
           find_row(in, line, GWS_KIND_ACCOUNT, row);
}

/* The moment at which what had `left` ms ends, on this region's clock. */
static uint64_t deadline(const struct import *in, uint64_t left)
{
    uint64_t rest = left > in->elapsed_ms ? left - in->elapsed_ms : 0;
    return in->time->now_ms > UINT64_MAX - rest ? UINT64_MAX : in->time->now_ms + rest;
}

/* The moment that was `age` ms ago; the region's time 0 when it lies before that. */
static uint64_t moment(const struct import *in, uint64_t age)
{
    uint64_t ago = age > UINT64_MAX - in->elapsed_ms ? UINT64_MAX : age + in->elapsed_ms;
    return ago < in->time->now_ms ? in->time->now_ms - ago : 0;
}

static bool take_breaker(const struct import *in, const struct line *line)
{
    const char *mode = get_text(line, "mode");
    struct breaker_parts p = {.mode = UINT32_MAX};
    uint64_t level;
    uint64_t aux;
    uint64_t ms = 0;
    uint32_t row;
    bool timed = get(line, "left", &ms);

    for (uint32_t i = 0; mode != NULL && i < 4; i++)
        if (strcmp(mode, export_modes[i]) == 0)
            p.mode = i;
    if (!find_domain(in, line, &row) || !get(line, "level", &level) || !get(line, "aux", &aux) || level > 15 ||
        aux > AUX_MAX || (!in->same_boot && (p.mode != GWS_FORCED || timed)))
        return false;
    p.level = (uint32_t)level;
    p.aux = (uint32_t)aux;
    p.t = timed ? deadline(in, ms) : 0;
    if (p.mode == GWS_CLOSED)
        p.t = get(line, "age", &ms) ? moment(in, ms) : in->time->now_ms;
    if (p.mode == GWS_HALF) { /* its trials are lost: the next one may start at once */
        p.mode = GWS_OPEN;
        p.aux = GWS_TRIP_TRIAL;
        p.t = in->time->now_ms;
    }
    return breaker_restore(in->region, row, &p, in->time->now_ms);
}

static bool take_cooldown(const struct import *in, const struct line *line)
{
    uint64_t reason;
    uint64_t streak;
    uint64_t ms;
    uint32_t row;

    if (!in->same_boot || !find_domain(in, line, &row) || !get(line, "reason", &reason) ||
        !get(line, "streak", &streak) || !get(line, "left", &ms))
        return false;
    return cooldown_restore(in->region, row, reason, streak, deadline(in, ms), in->time->now_ms);
}

static bool take_order(const struct import *in, const struct line *line)
{
    uint64_t age = 0;
    uint64_t drained;
    uint32_t row;

    if (!find_domain(in, line, &row) || !get(line, "drained", &drained) || drained != 1)
        return false;
    (void)get(line, "age", &age);
    gws_order_drain(in->region, row, in->same_boot ? moment(in, age) : in->time->now_ms, GWS_BY_GATEWAY);
    return true;
}

/* Words that are only filled where nothing is known yet. */
static bool fill(gws_word *word, uint64_t value)
{
    uint64_t nothing = 0;
    (void)word_swap(word, &nothing, value);
    return true;
}

static bool take_latency(const struct import *in, const struct line *line)
{
    uint64_t age;
    uint64_t us;
    uint32_t row;

    if (!in->same_boot || !find_domain(in, line, &row) || !get(line, "us", &us) || !get(line, "age", &age) ||
        us > UINT32_MAX || age > INT32_MAX)
        return false;
    return fill(&in->region->domains[row].latency, us << 32 | (uint32_t)moment(in, age));
}

static bool take_adapt(const struct import *in, const struct line *line)
{
    uint64_t limit;
    uint64_t age;
    uint32_t row;

    if (!in->same_boot || !find_domain(in, line, &row) || !get(line, "limit", &limit) || !get(line, "age", &age) ||
        limit == 0 || limit >> (64 - EXPORT_CUT_BITS) != 0)
        return false;
    return fill(&in->region->domains[row].adapt, limit << EXPORT_CUT_BITS | (moment(in, age) & EXPORT_CUT_MASK));
}

/* Counters come up to what they were; the caller's own slot makes up the difference. */
static bool take_stat(const struct import *in, const struct line *line)
{
    struct gws_region *region = in->region;
    struct gws_name_info info;
    uint64_t have[GWS_STATS];
    uint64_t value;
    gws_word *own;
    uint32_t row;

    if (!find_row(in, line, GWS_KIND_ENDPOINT, &row) || !gws_name_domain_read(region, row, &info) ||
        info.endpoint >= region->dims.endpoints || slot_at(region, region->slot) == NULL)
        return false;
    own = stats_of(region, (uint32_t)region->slot, info.endpoint);
    gws_stat_read(region, info.endpoint, have);
    for (int i = 0; i < GWS_STAT_LAST_OK; i++)
        if (get(line, export_stats[i], &value) && value > have[i])
            word_add_own(&own[i], value - have[i]);
    if (in->same_boot && get(line, "age", &value) && moment(in, value) > have[GWS_STAT_LAST_OK])
        word_store_relaxed(&own[GWS_STAT_LAST_OK], moment(in, value));
    return true;
}

/* A debt is so many units; where the limit was changed meanwhile each of them is another time. */
static bool take_limit(const struct import *in, const struct line *line)
{
    const uint64_t most = UINT64_MAX / 4;
    struct gws_limit_row *limit;
    unsigned __int128 debt;
    uint64_t interval;
    uint64_t ticks;
    uint64_t tat;
    uint64_t old;
    uint64_t now;
    uint32_t row;

    if (!in->same_boot || !find_row(in, line, GWS_KIND_LIMIT, &row) || !get(line, "interval", &interval) ||
        !get(line, "debt", &ticks) || in->time->now_ms > most / EXPORT_TICKS_PER_MS ||
        in->elapsed_ms > most / EXPORT_TICKS_PER_MS)
        return false;
    limit = &in->region->limits[row];
    now = word_load_relaxed(&limit->interval);
    ticks = ticks > in->elapsed_ms * EXPORT_TICKS_PER_MS ? ticks - in->elapsed_ms * EXPORT_TICKS_PER_MS : 0;
    debt = now != 0 && interval != 0 ? (unsigned __int128)ticks * now / interval : ticks;
    tat = in->time->now_ms * EXPORT_TICKS_PER_MS + (debt < most ? (uint64_t)debt : most);
    old = word_load(&limit->tat);
    while (old < tat && !word_swap(&limit->tat, &old, tat))
        ;
    return true;
}

static bool take_quota(const struct import *in, const struct line *line)
{
    uint64_t committed;
    uint64_t day;
    uint32_t row;

    if (!find_row(in, line, GWS_KIND_QUOTA, &row) || !get(line, "day", &day) || !get(line, "committed", &committed) ||
        day > UINT16_MAX)
        return false;
    gws_quota_restore(in->region, row, (uint32_t)day, committed);
    return true;
}

static bool take_model(const struct import *in, const struct line *line)
{
    uint64_t samples;
    uint64_t ratio;
    uint32_t row;

    if (!find_row(in, line, GWS_KIND_MODEL, &row) || !get(line, "samples", &samples) || !get(line, "ratio", &ratio) ||
        samples == 0 || samples > UINT16_MAX || ratio >> 48 != 0)
        return false;
    return fill(&in->region->models[row].ratio, samples << 48 | ratio);
}

static bool take(const struct import *in, const struct line *line)
{
    static const struct {
        const char *word;
        bool (*take)(const struct import *, const struct line *);
    } kinds[] = {
        {"breaker", take_breaker}, {"cooldown", take_cooldown}, {"order", take_order},
        {"latency", take_latency}, {"adapt", take_adapt},       {"stat", take_stat},
        {"limit", take_limit},     {"quota", take_quota},       {"model", take_model},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(line->word, kinds[i].word) == 0)
            return kinds[i].take(in, line);
    return false;
}

/* Without a time that lies before now on the clock of this boot, everything is of another one. */
static void take_time(struct import *in, const struct line *line)
{
    const struct gws_export_time *time = in->time;
    uint64_t namespace;
    uint64_t clock;
    ident boot;

    in->same_boot = get_hex128(line, "boot", &boot) && get(line, "namespace", &namespace) &&
                    get(line, "clock", &clock) && boot != 0 && (uint64_t)(boot >> 64) == time->boot_id[0] &&
                    (uint64_t)boot == time->boot_id[1] && namespace == time->time_namespace && clock <= time->boot_ns;
    in->elapsed_ms = in->same_boot ? (time->boot_ns - clock) / 1000000 : 0;
}

/* False at the end. A line that is longer than any of ours is read to its end and comes out empty. */
static bool next_line(FILE *in, char text[LINE_MAX_BYTES])
{
    int byte;

    if (fgets(text, LINE_MAX_BYTES, in) == NULL)
        return false;
    if (strchr(text, '\n') == NULL && !feof(in)) {
        do
            byte = fgetc(in);
        while (byte != '\n' && byte != EOF);
        text[0] = '\0';
    }
    text[strcspn(text, "\n")] = '\0';
    return true;
}

int gws_export_read(struct gws_region *region, FILE *in, const struct gws_export_time *time,
                    struct gws_import_counts *counts)
{
    struct import import = {.region = region, .time = time};
    char text[LINE_MAX_BYTES];
    struct line line;

    *counts = (struct gws_import_counts){0, 0};
    if (!may_change(region))
        return -EPERM;
    if (!next_line(in, text))
        return ferror(in) != 0 ? -EIO : 1;
    if (strcmp(text, EXPORT_MAGIC) != 0)
        return 1;
    while (next_line(in, text)) {
        cut(text, &line);
        if (strcmp(line.word, "time") == 0)
            take_time(&import, &line);
        else if (take(&import, &line))
            counts->taken++;
        else
            counts->ignored++;
    }
    return ferror(in) != 0 ? -EIO : 0;
}
