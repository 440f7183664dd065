#ifndef GATEWAYD_UPGRADE_H
#define GATEWAYD_UPGRADE_H

/*
 * The upgrade, as the old master sees it: run the program anew, hear how it gets on, and answer. The two speak in lines
 * over a socket:
 *
 *     heir: export                        write the state as text, mine has another layout       master: exported
 *     heir: live VERSION GENERATION KIND  my workers could serve; KIND is "same" or "beside"     master: go
 *     heir: serves                        the region is mine
 *
 * What the heir says on standard error before it has begun, and its errors afterwards, come over a pipe.
 */

#include "gatewayd/inherit.h"

/* How this program was started. */
struct upgrade_program {
    char path[4096]; /* not where it leads to: a link may lead elsewhere by the time of the upgrade */
    char *const *argv;
};

struct upgrade {
    pid_t heir; /* 0: there is none */
    int talk_fd;
    int hear_fd;
    uint64_t until; /* by when it must have come up */
    char said[8192];
    size_t said_length;
    char line[256];
    size_t line_length;
    char version[64]; /* once it is live: */
    uint64_t generation;
    bool beside; /* its region is another file, which it renames into place */
    bool agreed; /* it was told to go */
};

enum upgrade_news { UPGRADE_QUIET, UPGRADE_WANTS_EXPORT, UPGRADE_LIVE, UPGRADE_SERVES, UPGRADE_OVER };

/* Where `argv0` leads: from the directory or the PATH of the start. 0, or 1 when there is no such program. */
int upgrade_find_program(struct upgrade_program *program, char *const *argv);

/* Start the heir. `gift` is what it gets; its talk_fd is filled in. 0, or -errno. */
int upgrade_begin(struct upgrade *upgrade, const struct upgrade_program *program, struct inherit *gift,
                  uint64_t now_ms);

/* What is new, one thing at a time. UPGRADE_OVER: the heir has ended, or was killed because its time was over; `said`
 * says why, in lines. */
enum upgrade_news upgrade_look(struct upgrade *upgrade, uint64_t now_ms);

/* 0 or -errno. */
int upgrade_answer(struct upgrade *upgrade, const char *word);

/* Let go of the descriptors; whether the heir lives on is not decided here. */
void upgrade_end(struct upgrade *upgrade);

/* A version as a number, 16 bits a part: 1.2.3 is 0x000100020003. */
uint64_t upgrade_version(const char *text);

#endif
