#ifndef TESTS_FUZZ_OTHER_READER_H
#define TESTS_FUZZ_OTHER_READER_H

/*
 * Another reader of JSON, jansson, to compare ours with. It stands behind its own words because both libraries call
 * their types by the same names.
 */

#include <stdbool.h>
#include <stddef.h>

struct other_reader {
    void *document; /* NULL: refused */
    bool object;
    bool own_reason; /* refused for what ours does not look at: UTF-8, huge numbers, NUL in names, half surrogates */
};

void other_reader_open(struct other_reader *r, const char *text, size_t len);
void other_reader_close(struct other_reader *r);

/* The kind of a member of the document by one letter: n t f i(nteger) r(eal) s a o, or '-' when it is not there. */
char other_reader_kind(const struct other_reader *r, const char *name);
const char *other_reader_string(const struct other_reader *r, const char *name, size_t *len);
double other_reader_number(const struct other_reader *r, const char *name);
long long other_reader_integer(const struct other_reader *r, const char *name);
/* How many members or elements a member has. */
size_t other_reader_count(const struct other_reader *r, const char *name);

#endif
