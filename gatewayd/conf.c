/*
 * The configuration's entry: a file in, a whole checked configuration or a list of problems out. Problems are kept
 * sorted and without repetition as they arrive, because the stages find them in an order that means nothing to the
 * reader of the list.
 */

#include "gatewayd/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatewayd/conf_internal.h"

enum {
    FILE_MAX = 1 << 20,
    PROBLEMS_MAX = 1000 /* a file with more is no configuration; nobody reads further */
};

/* Where `p` belongs: after everything at or before its place. */
static size_t place_of(const struct conf_problems *problems, const struct conf_problem *p)
{
    size_t low = 0, high = problems->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct conf_problem *m = &problems->list[mid];
        if (m->line < p->line || (m->line == p->line && m->column <= p->column))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool already_said(const struct conf_problems *problems, const struct conf_problem *p, size_t place)
{
    while (place-- > 0) {
        const struct conf_problem *m = &problems->list[place];
        if (m->line != p->line || m->column != p->column)
            return false;
        if (!strcmp(m->message, p->message))
            return true;
    }
    return false;
}

static void problem_insert(struct conf_problems *problems, const struct conf_problem *p)
{
    size_t place = place_of(problems, p);

    if (problems->count >= PROBLEMS_MAX || already_said(problems, p, place))
        return;
    if (problems->count == problems->size) {
        size_t size = problems->size ? 2 * problems->size : 16;
        struct conf_problem *list = realloc(problems->list, size * sizeof *list);
        if (!list)
            return;
        problems->list = list;
        problems->size = size;
    }
    struct str kept = arena_copy(&problems->arena, str_of(p->message));
    if (!kept.at)
        return;
    memmove(&problems->list[place + 1], &problems->list[place], (problems->count - place) * sizeof *p);
    problems->list[place] = (struct conf_problem){p->line, p->column, kept.at};
    problems->count++;
}

void conf_problem_add(struct conf_problems *problems, unsigned line, unsigned column, const char *format, ...)
{
    char message[512];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    problem_insert(problems, &(struct conf_problem){line, column, message});
}

void conf_problems_print(const struct conf_problems *problems, const char *file, void *stream)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct conf_problem *p = &problems->list[i];
        if (p->line)
            fprintf(stream, "%s:%u:%u: %s\n", file, p->line, p->column, p->message);
        else
            fprintf(stream, "%s: %s\n", file, p->message);
    }
}

void conf_problems_fini(struct conf_problems *problems)
{
    if (!problems)
        return;
    free(problems->list);
    arena_fini(&problems->arena);
    *problems = (struct conf_problems){0};
}

void conf_bad(struct conf_reader *r, const struct conf_node *node, const char *format, ...)
{
    char message[512];
    va_list args;

    r->bad = true;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    problem_insert(r->problems, &(struct conf_problem){node->line, node->column, message});
}

void *conf_new(struct conf_reader *r, size_t size)
{
    void *memory = arena_alloc(&r->conf->arena, size);

    if (!memory)
        r->out_of_memory = true;
    return memory;
}

const char *conf_text(struct conf_reader *r, const char *at, size_t len)
{
    struct str copy = arena_copy(&r->conf->arena, (struct str){at, len});

    if (!copy.at)
        r->out_of_memory = true;
    return copy.at;
}

struct conf_guess conf_guess(struct str asked)
{
    /* Two slips in a word of six letters or more, one in a shorter one: beyond that a guess is noise. */
    return (struct conf_guess){.asked = asked, .distance = asked.len >= 6 ? 3 : asked.len >= 3 ? 2 : 1};
}

void conf_guess_offer(struct conf_guess *g, const char *name)
{
    unsigned distance = str_distance(g->asked, str_of(name));

    if (distance < g->distance) {
        g->distance = distance;
        g->best = name;
    }
}

const char *conf_guess_text(struct conf_guess *g)
{
    if (g->best)
        snprintf(g->text, sizeof g->text, "; did you mean '%.64s'?", g->best);
    return g->text;
}

