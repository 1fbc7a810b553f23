/* A context of OpenTelemetry C++ as programs see it, written anew for the tests: the names, sizes and virtual functions
 * of the public ABI v1, and of its functions those that the tests call. */
#pragma once
#include <memory>
#include <new>
#include <string>
#include <utility>

namespace opentelemetry
{
inline namespace v1
{
namespace nostd
{
#ifdef OPENTELEMETRY_STL_VERSION
using std::shared_ptr;
#else
template <class T> class shared_ptr
{
    struct alignas(8) PlacementBuffer {
        char data[32]{};
    };
    class shared_ptr_wrapper
    {
      public:
        shared_ptr_wrapper() noexcept = default;
        shared_ptr_wrapper(std::shared_ptr<T> taken) noexcept : held(std::move(taken))
        {
        }
        virtual ~shared_ptr_wrapper()
        {
        }
        virtual void CopyTo(PlacementBuffer &to) const noexcept
        {
            new (to.data) shared_ptr_wrapper(*this);
        }
        virtual void MoveTo(PlacementBuffer &to) noexcept
        {
            new (to.data) shared_ptr_wrapper(std::move(held));
        }
        virtual T *Get() const noexcept
        {
            return held.get();
        }
        virtual void Reset() noexcept
        {
            held.reset();
        }

      private:
        std::shared_ptr<T> held;
    };

  public:
    shared_ptr() noexcept
    {
        new (buffer.data) shared_ptr_wrapper;
    }
    explicit shared_ptr(T *taken)
    {
        new (buffer.data) shared_ptr_wrapper(std::shared_ptr<T>(taken));
    }
    shared_ptr(const shared_ptr &other) noexcept
    {
        other.wrapper().CopyTo(buffer);
    }
    shared_ptr &operator=(const shared_ptr &other) noexcept
    {
        wrapper().~shared_ptr_wrapper();
        other.wrapper().CopyTo(buffer);
        return *this;
    }
    ~shared_ptr()
    {
        wrapper().~shared_ptr_wrapper();
    }
    T *get() const noexcept
    {
        return wrapper().Get();
    }

  private:
    PlacementBuffer buffer;
    shared_ptr_wrapper &wrapper() const noexcept
    {
        return *reinterpret_cast<shared_ptr_wrapper *>(const_cast<char *>(buffer.data));
    }
};
#endif
} // namespace nostd

namespace context
{
class Context
{
  public:
    Context() = default;
    long GetValue(const char *key) const noexcept
    {
        DataList *list = head_.get();
        while (list && list->key != key)
            list = list->next.get();
        return list ? list->value : 0;
    }
    Context SetValue(const char *key, long value) const
    {
        Context made;
        made.head_ = nostd::shared_ptr<DataList>(new DataList{key, value, head_});
        return made;
    }
    bool operator==(const Context &other) const noexcept
    {
        return head_.get() == other.head_.get();
    }

  private:
    struct DataList {
        std::string key;
        long value;
        nostd::shared_ptr<DataList> next;
    };
    nostd::shared_ptr<DataList> head_;
};
} // namespace context
} // namespace v1
} // namespace opentelemetry
