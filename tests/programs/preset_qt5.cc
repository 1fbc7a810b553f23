// Qt 5: see parts/preset_qt.h.
// libs: Qt5Core
// flags: -fPIC
#include "parts/preset_qt.h"
