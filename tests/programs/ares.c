// c-ares look-ups: a callback runs in the context of its query.
// libs: libcares
// usage: ares MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <arpa/inet.h>
#include <ares.h>
#include <netdb.h>
#include <sys/select.h>

static ares_channel channel;
static long saw[16], status_of[16], calls, starts;

static void note(void *arg, int status)
{
    saw[(long)arg] = current();
    status_of[(long)arg] = status;
    set_current(7000);
    calls++;
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *answer, int length)
{
    note(arg, status);
}

static void on_host(void *arg, int status, int timeouts, struct hostent *host)
{
    note(arg, status);
}

static void on_name(void *arg, int status, int timeouts, char *node, char *service)
{
    note(arg, status);
}

static void on_info(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    note(arg, status);
    if (info) /* before c-ares 1.18 it takes nothing else */
        ares_freeaddrinfo(info);
}

static void *next(void)
{
    set_current(100 + ++starts);
    return (void *)starts;
}

/* Nobody serves there: every query fails, a little later. */
static void open_channel(int timeout_ms)
{
    struct ares_options options = {.timeout = timeout_ms, .tries = 1, .lookups = (char *)"b"};
    int bound = socket(AF_INET, SOCK_DGRAM, 0); /* takes the queries, answers none */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    char server[64];
    if (bind(bound, (struct sockaddr *)&address, length) || getsockname(bound, (struct sockaddr *)&address, &length))
        abort();
    ares_init_options(&channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS);
    snprintf(server, sizeof(server), "127.0.0.1:%d", ntohs(address.sin_port));
    ares_set_servers_ports_csv(channel, server);
}

static void ask(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001)};
    struct ares_addrinfo_hints hints = {.ai_family = AF_INET};
    unsigned char *query;
    int length;
    ares_query(channel, "a.example", 1, 1, on_answer, next());
    ares_search(channel, "b.example", 1, 1, on_answer, next());
    ares_create_query("c.example", 1, 1, 77, 1, &query, &length, 0);
    ares_send(channel, query, length, on_answer, next());
    ares_free_string(query);
    ares_gethostbyname(channel, "d.example", AF_INET, on_host, next());
    ares_gethostbyaddr(channel, &address.sin_addr, 4, AF_INET, on_host, next());
    ares_getnameinfo(channel, (struct sockaddr *)&address, sizeof(address), ARES_NI_LOOKUPHOST | ARES_NI_NAMEREQD, on_name,
                     next());
    ares_getaddrinfo(channel, "e.example", NULL, &hints, on_info, next());
    ares_gethostbyname(channel, "10.0.0.2", AF_INET, on_host, next()); /* answered at once */
}

static void check_all(void)
{
    expect("the loop's thread has", current(), 9);
    expect("calls", calls, starts);
    for (int i = 1; i <= starts; i++)
        expect("callback sees", saw[i], 100 + i);
}

static void mode_queries(void)
{
    open_channel(20);
    ask();
    set_current(9);
    for (int i = 0; i < 1000 && calls < starts; i++) {
        fd_set readable, writable;
        struct timeval most = {0, 10000};
        FD_ZERO(&readable);
        FD_ZERO(&writable);
        int highest = ares_fds(channel, &readable, &writable);
        select(highest, &readable, &writable, NULL, &most);
        ares_process(channel, &readable, &writable);
    }
    check_all();
    ares_destroy(channel);
}

static void mode_cancel(void)
{
    open_channel(100000);
    ask();
    set_current(9);
    ares_cancel(channel);
    check_all();
    expect("cancelled", status_of[1] == ARES_ECANCELLED, 1);
    ares_destroy(channel);
}

static void mode_destroy(void)
{
    open_channel(100000);
    ask();
    set_current(9);
    ares_destroy(channel);
    check_all();
    expect("destroyed", status_of[1] == ARES_EDESTRUCTION, 1);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {{"queries", mode_queries}, {"cancel", mode_cancel}, {"destroy", mode_destroy}};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    ares_library_init(ARES_LIB_INIT_ALL);
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            ares_library_cleanup();
            return verdict();
        }
    return 2;
}
