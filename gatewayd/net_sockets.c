#include "gatewayd/net.h"

/* What happens to the listeners for clients happens to those of the admin server, and in the same order. */

int net_open_all(struct sockets *sockets, const struct conf *conf, const struct sockets *old, bool beside, char *why,
                 size_t why_size)
{
    struct listeners *clients = old ? (struct listeners *)&old->clients : NULL;
    struct listeners *admin = old ? (struct listeners *)&old->admin : NULL;
    int rc = net_open(&sockets->clients, conf, clients, beside, why, why_size);
    if (rc != 0)
        return rc;
    rc = net_open_admin(&sockets->admin, conf, admin, beside, why, why_size);
    if (rc != 0)
        net_close(&sockets->clients, clients);
    return rc;
}

int net_publish_all(struct sockets *sockets, char *why, size_t why_size)
{
    int rc = net_publish(&sockets->clients, why, why_size);
    return rc == 0 ? net_publish(&sockets->admin, why, why_size) : rc;
}

void net_settle_all(const struct sockets *sockets)
{
    net_settle(&sockets->clients);
    net_settle(&sockets->admin);
}

void net_close_all(struct sockets *sockets, const struct sockets *keep)
{
    net_close(&sockets->clients, keep ? &keep->clients : NULL);
    net_close(&sockets->admin, keep ? &keep->admin : NULL);
}

void net_forget_all(struct sockets *sockets, const struct listeners *keep)
{
    net_forget(&sockets->clients, keep);
    net_forget(&sockets->admin, keep);
}
