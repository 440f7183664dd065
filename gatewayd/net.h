#ifndef GATEWAYD_NET_H
#define GATEWAYD_NET_H

/*
 * Listening sockets. The master opens them and keeps them for as long as its configuration names them, so a worker that
 * ends never takes queued clients with it; workers only accept.
 */

#include <sys/types.h>

#include "gatewayd/conf.h"

struct listener {
    int fd;
    bool is_unix;
    bool hidden;         /* opened beside another's, which still gets the clients: see net_publish_all() */
    char where[160];     /* "127.0.0.1:8080" with the real port, or the path */
    char wanted[160];    /* as configured: what a reload compares */
    uint64_t dev, inode; /* of a Unix socket's file: only our own is removed */
    mode_t mode;         /* which that file is to have, */
    gid_t group;         /* and its group; (gid_t)-1: as it is */
};

struct listeners {
    struct listener *list;
    size_t count;
};

/* Clients and operators are served by different processes, so their listeners are two sets. */
struct sockets {
    struct listeners clients;
    struct listeners admin;
};

/*
 * Open what the configuration asks for, for clients or for the admin server, taking over from `old` (may be NULL) the
 * sockets it names too. `beside`: another generation of workers, whose master died, is still serving on the same
 * addresses, and is expected to stop; its sockets get the clients until net_publish_all(). 0, or 1 with the
 * reason in `why`; then nothing is changed.
 */
int net_open(struct listeners *listeners, const struct conf *conf, struct listeners *old, bool beside, char *why,
             size_t why_size);
int net_open_admin(struct listeners *listeners, const struct conf *conf, struct listeners *old, bool beside, char *why,
                   size_t why_size);

/* Who opened them is ready to serve: from now on clients come to these, not to those of others beside whom they were
 * opened, and kept files have the mode and group that their configuration says. 0, or 1 with the reason. */
int net_publish(struct listeners *listeners, char *why, size_t why_size);
int net_publish_all(struct sockets *sockets, char *why, size_t why_size);

/* The others are gone: whoever is the next to open beside these is the younger one. */
void net_settle(const struct listeners *listeners);
void net_settle_all(const struct sockets *sockets);

/* Close the descriptors that `keep` (may be NULL) does not use, and remove their socket files. */
void net_close(struct listeners *listeners, const struct listeners *keep);

/* The same for both sets, except that net_forget_all() has one set to keep: a process serves but one. */
int net_open_all(struct sockets *sockets, const struct conf *conf, const struct sockets *old, bool beside, char *why,
                 size_t why_size);
void net_close_all(struct sockets *sockets, const struct sockets *keep);
void net_forget_all(struct sockets *sockets, const struct listeners *keep);

/*
 * Sockets that a service manager opened, `count` descriptors from `first` on: find out where they listen, and which
 * addresses of the configuration that is, so that net_open_all() takes them as `old`. What the configuration does not
 * name is closed, with a warning. 0 or -ENOMEM.
 */
int net_given(struct sockets *given, int first, unsigned count, const struct conf *conf);

/* In a child: let go of what is not in `keep` (NULL: of all); the files stay, they are the master's. */
void net_forget(struct listeners *listeners, const struct listeners *keep);

/* Accept one connection: a nonblocking descriptor, or -1 when nobody waits; *out_of_files when no descriptor is
 * left. */
int net_accept(const struct listener *listener, bool *out_of_files);

#endif
