#ifndef LLMSIM_JOURNAL_H
#define LLMSIM_JOURNAL_H

/* What was asked, lately: a ring of the last requests. Taking one down is copying bytes; they are understood only when
 * somebody asks to read them. */

#include "gatewayd/buf.h"

enum { JOURNAL_SIZE = 1000, JOURNAL_BODY_MAX = 2000, JOURNAL_HEAD_MAX = 8192 };

struct journal_entry {
    uint64_t n; /* 0: never written */
    int64_t time_ms;
    uint64_t connection;
    int status; /* 0: none was sent */
    bool stream;
    const char *end; /* how it ended; NULL while it goes on */
    char fault[160];
    char model[256];
    size_t head_len, body_len;
    char head[JOURNAL_HEAD_MAX]; /* as it came; left out when it is longer than this */
    char body[JOURNAL_BODY_MAX];
};

struct journal {
    bool off;
    struct journal_entry *ring; /* NULL until the first request */
};

/* Take down a request's head. The entry is found again by its number for as long as the ring holds it. */
void journal_begin(struct journal *j, uint64_t n, int64_t time_ms, uint64_t connection, struct str head);
struct journal_entry *journal_find(struct journal *j, uint64_t n); /* NULL when it is off or already overwritten */
void journal_body(struct journal_entry *e, struct str body);
void journal_text(char *out, size_t size, struct str text); /* NUL-terminated copy, cut to fit */
void journal_forget(struct journal *j);

/* The entries, oldest first, as a JSON array. */
void journal_print(const struct journal *j, uint64_t last_n, struct buf *out);

#endif
