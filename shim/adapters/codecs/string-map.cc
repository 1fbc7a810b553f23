// A std::map of strings by strings, as the MDC of spdlog is one.
#include <map>
#include <string>

#include "baton_codec.h"

BATON_CODEC(codec, std::map<std::string, std::string>)
