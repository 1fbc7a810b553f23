// Codecs for the objects of typed.cc: one line a type.
// flags: -Iinclude
#include <baton_codec.h>
#include <map>
#include <string>

BATON_CODEC(codec, std::map<std::string, std::string>)
BATON_CODEC(text, std::string)
