/* What a handoff is to a tracer that is compiled in: three events. LTTng-UST reads this file several times. */
#undef TRACEPOINT_PROVIDER
#define TRACEPOINT_PROVIDER handoffs
#undef TRACEPOINT_INCLUDE
#define TRACEPOINT_INCLUDE "./lttng_events.h"
#if !defined(LTTNG_EVENTS_H) || defined(TRACEPOINT_HEADER_MULTI_READ)
#define LTTNG_EVENTS_H
#include <lttng/tracepoint.h>
#include <stdint.h>

TRACEPOINT_EVENT(handoffs, submit, TP_ARGS(uint64_t, id, uint64_t, value),
                 TP_FIELDS(ctf_integer(uint64_t, id, id) ctf_integer(uint64_t, value, value)))
TRACEPOINT_EVENT(handoffs, start, TP_ARGS(uint64_t, id), TP_FIELDS(ctf_integer(uint64_t, id, id)))
TRACEPOINT_EVENT(handoffs, end, TP_ARGS(uint64_t, id), TP_FIELDS(ctf_integer(uint64_t, id, id)))
#endif
#include <lttng/tracepoint-event.h>
