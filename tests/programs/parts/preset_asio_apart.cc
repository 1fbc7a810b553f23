// Boost's Asio, compiled apart from the program that uses it.
#include <utility>
#include <boost/asio/impl/src.hpp>
