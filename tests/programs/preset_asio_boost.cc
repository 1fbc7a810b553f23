// Asio of Boost: see parts/preset_asio.h.
// needs: boost/asio.hpp
#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
namespace io = boost::asio;
using error = boost::system::error_code;
#include "parts/preset_asio.h"
