/*
 * Listening sockets, as far as they are files: a stranger's is never taken away, what a dead process left is
 * replaced, a reload keeps what it names again, and only our own files are removed.
 */

#include "tests/gatewayd/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "gatewayd/net.h"

struct scene {
    char dir[64];
    char why[512];
};

static void begin(struct scene *s)
{
    memset(s, 0, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "/tmp/gwnet-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
}

/* Whatever a test left, a file that should be gone makes this fail. */
static void end(struct scene *s)
{
    assert_int_equal(rmdir(s->dir), 0);
}

/* Listen on these names in the directory, a blank between them. */
static struct conf *conf_for(const struct scene *s, const char *names, const char *more)
{
    char text[1024];
    char list[256];
    size_t len = (size_t)snprintf(text, sizeof text,
                                  "state: /tmp/x\nendpoints: [{name: a, url: \"http://127.0.0.1:1/v1\", key: none}]\n"
                                  "listen:\n");

    snprintf(list, sizeof list, "%s", names);
    for (char *name = strtok(list, " "); name; name = strtok(NULL, " "))
        len += (size_t)snprintf(text + len, sizeof text - len, "  - {unix: %s/%s%s}\n", s->dir, name, more);
    return rig_conf(text);
}

static char *path_of(const struct scene *s, const char *name)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s", s->dir, name);
    return path;
}

static bool exists(const struct scene *s, const char *name)
{
    return access(path_of(s, name), F_OK) == 0;
}

static struct sockaddr_un address_of(const struct scene *s, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = path_of(s, name);

    assert_true(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path));
    return address;
}

