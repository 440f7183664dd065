#include "gatewayd/supervisor.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "gatewayd/log.h"

/*
 * libsystemd would be one more library for fifty lines; the protocol is documented as stable. A manager that does not
 * read must never hold the master up, so nothing here waits.
 */

static struct {
    int fd; /* meaningful when `on` */
    bool on;
    struct sockaddr_un address;
    socklen_t length;
    uint64_t interval_ms; /* of the watchdog's signs of life; 0: nobody watches */
    uint64_t next_ms;
} manager;

/* The address of a path, or of a name of the abstract kind, which is written with an @. */
static bool take_address(const char *name)
{
    size_t len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof manager.address.sun_path)
        return false;
    manager.address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(manager.address.sun_path, name, len);
    manager.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));
    if (name[0] == '@')
        manager.address.sun_path[0] = '\0';
    return true;
}

/* Half of what the manager allows, so that one late turn is no death sentence; only when it is this process that is
 * watched. */
static uint64_t watchdog_interval(void)
{
    const char *time = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!time || (pid && strtoll(pid, NULL, 10) != (long long)getpid()))
        return 0;
    return strtoull(time, NULL, 10) / 2 / 1000;
}

void supervisor_setup(void)
{
    const char *name = getenv("NOTIFY_SOCKET");
    supervisor_teardown();
    if (!name || !name[0])
        return;
    if (!take_address(name)) {
        log_warn("NOTIFY_SOCKET is neither a path nor an @name of a socket; nobody is told how this service fares");
        return;
    }
    manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    manager.on = manager.fd >= 0;
    manager.interval_ms = manager.on ? watchdog_interval() : 0;
    manager.next_ms = 0;
}

void supervisor_teardown(void)
{
    if (manager.on)
        close(manager.fd);
    manager.on = false;
    manager.interval_ms = 0;
}

static void tell(const char *text)
{
    static bool complained;
    if (!manager.on)
        return;
    ssize_t put = sendto(manager.fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&manager.address,
                         manager.length);
    if (put < 0 && !complained) {
        complained = true;
        log_warn("cannot tell the service manager at NOTIFY_SOCKET: %s", strerror(errno));
    }
}

void supervisor_ready(const char *status)
{
    char text[512];
    snprintf(text, sizeof text, "READY=1\nSTATUS=%s", status);
    tell(text);
}

void supervisor_reloading(void)
{
    char text[128];
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=starting the workers of a new configuration",
             (unsigned long long)t.tv_sec * 1000000 + (unsigned long long)t.tv_nsec / 1000);
    tell(text);
}

void supervisor_stopping(void)
{
    tell("STOPPING=1\nSTATUS=stopping: requests in flight may finish");
}

void supervisor_main_pid(pid_t pid)
{
    char text[64];
    snprintf(text, sizeof text, "MAINPID=%d", (int)pid);
    tell(text);
}

int64_t supervisor_alive(uint64_t now_ms)
{
    if (manager.interval_ms == 0)
        return -1;
    if (now_ms >= manager.next_ms) {
        tell("WATCHDOG=1");
        manager.next_ms = now_ms + manager.interval_ms;
    }
    return (int64_t)(manager.next_ms - now_ms);
}
