// A plugin that keeps its request in a QThreadStorage, in a process that has no C++ but what came with it.
// flags: -fPIC
// libs: Qt5Core
#include <QtCore/QString>
#include <QtCore/QThreadStorage>

QThreadStorage<QString> request_of_plugin;

extern "C" void plugin_set(long number)
{
    request_of_plugin.setLocalData(QString("request %1").arg(number));
}

extern "C" long plugin_get()
{
    return request_of_plugin.localData().section(' ', 1).toLong();
}
