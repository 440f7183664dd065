/*
 * cooldown list and clear. The list holds what cools now, because that is the question; --all shows every domain. A
 * clear reports only what did cool or remembered a refusal.
 */

#include "libshm/cooldown.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libshm/clock.h"
#include "tools/gatewayctl/args.h"
#include "tools/gatewayctl/command.h"
#include "gatewayd/change.h"
#include "gatewayd/names.h"
#include "tools/gatewayctl/out.h"
#include "tools/gatewayctl/region.h"
#include "gatewayd/state.h"
#include "gatewayd/times.h"
#include "gatewayd/words.h"

static void list_json(const struct gws_region *region, const struct names *names, bool all, uint64_t now)
{
    json_t *list = show_must(json_array());
    for (size_t i = 0; i < names->count; i++) {
        const struct names_row *row = &names->rows[i];
        struct state_domain domain = {.cooldown = gws_cooldown_view(gws_cooldown_word(region, row->row))};
        struct state_view state = state_of_domain(&domain, now);
        if (!all && state.kind == STATE_HEALTHY)
            continue;
        json_t *model = row->info.kind == GWS_KIND_PAIR ? json_string(row->info.model) : json_null();
        json_t *json = json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:I, s:I}", "name", row->label, "kind",
                                 names_kind(row->info.kind), "model", model, "state", state_name(state.kind), "cause",
                                 words_cooldown_name(domain.cooldown.reason), "reason", state.reason, "until_ms",
                                 (json_int_t)state.until_ms, "streak", (json_int_t)domain.cooldown.streak);
        json_array_append_new(list, show_must(json));
    }
    out_json(json_pack("{s:o}", "cooldowns", list));
}

static void list_text(const struct gws_region *region, const struct names *names, bool all, uint64_t now)
{
    static const char *const heads[] = {"NAME", "KIND", "STATE", "WHY", "LEFT", "STREAK"};
    struct out_table table;
    out_table_init(&table, heads, 6, 0x30);
    for (size_t i = 0; i < names->count; i++) {
        const struct names_row *row = &names->rows[i];
        struct state_domain domain = {.cooldown = gws_cooldown_view(gws_cooldown_word(region, row->row))};
        struct state_view state = state_of_domain(&domain, now);
        bool cools = state.kind != STATE_HEALTHY;
        if (!all && !cools)
            continue;
        out_cell(&table, OUT_PLAIN, "%s", row->label);
        out_cell(&table, OUT_PLAIN, "%s", names_kind(row->info.kind));
        out_cell(&table, state.kind == STATE_EXHAUSTED ? OUT_RED : cools ? OUT_YELLOW : OUT_PLAIN, "%s",
                 cools ? state_name(state.kind) : "-");
        out_cell(&table, OUT_PLAIN, "%s", cools ? state.reason : "-");
        out_cell(&table, OUT_PLAIN, "%s", cools ? times_span(state.until_ms).text : "-");
        out_cell(&table, OUT_PLAIN, "%u", domain.cooldown.streak);
    }
    if (table.count > 0)
        out_table_print(&table);
    else
        puts("nothing is cooling");
    out_table_fini(&table);
}

static void clear(const struct ctl *ctl, struct gws_region *region, const struct names *names, const char *name,
                  uint64_t now)
{
    const struct change change = {.kind = CHANGE_COOLDOWN_CLEAR, .who = getuid()};
    struct change_done done;
    json_t *changed = show_must(json_array());
    for (size_t i = 0; i < names->count; i++) {
        const struct names_row *row = &names->rows[i];
        if (!change_one(region, row, &change, now, &done))
            continue;
        json_array_append_new(changed, change_json(change.kind, &done));
        if (!ctl->json)
            printf("%s%s: %s -> %s\n", row->info.kind == GWS_KIND_ACCOUNT ? "account " : "", row->label,
                   done.from.text, done.to.text);
    }
    if (ctl->json)
        out_json(json_pack("{s:O}", "changed", changed));
    else if (json_array_size(changed) == 0)
        printf("%s%snothing was cooling\n", name ? name : "", name ? ": " : "");
    json_decref(changed);
}

static int read_words(int argc, char **argv, bool all, bool *clears, const char **name)
{
    if (argc < 2)
        return out_usage(argv[0], "what shall be done?");
    *clears = strcmp(argv[1], "clear") == 0;
    if (!*clears && strcmp(argv[1], "list") != 0)
        return out_usage(argv[0], "cooldown cannot %s", argv[1]);
    if (*clears && !all && argc < 3)
        return out_usage(argv[0], "which one? NAME or --all is missing");
    *name = argc > 2 ? argv[2] : NULL;
    return args_operands(argc, argv, 1, *clears && !all ? 2 : 1);
}

int command_cooldown(const struct ctl *ctl, int argc, char **argv)
{
    bool all = false, clears = false;
    const char *name = NULL;
    const struct args_option options[] = {{"--all", NULL, &all, NULL}};
    if (args_take(&argc, argv, options, 1, argv[0]) != 0 || read_words(argc, argv, all, &clears, &name) != 0)
        return CTL_USAGE;

    struct gws_region region;
    int status = region_enter(ctl, clears ? GWS_CHANGE : GWS_LOOK, &region);
    if (status != 0)
        return status;
    struct names names;
    names_load(&names, &region);
    uint64_t now = gws_clock_ms(&region);
    status = region_select(&names, name, NAMES_ENDPOINTS | NAMES_MODELS | NAMES_ACCOUNTS);
    if (status == 0 && clears)
        clear(ctl, &region, &names, name, now);
    else if (status == 0 && ctl->json)
        list_json(&region, &names, all, now);
    else if (status == 0)
        list_text(&region, &names, all, now);
    names_fini(&names);
    region_leave(&region);
    return status;
}
