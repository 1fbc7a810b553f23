// libevent_http again, with libevent in parts, which call each other.
// libs: libevent_extra libevent_core
// usage: libevent_http_parts MODE [CARRIER]
#include "libevent_http.c"
