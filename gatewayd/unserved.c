#include "gatewayd/unserved.h"

/*
 * Most keys whose feature comes later merely have no effect yet. Who may connect is another matter: a file that names
 * clients must never be served to everyone by a version that cannot tell them apart.
 */

void unserved_check(const struct conf *conf, struct conf_problems *problems)
{
    if (conf->client_count > 0)
        conf_problem_add(problems, 0, 0,
                         "`clients` are not carried out by this version, and gatewayd will not serve everyone in their "
                         "place; remove them and listen on a Unix socket or on loopback");
}
