/* A plugin that uses include/baton.h: its host carries nothing and may not know of the header. */
#include <stdio.h>

#include "../../../include/baton.h"

int use_variables(void);
int use_variables(void)
{
    baton_var *var = baton_var_new("request", (void *)1L, NULL);
    baton_token token;
    long before, inside, after;

    if (!var)
        return 1;
    before = (long)baton_get(var);
    if (baton_set(var, (void *)7L, &token) != BATON_OK)
        return 1;
    inside = (long)baton_get(var);
    if (baton_reset(var, &token) != BATON_OK)
        return 1;
    after = (long)baton_get(var);
    printf("before %ld, inside %ld, after %ld\n", before, inside, after);
    return 0;
}
