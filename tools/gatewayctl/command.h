#ifndef GATEWAYCTL_COMMAND_H
#define GATEWAYCTL_COMMAND_H

/*
 * The commands. Each is one row of the table below and one file with a function command_NAME(); the table makes the
 * declarations, the dispatch and the help, so none of them can be forgotten.
 *
 * A command gets its own words with itself as argv[0], global options already taken out. It returns an exit status and
 * has said on stderr why whenever that is not CTL_DONE (a plain "no", like a check that found something, excepted).
 */

#include <stdbool.h>

enum ctl_exit {
    CTL_DONE = 0,
    CTL_NO = 1,        /* the answer is "no": a check or a request failed */
    CTL_USAGE = 2,
    CTL_NO_REGION = 3, /* no region, or not permitted */
    CTL_NO_NAME = 4
};

/* What the global options said. */
struct ctl {
    const char *state;  /* --state, or NULL */
    const char *config; /* -c, or NULL */
    bool json;
};

/* name, synopsis, one line of help */
#define COMMANDS(COMMAND) \
    COMMAND(status, "[--check]", \
            "a line per endpoint: state, why and for how long; --check: exit 1 unless it serves and all are healthy") \
    COMMAND(breaker, "list | show NAME | reset NAME|--all | open NAME [--for DURATION] | close NAME | auto NAME", \
            "inspect and steer circuit breakers; `show` prints the evidence of the last trip") \
    COMMAND(cooldown, "list [--all] | clear NAME|--all", \
            "the waits upstreams asked for, by endpoint, model and account") \
    COMMAND(explain, "MODEL [--endpoint NAME] [--dialect openai|anthropic] [--tokens N]", \
            "which endpoint a request for MODEL would go to now, and for every other one why not") \
    COMMAND(drain, "NAME", "send an endpoint no new requests until it is enabled again") \
    COMMAND(enable, "NAME", "put a drained endpoint back") \
    COMMAND(limits, "[reset NAME|--all]", "every rate limit and daily quota: used, left, resets in; or full again") \
    COMMAND(try, "[-m MODEL] [--endpoint NAME] [MESSAGE]", \
            "ask every endpoint directly, in turn, and show status, latency and answer: the outage check") \
    COMMAND(workers, "", "the gateway's processes: pid, generation, uptime, in flight, requests, restarts") \
    COMMAND(events, "[-n N] [--follow]", \
            "the event log: trips, recoveries, cooldowns, orders, restarts, reloads") \
    COMMAND(top, "[--interval DURATION]", \
            "full-screen live view: endpoints, rates, latencies, events; keys to reset, drain, filter") \
    COMMAND(region, "check | export [FILE] | import FILE", \
            "the shared file as a whole: its byte map and what is wrong in it; its state as text, out and back in") \
    COMMAND(check, "FILE", "check a configuration file and its secrets, as gatewayd -t does") \
    COMMAND(reload, "[--timeout DURATION]", "make the daemon read its configuration again, and say how it went") \
    COMMAND(upgrade, "[--timeout DURATION]", \
            "have the program that is installed now take over from the one that runs, and say how it went") \
    COMMAND(stop, "[--timeout DURATION]", "stop the daemon and wait until it has ended") \
    COMMAND(help, "[COMMAND]", "this list, or how to use one command")

#define COMMAND_DECLARE(name, synopsis, help) int command_##name(const struct ctl *ctl, int argc, char **argv);
COMMANDS(COMMAND_DECLARE)
#undef COMMAND_DECLARE

#endif
