// Every row of hooks.def for contexts and jumps of the C library has the type of its own headers.
// flags: -Ishim -D_GNU_SOURCE
#include <setjmp.h>
#include <ucontext.h>

/* Exported by the C library, declared where programs are fortified. */
extern void __longjmp_chk(struct __jmp_buf_tag *, int);

/* Functions that do not return are of another type to the compiler. */
#define longjmp row_longjmp
extern void row_longjmp(struct __jmp_buf_tag *, int);
#define _longjmp row__longjmp
extern void row__longjmp(struct __jmp_buf_tag *, int);
#define siglongjmp row_siglongjmp
extern void row_siglongjmp(struct __jmp_buf_tag *, int);
static void (*const same[])(struct __jmp_buf_tag *, int) __attribute__((unused)) = {
#undef longjmp
#undef _longjmp
#undef siglongjmp
    longjmp, _longjmp, siglongjmp,
#define longjmp row_longjmp
#define _longjmp row__longjmp
#define siglongjmp row_siglongjmp
};

#define WANT_UCONTEXT 1
#include "prototypes.h"
