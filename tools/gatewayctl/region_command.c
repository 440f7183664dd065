/*
 * region: the file as a whole. `check` lays it out and names what no process of ours would have left in it; `export`
 * writes what stands in it as text, by name, and `import` takes such a text back, which carries the state to a region
 * of another layout or on another host. None of them needs a daemon, and `import` refuses to work beside one: it sets
 * words again that the gateway's processes are deciding by.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libshm/check.h"
#include "libshm/clock.h"
#include "libshm/export.h"
#include "libshm/layout.h" /* for the number of the layout alone: no byte of the region is read past libshm */
#include "libshm/name.h"
#include "tools/gatewayctl/args.h"
#include "tools/gatewayctl/command.h"
#include "tools/gatewayctl/out.h"
#include "tools/gatewayctl/region.h"
#include "gatewayd/roster.h"

/* What the check says, gathered in the form of the JSON answer, from which the text is made as well. */
struct findings {
    const struct gws_region *region;
    json_t *sections;
    json_t *problems;
};

/* An argument or a text of the file, as it may be shown. To be freed. */
static char *clean_copy(const char *text)
{
    char *copy = show_must(strdup(text));
    show_clean(copy);
    return copy;
}

static uint64_t number_of(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* The number of the row that a byte belongs to, in a section whose map was told before. */
static uint32_t row_at(const struct findings *found, const char *section, uint64_t offset)
{
    for (size_t i = 0; i < json_array_size(found->sections); i++) {
        const json_t *at = json_array_get(found->sections, i);
        if (strcmp(text_of(at, "name"), section) == 0 && number_of(at, "each") > 0)
            return (uint32_t)((offset - number_of(at, "offset")) / number_of(at, "each"));
    }
    return UINT32_MAX;
}

/* Whose row it is; null where a row has no name of its own, or none any more. */
static json_t *owner_of(const struct findings *found, const struct gws_check_note *note)
{
    const struct gws_region *region = found->region;
    uint32_t row = row_at(found, note->section, note->offset);
    struct gws_name_info info;
    bool known = false;

    if (strcmp(note->section, "domains") == 0)
        known = gws_name_domain_read(region, row, &info);
    else if (strcmp(note->section, "limits") == 0)
        known = gws_name_limit_read(region, row, &info);
    else if (strcmp(note->section, "quotas") == 0)
        known = gws_name_quota_read(region, row, &info);
    else if (strcmp(note->section, "cells") == 0)
        known = gws_name_quota_read(region, row / region->dims.slots, &info);
    else if (strcmp(note->section, "models") == 0)
        known = gws_name_model_read(region, row, &info);
    if (!known)
        return json_null();
    char label[2 * GWS_NAME_MAX + 2];
    snprintf(label, sizeof(label), "%s%s%s", info.name, info.model[0] ? "/" : "", info.model);
    show_clean(label);
    return json_string(label);
}

static void take_note(void *context, const struct gws_check_note *note)
{
    struct findings *found = context;
    if (note->kind == GWS_CHECK_SECTION) {
        /* The text begins with how many there are; all of a section's entries are of one size. */
        uint64_t count = strtoull(note->text, NULL, 10);
        json_array_append_new(found->sections,
                              show_must(json_pack("{s:s, s:I, s:I, s:I, s:I}", "name", note->section, "offset",
                                                 (json_int_t)note->offset, "bytes", (json_int_t)note->bytes, "count",
                                                 (json_int_t)count, "each",
                                                 (json_int_t)(count > 0 ? note->bytes / count : 0))));
        return;
    }
    char *message = clean_copy(note->text);
    json_array_append_new(found->problems,
                          show_must(json_pack("{s:s, s:I, s:I, s:o, s:s}", "section", note->section, "offset",
                                             (json_int_t)note->offset, "bytes", (json_int_t)note->bytes, "name",
                                             owner_of(found, note), "message", message)));
    free(message);
}

static json_t *region_json(const struct gws_region *region, const char *path)
{
    const struct gws_dims *d = &region->dims;
    char layout[20];
    char *name = clean_copy(path);
    snprintf(layout, sizeof(layout), "%016" PRIx64, gws_layout_hash());
    json_t *json = json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "path", name, "bytes",
                             (json_int_t)region->size, "layout", layout, "slots", (json_int_t)d->slots, "guests",
                             (json_int_t)d->guests, "domains", (json_int_t)d->domains, "endpoints",
                             (json_int_t)d->endpoints, "limits", (json_int_t)d->limits, "events",
                             (json_int_t)d->events, "quotas", (json_int_t)d->quotas, "models",
                             (json_int_t)d->models);
    free(name);
    return show_must(json);
}

