// libevent's DNS, server and look-ups: callbacks run in the context of the call that asked.
// libs: libevent libevent_pthreads
// usage: libevent_dns MODE [CARRIER]; a mode is one promise, named in the table at the end
#define _GNU_SOURCE
#include "carrier.h"
#include <arpa/inet.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/dns_compat.h>
#include <event2/dns_struct.h>
#include <event2/event.h>
#include <event2/event_compat.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <sys/socket.h>

static struct event_base *base;
static struct evdns_base *dns;
static struct evdns_server_port *server;
static long saw[64], calls, answered, asked, questions[64];
static char name_server[64];

/* Names that begin with "no" get no answer. */
static void on_question(struct evdns_server_request *request, void *arg)
{
    if (asked < 63)
        questions[++asked] = current();
    set_current(current() + 1000);
    expect("argument", *(long *)arg, 4);
    for (int i = 0; i < request->nquestions; i++) {
        const struct evdns_server_question *question = request->questions[i];
        struct in_addr address = {htonl(0x7f000007)};
        struct in6_addr address6 = IN6ADDR_LOOPBACK_INIT;
        if (!strncasecmp(question->name, "no", 2)) {
            evdns_server_request_drop(request);
            return;
        }
        if (question->type == EVDNS_TYPE_A)
            evdns_server_request_add_a_reply(request, question->name, 1, &address, 60);
        else if (question->type == EVDNS_TYPE_AAAA)
            evdns_server_request_add_aaaa_reply(request, question->name, 1, &address6, 60);
        else
            evdns_server_request_add_ptr_reply(request, NULL, question->name, "host.test", 60);
    }
    evdns_server_request_respond(request, 0);
}

static long four = 4, five = 5;

static void serve(int is_old_way)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    evutil_socket_t fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
        abort();
    getsockname(fd, (struct sockaddr *)&address, &length);
    evutil_make_socket_nonblocking(fd);
    set_current(701);
    server = is_old_way ? evdns_add_server_port(fd, 0, on_question, &four)
                        : evdns_add_server_port_with_base(base, fd, 0, on_question, &four);
    snprintf(name_server, sizeof(name_server), "127.0.0.1:%d", ntohs(address.sin_port));
    set_current(9);
}

static void start(void)
{
    serve(0);
    dns = evdns_base_new(base, 0);
    evdns_base_nameserver_ip_add(dns, name_server);
    evdns_base_set_option(dns, "timeout:", "30");
    evdns_base_set_option(dns, "randomize-case:", "0");
}

