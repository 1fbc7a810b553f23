// libevent_dns again, with libevent in parts, which call each other.
// libs: libevent_extra libevent_core libevent_pthreads
// usage: libevent_dns_parts MODE [CARRIER]
#include "libevent_dns.c"
