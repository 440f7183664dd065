#ifndef GATEWAYCTL_TRY_H
#define GATEWAYCTL_TRY_H

/* One request to one endpoint, sent directly. What the files of try share with each other and with nobody else. */

#include "gatewayd/buf.h"
#include "gatewayd/conf.h"
#include "gatewayd/secret.h"

enum { TRY_TEXT = 240, TRY_WHY = 256, TRY_TOKENS = 16 };

struct try_question {
    const struct conf_endpoint *endpoint;
    const struct secret *key; /* or NULL */
    const char *model;        /* its name upstream */
    const char *message;
    uint32_t connect_ms;
    uint32_t response_ms; /* from the beginning to the end of the answer */
    bool newer_limit;     /* say max_completion_tokens, as some models want it */
};

/* What came back, as it is. */
struct try_reply {
    int status;       /* 0: none came */
    uint64_t first_us; /* to the first byte; 0: none came */
    uint64_t total_us;
    bool connected;
    bool timed_out;
    bool too_long; /* more than anybody would say in TRY_TOKENS; the rest was not read */
    char why[TRY_WHY]; /* when there is no whole answer */
    struct buf lines;  /* of the head, '\n' after each */
    struct buf body;
};

/* What it means. */
struct try_outcome {
    bool good;
    const char *name;      /* "ok", "rate" and so on, as in the logs */
    char answer[TRY_TEXT]; /* its first line */
    char error[TRY_TEXT];  /* in words; empty when good */
};

/* Once, before anything is asked. 0 or 1. */
int try_setup(void);

/* Ask, and wait for the end. The reply is zeroed before, and released with try_reply_fini(). */
void try_ask(const struct try_question *question, struct try_reply *reply);
void try_reply_fini(struct try_reply *reply);

/* Whether it asks for the same again under the newer name of the limit. */
bool try_wants_newer_limit(const struct try_question *question, const struct try_reply *reply);

/* Pure. The endpoint's key does not appear in the outcome, whatever the upstream repeats. */
void try_read(const struct try_question *question, const struct try_reply *reply, int64_t now_real_s,
              struct try_outcome *outcome);

#endif
