// Handlers of a strand of Asio's see the number of who posted each, whichever of them came first.
#include <utility>
#include <boost/asio.hpp>
#include <cstdio>
#include <memory>

thread_local long request_id;
static long ran, wrong;

int main()
{
    boost::asio::io_context context;
    auto strand = boost::asio::make_strand(context);

    for (long i = 1; i <= 500; i++) {
        request_id = i;
        boost::asio::post(strand, [i, only = std::make_unique<long>(i)] {
            ran++;
            wrong += request_id != i || *only != i;
        });
    }
    request_id = 0;
    context.run();
    std::printf("ran %ld wrong %ld\n", ran, wrong);
    return ran != 500 || wrong;
}
