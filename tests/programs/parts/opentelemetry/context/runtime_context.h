/* Where a thread of OpenTelemetry C++ has its contexts, written anew for the tests (see context.h): the stack is a
 * variable of a function, an array that grows by new[] and delete[]. */
#pragma once
#include "context.h"

namespace opentelemetry
{
inline namespace v1
{
namespace context
{
class Token
{
  public:
    explicit Token(const Context &of) : context_(of)
    {
    }
    Token(const Token &) = delete;
    inline ~Token();
    bool operator==(const Context &other) const noexcept
    {
        return context_ == other;
    }

  private:
    const Context context_;
};

class RuntimeContextStorage
{
  public:
    virtual Context GetCurrent() noexcept = 0;
    virtual std::unique_ptr<Token> Attach(const Context &context) noexcept = 0;
    virtual bool Detach(Token &token) noexcept = 0;
    virtual ~RuntimeContextStorage()
    {
    }
};

class ThreadLocalContextStorage : public RuntimeContextStorage
{
  public:
    Context GetCurrent() noexcept override
    {
        Stack &stack = GetStack();
        return stack.size ? stack.base[stack.size - 1] : Context();
    }
    std::unique_ptr<Token> Attach(const Context &context) noexcept override
    {
        GetStack().push(context);
        return std::unique_ptr<Token>(new Token(context));
    }
    bool Detach(Token &token) noexcept override
    {
        Stack &stack = GetStack();
        size_t at = stack.size;
        while (at > 0 && !(token == stack.base[at - 1]))
            at--;
        if (at == 0)
            return false;
        while (stack.size >= at)
            stack.base[--stack.size] = Context();
        return true;
    }

  private:
    struct Stack {
        size_t size, capacity;
        Context *base;
        Stack() noexcept : size(0), capacity(0), base(nullptr)
        {
        }
        ~Stack() noexcept
        {
            delete[] base;
        }
        void push(const Context &context)
        {
            if (size == capacity) {
                Context *grown = new Context[2 * size + 2];
                for (size_t i = 0; i < size; i++)
                    grown[i] = base[i];
                delete[] base;
                base = grown;
                capacity = 2 * size + 2;
            }
            base[size++] = context;
        }
    };
    Stack &GetStack()
    {
        static thread_local Stack stack_ = Stack();
        return stack_;
    }
};

class RuntimeContext
{
  public:
    static Context GetCurrent() noexcept
    {
        return storage().GetCurrent();
    }
    static std::unique_ptr<Token> Attach(const Context &context) noexcept
    {
        return storage().Attach(context);
    }
    static bool Detach(Token &token) noexcept
    {
        return storage().Detach(token);
    }

  private:
    static RuntimeContextStorage &storage() noexcept
    {
        static RuntimeContextStorage *storage = new ThreadLocalContextStorage;
        return *storage;
    }
};

inline Token::~Token()
{
    RuntimeContext::Detach(*this);
}
} // namespace context
} // namespace v1
} // namespace opentelemetry
