/*
 * A key that changes something only asks; the change is carried out when the next key is "y". Everything else takes the
 * question back, so a key pressed in a hurry does no harm.
 */

#include "tools/gatewayctl/top_view.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatewayd/show.h"

enum { MESSAGE_MS = 8000 };

void top_view_say(struct top_view *view, bool bad, uint64_t now, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(view->message, sizeof(view->message), format, args);
    va_end(args);
    view->bad = bad;
    view->message_until = now + MESSAGE_MS;
}

size_t top_view_settle(struct top_view *view, const struct top_model *model, const size_t *order, size_t count)
{
    const struct overview_endpoint *endpoints = model->reading.overview.endpoints;
    if (count == 0)
        return 0;
    size_t at = 0;
    while (at < count && strcmp(endpoints[order[at]].name->info.name, view->selected) != 0)
        at++;
    if (at == count)
        at = view->selected[0] == '\0' ? 0 : view->place < count ? view->place : count - 1;
    view->place = at;
    snprintf(view->selected, sizeof(view->selected), "%s", endpoints[order[at]].name->info.name);
    return at;
}

bool top_view_endpoint(const struct top_view *view, const struct top_model *model, size_t *endpoint)
{
    for (size_t i = 0; i < model->reading.overview.count; i++) {
        if (strcmp(model->reading.overview.endpoints[i].name->info.name, view->selected) == 0) {
            *endpoint = i;
            return true;
        }
    }
    return false;
}

bool top_view_lists_event(const struct top_view *view, const struct top_event *event)
{
    const char *word = view->filter;
    return !word[0] || strcasestr(event->kind, word) || strcasestr(event->label.text, word) ||
           strcasestr(event->by.text, word) || strcasestr(event->change.text, word);
}

/* Moving. */

static size_t moved(size_t at, size_t count, size_t page, int key)
{
    size_t last = count > 0 ? count - 1 : 0;
    size_t leap = page > 1 ? page - 1 : 1;
    switch (key) {
    case 'k':
    case TOP_KEY_UP:
        return at > 0 ? at - 1 : 0;
    case 'j':
    case TOP_KEY_DOWN:
        return at < last ? at + 1 : last;
    case TOP_KEY_PAGE_UP:
        return at > leap ? at - leap : 0;
    case ' ':
    case TOP_KEY_PAGE_DOWN:
        return at + leap < last ? at + leap : last;
    case 'g':
    case TOP_KEY_HOME:
        return 0;
    case 'G':
    case TOP_KEY_END:
        return last;
    default:
        return at;
    }
}

static bool is_move(int key)
{
    return (key >= TOP_KEY_UP && key <= TOP_KEY_END) || (key > 0 && key < 128 && strchr("jkgG ", key));
}

static void move_in_list(struct top_view *view, const struct top_model *model, int key)
{
    size_t *order = show_must(calloc(model->reading.overview.count + 1, sizeof(*order)));
    size_t count = top_model_order(model, view->sort, view->filter, order);
    size_t at = moved(top_view_settle(view, model, order, count), count, view->page_rows, key);
    if (at < count) {
        view->place = at;
        snprintf(view->selected, sizeof(view->selected), "%s",
                 model->reading.overview.endpoints[order[at]].name->info.name);
    }
    free(order);
}

static void move(struct top_view *view, const struct top_model *model, int key)
{
    size_t endpoint, count = 0;
    if (view->page == TOP_LIST) {
        move_in_list(view, model, key);
    } else if (view->page == TOP_DETAILS && top_view_endpoint(view, model, &endpoint)) {
        view->detail = moved(view->detail, top_reading_rows(&model->reading, endpoint).count, view->page_rows, key);
    } else if (view->page == TOP_EVENTS) {
        for (size_t i = 0; i < model->reading.event_count; i++)
            count += top_view_lists_event(view, &model->reading.events[i]);
        count = count > view->page_rows ? count - view->page_rows + 1 : 1;
        view->scrolled = moved(view->scrolled, count, view->page_rows, key);
    }
}

/* Asking. */

/* What a question is about: "us-east and its 3 models". */
static void name_all(const struct names_row *row, size_t models, char *out, size_t size)
{
    if (row->info.kind != GWS_KIND_ENDPOINT || models == 0)
        snprintf(out, size, "%s", row->label);
    else if (models == 1)
        snprintf(out, size, "%s and its model", row->label);
    else
        snprintf(out, size, "%s and its %zu models", row->label, models);
}

static void word_question(struct top_order *order, const char *what)
{
    static const char *const forms[][2] = {
        [CHANGE_BREAKER_RESET] = {"reset the breakers of ", ""},
        [CHANGE_BREAKER_OPEN] = {"hold ", " open: nothing is sent there"},
        [CHANGE_BREAKER_CLOSE] = {"hold ", " closed, however many tries fail"},
        [CHANGE_BREAKER_AUTO] = {"let the breakers of ", " act by themselves again"},
        [CHANGE_COOLDOWN_CLEAR] = {"clear the cooldowns of ", ""},
        [CHANGE_DRAIN] = {"drain ", ": no new requests go there"},
        [CHANGE_ENABLE] = {"enable ", " again"},
    };
    snprintf(order->question, sizeof(order->question), "%s%.300s%s%s%s%s?", forms[order->kind][0], what,
             order->account[0] ? ", and of account " : "", order->account, forms[order->kind][1],
             order->account[0] ? " (other endpoints may share it)" : "");
}

/* An account cools whatever uses it, so clearing an endpoint that waits for its account means the account's too. */
static void take_account(struct top_order *order, const struct top_model *model, size_t endpoint)
{
    const struct top_extra *extra = &model->reading.extras[endpoint];
    bool cools = extra->cooldown.name && strcmp(extra->cooldown.name, "not_cooling") != 0;
    bool own = strcmp(extra->account, model->reading.overview.endpoints[endpoint].name->info.name) == 0;
    if (cools && !own)
        snprintf(order->account, sizeof(order->account), "%s", extra->account);
}