static void loop_until(long count)
{
    struct timeval limit = {40, 0}; /* for the whole program: it stays */
    set_current(9);
    event_base_loopexit(base, &limit);
    while (answered < count && !event_base_got_exit(base))
        event_base_loop(base, EVLOOP_ONCE);
    expect("answered", answered, count);
    for (int i = 0; i < 3; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
    expect("the loop's thread has", current(), 9);
}

static void on_answer(int result, char type, int count, int ttl, void *addresses, void *arg)
{
    expect("argument", *(long *)arg, 5);
    saw[current() % 64]++; /* they come in any order */
    set_current(2);
    answered++;
    calls += result == DNS_ERR_NONE;
}

static void on_info(int result, struct evutil_addrinfo *info, void *arg)
{
    expect("argument", *(long *)arg, 5);
    saw[current() % 64]++;
    set_current(2);
    answered++;
    calls += result == 0;
    if (info)
        evutil_freeaddrinfo(info);
}

/* Every kind of look-up, some of them twice; answers that come at once. */
static void mode_ways(void)
{
    struct in_addr address = {htonl(0x7f000007)};
    struct in6_addr address6 = IN6ADDR_LOOPBACK_INIT;
    struct evutil_addrinfo hints = {.ai_family = AF_INET, .ai_flags = EVUTIL_AI_NUMERICHOST};
    start();
    set_current(64 + 11);
    evdns_base_resolve_ipv4(dns, "one.test", 0, on_answer, &five);
    set_current(64 + 12);
    evdns_base_resolve_ipv4(dns, "one.test", DNS_QUERY_NO_SEARCH, on_answer, &five);
    set_current(64 + 13);
    evdns_base_resolve_ipv6(dns, "two.test", 0, on_answer, &five);
    set_current(64 + 14);
    evdns_base_resolve_reverse(dns, &address, 0, on_answer, &five);
    set_current(64 + 15);
    evdns_base_resolve_reverse_ipv6(dns, &address6, 0, on_answer, &five);
    set_current(64 + 16);
    evdns_getaddrinfo(dns, "three.test", "80", NULL, on_info, &five);
    loop_until(6);
    for (int i = 11; i < 17; i++)
        expect("sees", saw[i], 1);
    expect("questions", asked, 7); /* getaddrinfo asks for both kinds */
    for (long i = 1; i <= asked; i++)
        expect("question sees", questions[i], 701 + (i - 1) * 1000);
    set_current(64 + 17);
    expect("at once", evdns_getaddrinfo(dns, "127.0.0.8", NULL, &hints, on_info, &five) == NULL, 1);
    expect("sees", saw[17], 1);
    expect("still", current(), 64 + 17);
    set_current(64 + 18);
    expect("at once", evdns_getaddrinfo(dns, "not an address", NULL, &hints, on_info, &five) == NULL, 1);
    expect("sees", saw[18], 1);
    char long_name[400];
    memset(long_name, 'a', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = 0;
    expect("refused", evdns_base_resolve_ipv4(dns, long_name, DNS_QUERY_NO_SEARCH, on_answer, &five) == NULL, 1);
    expect("found", calls, 7);
    evdns_base_free(dns, 1);
    evdns_close_server_port(server);
}

static void on_never(int result, char type, int count, int ttl, void *addresses, void *arg)
{
    expect("an answer that must not come", 1, 0);
}

/* The functions without a base. */
static void mode_global(void)
{
    struct in_addr address = {htonl(0x7f000007)};
    struct in6_addr address6 = IN6ADDR_LOOPBACK_INIT;
    evdns_init();
    evdns_clear_nameservers_and_suspend();
    serve(1);
    evdns_nameserver_ip_add(name_server);
    evdns_resume();
    evdns_set_option("randomize-case:", "0", DNS_OPTIONS_ALL);
    set_current(64 + 11);
    evdns_resolve_ipv4("one.test", 0, on_answer, &five);
    set_current(64 + 12);
    evdns_resolve_ipv6("two.test", 0, on_answer, &five);
    set_current(64 + 13);
    evdns_resolve_reverse(&address, 0, on_answer, &five);
    set_current(64 + 14);
    evdns_resolve_reverse_ipv6(&address6, 0, on_answer, &five);
    set_current(64 + 15);
    evdns_getaddrinfo(NULL, "three.test", "80", NULL, on_info, &five);
    loop_until(5);
    for (int i = 11; i < 16; i++)
        expect("sees", saw[i], 1);
    expect("found", calls, 5);
    set_current(64 + 16);
    evdns_resolve_ipv4("no.test", 0, on_answer, &five);
    evdns_close_server_port(server);
    evdns_shutdown(1);
    loop_until(6);
    expect("sees", saw[16], 1);
    evdns_init();
    evdns_clear_nameservers_and_suspend();
    set_current(64 + 17);
    evdns_resolve_ipv4("no.test", 0, on_never, &five); /* goes with the event base */
    evdns_shutdown(0);
}

static void on_cancelled(int result, char type, int count, int ttl, void *addresses, void *arg)
{
    expect("result", result, DNS_ERR_CANCEL);
    on_answer(result, type, count, ttl, addresses, arg);
}

static void on_info_cancelled(int result, struct evutil_addrinfo *info, void *arg)
{
    expect("result", result, EVUTIL_EAI_CANCEL);
    on_info(result, info, arg);
}

/* The loop tells of it. */
static void mode_cancel(void)
{
    start();
    set_current(64 + 11);
    struct evdns_request *request = evdns_base_resolve_ipv4(dns, "no.test", 0, on_cancelled, &five);
    set_current(64 + 12);
    struct evdns_getaddrinfo_request *info = evdns_getaddrinfo(dns, "no.test", NULL, NULL, on_info_cancelled, &five);
    set_current(9);
    evdns_cancel_request(dns, request);
    evdns_getaddrinfo_cancel(info);
    loop_until(2);
    expect("sees", saw[11], 1);
    expect("sees", saw[12], 1);
    evdns_base_free(dns, 0);
    evdns_close_server_port(server);
}

static void on_shutdown(int result, char type, int count, int ttl, void *addresses, void *arg)
{
    expect("result", result, DNS_ERR_SHUTDOWN);
    on_answer(result, type, count, ttl, addresses, arg);
}

/* Look-ups that end with their base: told by the loop, told when nobody listens any more, and not told. */
static void mode_dropped(void)
{
    start();
    for (int i = 0; i < 3; i++) {
        set_current(64 + 11 + i);
        evdns_base_resolve_ipv4(dns, "no.test", 0, on_shutdown, &five);
    }
    evdns_base_free(dns, 1);
    loop_until(3);
    for (int i = 0; i < 3; i++)
        expect("sees", saw[11 + i], 1);
    evdns_close_server_port(server);
    for (int fails = 0; fails < 2; fails++) {
        start();
        for (int i = 0; i < 50; i++) {
            set_current(64 + i);
            evdns_base_resolve_ipv4(dns, "no.test", 0, on_never, &five);
        }
        set_current(9);
        evdns_base_free(dns, fails);
        evdns_close_server_port(server);
    }
}

static void on_event(struct bufferevent *buffer, short what, void *arg)
{
    saw[current() % 64]++;
    answered += what & BEV_EVENT_CONNECTED ? 1 : 100;
}

/* What libevent looks up for itself is no handoff of the program's. */
static void mode_connect(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000007)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 4))
        abort();
    getsockname(fd, (struct sockaddr *)&address, &length);
    start();
    struct bufferevent *buffer = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    set_current(64 + 11);
    bufferevent_setcb(buffer, NULL, NULL, on_event, NULL);
    set_current(64 + 12);
    bufferevent_socket_connect_hostname(buffer, dns, AF_INET, "one.test", ntohs(address.sin_port));
    loop_until(1);
    expect("sees", saw[11], 1);
    bufferevent_free(buffer);
    evdns_base_free(dns, 1);
    evdns_close_server_port(server);
    close(fd);
}

