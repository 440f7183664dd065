#ifndef LLMSIM_LISTEN_H
#define LLMSIM_LISTEN_H

/* Where clients come in: HOST:PORT (port 0: any free one), [V6]:PORT or unix:PATH. */

#include <ev.h>

#include "tools/llmsim/sim.h"

enum { LISTEN_URL_MAX = 160 };

struct listener {
    struct sim *sim;
    struct ev_io io;
    bool unix_path; /* `url` ends with a socket file that is ours to remove */
    bool control;   /* for /sim only */
    char url[LISTEN_URL_MAX];
};

/* 0 with the listener open; 1 when the address makes no sense, 2 when it cannot be had; then a message in `why`. */
int listen_open(struct listener *l, struct sim *sim, const char *address, bool control, char *why, size_t why_size);
void listen_close(struct listener *l);

#endif
