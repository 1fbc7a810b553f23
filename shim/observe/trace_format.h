/*
 * A trace file, as the observed process writes it and the converters read it. All numbers are of the
 * machine's byte order; offsets count from the start of the file.
 *
 * The process maps the file and writes; nothing is closed or flushed, so it is complete at any moment,
 * also after SIGKILL. Each thread writes to a chunk of its own. When all chunks are taken, a thread uses its oldest
 * one again (`lost` says how many records that cost). Chunks of one ring are in order by `sequence`.
 */
#ifndef BATON_OBSERVE_TRACE_FORMAT_H
#define BATON_OBSERVE_TRACE_FORMAT_H

#include <stdint.h>

#define TRACE_MAGIC "BATONTR1"

enum {
    TRACE_VERSION = 2,
    TRACE_CHUNK = 16384,
    TRACE_HEADER = 4096,
    TRACE_NAMES = 65536,
    TRACE_MODULES = 512,
    TRACE_STACK_WORDS = 131072, /* of 8 bytes */
    TRACE_NODES = 32768,
};

enum trace_clock { TRACE_CLOCK_TICKS = 1, TRACE_CLOCK_NS = 2 };

/* Two clocks at one moment: what turns ticks into time. */
struct trace_anchor {
    uint64_t ticks, ns /* CLOCK_MONOTONIC */;
};

struct trace_header {
    char magic[8];
    uint32_t version, header_size;
    uint32_t pid, clock;
    struct trace_anchor first;
    uint64_t real_ns; /* CLOCK_REALTIME at `first` */
    uint64_t names_at, modules_at, stacks_at, nodes_at, chunks_at;
    uint32_t names_used, chunk_count;
    _Atomic uint32_t modules_used, stack_words_used, nodes_used, chunks_used;
    _Atomic uint64_t lost;    /* records that found no chunk at all */
    uint64_t handoffs_lost;   /* no room to watch them */
    struct trace_anchor last; /* at exit; 0: it has not come to that */
};

/* Names, terminated, in this order: the program, then family_count families, hook_count hooks,
 * slot_count items to carry. */
struct trace_names {
    uint32_t family_count, hook_count, slot_count, reserved;
};

/* Where code was loaded. Written when an address in it was first met; never changed. */
struct trace_module {
    uint64_t lo, hi, base;
    uint8_t build_id[20];
    uint32_t build_id_len;
    char path[200];
};

/*
 * Stacks: at a word, the number of frames, then the frames, innermost first. Nodes: a stack at which
 * work was handed over, and the node of the submitter; 0 is the program's own beginning. So a node is
 * the whole way from main, and equal ways have one node.
 */
struct trace_node {
    uint32_t parent, stack; /* word of the stack */
};

struct trace_chunk {
    _Atomic uint32_t used;      /* 0: being begun; else there may be records in all of it */
    uint32_t ring;              /* whose; 0: nobody's yet */
    uint32_t sequence;          /* of the ring, from 1 */
    uint32_t tid;               /* of the first record */
    struct trace_anchor anchor; /* the last of this ring */
    _Atomic uint64_t lost;      /* records of this ring that were written over, or had no room */
    uint32_t next, reserved;    /* the ring's next chunk, by its number from 1 */
    char name[16];              /* of the thread */
};

/*
 * Records, of 8-byte words. The first: type, words, number (16 bits), detail (32 bits). It is written first, the ticks
 * last: a record without them is not whole. Words that are 0, where a record would begin, are none.
 *
 *   SUBMIT  number: hook; detail: node; then ticks, id, parent id | family << 56, values
 *   START   then ticks, id, ticks when it returned; 0: not yet, or there is a record that says so
 *   END     number: enum observed_end; then ticks, id: of a run whose start does not say so
 *   DROP    then ticks, id: it has never run
 *   THREAD  detail: thread id; then ticks, its name (2 words): what follows in this ring is its
 *
 * A value: a word (slot, kind, length in bytes (16 bits)), then its words. The values are in the order
 * of the items; a word that is 0 ends them.
 */
enum trace_type { TRACE_SUBMIT = 1, TRACE_START, TRACE_END, TRACE_DROP, TRACE_THREAD };
enum trace_kind { TRACE_POINTER = 1, TRACE_NUMBER, TRACE_STRING, TRACE_BYTES };

#define TRACE_WORD(type, words, number, detail)                             \
    ((uint64_t)(type) | (uint64_t)(words) << 8 | (uint64_t)(number) << 16 | \
     (uint64_t)(detail) << 32)
#define TRACE_VALUE(slot, kind, length) \
    ((uint64_t)(slot) | (uint64_t)(kind) << 8 | (uint64_t)(length) << 16)

enum { TRACE_FAMILY_SHIFT = 56, TRACE_VALUE_MAX = 64, TRACE_RECORD_MAX = 255 * 8 };

#endif
