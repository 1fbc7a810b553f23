// Qt 6: runnables, functions, threads and notifiers see the value of who handed them over.
// usage: qt6 MODE [CARRIER]; see qt.h
// flags: -fPIC
// libs: Qt6Core Qt6Concurrent
#include "qt.h"
