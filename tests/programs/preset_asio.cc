// Asio alone: see parts/preset_asio.h.
// needs: asio.hpp
#include <asio/buffer.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/local/connect_pair.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
namespace io = asio;
using error = std::error_code;
#include "parts/preset_asio.h"