static void print_map(const struct findings *found)
{
    static const char *const heads[] = {"SECTION", "OFFSET", "BYTES", "COUNT", "EACH"};
    struct out_table table;
    out_table_init(&table, heads, 5, 0x1e);
    for (size_t i = 0; i < json_array_size(found->sections); i++) {
        const json_t *at = json_array_get(found->sections, i);
        out_cell(&table, OUT_PLAIN, "%s", text_of(at, "name"));
        out_cell(&table, OUT_PLAIN, "%" PRIu64, number_of(at, "offset"));
        out_cell(&table, OUT_PLAIN, "%" PRIu64, number_of(at, "bytes"));
        out_cell(&table, OUT_PLAIN, "%" PRIu64, number_of(at, "count"));
        out_cell(&table, OUT_PLAIN, "%" PRIu64, number_of(at, "each"));
    }
    out_table_print(&table);
    out_table_fini(&table);
}

static void print_problems(const struct findings *found)
{
    size_t count = json_array_size(found->problems);
    for (size_t i = 0; i < count; i++) {
        const json_t *at = json_array_get(found->problems, i);
        const char *name = text_of(at, "name");
        printf("%s, byte %" PRIu64 ": %s%s%s%s\n", text_of(at, "section"), number_of(at, "offset"),
               text_of(at, "message"), name[0] ? " (" : "", name, name[0] ? ")" : "");
    }
    if (count == 0)
        puts("nothing is wrong");
    else
        printf("%zu problem%s; once gatewayd is stopped: export the state, remove the file, start again\n", count,
               count == 1 ? "" : "s");
}

static int check(const struct ctl *ctl, const char *file)
{
    (void)file; /* it has none */
    char path[REGION_PATH_SIZE];
    struct gws_region region;
    int status = region_path(ctl, path);
    if (status == 0)
        status = region_open(path, GWS_LOOK, &region);
    if (status != 0)
        return status;

    struct findings found = {&region, show_must(json_array()), show_must(json_array())};
    size_t faults = gws_region_check(&region, gws_clock_ms(&region), take_note, &found);
    if (ctl->json) {
        out_json(json_pack("{s:o, s:O, s:O}", "region", region_json(&region, path), "sections", found.sections,
                           "problems", found.problems));
    } else {
        char *name = clean_copy(path);
        printf("%s: %zu bytes, layout %016" PRIx64 "\n", name, region.size, gws_layout_hash());
        free(name);
        print_map(&found);
        print_problems(&found);
    }
    json_decref(found.sections);
    json_decref(found.problems);
    region_leave(&region);
    return faults > 0 ? CTL_NO : CTL_DONE;
}

/* Whether `st` is the region at `path` or the lock beside it: neither may be replaced by anything that is not one. */
static bool is_of_region(const struct stat *st, const char *path)
{
    static const char *const tails[] = {"", ".lock"};
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        char name[REGION_PATH_SIZE + 8];
        struct stat other;
        snprintf(name, sizeof(name), "%s%s", path, tails[i]);
        if (stat(name, &other) == 0 && other.st_dev == st->st_dev && other.st_ino == st->st_ino)
            return true;
    }
    return false;
}

/* Write it all, and see it on the disk; what cannot be synced (a pipe, a device) need not be. */
static int put(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, text, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        text += put;
        length -= (size_t)put;
    }
    return fsync(fd) == 0 || errno == EINVAL || errno == EROFS ? 0 : -errno;
}

