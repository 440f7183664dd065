/* The byte buffer and the arena. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gatewayd/buf.h"

static void assert_holds(struct buf *b, struct str want)
{
    assert_true(b->start <= b->end && b->end <= b->size);
    assert_int_equal(buf_len(b), want.len);
    if (want.len > 0)
        assert_memory_equal(buf_at(b), want.at, want.len);
}

static void adds_and_consumes(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_int_equal(buf_add(&b, NULL, 0), 0);
    assert_null(b.data);
    assert_int_equal(buf_add(&b, "hello ", 6), 0);
    assert_int_equal(buf_add_str(&b, STR("world")), 0);
    assert_holds(&b, STR("hello world"));
    buf_consume(&b, 6);
    assert_holds(&b, STR("world"));
    buf_consume(&b, 0);
    assert_holds(&b, STR("world"));
    buf_consume(&b, 5);
    assert_holds(&b, STR(""));
    assert_int_equal(b.start, 0);
    buf_fini(&b);
    buf_fini(&b);
    buf_fini(NULL);
    assert_null(b.data);
}

static void moves_to_the_front_before_it_grows(void **state)
{
    struct buf b = {0};
    const char *data;
    size_t size;

    (void)state;
    assert_int_equal(buf_room(&b, 100), 0);
    size = b.size;
    data = b.data;
    memset(b.data, 'x', size);
    b.end = size;
    buf_consume(&b, size - 3);
    assert_int_equal(buf_room(&b, size - 3), 0);
    assert_ptr_equal(b.data, data);
    assert_int_equal(b.size, size);
    assert_int_equal(b.start, 0);
    assert_holds(&b, STR("xxx"));
    assert_int_equal(buf_room(&b, size - 2), 0);
    assert_true(b.size > size);
    assert_holds(&b, STR("xxx"));
    buf_fini(&b);
}

static void grows_by_doubling(void **state)
{
    struct buf b = {0};
    unsigned moves = 0;
    size_t size = 0;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        char c = (char)('a' + i % 26);
        assert_int_equal(buf_add(&b, &c, 1), 0);
        moves += b.size != size;
        size = b.size;
    }
    assert_true(moves < 12);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(b.data[i], 'a' + i % 26);
    buf_fini(&b);
}

static void refuses_sizes_beyond_memory(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_int_equal(buf_add(&b, "keep", 4), 0);
    assert_int_equal(buf_room(&b, SIZE_MAX), -ENOMEM);
    assert_int_equal(buf_room(&b, SIZE_MAX / 2), -ENOMEM);
    assert_int_equal(buf_room(&b, SIZE_MAX - 2), -ENOMEM);
    assert_holds(&b, STR("keep"));
    buf_fini(&b);
}

static void formats(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_int_equal(buf_addf(&b, "%d-%s", 42, "x"), 0);
    assert_int_equal(buf_addf(&b, "%s", ""), 0);
    assert_holds(&b, STR("42-x"));
    buf_clear(&b);
    /* Every length around the edge of what is there. */
    for (int n = 240; n < 300; n++) {
        struct buf c = {0};
        assert_int_equal(buf_room(&c, 1), 0);
        assert_int_equal(buf_addf(&c, "%*d|", n, 7), 0);
        assert_int_equal(buf_len(&c), n + 1);
        assert_memory_equal(buf_at(&c) + n - 1, "7|", 2);
        buf_fini(&c);
    }
    buf_fini(&b);
}

static void escapes_json(void **state)
{
    struct buf b = {0};
    char bad[1000];

    (void)state;
    assert_int_equal(buf_add(&b, "{\"a\":\"", 6), 0);
    assert_int_equal(buf_add_json(&b, STR("say \"hi\"\n\xff\xc3\xa9")), 0);
    assert_int_equal(buf_add(&b, "\"}", 2), 0);
    assert_holds(&b, STR("{\"a\":\"say \\\"hi\\\"\\n\\ufffd\xc3\xa9\"}"));
    buf_clear(&b);
    memset(bad, 0xff, sizeof(bad));
    assert_int_equal(buf_add_json(&b, (struct str){bad, sizeof(bad)}), 0);
    assert_int_equal(buf_len(&b), 6 * sizeof(bad));
    for (size_t i = 0; i < sizeof(bad); i++)
        assert_memory_equal(buf_at(&b) + 6 * i, "\\ufffd", 6);
    assert_int_equal(buf_add_json(&b, STR("")), 0);
    assert_int_equal(buf_len(&b), 6 * sizeof(bad));
    buf_fini(&b);
}