static int client_of(const struct scene *s, const char *name)
{
    struct sockaddr_un address = address_of(s, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* A socket that somebody listens on, or, when closed at once, the file that a dead process leaves behind. */
static int stranger(const struct scene *s, const char *name)
{
    struct sockaddr_un address = address_of(s, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 5), 0);
    return fd;
}

static void accepts(void **state)
{
    struct scene s;
    struct listeners l = {0};
    struct stat st;
    bool out_of_files = true;

    (void)state;
    begin(&s);
    struct conf *conf = conf_for(&s, "one two", ", mode: \"0600\"");
    assert_int_equal(net_open(&l, conf, NULL, false, s.why, sizeof s.why), 0);
    assert_int_equal(l.count, 2);
    assert_true(l.list[1].is_unix);
    assert_string_equal(l.list[1].where, path_of(&s, "two"));
    assert_int_equal(stat(path_of(&s, "one"), &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);

    assert_int_equal(net_accept(&l.list[0], &out_of_files), -1); /* nobody is there, and nothing waits for one */
    assert_false(out_of_files);
    int client = client_of(&s, "one");
    assert_true(client >= 0);
    assert_int_equal(net_accept(&l.list[1], &out_of_files), -1);
    int fd = net_accept(&l.list[0], &out_of_files);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl(l.list[0].fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(write(client, "x", 1), 1);
    char byte;
    assert_int_equal(read(fd, &byte, 1), 1);
    close(fd);
    close(client);
    net_close(&l, NULL);
    assert_null(l.list);
    assert_false(exists(&s, "one") || exists(&s, "two"));
    net_close(&l, NULL);
    conf_free(conf);
    end(&s);
}

static void replaces_what_the_dead_left(void **state)
{
    struct scene s;
    struct listeners l = {0};

    (void)state;
    begin(&s);
    struct conf *conf = conf_for(&s, "one", "");
    close(stranger(&s, "one"));
    assert_true(exists(&s, "one"));
    assert_int_equal(net_open(&l, conf, NULL, false, s.why, sizeof s.why), 0);
    int client = client_of(&s, "one");
    assert_true(client >= 0);
    close(client);
    net_close(&l, NULL);
    conf_free(conf);
    end(&s);
}

/* A live one keeps its name, and what had been opened before it is closed again. */
static void refuses_what_is_taken(void **state)
{
    struct scene s;
    struct listeners l = {0};

    (void)state;
    begin(&s);
    struct conf *conf = conf_for(&s, "one two", "");
    int fd = stranger(&s, "two");
    assert_int_equal(net_open(&l, conf, NULL, false, s.why, sizeof s.why), 1);
    assert_non_null(strstr(s.why, "two"));
    assert_non_null(strstr(s.why, "listening"));
    assert_null(l.list);
    assert_false(exists(&s, "one"));
    int client = client_of(&s, "two"); /* it is still the stranger's */
    assert_true(client >= 0);
    close(client);

    /* Unless it is expected to go: then its name is taken over, its socket stays its own. */
    assert_int_equal(net_open(&l, conf, NULL, true, s.why, sizeof s.why), 0);
    assert_int_equal(net_publish(&l, s.why, sizeof s.why), 0);
    client = client_of(&s, "two");
    bool out_of_files;
    int served = net_accept(&l.list[1], &out_of_files);
    assert_true(client >= 0 && served >= 0);
    close(client);
    close(served);
    close(fd);
    net_close(&l, NULL);
    conf_free(conf);
    end(&s);
}

static void refuses_what_is_no_socket(void **state)
{
    struct scene s;
    struct listeners l = {0};

    (void)state;
    begin(&s);
    struct conf *conf = conf_for(&s, "file", "");
    int fd = open(path_of(&s, "file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "mine", 4), 4);
    close(fd);
    for (int beside = 0; beside < 2; beside++) {
        assert_int_equal(net_open(&l, conf, NULL, beside, s.why, sizeof s.why), 1);
        assert_non_null(strstr(s.why, "no socket"));
        struct stat st;
        assert_int_equal(stat(path_of(&s, "file"), &st), 0);
        assert_int_equal(st.st_size, 4);
    }
    unlink(path_of(&s, "file"));
    conf_free(conf);

    conf = conf_for(&s, "not/there", "");
    assert_int_equal(net_open(&l, conf, NULL, false, s.why, sizeof s.why), 1);
    assert_non_null(strstr(s.why, "directory"));
    conf_free(conf);
    conf = conf_for(&s, "one", ", group: no-such-group-anywhere");
    assert_int_equal(net_open(&l, conf, NULL, false, s.why, sizeof s.why), 1);
    assert_non_null(strstr(s.why, "group"));
    assert_false(exists(&s, "one"));
    conf_free(conf);
    end(&s);
}

/* A path that fits, but not with what its temporary name adds: refused or taken, nothing is left behind. */
static void keeps_long_paths_tidy(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    for (size_t len = 70; len < 108 - strlen(s.dir) - 1 + 1; len++) {
        struct listeners l = {0};
        char name[128];
        memset(name, 'n', len);
        name[len] = '\0';
        struct conf_listen listen = {.path = path_of(&s, name), .mode = 0600};
        struct conf conf = {.listen = &listen, .listen_count = 1};
        if (net_open(&l, &conf, NULL, false, s.why, sizeof s.why) == 0)
            net_close(&l, NULL);
        else
            assert_non_null(strstr(s.why, "too long"));
    }
    end(&s);
}

/* What a new configuration names again is the same socket, with the clients that wait on it. */
static void keeps_over_a_reload(void **state)
{
    struct scene s;
    struct listeners old = {0}, new = {0};
    bool out_of_files;

    (void)state;
    begin(&s);
    struct conf *before = conf_for(&s, "kept gone", ""), *after = conf_for(&s, "new kept", "");
    assert_int_equal(net_open(&old, before, NULL, false, s.why, sizeof s.why), 0);
    int client = client_of(&s, "kept");
    assert_int_equal(net_open(&new, after, &old, false, s.why, sizeof s.why), 0);
    assert_int_equal(new.list[1].fd, old.list[0].fd);
    net_close(&old, &new);
    assert_false(exists(&s, "gone"));
    assert_true(exists(&s, "kept") && exists(&s, "new"));
    int fd = net_accept(&new.list[1], &out_of_files);
    assert_true(fd >= 0);
    close(fd);
    close(client);

    /* A reload that fails leaves what was there: the kept one open, the new one never seen. */
    struct conf *bad = conf_for(&s, "kept another not/there", "");
    struct listeners none = {0};
    assert_int_equal(net_open(&none, bad, &new, false, s.why, sizeof s.why), 1);
    assert_null(none.list);
    assert_false(exists(&s, "another"));
    client = client_of(&s, "kept");
    fd = net_accept(&new.list[1], &out_of_files);
    assert_true(client >= 0 && fd >= 0);
    close(fd);
    close(client);
    net_close(&new, NULL);
    conf_free(before);
    conf_free(after);
    conf_free(bad);
    end(&s);
}

/* A file that is somebody else's by now stays. */
static void removes_only_its_own(void **state)
{
    struct scene s;
    struct listeners l = {0}, successor = {0};

    (void)state;
    begin(&s);
    struct conf *conf = conf_for(&s, "one", "");
    assert_int_equal(net_open(&l, conf, NULL, false, s.why, sizeof s.why), 0);
    assert_int_equal(net_open(&successor, conf, NULL, true, s.why, sizeof s.why), 0);
    assert_int_equal(net_publish(&successor, s.why, sizeof s.why), 0);
    net_close(&l, NULL);
    assert_true(exists(&s, "one"));
    int client = client_of(&s, "one");
    assert_true(client >= 0);
    close(client);
    net_close(&successor, NULL);
    assert_false(exists(&s, "one"));
    conf_free(conf);
    end(&s);
}

/* Whoever listens beside others and comes to nothing has not been in their way. */
/* A reload that fails after its sockets were opened has changed nothing. */
static void a_kept_socket_changes_its_mode_when_it_is_published(void **state)
{
    struct scene s;
    struct listeners l = {0}, next = {0};
    struct stat st;

    (void)state;
    begin(&s);
    struct conf *conf = conf_for(&s, "one", ", mode: \"0600\""), *other = conf_for(&s, "one", ", mode: \"0640\"");
    assert_int_equal(net_open(&l, conf, NULL, false, s.why, sizeof s.why), 0);
    assert_int_equal(net_open(&next, other, &l, false, s.why, sizeof s.why), 0);
    assert_int_equal(next.list[0].fd, l.list[0].fd);
    assert_int_equal(stat(path_of(&s, "one"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(net_publish(&next, s.why, sizeof s.why), 0);
    assert_int_equal(stat(path_of(&s, "one"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    net_forget(&l, &next);
    free(l.list);
    net_close(&next, NULL);
    conf_free(conf);
    conf_free(other);
    end(&s);
}

static void beside_is_hidden_at_first(void **state)
{
    struct scene s;
    struct listeners l = {0}, successor = {0};
    bool out_of_files;

    (void)state;
    begin(&s);
    struct conf *conf = conf_for(&s, "one", "");
    assert_int_equal(net_open(&l, conf, NULL, false, s.why, sizeof s.why), 0);
    for (int publish = 0; publish < 2; publish++) {
        assert_int_equal(net_open(&successor, conf, NULL, true, s.why, sizeof s.why), 0);
        if (publish)
            assert_int_equal(net_publish(&successor, s.why, sizeof s.why), 0);
        int client = client_of(&s, "one");
        int accepted = net_accept(publish ? &successor.list[0] : &l.list[0], &out_of_files);
        assert_true(accepted >= 0);
        close(accepted);
        close(client);
        net_close(&successor, NULL);
        assert_int_equal(exists(&s, "one"), !publish);
    }
    net_close(&l, NULL);
    conf_free(conf);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kept_socket_changes_its_mode_when_it_is_published),
        cmocka_unit_test(beside_is_hidden_at_first),
        cmocka_unit_test(accepts),
        cmocka_unit_test(replaces_what_the_dead_left),
        cmocka_unit_test(refuses_what_is_taken),
        cmocka_unit_test(refuses_what_is_no_socket),
        cmocka_unit_test(keeps_long_paths_tidy),
        cmocka_unit_test(keeps_over_a_reload),
        cmocka_unit_test(removes_only_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
