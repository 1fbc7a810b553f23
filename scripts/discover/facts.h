/* What a run has noted down (shim/discover/format.h), with names put to
 * addresses, and what follows from it. */
#ifndef BATON_DISCOVER_FACTS_H
#define BATON_DISCOVER_FACTS_H

#include "discover.h"
#include "discover/format.h"
#include "evidence.h"

enum { CHANNELS_MAX = 64, SUBJECTS_MAX = 768, ITEM_MAX = 600 };

struct place {
    struct names *names;             /* NULL: in no module */
    const struct function *function; /* NULL: not known which */
    uintptr_t address;               /* in the file */
};

/* ---- facts.c ---- */

/* False: no such file, or it is none of ours. */
bool facts_open(const char *path);
extern const struct discover_header *facts;
extern uint32_t facts_events; /* that are whole */
struct names *facts_module(uint32_t number);
struct place facts_place(uint64_t address, bool is_return);
/* The innermost frame that is the program's or one of its libraries', not the C
 * or C++ run time's, nor one that only waits or wakes for it: an index, or count. */
uint32_t facts_inner(uint32_t stack);
/* As people call it: the program by the link that it was started by. */
const char *facts_program(void);
const char *facts_called(const struct names *names);
bool facts_is_runtime(const struct names *names);
/* A library that is the program's malloc. */
bool facts_is_allocator(const struct names *names);
const char *facts_name(const struct place *place);
/* As the source has it; the caller frees it. NULL: it is no such name. */
char *facts_demangled(const char *name);
/* For a reader: demangled. */
const char *facts_shown(const struct place *place);
/* Is a function of that name in this stack? */
bool facts_has_frame(uint32_t stack, const char *name);

/* ---- subjects.c: what is looked at ---- */

/* A thread-local variable or a key. */
struct subject {
    struct names *of;
    const struct variable *variable; /* NULL: a key */
    uint32_t key;                    /* its index */
    char item[ITEM_MAX];             /* "" when there is none */
    const char *verdict;             /* why not; NULL: it is context */
    const char *note;
    bool is_context;
    bool is_unfinished; /* the item lacks what only the user knows; the note says what */
};

extern struct subject subjects[SUBJECTS_MAX];
extern unsigned subjects_count;

void subjects_find(void);
/* NULL: more keys were made than are looked at. */
struct subject *subject_of_key(uint32_t key);
/* Is some of the word at this offset of its module's variables part of it? */
bool variable_has_word(const struct variable *variable, uint64_t offset);

/* ---- follow.c: the events in order ---- */

/* From one function that wakes to one that waits. */
struct channel {
    struct place waker, waiter;
    uint32_t waker_stack, waiter_stack, by, pairs;
    uint32_t workers[VALUES_MAX], workers_count;
    bool is_pool;        /* the waiting thread goes on to call functions that it was given */
    bool is_pythons;     /* Python's own code waits or wakes there */
    bool is_guess;       /* nobody was seen waiting: it stands only if something is context there */
    bool has_first;      /* the program's first thread waited there */
    bool is_answer;      /* a worker tells a waiting thread what it has done */
    bool is_awaited;     /* an answer to who had handed over, and has its context still */
    const char *family;  /* that hooks it already; NULL */
    const char *preset;  /* whose functions hand over there; NULL */
    bool is_typed;       /* its worker does always the same with what it takes (typed.c) */
    char item[ITEM_MAX]; /* of BATON_HOOKS; "" */
    char run_item[ITEM_MAX]; /* of the function that works on what the other handed over; "" */
    bool is_static;          /* the function that it names */
    struct seen *seen;       /* of each subject */
};

extern struct channel channels[CHANNELS_MAX];
extern unsigned channels_count;
extern bool is_worker[DISCOVER_THREADS]; /* it has waited as a pool's worker does */

void follow(void);
/* Threads that were started and never waited for anything. */
unsigned threads_that_never_wait(void);

/* ---- pools.c ---- */

/* Whether the waiting thread calls what it was given, what hooks it already, and the
 * item of the function that handed over. */
void pool_look(struct channel *channel);
/* May the waiting thread be in this function, or call it from where it waits? */
bool pool_waits_in(const struct channel *channel, const struct names *names, unsigned function);
bool pool_waits_in_main(const struct channel *channel);
/* Is it the first function of a thread that was started? */
bool place_is_start(const struct place *place);
/* The functions that may have handed over there, from the innermost on, until one fits. */
typedef bool pool_fits(struct channel *channel, const struct place *place, void *arg);
bool pool_look_outwards(struct channel *channel, pool_fits *fits, void *arg);
/* May the functions that wait and wake there be a pool's, whatever its worker calls? */
bool pool_may_be(const struct channel *channel);
/* When all channels are known: which of them are answers of another's workers. */
void pools_compare(void);

/* ---- typed.c ---- */

/* Where no pool of given functions was seen: which channels may be those of one kind of work. Before judge. */
void typed_look(void);
/* Does what its worker does there read this variable? */
bool typed_reads(const struct channel *channel, const struct subject *subject);
/* ... and the items of those that are. */
void typed_name(void);

/* ---- submit.c ---- */

/* channel->item, if this function can be told to hand over. FIELD, of N bytes: the item of one that has its function in
 * an object, if nothing else fits. */
bool submit_item(struct channel *channel, const struct place *place, char *field, size_t n);
/* The function that CALLER has called and that is not in the stack, because it has left to INNER by a jump; its function
 * is NULL where there is none. */
struct place submit_hidden(const struct place *caller, const struct place *inner);

#endif
