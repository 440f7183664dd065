#include "gatewayd/relay.h"

/* Allocates nothing: bytes are handed to the socket between the two pieces of their chunk's frame. */

void relay_fini(struct relay *relay)
{
    splice_fini(&relay->given);
    buf_fini(&relay->head);
}

void relay_reset(struct relay *relay)
{
    relay->committed = relay->chunked = false;
    relay->bytes = 0;
    splice_begin(&relay->given, SPLICE_NONE);
    buf_clear(&relay->head);
}

static size_t hex(char *out, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    size_t len = 1;
    for (size_t rest = n; rest >>= 4;)
        len++;
    for (size_t i = len; i-- > 0; n >>= 4)
        out[i] = digits[n & 15];
    return len;
}

int relay_commit(struct relay *relay, size_t length)
{
    relay->committed = true;
    if (length != SIZE_MAX)
        relay->chunked = false;
    return relay->make_head(relay, &relay->head, length);
}

int relay_pass(struct relay *relay, struct str bytes)
{
    char frame[20];
    struct iovec pieces[4];
    int count = 0;
    if (buf_len(&relay->head) > 0)
        pieces[count++] = (struct iovec){buf_at(&relay->head), buf_len(&relay->head)};
    if (relay->chunked && bytes.len > 0) {
        size_t len = hex(frame, bytes.len);
        frame[len++] = '\r';
        frame[len++] = '\n';
        pieces[count++] = (struct iovec){frame, len};
    }
    if (bytes.len > 0)
        pieces[count++] = (struct iovec){(char *)bytes.at, bytes.len};
    if (relay->chunked && bytes.len > 0)
        pieces[count++] = (struct iovec){(char *)"\r\n", 2};
    relay->bytes += bytes.len;
    int rc = count ? sock_send(relay->client, pieces, count) : 0;
    buf_clear(&relay->head);
    return rc;
}

int relay_end(struct relay *relay)
{
    int rc = buf_len(&relay->head) > 0 ? relay_pass(relay, (struct str){0}) : 0;
    if (rc != 0 || !relay->chunked)
        return rc;
    struct iovec end = {(char *)"0\r\n\r\n", 5};
    return sock_send(relay->client, &end, 1);
}
