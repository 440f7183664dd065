#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gatewayd/heap.h"

/* The namesakes keep their promises at every size, blocks come back to who frees them, and other threads may join
 * in. */

static void fill(void *at, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)at)[i] = (unsigned char)(seed + i);
}

static void assert_filled(const void *at, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(((const unsigned char *)at)[i], (unsigned char)(seed + i));
}

static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 31, 32, 33, 64, 65, 1000, 4096, 16385, 65536, 65537, 300000};
    void *blocks[sizeof sizes / sizeof *sizes];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        blocks[i] = heap_malloc(sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        fill(blocks[i], sizes[i], (unsigned)i);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_filled(blocks[i], sizes[i], (unsigned)i);
        heap_free(blocks[i]);
    }
    heap_free(NULL);
}

static void test_what_is_freed_comes_back(void **state)
{
    (void)state;
    void *first = heap_malloc(100);
    heap_free(first);
    assert_ptr_equal(heap_malloc(70), first); /* of the same class */
    void *other = heap_malloc(100);
    assert_ptr_not_equal(other, first);
    heap_free(first);
    heap_free(other);
}

static void test_zeroed(void **state)
{
    (void)state;
    unsigned char *dirty = heap_malloc(500);
    memset(dirty, 0xff, 500);
    heap_free(dirty);
    unsigned char *clean = heap_calloc(50, 10);
    assert_ptr_equal(clean, dirty);
    for (int i = 0; i < 500; i++)
        assert_int_equal(clean[i], 0);
    heap_free(clean);
    assert_null(heap_calloc(SIZE_MAX / 2, 3));
}

static void test_grown(void **state)
{
    (void)state;
    char *at = heap_realloc(NULL, 10);
    fill(at, 10, 7);
    for (size_t size = 11; size < 400000; size = size * 3 / 2) {
        at = heap_realloc(at, size);
        assert_filled(at, 10, 7);
        memset(at + 10, 1, size - 10);
    }
    at = heap_realloc(at, 20);
    assert_filled(at, 10, 7);
    heap_free(at);
    char *copy = heap_strdup("text");
    assert_string_equal(copy, "text");
    heap_free(copy);
}

static void *stranger(void *mine)
{
    heap_free(mine);
    void *block = heap_malloc(2000);
    fill(block, 2000, 3);
    return block;
}

static void test_other_threads(void **state)
{
    (void)state;
    pthread_t thread;
    void *block;
    assert_int_equal(pthread_create(&thread, NULL, stranger, heap_malloc(2000)), 0);
    assert_int_equal(pthread_join(thread, &block), 0);
    assert_filled(block, 2000, 3);
    heap_free(block);
    assert_ptr_equal(heap_malloc(1500), block);
    heap_free(block);
    heap_trim();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes), cmocka_unit_test(test_what_is_freed_comes_back), cmocka_unit_test(test_zeroed),
        cmocka_unit_test(test_grown), cmocka_unit_test(test_other_threads),
    };
    heap_own();
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    heap_trim();
    return rc;
}
