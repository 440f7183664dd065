/*
 * Secrets. A key is read into a buffer that is wiped, checked there, and kept in memory from sodium_malloc(): guard
 * pages around it, locked, left out of core dumps, and read-only once it is made. What people get wrong when they paste
 * a key (a line break in it, the word Bearer, the key of another provider) is refused at the start with a message that
 * says so, rather than as a 401 from the upstream an hour later.
 */

#include "gatewayd/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_MAX = 8192 };

struct secret {
    size_t len;
    char text[];
};

int secret_setup(void)
{
    return sodium_init() < 0 ? -1 : 0;
}

static struct secret *secret_new(struct str text)
{
    /* A multiple of 16, because sodium_malloc() puts the end of the memory at the end of a page. */
    size_t size = (sizeof(struct secret) + text.len + 1 + 15) / 16 * 16;
    struct secret *secret = sodium_malloc(size);

    if (!secret)
        return NULL;
    memset(secret, 0, size);
    secret->len = text.len;
    memcpy(secret->text, text.at, text.len);
    sodium_mprotect_readonly(secret);
    return secret;
}

void secret_free(struct secret *secret)
{
    sodium_free(secret);
}

struct str secret_text(const struct secret *secret)
{
    return (struct str){secret->text, secret->len};
}

void secret_hash(struct str text, unsigned char hash[SECRET_HASH_SIZE])
{
    crypto_generichash(hash, SECRET_HASH_SIZE, (const unsigned char *)text.at, text.len, NULL, 0);
}

bool secret_matches(struct str text, const unsigned char hash[SECRET_HASH_SIZE])
{
    unsigned char own[SECRET_HASH_SIZE];

    secret_hash(text, own);
    return sodium_memcmp(own, hash, sizeof own) == 0;
}

/* Where a message goes and whose key it is about. */
struct teller {
    struct conf_problems *problems;
    const struct conf_key *key;
    const char *whose;
};