static void ask(struct top_view *view, const struct top_model *model, enum change_kind kind, uint64_t now)
{
    size_t endpoint;
    if (!top_view_endpoint(view, model, &endpoint)) {
        top_view_say(view, true, now, "no endpoint is selected");
        return;
    }
    struct top_rows rows = top_reading_rows(&model->reading, endpoint);
    size_t detail = view->page == TOP_DETAILS && view->detail < rows.count ? view->detail : 0;
    const struct names_row *row = &rows.names[detail];
    bool whole = kind == CHANGE_DRAIN || kind == CHANGE_ENABLE;
    if (whole && detail > 0) {
        top_view_say(view, true, now, "only a whole endpoint is drained; hold this model's breaker open instead (o)");
        return;
    }
    char what[512];
    name_all(row, whole ? 0 : rows.count - 1, what, sizeof(what));
    view->order = (struct top_order){.kind = kind};
    snprintf(view->order.name, sizeof(view->order.name), "%s", row->label);
    if (kind == CHANGE_COOLDOWN_CLEAR && detail == 0)
        take_account(&view->order, model, endpoint);
    word_question(&view->order, what);
    view->asking = true;
}

static bool is_drained(const struct top_view *view, const struct top_model *model)
{
    size_t endpoint;
    return top_view_endpoint(view, model, &endpoint) &&
           model->reading.overview.endpoints[endpoint].state.kind == STATE_DRAINED;
}

/* The change a key stands for; false when it stands for none. */
static bool change_of_key(const struct top_view *view, const struct top_model *model, int key, enum change_kind *kind)
{
    static const struct {
        int key;
        enum change_kind kind;
    } changes[] = {{'r', CHANGE_BREAKER_RESET},
                   {'o', CHANGE_BREAKER_OPEN},
                   {'f', CHANGE_BREAKER_CLOSE},
                   {'a', CHANGE_BREAKER_AUTO},
                   {'c', CHANGE_COOLDOWN_CLEAR}};
    if (key == 'd') {
        *kind = is_drained(view, model) ? CHANGE_ENABLE : CHANGE_DRAIN;
        return true;
    }
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        if (changes[i].key == key) {
            *kind = changes[i].kind;
            return true;
        }
    }
    return false;
}

static enum top_wish answer(struct top_view *view, int key, uint64_t now)
{
    view->asking = false;
    if (key == 'y' || key == 'Y')
        return TOP_CARRY_OUT;
    top_view_say(view, false, now, "nothing was changed");
    return TOP_GO_ON;
}

/* The filter. */

static void erase_last(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && ((unsigned char)text[length - 1] & 0xc0) == 0x80)
        length--;
    text[length > 0 ? length - 1 : 0] = '\0';
}

static void type(struct top_view *view, int key)
{
    size_t length = strlen(view->filter);
    if (key == TOP_KEY_ENTER || key == TOP_KEY_ESCAPE) {
        view->typing = false;
        if (key == TOP_KEY_ESCAPE)
            view->filter[0] = '\0';
    } else if (key == TOP_KEY_ERASE) {
        erase_last(view->filter);
    } else if (key == 'U' - '@') {
        view->filter[0] = '\0';
    } else if (key >= ' ' && key < 256 && key != 127 && length + 1 < sizeof(view->filter)) {
        view->filter[length] = (char)key;
        view->filter[length + 1] = '\0';
    }
    view->scrolled = 0;
}

/* Everything else. */

static void leave_page(struct top_view *view)
{
    if (view->page == TOP_LIST)
        view->filter[0] = '\0';
    view->page = view->page == TOP_HELP ? view->before_help : TOP_LIST;
}

static void turn_to(struct top_view *view, enum top_page page)
{
    if (page == TOP_HELP && view->page != TOP_HELP)
        view->before_help = view->page;
    if (view->page == page) {
        leave_page(view);
        return;
    }
    view->page = page;
    view->detail = 0;
    view->scrolled = 0;
}

static enum top_wish command(struct top_view *view, int key, uint64_t now)
{
    switch (key) {
    case 'q':
        if (view->page == TOP_LIST)
            return TOP_QUIT;
        leave_page(view);
        break;
    case 'Q':
        return TOP_QUIT;
    case TOP_KEY_ESCAPE:
        leave_page(view);
        break;
    case TOP_KEY_ENTER:
        turn_to(view, TOP_DETAILS);
        break;
    case 'e':
        turn_to(view, TOP_EVENTS);
        break;
    case 'h':
    case '?':
        turn_to(view, TOP_HELP);
        break;
    case 's':
        view->sort = (view->sort + 1) % TOP_SORTS;
        top_view_say(view, false, now, "sorted by %s", top_sort_name(view->sort));
        break;
    case '/':
        view->typing = view->page == TOP_LIST || view->page == TOP_EVENTS;
        break;
    default:
        top_view_say(view, true, now, "this key does nothing; ? lists those that do");
        break;
    }
    return TOP_GO_ON;
}

enum top_wish top_view_key(struct top_view *view, const struct top_model *model, int key, uint64_t now)
{
    enum change_kind kind;
    bool changes = view->page == TOP_LIST || view->page == TOP_DETAILS;
    view->message[0] = '\0';
    if (view->asking)
        return answer(view, key, now);
    if (view->typing)
        type(view, key);
    else if (is_move(key))
        move(view, model, key);
    else if (changes && change_of_key(view, model, key, &kind))
        ask(view, model, kind, now);
    else
        return command(view, key, now);
    return TOP_GO_ON;
}
