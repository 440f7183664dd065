/* The file: made whole or not at all, and refused in one line when it is not what it should be. */

#include "libshm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "libshm/layout.h"
#include "tests/libshm/fixture.h"

static int try_open(struct fixture *f, enum gws_access access)
{
    struct gws_region region = {.fd = -1};
    int result;

    memset(&f->fault, 0, sizeof(f->fault));
    result = gws_region_open(&region, f->path, access, geteuid(), &f->fault);
    if (result == GWS_OPEN_DONE)
        gws_region_close(&region);
    else
        assert_int_not_equal(f->fault.text[0], '\0');
    assert_null(strchr(f->fault.text, '\n'));
    return result;
}

static void refused(struct fixture *f, int result, const char *says)
{
    assert_int_equal(try_open(f, GWS_LOOK), result);
    if (strstr(f->fault.text, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", f->fault.text, says);
    assert_int_equal(try_open(f, GWS_CHANGE), result);
}

static void test_create_and_open(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct fixture f;
    struct gws_region view;
    struct stat st;

    (void)state;
    fixture_create(&f, &dims);
    assert_int_equal(stat(f.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_int_equal((size_t)st.st_size, gws_region_size(&dims));
    assert_true(st.st_blocks * 512 >= st.st_size); /* no holes */
    assert_int_equal(f.region.slot, -1);
    view = fixture_view(&f, GWS_LOOK);
    dims.quotas = dims.models = 16; /* left at 0: as many as there are limits, and 16 at least */
    assert_memory_equal(&view.dims, &dims, sizeof(dims));
    assert_int_equal(view.size, f.region.size);
    assert_int_not_equal(fcntl(view.fd, F_GETFD) & FD_CLOEXEC, 0);
    assert_int_not_equal(fcntl(f.region.fd, F_GETFD) & FD_CLOEXEC, 0);
    gws_region_close(&view);
    gws_region_close(&view);
    fixture_close(&f);
}

static void test_create_replaces(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct gws_owner owner = fixture_owner();
    struct fixture f;
    struct gws_region second;
    char stale[128];
    int fd;

    (void)state;
    fixture_create(&f, &dims);
    gws_region_claim(&f.region, 1);
    snprintf(stale, sizeof(stale), "%s.new", f.path); /* left by a maker that was killed */
    fd = open(stale, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    owner.mode = 0640;
    assert_int_equal(gws_region_create(&second, f.path, &dims, &owner, &f.fault), 0);
    assert_int_equal(gws_region_claimed(&second), 0);
    assert_int_equal(gws_region_claimed(&f.region), 1); /* the old one lives on in those who have it */
    assert_int_equal(access(stale, F_OK), -1);
    gws_region_close(&second);
    fixture_close(&f);
}

static void test_create_refuses(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct gws_owner owner = fixture_owner();
    struct gws_region region = {.fd = -1};
    struct fixture f;

    (void)state;
    fixture_dir(&f);
    dims.events = 100; /* no power of two */
    assert_int_equal(gws_region_create(&region, f.path, &dims, &owner, &f.fault), -EINVAL);
    dims = fixture_dims();
    assert_int_equal(gws_region_create(&region, "/nonexistent/state", &dims, &owner, &f.fault), -ENOENT);
    assert_non_null(strstr(f.fault.text, "make the directory first"));
    if (geteuid() != 0) {
        owner.uid = 0;
        assert_int_equal(gws_region_create(&region, f.path, &dims, &owner, &f.fault), -EPERM);
        assert_non_null(strstr(f.fault.text, "cannot give"));
    }
    refused(&f, GWS_OPEN_NONE, "does not exist");
    fixture_close(&f);
}

/* A file that can not be allocated whole is refused at once and leaves nothing behind. */
static void test_no_room(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct gws_owner owner = fixture_owner();
    struct fixture f;
    pid_t pid;

    (void)state;
    fixture_dir(&f);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit limit = {.rlim_cur = 65536, .rlim_max = 65536};
        struct gws_region region = {.fd = -1};
        char stale[128];
        int result;

        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        result = gws_region_create(&region, f.path, &dims, &owner, &f.fault);
        snprintf(stale, sizeof(stale), "%s.new", f.path);
        _exit(result == -EFBIG && strstr(f.fault.text, "cannot allocate") != NULL && access(stale, F_OK) != 0 &&
              region.base == NULL ? 0 : 1);
    }
    assert_int_equal(fixture_wait(pid), 0);
    fixture_close(&f);
}

static void test_dims(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct gws_dims bad[11];

    (void)state;
    assert_true(gws_region_size(&dims) > 0);
    assert_int_equal(gws_region_size(&dims) % 4096, 0);
    for (size_t i = 0; i < 11; i++)
        bad[i] = dims;
    bad[0].slots = 0;
    bad[1].slots = GWS_SLOTS_MAX + 1;
    bad[2].guests = dims.slots;
    bad[3].domains = 0;
    bad[4].domains = UINT32_MAX;
    bad[5].endpoints = dims.domains + 1;
    bad[6].limits = UINT32_MAX;
    bad[7].events = 0;
    bad[8].events = 1u << 31;
    bad[9].quotas = UINT32_MAX;
    bad[10].models = 1u << 20;
    for (size_t i = 0; i < 11; i++)
        assert_int_equal(gws_region_size(&bad[i]), 0);
}

static void test_every_header_field_counts(void **state)
{
    static const struct {
        size_t offset;
        size_t length;
        uint32_t flip; /* bits to turn in the first four bytes */
        int result;
        const char *says;
    } fields[] = {
        {offsetof(struct gws_header, magic), 8, 1, GWS_OPEN_FOREIGN, "not a region"},
        {offsetof(struct gws_header, abi), 4, 2, GWS_OPEN_FOREIGN, "another version (abi 3"},
        {offsetof(struct gws_header, header_bytes), 4, 0x1000, GWS_OPEN_FOREIGN, "another version (abi"},
        {offsetof(struct gws_header, layout), 8, 0x80, GWS_OPEN_FOREIGN, "another version (layout"},
        {offsetof(struct gws_header, bytes), 8, 0x1000, GWS_OPEN_FOREIGN, "damaged (size"},
        {offsetof(struct gws_header, slots), 4, 0x20, GWS_OPEN_FOREIGN, "damaged (size"},
        {offsetof(struct gws_header, slots), 4, 0x4000, GWS_OPEN_FOREIGN, "out of range: slots 16400"},
        {offsetof(struct gws_header, guests), 4, 0x10, GWS_OPEN_FOREIGN, "dims out of range"},
        {offsetof(struct gws_header, domains), 4, 0x40, GWS_OPEN_FOREIGN, "damaged (size"},
        {offsetof(struct gws_header, domains), 4, 0x80000000, GWS_OPEN_FOREIGN, "dims out of range"},
        {offsetof(struct gws_header, endpoints), 4, 1, GWS_OPEN_FOREIGN, "damaged (size"},
        {offsetof(struct gws_header, endpoints), 4, 0x100, GWS_OPEN_FOREIGN, "dims out of range"},
        {offsetof(struct gws_header, limits), 4, 0x100, GWS_OPEN_FOREIGN, "damaged (size"},
        {offsetof(struct gws_header, events), 4, 0xc00, GWS_OPEN_FOREIGN, "damaged (size"},
        {offsetof(struct gws_header, events), 4, 1, GWS_OPEN_FOREIGN, "dims out of range"},
        {offsetof(struct gws_header, quotas), 4, 0x10, GWS_OPEN_FOREIGN, "dims out of range"}, /* 0 is refused here */
        {offsetof(struct gws_header, models), 4, 0x80000000, GWS_OPEN_FOREIGN, "dims out of range"},
        {offsetof(struct gws_header, models), 4, 0x1000, GWS_OPEN_FOREIGN, "damaged (size"},
        {offsetof(struct gws_header, ready), 8, 1, GWS_OPEN_UNREADY, "not ready"},
        {offsetof(struct gws_header, ready), 8, 2, GWS_OPEN_UNREADY, "not ready"},
    };
    struct gws_dims dims = fixture_dims();
    struct fixture f;

    (void)state;
    fixture_create(&f, &dims);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        unsigned char *field = f.region.base + fields[i].offset;
        unsigned char good[8];
        uint32_t value;

        memcpy(good, field, fields[i].length);
        memcpy(&value, field, sizeof(value));
        value ^= fields[i].flip;
        memcpy(field, &value, sizeof(value));
        refused(&f, fields[i].result, fields[i].says);
        memset(field, 0xff, fields[i].length);
        refused(&f, fields[i].result, "");
        memset(field, 0, fields[i].length);
        if (fields[i].offset != offsetof(struct gws_header, guests)) /* none is a number of guests */
            refused(&f, fields[i].result, "");
        memcpy(field, good, fields[i].length);
        assert_int_equal(try_open(&f, GWS_CHANGE), GWS_OPEN_DONE);
    }
    fixture_close(&f);
}

/* Dims that agree with each other, but not with the size of the file. */
static void test_dims_must_fit_the_file(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct fixture f;

    (void)state;
    fixture_create(&f, &dims);
    dims.slots = 200;
    f.region.header->slots = 200;
    f.region.header->bytes = gws_region_size(&dims);
    refused(&f, GWS_OPEN_FOREIGN, "damaged (size");
    fixture_close(&f);
}

static void test_truncated(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct fixture f;
    off_t size;

    (void)state;
    fixture_create(&f, &dims);
    size = (off_t)f.region.size;
    gws_region_close(&f.region);
    for (off_t at = size - 4096; at >= 0; at -= 4096) {
        assert_int_equal(truncate(f.path, at), 0);
        refused(&f, GWS_OPEN_FOREIGN, at == 0 ? "too short" : "size");
    }
    assert_int_equal(truncate(f.path, 100), 0);
    refused(&f, GWS_OPEN_FOREIGN, "too short");
    assert_int_equal(truncate(f.path, size), 0); /* the right size, all zero */
    refused(&f, GWS_OPEN_FOREIGN, "not a region");
    fixture_close(&f);
}

static void test_longer(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct fixture f;

    (void)state;
    fixture_create(&f, &dims);
    assert_int_equal(truncate(f.path, (off_t)f.region.size + 4096), 0);
    refused(&f, GWS_OPEN_FOREIGN, "size");
    fixture_close(&f);
}

static void test_not_a_plain_file_of_ours(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct fixture f;
    char other[128];

    (void)state;
    fixture_create(&f, &dims);
    snprintf(other, sizeof(other), "%s.other", f.path);

    assert_int_equal(link(f.path, other), 0);
    refused(&f, GWS_OPEN_FOREIGN, "2 names");
    unlink(f.path);
    assert_int_equal(symlink(other, f.path), 0);
    refused(&f, GWS_OPEN_FOREIGN, "symbolic link");
    unlink(f.path);
    assert_int_equal(rename(other, f.path), 0);
    assert_int_equal(try_open(&f, GWS_CHANGE), GWS_OPEN_DONE);

    assert_int_equal(chmod(f.path, 0666), 0);
    refused(&f, GWS_OPEN_FOREIGN, "written by everyone");
    assert_int_equal(chmod(f.path, 0660), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(f.path, 12345, (gid_t)-1), 0);
        refused(&f, GWS_OPEN_FOREIGN, "belongs to uid 12345");
        {
            struct gws_region region;
            assert_int_equal(gws_region_open(&region, f.path, GWS_LOOK, 12345, &f.fault), GWS_OPEN_DONE);
            gws_region_close(&region);
        }
    }
    unlink(f.path);
    assert_int_equal(mkfifo(f.path, 0600), 0);
    refused(&f, GWS_OPEN_FOREIGN, "not a regular file");
    unlink(f.path);
    fixture_close(&f);
}

static void test_not_permitted(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct fixture f;
    pid_t pid;

    (void)state;
    fixture_create(&f, &dims);
    assert_int_equal(chmod(f.path, 0400), 0);
    assert_int_equal(chmod(f.dir, 0755), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct gws_region region;
        uid_t owner = geteuid();
        if (owner == 0 && (setgid(12345) != 0 || setuid(12345) != 0))
            _exit(2);
        _exit(gws_region_open(&region, f.path, GWS_CHANGE, (uint32_t)owner, &f.fault) == -EACCES &&
              strstr(f.fault.text, "group") != NULL ? 0 : 1);
    }
    assert_int_equal(fixture_wait(pid), 0);
    fixture_close(&f);
}

/* Scribbled all over behind a good header: every reader stays inside the mapping (the sanitizers watch). */
static void test_scribbled(void **state)
{
    struct gws_dims dims = fixture_dims();
    struct fixture f;
    struct gws_region view;
    struct gws_event_cursor cursor = {{0}};
    struct gws_event events[16];
    struct gws_slot_info info;
    uint64_t mark = UINT64_MAX;

    (void)state;
    fixture_create(&f, &dims);
    memset(f.region.base + sizeof(struct gws_header), 0xa7, f.region.size - sizeof(struct gws_header));
    memcpy(f.region.base + offsetof(struct gws_header, slot_high), &mark, sizeof(mark));
    memcpy(f.region.base + offsetof(struct gws_header, guest_high), &mark, sizeof(mark));
    view = fixture_view(&f, GWS_LOOK);
    gws_event_collect(&view, &cursor, events, 16);
    for (int slot = 0; slot < 16; slot++)
        gws_slot_read(&view, slot, &info);
    assert_int_equal(gws_slot_high(&view), 16);
    gws_region_close(&view);
    fixture_close(&f);
}

static void test_claim_and_generation(void **state)
{
    struct fixture f;
    struct gws_region look;
    uint64_t first;

    (void)state;
    fixture_open(&f);
    look = fixture_view(&f, GWS_LOOK);
    assert_int_equal(gws_region_claimed(&look), 0);
    first = gws_region_claim_next(&look, 100);
    assert_int_not_equal(first, 0);
    assert_int_not_equal(gws_region_claim_next(&look, 101), first); /* one that died before it claimed */
    assert_int_equal(gws_region_claim_next(&look, 100), first);
    gws_region_claim(&f.region, first);
    assert_int_equal(gws_region_claimed(&look), first);
    assert_int_not_equal(gws_region_claim_next(&look, 100), first); /* the same pid, another time */
    assert_int_equal(gws_region_generation(&look), 0);
    assert_int_equal(gws_region_generation_next(&f.region), 1);
    assert_int_equal(gws_region_generation_next(&look), 1); /* a look changes nothing */
    gws_region_claim(&look, first + 1);
    assert_int_equal(gws_region_claimed(&look), first);
    gws_region_close(&look);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_and_open),
        cmocka_unit_test(test_create_replaces),
        cmocka_unit_test(test_create_refuses),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_dims),
        cmocka_unit_test(test_every_header_field_counts),
        cmocka_unit_test(test_dims_must_fit_the_file),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_longer),
        cmocka_unit_test(test_not_a_plain_file_of_ours),
        cmocka_unit_test(test_not_permitted),
        cmocka_unit_test(test_scribbled),
        cmocka_unit_test(test_claim_and_generation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
