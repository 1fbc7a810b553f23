/*
// The header in the strictest C there is.
// flags: -Iinclude -pedantic-errors -Werror
// std: c89
*/
#include "baton.h"

int main(void)
{
    baton_var *var = baton_var_new("var", "default", NULL);
    baton_token token;

    if (!var || baton_set(var, "value", &token) != BATON_OK || baton_reset(var, &token) != BATON_OK)
        return 1;
    return *(const char *)baton_get(var) != 'd';
}
