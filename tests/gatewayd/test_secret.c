/*
 * Secrets: where they come from, what is refused and in which words, that none of those words is the secret, and that
 * they leave the environment, also as /proc shows it.
 */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gatewayd/secret.h"

static const char *const prefixes[] = {"hs_live_", "hs_test_"};

/* Loads a key; what is said goes to `said`, which is the key's text when nothing is. */
static int load(enum conf_key_source source, const char *text, size_t prefix_count, char said[512])
{
    const struct conf_key key = {.source = source, .text = text, .line = 7, .column = 9};
    struct conf_problems problems = {0};
    struct secret *secret = NULL;
    int rc = secret_load(&key, prefixes, prefix_count, "endpoint us-east", &secret, &problems);

    said[0] = '\0';
    if (rc == 0 && secret) {
        snprintf(said, 512, "%.*s", (int)secret_text(secret).len, secret_text(secret).at);
        assert_int_equal(secret_text(secret).at[secret_text(secret).len], '\0');
    }
    if (rc == 1) {
        assert_int_equal(problems.count, 1);
        assert_int_equal(problems.list[0].line, 7);
        assert_int_equal(problems.list[0].column, 9);
        snprintf(said, 512, "%s", problems.list[0].message);
        assert_null(secret);
    } else {
        assert_int_equal(problems.count, 0);
    }
    secret_free(secret);
    conf_problems_fini(&problems);
    return rc;
}

static void from_the_environment(void **state)
{
    static const struct {
        const char *value; /* NULL: not set */
        size_t prefixes;
        int rc;
        const char *said;
    } table[] = {
        {"hs_live_abc", 2, 0, "hs_live_abc"},
        {"hs_test_abc", 2, 0, "hs_test_abc"},
        {" \tkey\r\n", 0, 0, "key"},
        {"Bearertoken", 0, 0, "Bearertoken"},
        {NULL, 0, 1, "the key of endpoint us-east is to come from the environment variable TEST_KEY, which is not set"},
        {"", 0, 1, "the key of endpoint us-east is to come from the environment variable TEST_KEY, which is empty"},
        {" \n", 0, 1, "the key of endpoint us-east is empty"},
        {"Bearer SECRET", 0, 1,
         "the key of endpoint us-east begins with 'Bearer ', which the gateway adds itself: give the key alone"},
        {"bearer\tSECRET", 0, 1,
         "the key of endpoint us-east begins with 'Bearer ', which the gateway adds itself: give the key alone"},
        {"SEC RET", 0, 1, "the key of endpoint us-east has white space in it: was it broken over two lines?"},
        {"SEC\nRET", 0, 1, "the key of endpoint us-east has white space in it: was it broken over two lines?"},
        {"SEC\001RET", 0, 1, "the key of endpoint us-east holds a control or non-ASCII character at byte 4"},
        {"SECR\xc3\xa9T", 0, 1, "the key of endpoint us-east holds a control or non-ASCII character at byte 5"},
        {"sk-pSECRET", 2, 1,
         "the key of endpoint us-east begins with 'sk-p...' and not with hs_live_ or hs_test_: is it another "
         "provider's?"},
        {"sk", 2, 1,
         "the key of endpoint us-east begins with 'sk...' and not with hs_live_ or hs_test_: is it another "
         "provider's?"},
    };
    char said[512];
    (void)state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i].value)
            setenv("TEST_KEY", table[i].value, 1);
        else
            unsetenv("TEST_KEY");
        assert_int_equal(load(CONF_KEY_ENV, "TEST_KEY", table[i].prefixes, said), table[i].rc);
        assert_string_equal(said, table[i].said);
        if (table[i].rc)
            assert_null(strstr(said, "SECRET"));
    }
    unsetenv("TEST_KEY");
}