static int refuse(const struct teller *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(const struct teller *t, const char *format, ...)
{
    char message[400];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    conf_problem_add(t->problems, t->key->line, t->key->column, "the key of %s %s", t->whose, message);
    return 1;
}

/* Variables that were read and wiped: a reload asks for them again. */
static struct kept {
    struct kept *next;
    struct secret *value;
    char name[];
} *kept;

static const char *kept_value(const char *name)
{
    for (const struct kept *k = kept; k; k = k->next)
        if (strcmp(k->name, name) == 0)
            return k->value->text;
    return NULL;
}

static int from_environment(const struct teller *t, char raw[KEY_MAX], struct str *text)
{
    const char *name = t->key->text, *value = getenv(name);

    if (!value)
        value = kept_value(name);
    if (!value)
        return refuse(t, "is to come from the environment variable %s, which is not set", name);
    if (value[0] == '\0')
        return refuse(t, "is to come from the environment variable %s, which is empty", name);
    size_t len = strlen(value);
    if (len > KEY_MAX)
        return refuse(t, "in the environment variable %s is longer than %d bytes", name, KEY_MAX);
    memcpy(raw, value, len);
    *text = (struct str){raw, len};
    return 0;
}

/* NULL when the file may hold a key, else why not. Group reading is for a file of root that a service may read. */
static const char *file_fault(const struct stat *file)
{
    if (!S_ISREG(file->st_mode))
        return "which is no regular file";
    if (file->st_uid != 0 && file->st_uid != geteuid())
        return "which belongs to another user; it must be root's or that of the caller";
    if ((file->st_mode & 0037) || ((file->st_mode & 0040) && file->st_uid != 0))
        return "which others may read or write; chmod 600 it";
    return NULL;
}

static int read_file(int fd, char raw[KEY_MAX + 1], size_t *len)
{
    *len = 0;
    while (*len < KEY_MAX + 1) {
        ssize_t n = read(fd, raw + *len, KEY_MAX + 1 - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        *len += (size_t)n;
    }
    return 0;
}

static int from_file(const struct teller *t, char raw[KEY_MAX + 1], struct str *text)
{
    const char *path = t->key->text, *fault = NULL;
    struct stat file;
    size_t len = 0;
    int rc = 0;
    /* Not blocking, so that a pipe in the file's place is refused and not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &file) < 0)
        rc = -errno;
    else
        fault = file_fault(&file);
    if (!rc && !fault)
        rc = read_file(fd, raw, &len);
    if (fd >= 0)
        close(fd);
    if (rc)
        return refuse(t, "is to come from the file %s, which cannot be read: %s", path, strerror(-rc));
    if (fault)
        return refuse(t, "is to come from the file %s, %s", path, fault);
    if (len > KEY_MAX)
        return refuse(t, "in the file %s is longer than %d bytes", path, KEY_MAX);
    *text = (struct str){raw, len};
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct str trimmed(struct str s)
{
    while (s.len && is_blank(s.at[0])) {
        s.at++;
        s.len--;
    }
    while (s.len && is_blank(s.at[s.len - 1]))
        s.len--;
    return s;
}

static int check_prefix(const struct teller *t, struct str text, const char *const *prefixes, size_t count)
{
    char wanted[200] = "";
    size_t used = 0;

    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        if (str_starts(text, str_of(prefixes[i])))
            return 0;
        if (used < sizeof wanted)
            used += (size_t)snprintf(wanted + used, sizeof wanted - used, "%s%s", i ? " or " : "", prefixes[i]);
    }
    return refuse(t, "begins with '%.*s...' and not with %s: is it another provider's?",
                  (int)(text.len < 4 ? text.len : 4), text.at, wanted);
}

/* The first four characters may be shown; these checks come before anything is, and show nothing. */
static int check_text(const struct teller *t, struct str text)
{
    bool white = false;

    if (text.len == 0)
        return refuse(t, "is empty");
    if (text.len >= 7 && str_eq_nocase((struct str){text.at, 6}, STR("Bearer")) && is_blank(text.at[6]))
        return refuse(t, "begins with 'Bearer ', which the gateway adds itself: give the key alone");
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (is_blank(text.at[i]))
            white = true;
        else if (c < ' ' || c > '~')
            return refuse(t, "holds a control or non-ASCII character at byte %zu", i + 1);
    }
    return white ? refuse(t, "has white space in it: was it broken over two lines?") : 0;
}

int secret_load(const struct conf_key *key, const char *const *prefixes, size_t prefix_count, const char *whose,
                struct secret **out, struct conf_problems *problems)
{
    const struct teller t = {problems, key, whose};
    struct str text = {0};
    char raw[KEY_MAX + 1];
    int rc = 0;

    switch (key->source) {
    case CONF_KEY_NONE:
    case CONF_KEY_PASSTHROUGH:
        *out = NULL;
        return 0;
    case CONF_KEY_SEALED:
        return refuse(&t, "is sealed: sealed keys are not supported yet by this version");
    case CONF_KEY_ENV:
        rc = from_environment(&t, raw, &text);
        break;
    case CONF_KEY_FILE:
        rc = from_file(&t, raw, &text);
        break;
    }
    text = trimmed(text);
    if (!rc)
        rc = check_text(&t, text);
    if (!rc)
        rc = check_prefix(&t, text, prefixes, prefix_count);
    if (!rc) {
        struct secret *secret = secret_new(text);
        if (secret)
            *out = secret;
        else
            rc = -ENOMEM;
    }
    sodium_memzero(raw, sizeof raw);
    return rc;
}

/* The value is wiped where it lies as well: /proc/PID/environ shows that memory whatever unsetenv() does. */
static void scrub(const struct conf_key *key)
{
    if (key->source != CONF_KEY_ENV)
        return;
    char *value = getenv(key->text);
    if (!value)
        return;
    struct kept *k = calloc(1, sizeof *k + strlen(key->text) + 1);
    struct secret *secret = secret_new(str_of(value));
    if (!k || !secret) { /* out of memory: better a variable too many than a reload that cannot find its key */
        free(k);
        secret_free(secret);
        return;
    }
    strcpy(k->name, key->text);
    k->value = secret;
    k->next = kept;
    kept = k;
    sodium_memzero(value, strlen(value));
    unsetenv(key->text);
}

void secret_scrub_environment(const struct conf *conf)
{
    for (size_t i = 0; i < conf->endpoint_count; i++)
        scrub(&conf->endpoints[i].key);
    for (size_t i = 0; i < conf->account_count; i++)
        scrub(&conf->accounts[i].key);
    scrub(&conf->admin.token);
    scrub(&conf->master_key);
}

int secret_restore_environment(void)
{
    for (const struct kept *k = kept; k; k = k->next)
        if (setenv(k->name, k->value->text, 1) != 0)
            return -ENOMEM;
    return 0;
}

uint32_t secret_random32(void)
{
    return randombytes_random();
}

uint32_t secret_random_below(uint32_t bound)
{
    return randombytes_uniform(bound);
}

/* Drawn in bulk: a system call for every request's id would be a tenth of what the request costs. */
static unsigned char pool[960];
static size_t pool_left;

void secret_forked(void)
{
    pool_left = 0;
}

static const unsigned char *draw(size_t len)
{
    if (pool_left < len) {
        randombytes_buf(pool, sizeof pool);
        pool_left = sizeof pool;
    }
    pool_left -= len;
    return pool + pool_left;
}

void secret_request_id(char out[SECRET_ID_SIZE])
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    enum { RANDOM_BYTES = 15 };
    const unsigned char *random = draw(RANDOM_BYTES);

    memcpy(out, "req_", 4);
    for (unsigned i = 0; i < 24; i++) {
        /* Five bits at a time; a digit may straddle two bytes, and the last one ends exactly at the last bit. */
        unsigned bit = 5 * i, byte = bit / 8;
        unsigned two = (unsigned)random[byte] << 8 | (byte + 1 < RANDOM_BYTES ? random[byte + 1] : 0u);
        out[4 + i] = digits[two >> (11 - bit % 8) & 31];
    }
    out[28] = '\0';
}
