// codec=string, codec=shared_ptr, codec=map-string-string: built once with each standard library that is there, into
// build/codecs/LIBRARY.so; which of them a variable needs shows its module (slots/typed.c).
//
// Rules: the types are those of any program, so nothing but their layout and what the library exports is
// used; what shared_ptr points to is nobody's business here.
#include <baton_codec.h>

#include <map>
#include <memory>
#include <string>

BATON_CODEC(string, std::string)
BATON_CODEC(map_string_string, std::map<std::string, std::string>)
BATON_CODEC_WHEN(shared_ptr, !object.get() && !object.use_count(), std::shared_ptr<void>)
