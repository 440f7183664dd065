#ifndef GATEWAYD_SECRET_H
#define GATEWAYD_SECRET_H

/*
 * Secrets: fetched from where the configuration says, checked, and kept in guarded memory that is never swapped or
 * dumped. A secret appears in no log, error or answer; a message about one shows at most its first four characters.
 */

#include "gatewayd/conf.h"

struct secret; /* sodium_malloc'ed, read-only once made; opaque */

/* Once per process before anything else here: sodium_init(). 0 or -1. */
int secret_setup(void);

/*
 * Fetch the key of one endpoint or account. Trims it; refuses inner white space, control characters, a leading "Bearer
 * ", an empty value, and one that starts with none of `prefixes`. Problems go to `problems` at the key's place. Returns
 * 0 with *out (NULL for none and passthrough), 1 when refused, -ENOMEM. `whose` reads "endpoint us-east".
 */
int secret_load(const struct conf_key *key, const char *const *prefixes, size_t prefix_count, const char *whose,
                struct secret **out, struct conf_problems *problems);
void secret_free(struct secret *secret);

/* The secret's text, for the one place that sends it. */
struct str secret_text(const struct secret *secret);

/* BLAKE2b-256: what is compared in place of the secret itself. */
enum { SECRET_HASH_SIZE = 32 };
void secret_hash(struct str text, unsigned char hash[SECRET_HASH_SIZE]);
/* Whether the text has that hash, in a time that tells nothing of either. */
bool secret_matches(struct str text, const unsigned char hash[SECRET_HASH_SIZE]);

/* Wipe and remove the environment variables the configuration names, once they were read: in a worker, while its master
 * keeps them for the next reload. */
void secret_scrub_environment(const struct conf *conf);

/* In a child that is about to become another gatewayd: put back what was removed. -ENOMEM, or 0. */
int secret_restore_environment(void);

/* In a child, before its first id: two processes must not draw from copies of one pool. */
void secret_forked(void);

/* Random things, from libsodium. */
uint32_t secret_random32(void);
uint32_t secret_random_below(uint32_t bound);
/* "req_" and 24 characters of Crockford base 32, NUL-terminated. */
enum { SECRET_ID_SIZE = 29 };
void secret_request_id(char out[SECRET_ID_SIZE]);

#endif
