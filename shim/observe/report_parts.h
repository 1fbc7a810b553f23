/*
 * What the report is put together from: a text that grows, and the members of its object.
 *
 * All of it runs when exit has begun, or while the live report is told; it allocates nothing but pages of its own
 * (base/mem.h), and a text for which there was no memory is cut: whoever writes it looks at that first.
 */
#ifndef BATON_OBSERVE_REPORT_PARTS_H
#define BATON_OBSERVE_REPORT_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "context/context.h"
#include "context/slot_counts.h"
#include "slots/slots.h"

struct report_text {
    char *start;
    size_t len, capacity;
    bool is_cut; /* no memory for all of it: half a line is no JSON */
};

/* Appends, as fmt_vbuf formats. */
void report_add(struct report_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Appends STRING as one of JSON, in its quotation marks. */
void report_add_string(struct report_text *text, const char *string);

/* What the threads counted, added up. */
struct report_totals {
    uint64_t carried[FAMILIES_MAX], empty[FAMILIES_MAX], bare[FAMILIES_MAX][BARE_REASONS];
    uint64_t records_made, records_freed, read;
    struct slot_count slots[SLOTS_MAX];
};

/* "memory", "teardown" and so on: the name of an enum bare_reason. */
const char *report_reason(unsigned reason);

/* Each appends one member of the report's object; all but the first begin with a comma. */
void report_add_families(struct report_text *text, const struct report_totals *totals);
void report_add_latency(struct report_text *text);
/* TOTALS: at the end; NULL: before. */
void report_add_slots(struct report_text *text, struct report_totals *totals);
void report_add_hooks(struct report_text *text);
/* Libraries of versions that nobody has read. */
void report_add_untried(struct report_text *text);
void report_add_keeping(struct report_text *text);
/* Where threads waited, and from where most of them were woken. */
void report_add_waited(struct report_text *text);

#endif
