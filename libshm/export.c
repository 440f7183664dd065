/*
 * Writing the export. Every word is taken apart by the rules of its own module and written as what it means and not as
 * its bits, because the reader may keep it in other bits. The words are read one after the other while others may be
 * changing them; each line is true by itself, and nothing that two lines would have to agree on exists.
 */

#include "libshm/export.h"

#include <errno.h>
#include <inttypes.h>

#include "libshm/boot.h"
#include "libshm/breaker_word.h"
#include "libshm/clock.h"
#include "libshm/cooldown.h"
#include "libshm/estimate.h"
#include "libshm/export_word.h"
#include "libshm/name_row.h"
#include "libshm/quota.h"
#include "libshm/stat.h"
#include "libshm/word.h"

void gws_export_now(const struct gws_region *region, struct gws_export_time *time)
{
    struct gws_boot boot;

    gws_boot_read(&boot);
    time->now_ms = gws_clock_ms(region);
    time->boot_ns = gws_clock_boot_ns();
    time->real_ms = gws_clock_real_ms();
    time->boot_id[0] = boot.id[0];
    time->boot_id[1] = boot.id[1];
    time->time_namespace = boot.time_namespace;
}

struct export {
    const struct gws_region *region;
    const struct gws_export_time *time;
    FILE *out;
};

static uint64_t left(const struct export *e, uint64_t deadline)
{
    return deadline > e->time->now_ms ? deadline - e->time->now_ms : 0;
}

static uint64_t age(const struct export *e, uint64_t moment)
{
    return e->time->now_ms > moment ? e->time->now_ms - moment : 0;
}

/* Names go between blanks, so what is no plain character is written as %XX. */
static void put_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte <= ' ' || byte >= 0x7f || byte == '%')
            fprintf(out, "%%%02x", byte);
        else
            fputc(byte, out);
    }
}

/* "WORD NAME id=…": how every line about a row begins. */
static void begin(const struct export *e, const char *word, const struct gws_name_row *row,
                  const struct gws_name_info *info)
{
    ident id = name_row_ident(row);

    fprintf(e->out, "%s ", word);
    put_text(e->out, info->name[0] != '\0' ? info->name : "-");
    if (info->kind == GWS_KIND_PAIR) {
        fputc('/', e->out);
        put_text(e->out, info->model);
    }
    fprintf(e->out, " id=%016" PRIx64 "%016" PRIx64, (uint64_t)(id >> 64), (uint64_t)id);
}

static void put_breaker(const struct export *e, const struct gws_name_row *name, const struct gws_name_info *info,
                        uint64_t word)
{
    struct breaker_parts p = breaker_parts(word);

    if (p.mode == GWS_CLOSED && p.level == 0 && p.aux == 0)
        return;
    begin(e, "breaker", name, info);
    fprintf(e->out, " mode=%s level=%" PRIu32 " aux=%" PRIu32, export_modes[p.mode], p.level, p.aux);
    if (p.mode == GWS_CLOSED)
        fprintf(e->out, " age=%" PRIu64, age(e, p.t));
    else if (p.mode != GWS_FORCED || p.t != 0)
        fprintf(e->out, " left=%" PRIu64, left(e, p.t));
    fputc('\n', e->out);
}

static void put_cooldown(const struct export *e, const struct gws_name_row *name, const struct gws_name_info *info,
                         uint64_t word)
{
    struct gws_cooldown_view view = gws_cooldown_view(word);

    if (view.streak == 0 && left(e, view.until) == 0)
        return;
    begin(e, "cooldown", name, info);
    fprintf(e->out, " reason=%u streak=%u left=%" PRIu64 "\n", (unsigned)view.reason, view.streak,
            left(e, view.until));
}

static void put_domain(const struct export *e, uint32_t row)
{
    const struct gws_domain_row *domain = &e->region->domains[row];
    const struct gws_name_row *name = &e->region->names[row];
    struct gws_name_info info;
    uint64_t word;

    if (!name_row_read(name, &info))
        return;
    put_breaker(e, name, &info, word_load(&domain->breaker));
    put_cooldown(e, name, &info, word_load(&domain->cooldown));
    word = word_load(&domain->order);
    if (word >> 63 != 0) {
        begin(e, "order", name, &info);
        fprintf(e->out, " drained=1 age=%" PRIu64 "\n", age(e, word & EXPORT_SINCE_MASK));
    }
    word = word_load_relaxed(&domain->latency);
    if (word != 0) {
        begin(e, "latency", name, &info);
        fprintf(e->out, " us=%" PRIu64 " age=%" PRIu32 "\n", word >> 32, (uint32_t)(e->time->now_ms - word));
    }
    word = word_load(&domain->adapt);
    if (word != 0) {
        begin(e, "adapt", name, &info);
        fprintf(e->out, " limit=%" PRIu64 " age=%" PRIu64 "\n", word >> EXPORT_CUT_BITS,
                age(e, word & EXPORT_CUT_MASK));
    }
}