const char *conf_shown(struct str s, size_t most, char out[CONF_SHOWN + 4])
{
    size_t len = s.len;

    if (most > CONF_SHOWN)
        most = CONF_SHOWN;
    if (len > most) {
        /* Never half a character: step back over UTF-8 continuation bytes. */
        for (len = most; len > 0 && ((unsigned char)s.at[len] & 0xc0) == 0x80; len--)
            ;
    }
    if (len)
        memcpy(out, s.at, len);
    strcpy(out + len, len < s.len ? "..." : "");
    return out;
}

void conf_free(struct conf *conf)
{
    if (!conf)
        return;
    arena_fini(&conf->arena);
    free(conf);
}

static void read_whole(struct conf_reader *r, const char *name, struct str text)
{
    static const struct conf_rule whole = {.key = "configuration", .read = conf_read_map, .inner = conf_schema};

    r->conf->file = conf_text(r, name, strlen(name));
    const struct conf_node *root = conf_tree(r, text);
    if (!root)
        return;
    conf_read_map(r, &whole, root, r->conf);
    if (!r->out_of_memory)
        conf_names(r, root);
    if (!r->out_of_memory)
        conf_check(r, root);
}

int conf_parse(const char *name, struct str text, struct conf **conf, struct conf_problems *problems)
{
    struct conf_reader r = {.problems = problems};
    int result;

    r.conf = calloc(1, sizeof *r.conf);
    if (!r.conf)
        return -ENOMEM;
    if (text.len > FILE_MAX) {
        r.bad = true;
        conf_problem_add(problems, 0, 0, "larger than 1 MiB, which no configuration is");
    } else {
        read_whole(&r, name, text);
    }
    arena_fini(&r.scratch);
    if (!r.bad && !r.out_of_memory) {
        *conf = r.conf;
        return 0;
    }
    conf_free(r.conf);
    result = r.out_of_memory || problems->count == 0 ? -ENOMEM : 1;
    return result;
}

/* At most FILE_MAX + 1 bytes, so that a longer file is seen to be longer. */
static int read_all(int fd, struct buf *text)
{
    while (buf_len(text) <= FILE_MAX) {
        int rc = buf_room(text, 64 * 1024);
        if (rc)
            return rc;
        ssize_t n = read(fd, text->data + text->end, text->size - text->end);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        text->end += (size_t)n;
    }
    return 0;
}

int conf_load(const char *file, struct conf **conf, struct conf_problems *problems)
{
    bool standard_input = !strcmp(file, "-");
    struct buf text = {0};
    int fd, rc;

    fd = standard_input ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    rc = fd < 0 ? -errno : read_all(fd, &text);
    if (fd >= 0 && !standard_input)
        close(fd);
    if (rc == 0) {
        rc = conf_parse(file, buf_str(&text), conf, problems);
    } else if (rc != -ENOMEM) {
        conf_problem_add(problems, 0, 0, "cannot be read: %s", strerror(-rc));
        rc = problems->count ? 1 : -ENOMEM;
    }
    buf_fini(&text);
    return rc;
}

bool conf_default_state(char *out, size_t size)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    struct stat own;
    int n;

    if (geteuid() == 0) {
        n = snprintf(out, size, "/run/gatewayd/state");
    } else if (runtime && runtime[0] == '/') {
        n = snprintf(out, size, "%s/gatewayd/state", runtime);
    } else {
        /* Without a login session the variable is not set, though the directory may be there; the last resort is a
         * directory of our own in /tmp, which whoever makes it must find to be ours. */
        char dir[64];
        snprintf(dir, sizeof dir, "/run/user/%u", (unsigned)geteuid());
        if (stat(dir, &own) == 0 && S_ISDIR(own.st_mode) && own.st_uid == geteuid())
            n = snprintf(out, size, "%s/gatewayd/state", dir);
        else
            n = snprintf(out, size, "/tmp/gatewayd-%u/state", (unsigned)geteuid());
    }
    return n > 0 && (size_t)n < size;
}
