// Qt 6: see parts/preset_qt.h.
// libs: Qt6Core
// flags: -fPIC
#include "parts/preset_qt.h"
