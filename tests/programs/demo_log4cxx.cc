// A server logs from libuv's worker threads with log4cxx; the request's id is in the NDC of the thread that took the request.
// libs: liblog4cxx libuv
#include <log4cxx/basicconfigurator.h>
#include <log4cxx/consoleappender.h>
#include <log4cxx/logger.h>
#include <log4cxx/ndc.h>
#include <log4cxx/patternlayout.h>
#include <stdlib.h>
#include <string>
#include <uv.h>

static log4cxx::LoggerPtr logger = log4cxx::Logger::getLogger("shop");

static void charge_card(uv_work_t *)
{
    LOG4CXX_INFO(logger, "card charged");
}

static void card_charged(uv_work_t *work, int)
{
    delete work;
}

static void take_request(const std::string &id)
{
    log4cxx::NDC request(id);
    uv_queue_work(uv_default_loop(), new uv_work_t, charge_card, card_charged);
}

int main()
{
    // One worker, so that the lines come in the order of the requests.
    setenv("UV_THREADPOOL_SIZE", "1", 1);
    log4cxx::LayoutPtr layout(new log4cxx::PatternLayout("%-5p request=%x %m%n"));
    log4cxx::BasicConfigurator::configure(log4cxx::AppenderPtr(new log4cxx::ConsoleAppender(layout)));

    take_request("17");
    take_request("18");
    take_request("19");
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