/* A plain file is replaced as a whole or not at all; anything else (a pipe, a device, a link) is written into. */
static int save(const char *file, const char *text, size_t length)
{
    char temporary[REGION_PATH_SIZE + 8];
    struct stat st;
    bool plain = lstat(file, &st) != 0 || S_ISREG(st.st_mode);
    int result;

    if ((size_t)snprintf(temporary, sizeof(temporary), "%s.XXXXXX", file) >= sizeof(temporary))
        return -ENAMETOOLONG;
    int fd = plain ? mkostemp(temporary, O_CLOEXEC) : open(file, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    result = put(fd, text, length);
    if (close(fd) != 0 && result == 0)
        result = -errno;
    if (plain && result == 0 && rename(temporary, file) != 0)
        result = -errno;
    if (plain && result != 0)
        unlink(temporary);
    return result;
}

static size_t count_facts(const char *text)
{
    size_t lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines > 2 ? lines - 2 : 0; /* the first two say what it is, and when */
}

static int hand_over(const struct ctl *ctl, const char *file, const char *text, size_t length)
{
    json_int_t facts = (json_int_t)count_facts(text);
    if (!file) {
        if (ctl->json)
            out_json(json_pack("{s:n, s:I, s:s}", "file", "facts", facts, "text", text));
        else
            fwrite(text, 1, length, stdout);
        return CTL_DONE;
    }
    int result = save(file, text, length);
    if (result < 0) {
        out_say("cannot write %s: %s; make room, or name another file", file, strerror(-result));
        return CTL_NO;
    }
    char *name = clean_copy(file);
    if (ctl->json)
        out_json(json_pack("{s:s, s:I, s:n}", "file", name, "facts", facts, "text"));
    else
        printf("%s: %" JSON_INTEGER_FORMAT " fact%s\n", name, facts, facts == 1 ? "" : "s");
    free(name);
    return CTL_DONE;
}

static int export(const struct ctl *ctl, const char *file)
{
    char path[REGION_PATH_SIZE];
    struct gws_region region;
    struct gws_export_time time;
    struct stat st;
    char *text = NULL;
    size_t length = 0;

    int status = region_path(ctl, path);
    if (status != 0)
        return status;
    if (file && stat(file, &st) == 0 && is_of_region(&st, path)) {
        out_say("%s belongs to the region itself; name another file", file);
        return CTL_USAGE;
    }
    status = region_open(path, GWS_LOOK, &region);
    if (status != 0)
        return status;
    FILE *memory = show_must(open_memstream(&text, &length));
    gws_export_now(&region, &time);
    int result = gws_export_write(&region, memory, &time);
    region_leave(&region);
    if (fclose(memory) != 0 || result != 0)
        show_must(NULL); /* a stream in memory can fail for nothing else */
    status = hand_over(ctl, file, text, length);
    free(text);
    return status;
}

/*
 * Keep a daemon from starting meanwhile, by the lock it would take. Where there is no lock file no daemon has ever run,
 * and none is made here: it would belong to the caller, who may be another user than the daemon's.
 */
static int keep_daemon_out(const char *path, int *lock_fd)
{
    char lock[REGION_PATH_SIZE + 8];
    struct gws_fault fault = {.text = ""};
    *lock_fd = -1;
    snprintf(lock, sizeof(lock), "%s.lock", path);
    if (access(lock, F_OK) != 0 && errno == ENOENT)
        return 0;
    int fd = gws_lock_take(path, &fault);
    if (fd >= 0) {
        *lock_fd = fd;
        return 0;
    }
    if (fd == -EBUSY) {
        out_say("gatewayd is running on %s and decides by what an import would set again; stop it first", path);
        return CTL_NO;
    }
    out_say("%s", fault.text[0] ? fault.text : strerror(-fd));
    return CTL_NO_REGION;
}

static int take_back(const struct ctl *ctl, struct gws_region *region, const char *file, FILE *in)
{
    struct gws_export_time time;
    struct gws_import_counts counts;

    /* As a new master would: what another boot left in the region must not be taken for this one's. */
    gws_region_adopt(region);
    gws_export_now(region, &time);
    int result = gws_export_read(region, in, &time, &counts);
    if (result == 1) {
        out_say("%s is no export of a region; nothing was changed", file);
        return CTL_NO;
    }
    if (result < 0) {
        out_say("cannot read all of %s: %s; import it again", file, strerror(-result));
        return CTL_NO;
    }
    char *name = clean_copy(file);
    if (ctl->json)
        out_json(json_pack("{s:s, s:I, s:I}", "file", name, "taken", (json_int_t)counts.taken, "ignored",
                           (json_int_t)counts.ignored));
    else
        printf("%s: %" PRIu32 " taken, %" PRIu32 " passed over\n", name, counts.taken, counts.ignored);
    free(name);
    return CTL_DONE;
}

static int import(const struct ctl *ctl, const char *file)
{
    char path[REGION_PATH_SIZE];
    struct gws_region region;
    int lock_fd;
    int status = region_path(ctl, path);
    if (status == 0)
        status = keep_daemon_out(path, &lock_fd);
    if (status != 0)
        return status;

    FILE *in = file ? fopen(file, "re") : stdin;
    if (!in) {
        out_say("cannot read %s: %s", file, strerror(errno));
        status = CTL_NO;
    }
    if (status == 0)
        status = region_enter(ctl, GWS_CHANGE, &region);
    if (status == 0) {
        if (roster_workers(&region) > 0) {
            out_say("workers still serve from %s although their master is gone; stop them, or start gatewayd", path);
            status = CTL_NO;
        } else {
            status = take_back(ctl, &region, file ? file : "standard input", in);
        }
        region_leave(&region);
    }
    if (in && in != stdin)
        fclose(in);
    if (lock_fd >= 0)
        close(lock_fd);
    return status;
}

static const struct verb {
    const char *name;
    int least, most; /* of its own words */
    int (*run)(const struct ctl *ctl, const char *file);
} verbs[] = {{"check", 0, 0, check}, {"export", 0, 1, export}, {"import", 1, 1, import}};

int command_region(const struct ctl *ctl, int argc, char **argv)
{
    const struct verb *verb = NULL;
    if (args_take(&argc, argv, NULL, 0, argv[0]) != 0)
        return CTL_USAGE;
    if (argc < 2)
        return out_usage(argv[0], "what shall be done?");
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].name, argv[1]) == 0)
            verb = &verbs[i];
    if (!verb)
        return out_usage(argv[0], "region cannot %s", argv[1]);
    if (argc - 2 < verb->least)
        return out_usage(argv[0], "which file? FILE is missing");
    if (args_operands(argc, argv, 1, 1 + verb->most) != 0)
        return CTL_USAGE;
    /* "-" is a standard stream, as everywhere. */
    return verb->run(ctl, argc > 2 && strcmp(argv[2], "-") != 0 ? argv[2] : NULL);
}
