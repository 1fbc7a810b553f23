// Qt 6: see parts/preset_qt_hard.h.
// libs: Qt6Core Qt6Concurrent
// flags: -fPIC
#include "parts/preset_qt_hard.h"
