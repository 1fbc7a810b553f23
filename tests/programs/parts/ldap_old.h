typedef void *start_t(void *context, void *arg);
int ldap_pvt_thread_pool_submit(void **pool, start_t *start, void *arg);
int ldap_pvt_thread_pool_retract(void **pool, start_t *start, void *arg);
void run_all(void);
