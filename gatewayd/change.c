/*
 * The word is read before and after the operation only to tell people about it: what the operation itself compares and
 * swaps is its own business, and the event it records is the exact account.
 */

#include "gatewayd/change.h"

#include "gatewayd/show.h"
#include "libshm/breaker.h"
#include "libshm/cooldown.h"
#include "libshm/order.h"

unsigned change_kinds(enum change_kind kind)
{
    return NAMES_ENDPOINTS | NAMES_MODELS | (kind == CHANGE_COOLDOWN_CLEAR ? NAMES_ACCOUNTS : 0u);
}

static struct words_text breaker_now(const struct gws_region *region, uint32_t row, uint64_t now)
{
    return words_breaker(gws_breaker_word(region, row), now);
}

static bool change_breaker(struct gws_region *region, uint32_t row, const struct change *change, uint64_t now,
                           struct change_done *done)
{
    done->from = breaker_now(region, row, now);
    switch (change->kind) {
    case CHANGE_BREAKER_RESET:
        gws_breaker_reset(region, row, now, change->who);
        break;
    case CHANGE_BREAKER_OPEN:
        gws_breaker_force_open(region, row, change->hold_ms ? now + change->hold_ms : UINT64_MAX, now, change->who);
        break;
    case CHANGE_BREAKER_CLOSE:
        gws_breaker_force_closed(region, row, now, change->who);
        break;
    default:
        gws_breaker_auto(region, row, now, change->who);
        break;
    }
    done->to = breaker_now(region, row, now);
    return true;
}

static bool clear_cooldown(struct gws_region *region, uint32_t row, uint32_t who, uint64_t now,
                           struct change_done *done)
{
    uint64_t word = gws_cooldown_word(region, row);
    struct gws_cooldown_view view = gws_cooldown_view(word);
    gws_cooldown_clear(region, row, now, who); /* always: what is under way must not bring one back */
    done->from = words_cooldown(word, now);
    done->to = words_cooldown(gws_cooldown_word(region, row), now);
    return now < view.until || view.streak > 0;
}

static struct words_text order_now(const struct gws_region *region, uint32_t row)
{
    return words_order(gws_order_drained(region, row) ? UINT64_C(1) << 63 : 0);
}

static bool give_order(struct gws_region *region, uint32_t row, bool drain, uint32_t who, uint64_t now,
                       struct change_done *done)
{
    done->from = order_now(region, row);
    if (drain)
        gws_order_drain(region, row, now, who);
    else
        gws_order_enable(region, row, now, who);
    done->to = order_now(region, row);
    return true;
}

bool change_one(struct gws_region *region, const struct names_row *name, const struct change *change, uint64_t now,
                struct change_done *done)
{
    done->name = name;
    switch (change->kind) {
    case CHANGE_COOLDOWN_CLEAR:
        return clear_cooldown(region, name->row, change->who, now, done);
    case CHANGE_DRAIN:
    case CHANGE_ENABLE:
        return give_order(region, name->row, change->kind == CHANGE_DRAIN, change->who, now, done);
    default:
        return change_breaker(region, name->row, change, now, done);
    }
}

json_t *change_json(enum change_kind kind, const struct change_done *done)
{
    json_t *json = show_must(json_pack("{s:s, s:s, s:s}", "name", done->name->label, "from", done->from.name, "to",
                                       done->to.name));
    if (kind == CHANGE_COOLDOWN_CLEAR)
        json_object_set_new(json, "kind", json_string(names_kind(done->name->info.kind)));
    return json;
}
