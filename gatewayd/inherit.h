#ifndef GATEWAYD_INHERIT_H
#define GATEWAYD_INHERIT_H

/*
 * What a master is given instead of making it itself: by the master before it, which an upgrade replaces, or by a
 * service manager (socket activation). Descriptors keep their numbers over exec(); which is which stands in the
 * environment, from where it is taken before anybody else looks.
 */

#include <sys/types.h>

#include "gatewayd/net.h"

enum { INHERIT_WAKES_MAX = 512, INHERIT_STATE_SIZE = 4096 };

struct inherit {
    bool heir;  /* another master started us, and serves until we can */
    pid_t from; /* who; our parent for as long as it lives */
    int lock_fd;
    int talk_fd; /* a socket to it */
    int say_fd;  /* what goes wrong is said there too, as text, for whoever ordered the upgrade */
    char state[INHERIT_STATE_SIZE];
    int wakes[INHERIT_WAKES_MAX]; /* as wake_ends() lists them */
    uint32_t wake_count;
    struct sockets sockets;
    unsigned given; /* so many descriptors of a service manager, from INHERIT_GIVEN_FD on */
};

enum { INHERIT_GIVEN_FD = 3 }; /* where the protocol of systemd has them begin */

/* A zeroed one of a master that was given nothing. */
#define INHERIT_NOTHING {.lock_fd = -1, .talk_fd = -1, .say_fd = -1}

/* Take what the environment names, and remove it there. 0, or 1 when it cannot be used, having said why. */
int inherit_take(struct inherit *inherit);
void inherit_fini(struct inherit *inherit);

/* Say problems of the configuration to the one who started us, if somebody did. */
void inherit_report(const struct inherit *inherit, const char *file, const struct conf_problems *problems);

/* The text for the environment, to be freed; NULL when memory is out. `stderr_fd`: where the heir's words belong once
 * it has begun. And back: 0, or 1 when it is none. Pure. */
char *inherit_write(const struct inherit *inherit, int stderr_fd);
int inherit_read(struct inherit *inherit, int *stderr_fd, const char *text);

/* In the child that becomes the heir: let all of it survive exec(), and say so in the environment. 0 or -errno. */
int inherit_give(const struct inherit *inherit, int stderr_fd);

#endif
