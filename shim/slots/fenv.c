/*
 * fenv: how the thread computes with floating point: rounding, traps, flush-to-zero (the control bits;
 * base/arch_*.h knows where they are). The sticky flags are results and stay the thread's own.
 */
#include <string.h>

#include "base/arch.h"
#include "slots/kind.h"
#include "slots/slots.h"

static bool fenv_parse(struct slot *slot, char *text, struct slot_error *error)
{
    slot->size = sizeof(uint64_t);
    if (*text)
        *error = (struct slot_error){"fenv alone", text};
    return !*text;
}

static void fenv_resolve(struct slot *slot)
{
    slot_bound(slot, "the processor", "floating-point control");
}

static bool fenv_read(const struct slot *slot, void *value)
{
    uint64_t now = arch_fenv_read();

    memcpy(value, &now, sizeof now);
    return now != ARCH_FENV_DEFAULT;
}

static void fenv_write(const struct slot *slot, void *value)
{
    uint64_t wanted;

    memcpy(&wanted, value, sizeof wanted);
    if (wanted != arch_fenv_read())
        arch_fenv_write(wanted);
}

static bool fenv_same(const struct slot *slot, const void *value)
{
    uint64_t wanted;

    memcpy(&wanted, value, sizeof wanted);
    return wanted == arch_fenv_read();
}

static uint64_t fenv_get(const struct slot *slot)
{
    return arch_fenv_read();
}

static void fenv_put(const struct slot *slot, uint64_t wanted)
{
    arch_fenv_write(wanted);
}

static void fenv_initial(const struct slot *slot, void *value)
{
    memcpy(value, &(uint64_t){ARCH_FENV_DEFAULT}, sizeof(uint64_t));
}

static const struct slot_form fenv_form = {
    .name = "fenv",
    .shape = SHAPE_ALONE,
    .item = "fenv alone",
    .extra = "no option: fenv stands alone",
};

const struct slot_kind slot_kind_fenv = {
    .form = &fenv_form,
    .is_everywhere = true,
    .parse = fenv_parse,
    .resolve = fenv_resolve,
    .read = fenv_read,
    .write = fenv_write,
    .same = fenv_same,
    .get = fenv_get,
    .put = fenv_put,
    .initial = fenv_initial,
};
