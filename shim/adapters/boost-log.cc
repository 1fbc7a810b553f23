// needs: boost/log/core/core.hpp
// Boost.Log: the thread's attributes.
// Scoped attributes (BOOST_LOG_SCOPED_THREAD_ATTR) keep an iterator into the thread's set, and a
// worker may be inside of one when it runs another task: so attributes that are there are changed in
// place and put back, never removed. One that the task must not see gets a value that is empty, which
// filters and formatters treat as missing. For the same reason coroutines share their thread's.
#define BOOST_LOG_DYN_LINK 1
#include <boost/log/attributes/attribute.hpp>
#include <boost/log/attributes/attribute_set.hpp>
#include <boost/log/core/core.hpp>
#include <vector>

#include "baton_adapter.h"

namespace logs = boost::log;

namespace
{

/* The value of an attribute that is hidden. */
struct nothing_impl : logs::attribute::impl {
    logs::attribute_value get_value() override
    {
        return logs::attribute_value();
    }
};

struct nothing : logs::attribute {
    nothing() : logs::attribute(new nothing_impl)
    {
    }
};

struct change {
    logs::attribute_name name;
    bool is_added;
    logs::attribute before, borrowed;
};

typedef std::vector<change> changes;

/* Are they one attribute? Their implementations are shared and counted. */
struct identity : logs::attribute {
    explicit identity(const logs::attribute &of) : logs::attribute(of)
    {
    }
    bool operator==(const identity &other) const
    {
        return get_impl() == other.get_impl();
    }
};

bool is_hidden(const logs::attribute &attribute)
{
    return !attribute.get_value();
}

void set(changes &made, const logs::attribute_name &name, const logs::attribute &value)
{
    auto core = logs::core::get();
    auto place = core->add_thread_attribute(name, value);
    change one = {name, place.second, logs::attribute(), value};
    if (!place.second) {
        one.before = place.first->second;
        place.first->second = value;
    }
    made.push_back(one);
}

/* is_thread: what the thread has set in the place of what it borrowed is its own. */
void undo(changes &made, bool is_thread)
{
    auto core = logs::core::get();
    for (auto one = made.rbegin(); one != made.rend(); ++one) {
        /* Finds it; or adds it, if the task has removed it. */
        auto place = core->add_thread_attribute(one->name, nothing());
        if (is_thread && !place.second &&
            !(identity(place.first->second) == identity(one->borrowed)))
            continue;
        if (one->is_added)
            core->remove_thread_attribute(place.first);
        else
            place.first->second = one->before;
    }
}

enum baton_adapter_result capture(void **captured)
try {
    logs::attribute_set now = logs::core::get()->get_thread_attributes();
    for (auto one = now.begin(); one != now.end();) {
        if (is_hidden(one->second))
            now.erase(one++);
        else
            ++one;
    }
    if (now.empty())
        return BATON_ADAPTER_NONE;
    *captured = new logs::attribute_set(now);
    return BATON_ADAPTER_OK;
} catch (...) {
    return BATON_ADAPTER_FAILED;
}

enum baton_adapter_result attach(void *captured, void **attached)
{
    changes *made = nullptr;
    try {
        const logs::attribute_set none;
        const logs::attribute_set &wanted = captured ? *static_cast<logs::attribute_set *>(captured)
                                                     : none;
        const logs::attribute_set there = logs::core::get()->get_thread_attributes();
        made = new changes;
        made->reserve(wanted.size() + there.size());
        for (const auto &one : there)
            if (wanted.find(one.first) == wanted.end())
                set(*made, one.first, nothing());
        for (const auto &one : wanted)
            set(*made, one.first, one.second);
    } catch (...) {
        if (made)
            undo(*made, false);
        delete made;
        return BATON_ADAPTER_FAILED;
    }
    *attached = made;
    return BATON_ADAPTER_OK;
}

void leave(void *attached, bool is_thread)
{
    changes *made = static_cast<changes *>(attached);
    try {
        undo(*made, is_thread);
    } catch (...) {
    }
    delete made;
}

void detach(void *attached)
{
    leave(attached, false);
}

void detach_at_end(void *attached)
{
    leave(attached, true);
}

void release(void *captured)
{
    delete static_cast<logs::attribute_set *>(captured);
}

} // namespace

const struct baton_adapter baton_adapter = {
    BATON_ADAPTER_VERSION, "boost-log", nullptr, capture, attach, detach, release,
    detach_at_end,         nullptr,     nullptr, 0};
