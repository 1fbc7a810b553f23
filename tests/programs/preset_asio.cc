// Asio alone: see parts/preset_asio.h.
// needs: asio.hpp
#include <asio.hpp>
namespace io = asio;
using error = std::error_code;
#include "parts/preset_asio.h"
