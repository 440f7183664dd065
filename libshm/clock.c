/*
 * Clocks. The region's time is the boot clock less the reading it had when the region began, so it runs on through a
 * suspend and is the same number in every process. It says nothing about real time; the two are compared when asked.
 */

#include "libshm/clock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libshm/boot.h"
#include "libshm/word.h"

enum { NS_PER_MS = 1000000 };

#ifdef CLOCK_BOOTTIME
#define BOOT_CLOCK CLOCK_BOOTTIME
#else
#define BOOT_CLOCK CLOCK_MONOTONIC
#endif

static uint64_t read_ns(clockid_t clock)
{
    struct timespec ts = {0};

    (void)clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t gws_clock_boot_ns(void)
{
    return read_ns(BOOT_CLOCK);
}

uint64_t gws_clock_real_ms(void)
{
    return read_ns(CLOCK_REALTIME) / NS_PER_MS;
}

/* The base may lie before the boot (the region is older than it), so the difference wraps, as it is meant to. */
uint64_t gws_clock_ns(const struct gws_region *region)
{
    return gws_clock_boot_ns() - word_load_relaxed(&region->header->base_boot_ns);
}

uint64_t gws_clock_ms(const struct gws_region *region)
{
    return gws_clock_ns(region) / NS_PER_MS;
}

/* 36 characters of hexadecimal digits and dashes. */
static bool parse_boot_id(const char *text, uint64_t id[2])
{
    int digits = 0;

    id[0] = id[1] = 0;
    for (; *text != '\0' && digits < 32; text++) {
        static const char hex[] = "0123456789abcdef";
        const char *digit = strchr(hex, *text);
        if (digit == NULL)
            continue;
        id[digits / 16] = id[digits / 16] << 4 | (uint64_t)(digit - hex);
        digits++;
    }
    return digits == 32;
}

void gws_boot_read(struct gws_boot *boot)
{
    char text[64] = {0};
    struct stat st;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    memset(boot, 0, sizeof(*boot));
    if (fd >= 0) {
        if (read(fd, text, sizeof(text) - 1) <= 0 || !parse_boot_id(text, boot->id))
            boot->id[0] = boot->id[1] = 0;
        close(fd);
    }
    if (stat("/proc/self/ns/time", &st) == 0)
        boot->time_namespace = (uint64_t)st.st_ino;
}