static void put_stats(const struct export *e, uint32_t row)
{
    const struct gws_name_row *name = &e->region->names[row];
    struct gws_name_info info;
    uint64_t stats[GWS_STATS];
    uint64_t any = 0;

    if (!name_row_read(name, &info) || info.kind != GWS_KIND_ENDPOINT || info.endpoint >= e->region->dims.endpoints)
        return;
    gws_stat_read(e->region, info.endpoint, stats);
    for (int i = 0; i < GWS_STAT_LAST_OK; i++)
        any |= stats[i];
    if (any == 0)
        return;
    begin(e, "stat", name, &info);
    for (int i = 0; i < GWS_STAT_LAST_OK; i++)
        fprintf(e->out, " %s=%" PRIu64, export_stats[i], stats[i]);
    if (stats[GWS_STAT_OK] != 0)
        fprintf(e->out, " age=%" PRIu64, age(e, stats[GWS_STAT_LAST_OK]));
    fputc('\n', e->out);
}

static void put_limit(const struct export *e, uint32_t row)
{
    const struct gws_name_row *name = &name_range(e->region, GWS_KIND_LIMIT).rows[row];
    unsigned __int128 now = (unsigned __int128)e->time->now_ms * EXPORT_TICKS_PER_MS;
    uint64_t tat = word_load(&e->region->limits[row].tat);
    struct gws_name_info info;

    if (tat <= now || !name_row_read(name, &info))
        return;
    begin(e, "limit", name, &info);
    fprintf(e->out, " interval=%" PRIu64 " debt=%" PRIu64 "\n", word_load_relaxed(&e->region->limits[row].interval),
            (uint64_t)(tat - now));
}

static void put_quota(const struct export *e, uint32_t row)
{
    const struct gws_name_row *name = &name_range(e->region, GWS_KIND_QUOTA).rows[row];
    struct gws_quota_info quota;
    struct gws_name_info info;

    if (!name_row_read(name, &info) || !gws_quota_read(e->region, row, &quota) || quota.committed == 0)
        return;
    begin(e, "quota", name, &info);
    fprintf(e->out, " day=%" PRIu32 " committed=%" PRIu64 "\n", quota.day, quota.committed);
}

static void put_model(const struct export *e, uint32_t row)
{
    const struct gws_name_row *name = &name_range(e->region, GWS_KIND_MODEL).rows[row];
    struct gws_name_info info;
    uint32_t samples;
    uint64_t ratio = gws_estimate_ratio(e->region, row, &samples);

    if (samples == 0 || !name_row_read(name, &info))
        return;
    begin(e, "model", name, &info);
    fprintf(e->out, " samples=%" PRIu32 " ratio=%" PRIu64 "\n", samples, ratio);
}

int gws_export_write(const struct gws_region *region, FILE *out, const struct gws_export_time *time)
{
    struct export e = {region, time, out};

    fprintf(out, EXPORT_MAGIC "\ntime real=%" PRIu64 " boot=%016" PRIx64 "%016" PRIx64 " namespace=%" PRIu64
            " clock=%" PRIu64 "\n", time->real_ms, time->boot_id[0], time->boot_id[1], time->time_namespace,
            time->boot_ns);
    for (uint32_t row = 0; row < region->dims.domains; row++)
        put_domain(&e, row);
    for (uint32_t row = 0; row < region->dims.domains; row++)
        put_stats(&e, row);
    for (uint32_t row = 0; row < region->dims.limits; row++)
        put_limit(&e, row);
    for (uint32_t row = 0; row < region->dims.quotas; row++)
        put_quota(&e, row);
    for (uint32_t row = 0; row < region->dims.models; row++)
        put_model(&e, row);
    return fflush(out) != 0 || ferror(out) != 0 ? -EIO : 0;
}
