// The stripes of OpenCV's loops, which run on oneTBB in Debian, see the value of who called; nobody without a value sees one.
// libs: tbb >= 2021
// needs: opencv4/opencv2/core/utility.hpp
// flags: -I/usr/include/opencv4
// link: -lopencv_core
#include "carrier.h"
#include <atomic>
#include <opencv2/core/utility.hpp>

static std::atomic<long> ran, wrong_ones;

static void loop(long wanted)
{
    cv::parallel_for_(cv::Range(0, 64), [wanted](const cv::Range &range) {
        ran += range.size();
        if (current() != wanted)
            wrong_ones++;
        usleep(100); /* other threads help */
    });
}

int main(int argc, char **argv)
{
    carrier_choose(argc > 1 ? argv[1] : NULL);
    cv::setNumThreads(2);
    for (long i = 1; i <= 20; i++) {
        set_current(i);
        loop(i);
        set_current(i);
        cv::parallel_for_(cv::Range(0, 4),
                          [i](const cv::Range &) { /* loops in loops, which leave what they set */
                                                   set_current(i + 1000);
                                                   loop(i + 1000);
                          });
        set_current(0);
        loop(0);
    }
    expect("stripes", ran, 20 * 64 * 6);
    expect("wrong", wrong_ones, 0);
    return verdict();
}