static void too_long(void **state)
{
    char *value = malloc(8200), said[512];
    (void)state;

    memset(value, 'x', 8200);
    value[8192] = '\0';
    setenv("TEST_KEY", value, 1);
    assert_int_equal(load(CONF_KEY_ENV, "TEST_KEY", 0, said), 0);
    value[8192] = 'x';
    value[8193] = '\0';
    setenv("TEST_KEY", value, 1);
    assert_int_equal(load(CONF_KEY_ENV, "TEST_KEY", 0, said), 1);
    assert_string_equal(said, "the key of endpoint us-east in the environment variable TEST_KEY is longer than 8192 "
                              "bytes");
    unsetenv("TEST_KEY");
    free(value);
}

static void write_key(const char *path, const char *text, mode_t mode)
{
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    assert_int_equal(chmod(path, mode), 0);
}

static void from_a_file(void **state)
{
    char dir[] = "/tmp/test_secret.XXXXXX", path[64], said[512], expected[512];
    (void)state;

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/key", dir);
    write_key(path, "hs_live_file\n", 0600);
    assert_int_equal(load(CONF_KEY_FILE, path, 2, said), 0);
    assert_string_equal(said, "hs_live_file");
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(load(CONF_KEY_FILE, path, 2, said), 0);

    snprintf(expected, sizeof expected,
             "the key of endpoint us-east is to come from the file %s, which others may read or write; chmod 600 it",
             path);
    static const mode_t modes[] = {0644, 0604, 0602, 0620, 0610};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(load(CONF_KEY_FILE, path, 2, said), 1);
        assert_string_equal(said, expected);
    }
    /* A group may read what root gave it, and nothing else. */
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(load(CONF_KEY_FILE, path, 2, said), geteuid() == 0 ? 0 : 1);
    if (geteuid() == 0) {
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
        assert_int_equal(load(CONF_KEY_FILE, path, 2, said), 1);
        assert_non_null(strstr(said, "belongs to another user"));
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(load(CONF_KEY_FILE, path, 2, said), 1);
    assert_non_null(strstr(said, "which cannot be read: No such file or directory"));
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(load(CONF_KEY_FILE, path, 2, said), 1);
    assert_non_null(strstr(said, "which is no regular file"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(load(CONF_KEY_FILE, dir, 2, said), 1);
    write_key(path, "\n", 0600);
    assert_int_equal(load(CONF_KEY_FILE, path, 0, said), 1);
    assert_string_equal(said, "the key of endpoint us-east is empty");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void without_a_key(void **state)
{
    char said[512];
    (void)state;

    assert_int_equal(load(CONF_KEY_NONE, NULL, 2, said), 0);
    assert_int_equal(load(CONF_KEY_PASSTHROUGH, NULL, 2, said), 0);
    assert_string_equal(said, "");
    assert_int_equal(load(CONF_KEY_SEALED, "AAAA", 0, said), 1);
    assert_string_equal(said, "the key of endpoint us-east is sealed: sealed keys are not supported yet by this "
                              "version");
    secret_free(NULL);
}

/* The memory of a secret can not be written; a child dies in the attempt. */
static void is_read_only(void **state)
{
    const struct conf_key key = {.source = CONF_KEY_ENV, .text = "TEST_KEY"};
    struct conf_problems problems = {0};
    struct secret *secret = NULL;
    int status;
    (void)state;

    setenv("TEST_KEY", "abc", 1);
    assert_int_equal(secret_load(&key, NULL, 0, "test", &secret, &problems), 0);
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGSEGV, SIG_DFL); /* neither cmocka's handler nor the sanitizer's */
        *(volatile char *)(uintptr_t)secret_text(secret).at = 'x';
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    secret_free(secret);
    unsetenv("TEST_KEY");
}

/* Run by scrubs_the_environment() in a program of its own, whose first environment holds the variables. */
static int scrubbed_child(void)
{
    struct conf_endpoint endpoint = {.key = {CONF_KEY_ENV, "KEY_ONE", 1, 1}};
    struct conf_account account = {.key = {CONF_KEY_ENV, "KEY_TWO", 1, 1}};
    struct conf conf = {.endpoints = &endpoint, .endpoint_count = 1, .accounts = &account, .account_count = 1};
    char environment[65536];

    conf.admin.token = (struct conf_key){CONF_KEY_ENV, "KEY_THREE", 1, 1};
    conf.master_key = (struct conf_key){CONF_KEY_FILE, "KEY_KEPT", 1, 1};
    secret_scrub_environment(&conf);
    secret_scrub_environment(&conf);
    if (getenv("KEY_ONE") || getenv("KEY_TWO") || getenv("KEY_THREE") || !getenv("KEY_KEPT"))
        return 2;
    FILE *in = fopen("/proc/self/environ", "r");
    if (!in)
        return 0;
    size_t len = fread(environment, 1, sizeof environment, in);
    fclose(in);
    return memmem(environment, len, "SECRETSECRET", 12) ? 3 : memmem(environment, len, "KEPTKEPT", 8) ? 0 : 4;
}

static const char *own_path;

static void scrubs_the_environment(void **state)
{
    int status;
    (void)state;

    pid_t child = fork();
    if (child == 0) {
        setenv("KEY_ONE", "SECRETSECRET1", 1);
        setenv("KEY_TWO", "SECRETSECRET2", 1);
        setenv("KEY_THREE", "SECRETSECRET3", 1);
        setenv("KEY_KEPT", "KEPTKEPT", 1);
        execl("/proc/self/exe", own_path, "scrub", (char *)NULL);
        _exit(9);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void random_things(void **state)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    char first[SECRET_ID_SIZE], second[SECRET_ID_SIZE];
    uint32_t seen[24] = {0};
    (void)state;

    secret_request_id(first);
    secret_request_id(second);
    assert_int_equal(strlen(first), SECRET_ID_SIZE - 1);
    assert_memory_equal(first, "req_", 4);
    assert_int_equal(strspn(first + 4, digits), 24);
    assert_string_not_equal(first, second);
    /* Every digit occurs at every place: none of the bits is stuck. */
    for (int i = 0; i < 2000; i++) {
        secret_request_id(first);
        for (int at = 0; at < 24; at++)
            seen[at] |= 1u << (strchr(digits, first[4 + at]) - digits);
        assert_in_range(secret_random_below(10), 0, 9);
    }
    for (int at = 0; at < 24; at++)
        assert_true(seen[at] == UINT32_MAX);
    assert_int_equal(secret_random_below(1), 0);
    assert_true(secret_random32() != secret_random32() || secret_random32() != secret_random32());
}

static void hashes(void **state)
{
    static const unsigned char abc[SECRET_HASH_SIZE] = {
        0xbd, 0xdd, 0x81, 0x3c, 0x63, 0x42, 0x39, 0x72, 0x31, 0x71, 0xef, 0x3f, 0xee, 0x98, 0x57, 0x9b,
        0x94, 0x96, 0x4e, 0x3b, 0xb1, 0xcb, 0x3e, 0x42, 0x72, 0x62, 0xc8, 0xc0, 0x68, 0xd5, 0x23, 0x19};
    unsigned char hash[SECRET_HASH_SIZE];

    (void)state;
    secret_hash(STR("abc"), hash);
    assert_memory_equal(hash, abc, sizeof hash);
    assert_true(secret_matches(STR("abc"), abc));
    assert_false(secret_matches(STR("abd"), abc));
    assert_false(secret_matches(STR(""), abc));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_the_environment),
        cmocka_unit_test(too_long),
        cmocka_unit_test(from_a_file),
        cmocka_unit_test(without_a_key),
        cmocka_unit_test(is_read_only),
        cmocka_unit_test(scrubs_the_environment),
        cmocka_unit_test(random_things),
        cmocka_unit_test(hashes),
    };

    own_path = argv[0];
    if (secret_setup() < 0)
        return 1;
    if (argc == 2 && !strcmp(argv[1], "scrub"))
        return scrubbed_child();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
