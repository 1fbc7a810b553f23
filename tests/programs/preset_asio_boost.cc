// Asio of Boost: see parts/preset_asio.h.
// needs: boost/asio.hpp
#include <boost/asio.hpp>
namespace io = boost::asio;
using error = boost::system::error_code;
#include "parts/preset_asio.h"
