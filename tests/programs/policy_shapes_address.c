// Under AddressSanitizer: the policies in the other shapes of handoffs: a callback that repeats, a source that is removed, a parallel region, a coroutine.
// libs: glib-2.0
// flags: -fopenmp -fsanitize=address -fno-omit-frame-pointer
// usage: policy_shapes KIND POLICY SHAPE... [kind=KIND SHAPE...]...: repeats, removed, parallel, coroutine; KIND and POLICY as in policies.c
#include "policy_shapes.c"
