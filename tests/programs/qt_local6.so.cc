// The plugin of qt_local.so.cc, made for Qt 6.
// flags: -fPIC
// libs: Qt6Core
#include "qt_local.so.cc"
