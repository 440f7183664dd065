#include "gatewayd/show.h"

#include <stdio.h>
#include <stdlib.h>

/* How many bytes of printable UTF-8 start here; 0 when it is none. */
static size_t printable(const unsigned char *at)
{
    if (at[0] >= 0x20 && at[0] < 0x7f)
        return 1;
    size_t length = at[0] >= 0xc2 && at[0] < 0xe0 ? 2 : at[0] >= 0xe0 && at[0] < 0xf0 ? 3
                                                    : at[0] >= 0xf0 && at[0] < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    /* C1 controls, overlong forms, surrogates and what lies beyond the last code point. */
    if ((at[0] == 0xc2 && at[1] < 0xa0) || (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] >= 0xa0) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] >= 0x90))
        return 0;
    return length;
}

void show_clean(char *text)
{
    unsigned char *at = (unsigned char *)text;
    while (*at) {
        size_t length = printable(at);
        if (length == 0) {
            *at = '?';
            length = 1;
        }
        at += length;
    }
}

void *show_must(void *memory)
{
    if (!memory) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return memory;
}
