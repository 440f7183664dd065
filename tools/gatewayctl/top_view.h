#ifndef GATEWAYCTL_TOP_VIEW_H
#define GATEWAYCTL_TOP_VIEW_H

/*
 * What the person before the screen has chosen: the page, the order, the filter, the selected row, and the change that
 * waits for a "y". Keys alter it; nothing here touches the region or the terminal. The selection is a name and not a
 * place, so it stays on its endpoint when the order changes.
 */

#include "gatewayd/change.h"
#include "tools/gatewayctl/top_model.h"

enum top_page { TOP_LIST, TOP_DETAILS, TOP_EVENTS, TOP_HELP };

/* Keys that are no bytes. */
enum top_key {
    TOP_KEY_ENTER = '\n',
    TOP_KEY_ESCAPE = 27,
    TOP_KEY_UP = 0x1000,
    TOP_KEY_DOWN,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
    TOP_KEY_ERASE
};

/* A change, asked for and to be confirmed. */
struct top_order {
    enum change_kind kind;
    char name[2 * GWS_NAME_MAX + 2];  /* a NAME as on the command line */
    char account[GWS_NAME_MAX + 1];   /* whose cooldown goes with it; empty: nobody's */
    char question[512];
};

struct top_view {
    enum top_page page;
    enum top_page before_help;
    enum top_sort sort;
    char filter[64];
    bool typing; /* the filter */
    bool asking; /* for a "y" to `order` */
    struct top_order order;
    char selected[GWS_NAME_MAX + 1]; /* an endpoint's name; empty: the first one's */
    size_t place;                    /* where it was listed last, in case it vanishes */
    size_t detail;                   /* the selected row of its details: 0 is the endpoint itself, then its models */
    size_t scrolled;                 /* of the events */
    size_t first;                    /* the first endpoint on the screen, and how many rows there are; */
    size_t page_rows;                /* both are left there by whoever draws */
    char message[512];               /* what came of the last key; empty: nothing to say */
    bool bad;                        /* it is about something that went wrong */
    uint64_t message_until;
    const char *note;                /* what is wrong with what is shown, for as long as it is; NULL: nothing */
    uint64_t interval_ms;
};

enum top_wish { TOP_GO_ON, TOP_QUIT, TOP_CARRY_OUT /* view->order */ };

/* What a key means. Says what it has to say in view->message, until `now` plus a few seconds. */
enum top_wish top_view_key(struct top_view *view, const struct top_model *model, int key, uint64_t now);

void top_view_say(struct top_view *view, bool bad, uint64_t now, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Which of the listed endpoints is selected: its index in `order`, after the selection was brought onto one of them.
 * Without any, 0. */
size_t top_view_settle(struct top_view *view, const struct top_model *model, const size_t *order, size_t count);

/* The selected endpoint, whatever is listed: an index into the reading's; false when it is gone. */
bool top_view_endpoint(const struct top_view *view, const struct top_model *model, size_t *endpoint);

/* Whether an event is listed on the page of events. */
bool top_view_lists_event(const struct top_view *view, const struct top_event *event);

#endif
