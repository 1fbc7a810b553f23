// Qt 5: see parts/preset_qt_hard.h.
// libs: Qt5Core Qt5Concurrent
// flags: -fPIC
#include "parts/preset_qt_hard.h"
