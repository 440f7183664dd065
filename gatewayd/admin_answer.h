#ifndef GATEWAYD_ADMIN_ANSWER_H
#define GATEWAYD_ADMIN_ANSWER_H

/* What the admin server says: the region put into an answer, and an answer into bytes. No sockets. */

#include "gatewayd/admin_routes.h"
#include "gatewayd/admin_samples.h"
#include "gatewayd/buf.h"

/* What answers are made of. */
struct admin_facts {
    struct gws_region *region;
    const char *state;      /* its path */
    struct admin_samples *samples;
    uint32_t who;           /* who asks: a uid, or GWS_BY_ADMIN */
};

struct admin_answer {
    int status;
    const char *type;    /* of the body */
    struct str page;     /* a body that stays, or */
    struct buf body;     /* one of its own */
    const char *code;    /* of an error */
    const char *message;
    const char *allow;   /* of 405 */
    char words[NAMES_WHY_SIZE];
};

void admin_answer_fini(struct admin_answer *answer);

/* Do what the route says. Every route but ADMIN_STREAM. */
void admin_answer(const struct admin_route *route, const struct admin_facts *facts, struct admin_answer *answer);
/* Refuse what the guard did not let in. */
void admin_answer_refuse(enum admin_verdict verdict, struct admin_answer *answer);
void admin_answer_error(struct admin_answer *answer, int status, const char *code, const char *message);

/* The status as the body of `GET /api/status` has it. 0 or -ENOMEM. */
int admin_answer_status(const struct admin_facts *facts, struct buf *out);

/* The whole answer as bytes. 0 or -ENOMEM. */
int admin_answer_write(const struct admin_answer *answer, bool keep_alive, int minor, bool head_only, struct buf *out);
/* The head of a stream, which ends with its connection. */
int admin_answer_stream_head(struct buf *out);

#endif
