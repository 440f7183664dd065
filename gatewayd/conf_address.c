/*
 * Readers of what concerns sockets: listen addresses, networks, modes. Hosts are addresses and never names: a name
 * could mean another interface after the next change of DNS, and whether a listener is loopback must be known here.
 */

#include <arpa/inet.h>
#include <stdio.h>

#include "gatewayd/conf_internal.h"

static void *at(void *base, const struct conf_rule *rule)
{
    return (char *)base + rule->offset;
}

/* An address of either family from a text that need not end in NUL. Returns the family or 0. */
static int address_of(struct str s, unsigned char out[16])
{
    char text[INET6_ADDRSTRLEN];

    if (s.len == 0 || s.len >= sizeof text)
        return 0;
    memcpy(text, s.at, s.len);
    text[s.len] = '\0';
    if (inet_pton(AF_INET, text, out) == 1)
        return AF_INET;
    return inet_pton(AF_INET6, text, out) == 1 ? AF_INET6 : 0;
}

bool conf_is_loopback(const char *host)
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    static const unsigned char one[16] = {[15] = 1};
    unsigned char address[16];

    switch (address_of(str_of(host), address)) {
    case AF_INET:
        return address[0] == 127;
    case AF_INET6:
        return !memcmp(address, one, 16) || (!memcmp(address, mapped, 12) && address[12] == 127);
    default:
        return false;
    }
}

/* Splits host:port. The host comes without brackets; an empty one or "*" is all interfaces. */
static bool split(struct str s, struct str *host, uint16_t *port)
{
    unsigned char address[16];
    uint64_t number;
    size_t colon = s.len;
    int family;

    while (colon > 0 && s.at[colon - 1] != ':')
        colon--;
    if (colon == 0 || s.len - colon > 5 || !str_to_u64((struct str){s.at + colon, s.len - colon}, &number) ||
        number > 65535)
        return false;
    *port = (uint16_t)number;
    *host = (struct str){s.at, colon - 1};
    if (host->len >= 2 && host->at[0] == '[' && host->at[host->len - 1] == ']') {
        *host = (struct str){host->at + 1, host->len - 2};
        return address_of(*host, address) == AF_INET6;
    }
    if (str_eq(*host, STR("localhost")))
        *host = STR("127.0.0.1");
    if (str_eq(*host, STR("*")))
        *host = STR("");
    family = address_of(*host, address);
    return host->len == 0 || family == AF_INET;
}

void conf_read_address(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    struct conf_listen *listen = base;
    struct str host;
    uint16_t port;

    if (node->kind == CONF_SCALAR && split(node->text, &host, &port)) {
        listen->host = conf_text(r, host.at, host.len);
        listen->port = port;
    } else {
        conf_wrong(r, rule, node, "an address like 127.0.0.1:8080, [::1]:8080 or :8080");
    }
}

/* Clears what lies beyond the prefix; true when there was nothing. */
static bool mask(struct conf_cidr *c)
{
    bool clean = true;

    for (unsigned i = 0; i < (c->family == AF_INET ? 32u : 128u); i++) {
        unsigned char bit = (unsigned char)(0x80u >> i % 8);
        if (i >= c->bits && (c->address[i / 8] & bit)) {
            c->address[i / 8] &= (unsigned char)~bit;
            clean = false;
        }
    }
    return clean;
}

void conf_read_cidr(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    struct conf_cidr c = {0};
    size_t slash = 0;
    uint64_t bits;

    while (slash < node->text.len && node->text.at[slash] != '/')
        slash++;
    if (node->kind == CONF_SCALAR)
        c.family = address_of((struct str){node->text.at, slash}, c.address);
    bits = c.family == AF_INET ? 32 : 128;
    if (slash < node->text.len) {
        uint64_t most = bits;
        if (!str_to_u64((struct str){node->text.at + slash + 1, node->text.len - slash - 1}, &bits) || bits > most)
            c.family = 0;
    }
    if (!c.family) {
        conf_wrong(r, rule, node, "a network like 10.0.0.0/8 or fd00::/8");
        return;
    }
    c.bits = (unsigned)bits;
    if (!mask(&c)) {
        char text[INET6_ADDRSTRLEN];
        inet_ntop(c.family, c.address, text, sizeof text);
        conf_bad(r, node, "%s: '%s' has bits beyond its prefix; the network is %s/%u", rule->key, node->text.at, text,
                 c.bits);
        return;
    }
    *(struct conf_cidr *)at(base, rule) = c;
}

void conf_read_mode(struct conf_reader *r, const struct conf_rule *rule, const struct conf_node *node, void *base)
{
    struct str s = node->text;
    uint32_t mode = 0;
    bool good = node->kind == CONF_SCALAR && (s.len == 4 || s.len == 3) && (s.at[0] == '0' || s.len == 3);

    for (size_t i = 0; good && i < s.len; i++) {
        good = s.at[i] >= '0' && s.at[i] <= '7';
        mode = mode * 8 + (uint32_t)(s.at[i] - '0');
    }
    if (good)
        *(uint32_t *)at(base, rule) = mode;
    else
        conf_wrong(r, rule, node, "an octal mode like \"0660\"");
}
