/*
 * What capture, attach, detach and release know of the watcher (observer.h): where to call, and whose a
 * context is.
 */
#include "context/observer.h"

const struct observer *observer;
bool observer_traces;
uint32_t observer_generation = 1;
size_t observer_place_at;
