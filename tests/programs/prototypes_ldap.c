// Every row of hooks.def for OpenLDAP has the type of include/ldap_pvt_thread.h of 2.5, which is not installed.
// flags: -Ishim
typedef struct ldap_int_thread_pool_s *ldap_pvt_thread_pool_t;
typedef void *(ldap_pvt_thread_start_t)(void *ctx, void *arg);
typedef int(ldap_pvt_thread_walk_t)(ldap_pvt_thread_start_t *start, void *start_arg, void *arg);
int ldap_pvt_thread_pool_submit(ldap_pvt_thread_pool_t *pool, ldap_pvt_thread_start_t *start, void *arg);
int ldap_pvt_thread_pool_submit2(ldap_pvt_thread_pool_t *pool, ldap_pvt_thread_start_t *start, void *arg, void **cookie);
/* Of 2.5 the first; ours passes on what 2.4 is given: the pool, the function and its data. */
int ldap_pvt_thread_pool_retract(void *cookie, ldap_pvt_thread_start_t *start, void *arg);
int ldap_pvt_thread_pool_walk(ldap_pvt_thread_pool_t *pool, ldap_pvt_thread_start_t *start, ldap_pvt_thread_walk_t *cb,
                              void *arg);
int ldap_pvt_thread_pool_close(ldap_pvt_thread_pool_t *pool, int run_pending);

#define WANT_LDAP 1
#include "prototypes.h"
