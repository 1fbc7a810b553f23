// The design of opentelemetry-cpp's runtime context, rebuilt here from its public description (an
// equivalent, not the library): a context is a shared_ptr to a linked list of values, the thread
// has a stack of contexts, Attach gives a heap-allocated token whose end is Detach.
#include "peer.h"

#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Value {
    std::string key;
    void *value;
    std::shared_ptr<Value> next;
};

struct Context {
    std::shared_ptr<Value> head;

    Context with(const std::string &key, void *value) const
    {
        return Context{std::make_shared<Value>(Value{key, value, head})};
    }
    bool operator==(const Context &other) const { return head == other.head; }
};

std::vector<Context> &stack()
{
    static thread_local std::vector<Context> contexts;
    return contexts;
}

// Virtual, as the library's storage is.
struct Storage {
    virtual ~Storage() = default;
    virtual Context current() { return stack().empty() ? Context() : stack().back(); }
    virtual struct Token *attach(const Context &context);
    virtual bool detach(const Token &token);
};

std::shared_ptr<Storage> &storage()
{
    static std::shared_ptr<Storage> instance = std::make_shared<Storage>();
    return instance;
}

std::shared_ptr<Storage> storage_reference() { return storage(); }

struct Token {
    Context context;
    ~Token() { storage_reference()->detach(*this); }
};

Token *Storage::attach(const Context &context)
{
    stack().push_back(context);
    return new Token{context};
}

bool Storage::detach(const Token &token)
{
    auto &contexts = stack();
    while (!contexts.empty()) {
        bool is_it = contexts.back() == token.context;
        contexts.pop_back();
        if (is_it)
            return true;
    }
    return false;
}

Context captured[PEER_TASKS];

void batch()
{
    for (auto &context : captured)
        context = storage_reference()->current();
    for (auto &context : captured) {
        std::unique_ptr<Token> token(storage_reference()->attach(context));
        peer_task();
        token.reset();
        context = Context();
    }
}

} // namespace

int main(int argc, char **argv)
{
    // libstdc++ drops the atomics of shared_ptr as long as there is one thread.
    std::thread([] {}).join();
    for (int i = 1; i < argc; i++) {
        int k = atoi(argv[i]);
        Context context;

        for (int j = 0; j < k; j++)
            context = context.with("key" + std::to_string(j), &context);
        std::unique_ptr<Token> token(storage_reference()->attach(context));
        peer_report("otel-cpp-design", k, batch);
    }
    return 0;
}
