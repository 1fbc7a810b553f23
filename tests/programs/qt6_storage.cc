// Qt 6: what a program keeps in QThreadStorage is each request's own in the tasks of its pool.
// usage: qt6_storage qstring|qbytearray|int|string|request|sandbox|many; see qt_storage.h
// flags: -fPIC
// libs: Qt6Core
#include "qt_storage.h"