/* Two threads ask, a third one runs the loop. */
enum { ROUNDS = 200 };
static long answers_of[2], wrong;
static int is_stopping;

struct query {
    long thread, value;
};

static void on_query(int result, struct evutil_addrinfo *info, void *arg)
{
    struct query *query = arg;
    wrong += result != 0 || current() != query->value;
    set_current(2);
    answers_of[query->thread]++;
    if (info)
        evutil_freeaddrinfo(info);
    free(query);
}

static void *ask(void *arg)
{
    for (long i = 0; i < ROUNDS; i++) {
        struct query *query = malloc(sizeof(*query));
        *query = (struct query){(long)arg, 1000 * ((long)arg + 1) + i};
        set_current(query->value);
        evdns_getaddrinfo(dns, "many.test", "80", &(struct evutil_addrinfo){.ai_family = AF_INET}, on_query, query);
    }
    return NULL;
}

static void *run_loop(void *arg)
{
    struct timeval soon = {0, 1000};
    set_current(5);
    while (!__atomic_load_n(&is_stopping, __ATOMIC_RELAXED)) {
        event_base_loopexit(base, &soon);
        event_base_loop(base, EVLOOP_ONCE);
        wrong += current() != 5;
        if (answers_of[0] + answers_of[1] == 2 * ROUNDS)
            break;
    }
    return NULL;
}

static void mode_threads(void)
{
    pthread_t loop, threads[2];
    start();
    evdns_base_set_option(dns, "max-inflight:", "8");
    set_current(0);
    pthread_create(&loop, NULL, run_loop, NULL);
    for (long i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, ask, (void *)i);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int ms = 0; ms < 10000 && pthread_tryjoin_np(loop, NULL); ms++)
        sleep_ms(1);
    expect("answers", answers_of[0] + answers_of[1], 2 * ROUNDS);
    expect("wrong", wrong, 0);
    evdns_base_free(dns, 0);
    evdns_close_server_port(server);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {{"ways", mode_ways},       {"global", mode_global},   {"cancel", mode_cancel},
             {"dropped", mode_dropped}, {"connect", mode_connect},
             {"threads", mode_threads}};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    if (argc > 1 && !strcmp(argv[1], "threads"))
        evthread_use_pthreads();
    base = event_init();
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            event_base_free(base);
            return verdict();
        }
    return 2;
}
