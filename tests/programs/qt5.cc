// Qt 5: runnables, functions, threads and notifiers see the value of who handed them over.
// usage: qt5 MODE [CARRIER]; see qt.h
// flags: -fPIC
// libs: Qt5Core Qt5Concurrent
#include "qt.h"
