/*
 * A tracing library in the style of opentelemetry-cpp: the current context is behind an API in headers,
 * on a stack of scope objects; a byte copy of the stack would crash. Nothing here knows of baton.
 */
#ifndef TRACER_H
#define TRACER_H
#include <memory>
#include <string>
#include <vector>

namespace tracer {

struct span {
    std::string name;
};
typedef std::shared_ptr<span> context;

/* One a thread, in whatever module came first: an inline variable is unique in the process. */
__attribute__((visibility("default"))) inline std::vector<context> &stack()
{
    static thread_local std::vector<context> contexts;
    return contexts;
}

inline context current()
{
    return stack().empty() ? context() : stack().back();
}

/* Makes a context current until it goes out of scope. */
class scope {
public:
    explicit scope(context made) : depth(stack().size())
    {
        stack().push_back(std::move(made));
    }
    ~scope()
    {
        if (!is_released)
            stack().resize(depth);
    }
    scope(const scope &) = delete;

    /* Is what it made current still that? */
    bool is_current() const
    {
        return stack().size() == depth + 1;
    }
    /* What is on the stack stays there. */
    void release()
    {
        is_released = true;
    }

private:
    size_t depth;
    bool is_released = false;
};

} // namespace tracer
#endif