static void shrinks_only_when_empty(void **state)
{
    struct buf b = {0};

    (void)state;
    assert_int_equal(buf_room(&b, 10000), 0);
    assert_int_equal(buf_add(&b, "x", 1), 0);
    buf_shrink(&b, 1024);
    assert_true(b.size >= 10000);
    assert_holds(&b, STR("x"));
    buf_consume(&b, 1);
    buf_shrink(&b, 1024);
    assert_int_equal(b.size, 1024);
    buf_shrink(&b, 4096);
    assert_int_equal(b.size, 1024);
    assert_int_equal(buf_add(&b, "y", 1), 0);
    buf_clear(&b);
    buf_shrink(&b, 0);
    assert_null(b.data);
    assert_int_equal(b.size, 0);
}

static void arena_gives_aligned_zeroed_memory(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 8191, 8192, 8193, 100000, 3};
    struct arena a = {0};

    (void)state;
    for (int round = 0; round < 3; round++) {
        unsigned char *before = NULL;
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            unsigned char *at = arena_alloc(&a, sizes[i]);
            assert_non_null(at);
            assert_int_equal((uintptr_t)at % 16, 0);
            assert_ptr_not_equal(at, before);
            for (size_t j = 0; j < sizes[i]; j++)
                assert_int_equal(at[j], 0);
            memset(at, 0xaa, sizes[i]);
            before = at;
        }
        arena_reset(&a);
    }
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX / 2));
    arena_fini(&a);
    arena_fini(&a);
    arena_fini(NULL);
}

static void arena_keeps_its_first_block(void **state)
{
    struct arena a = {0};
    void *first;

    (void)state;
    arena_reset(&a);
    first = arena_alloc(&a, 10);
    assert_non_null(arena_alloc(&a, 1000000));
    arena_reset(&a);
    assert_ptr_equal(arena_alloc(&a, 10), first);
    arena_fini(&a);
    /* But not one that was made for a single large thing. */
    assert_non_null(arena_alloc(&a, 1000000));
    arena_reset(&a);
    assert_null(a.first);
    assert_non_null(arena_alloc(&a, 10));
    arena_fini(&a);
}

static void arena_copies_and_prints(void **state)
{
    struct arena a = {0};
    struct str copy;
    char *text;

    (void)state;
    copy = arena_copy(&a, (struct str){"hello world", 5});
    assert_int_equal(copy.len, 5);
    assert_string_equal(copy.at, "hello");
    copy = arena_copy(&a, (struct str){NULL, 0});
    assert_int_equal(copy.len, 0);
    assert_string_equal(copy.at, "");
    assert_null(arena_copy(&a, (struct str){"x", SIZE_MAX}).at);
    text = arena_printf(&a, "%s:%d", "us-east", 7);
    assert_string_equal(text, "us-east:7");
    text = arena_printf(&a, "%20000d", 1);
    assert_int_equal(strlen(text), 20000);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_and_consumes),
        cmocka_unit_test(moves_to_the_front_before_it_grows),
        cmocka_unit_test(grows_by_doubling),
        cmocka_unit_test(refuses_sizes_beyond_memory),
        cmocka_unit_test(formats),
        cmocka_unit_test(escapes_json),
        cmocka_unit_test(shrinks_only_when_empty),
        cmocka_unit_test(arena_gives_aligned_zeroed_memory),
        cmocka_unit_test(arena_keeps_its_first_block),
        cmocka_unit_test(arena_copies_and_prints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
