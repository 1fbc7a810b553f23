// A codec of the type that qt_storage.h keeps by a pointer.
// flags: -Iinclude
#include "baton_codec.h"

struct request {
    long number;
    char unused[5000];
};

BATON_CODEC_WHEN(codec, object.number == 0, request)
