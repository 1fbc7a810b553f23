// Boost.Log's thread attributes of the request are the task's, also inside of somebody's scoped attribute.
// libs: glib-2.0
// flags: -DBOOST_LOG_DYN_LINK
// link: -lboost_log -lboost_thread
#define COROUTINES_SHARE /* the adapter has no exchange */
#include "adapter.h"
#include <boost/log/attributes/constant.hpp>
#include <boost/log/attributes/scoped_attribute.hpp>
#include <boost/log/attributes/value_extraction.hpp>
#include <boost/log/core/core.hpp>

namespace attrs = boost::log::attributes;

static void set_request(long number)
{
    boost::log::attribute_set all;
    if (number)
        all.insert("request", attrs::constant<long>(number));
    boost::log::core::get()->set_thread_attributes(all);
}

static long value_of(const char *name)
{
    boost::log::attribute_set all = boost::log::core::get()->get_thread_attributes();
    auto found = all.find(name);
    if (found == all.end() || !found->second.get_value())
        return 0;
    return boost::log::extract_or_default<long>(found->second.get_value(), -1L);
}

static long seen(void)
{
    return value_of("of a task") ? -1 : value_of("request");
}

static void spoil(void)
{
    boost::log::core::get()->add_thread_attribute("of a task", attrs::constant<long>(1));
    auto place = boost::log::core::get()->add_thread_attribute("request", attrs::constant<long>(99));
    place.first->second = attrs::constant<long>(99);
}

int main()
{
    {
        BOOST_LOG_SCOPED_THREAD_ATTR("inner", attrs::constant<long>(6));
        expect("scoped", value_of("inner"), 6);
    }
    expect("left", value_of("inner"), 0);
    return main_of_test();
}
