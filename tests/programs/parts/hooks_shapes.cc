// What pools of C++ programs take: smart pointers, linked lists, tasks in two parts, work that may be refused, numbers
// that become objects. The context is a __thread variable; a task compares it with what its submitter had.
// hooks_shapes MODE...: unique, list, pieces, refuse, parts, twice, number, packaged, any, events
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

extern "C" { __thread long request_id; }
#define APART __attribute__((noinline, noclone))

static std::atomic<long> ran, wrong;

static void look(long wanted)
{
    ran++;
    wrong += request_id != wanted;
    request_id = -wanted;
}

// Hands what it is given to one worker, in order; nothing that a user names is in here.
template <class Item> struct Line {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Item> items;
    bool is_over = false;

    void add(Item item)
    {
        std::lock_guard<std::mutex> lock(mutex);
        items.push_back(std::move(item));
        changed.notify_one();
    }
    bool take(Item &item)
    {
        std::unique_lock<std::mutex> lock(mutex);

        changed.wait(lock, [this] { return is_over || !items.empty(); });
        if (items.empty())
            return false;
        item = std::move(items.front());
        items.pop_front();
        return true;
    }
    void end()
    {
        std::lock_guard<std::mutex> lock(mutex);
        is_over = true;
        changed.notify_all();
    }
};

struct Task {
    long wanted;
    bool in_parts;
    Task *next = nullptr;

    explicit Task(long w, bool parts = false) : wanted(w), in_parts(parts) {}
    virtual ~Task() {}
    virtual void run();
    virtual void done();
};
APART void Task::run()
{
    look(wanted);
    if (in_parts)
        request_id = 77; // gone when the second part runs
}
APART void Task::done()
{
    look(wanted);
}

class Pool
{
public:
    Line<Task *> line;
    std::thread worker{[this] { work(); }};

    ~Pool()
    {
        line.end();
        worker.join();
    }
    APART void submit(Task *task);
    APART void submit(std::unique_ptr<Task> task);
    APART void submit_all(Task *first);
    APART bool try_submit(Task *task);
    APART static void execute(Task *task);
    void work()
    {
        Task *task;

        while (line.take(task)) {
            long own = request_id;

            execute(task);
            if (task->in_parts)
                task->done();
            wrong += request_id != own;
            if (task->wanted > 0)
                delete task;
        }
    }
};
void Pool::submit(Task *task)
{
    line.add(task);
}
void Pool::submit(std::unique_ptr<Task> task)
{
    line.add(task.release());
}
void Pool::submit_all(Task *first)
{
    for (Task *next; first; first = next) {
        next = first->next;
        line.add(first);
    }
}
bool Pool::try_submit(Task *task)
{
    if (task->wanted % 2)
        return false;
    line.add(task);
    return true;
}
void Pool::execute(Task *task)
{
    asm volatile("" ::: "memory");
    task->run();
}

// A number is handed over, an object made of it later, and that is run.
struct Timers {
    struct Event {
        long id;
    };
    Line<long> line;
    std::thread worker{[this] { work(); }};

    ~Timers()
    {
        line.end();
        worker.join();
    }
    APART void start(int id);
    APART static void expire(Event *event, int id);
    APART static void deliver(Event *event);
    void work()
    {
        for (long id; line.take(id);) {
            Event event;

            for (int i = 0; i < 2; i++) {
                expire(&event, (int)id);
                deliver(&event);
            }
        }
    }
};
void Timers::start(int id)
{
    line.add(id);
}
void Timers::expire(Event *event, int id)
{
    event->id = id;
}
void Timers::deliver(Event *event)
{
    look(event->id);
}

// A job in pieces, handed over as a list: each is called with the job; one of another form with a number.
struct Job {
    long wanted;
    std::atomic<int> left;
};
struct Piece {
    void (*run)(Job *);
    long own;
    Job *job;
    Piece *next;
    unsigned form; // 4: called with its number

    static void look_at(Job *job)
    {
        look(job->wanted);
        job->left--;
    }
    static void take_number(Job *number)
    {
        ran++;
        wrong += (long)number != 77;
    }
    APART static void hand(Line<Piece *> *line, Piece *first);
};
void Piece::hand(Line<Piece *> *line, Piece *first)
{
    for (; first; first = first->next)
        line->add(first);
}

static void pieces()
{
    Line<Piece *> line;
    std::thread worker([&] {
        for (Piece *piece; line.take(piece);)
            piece->run(piece->form & 4 ? (Job *)piece->own : piece->job);
    });

    for (long i = 1; i <= 200; i++) {
        Job job = {i, {3}};
        Piece all[4];

        for (int k = 0; k < 4; k++)
            all[k] = {k == 2 ? Piece::take_number : Piece::look_at, 77, &job, k < 3 ? &all[k + 1] : nullptr, k == 2 ? 6u : 2u};
        request_id = i;
        Piece::hand(&line, all);
        request_id = -1;
        while (job.left)
            std::this_thread::yield();
    }
    request_id = 0;
    line.end();
    worker.join();
}

// Words as a std::function has, of another meaning; only the name says so.
namespace absl
{
template <class Signature> struct AnyInvocable {
    void *state[2];
    void (*manager)(bool is_end, void *from, void *to);
    void (*invoker)(void *state);
};
} // namespace absl

struct Executor {
    APART static void run(absl::AnyInvocable<void()> &work);
};
void Executor::run(absl::AnyInvocable<void()> &work)
{
    work.invoker(work.state);
    work.manager(true, work.state, work.state);
}

static void any_invocable()
{
    absl::AnyInvocable<void()> work = {{}, [](bool, void *, void *) {}, [](void *) { ran++; }};

    Executor::run(work);
}

// A queue that answers what kind of event came, and with it a tag, which of no event is the last one's.
struct Events {
    std::deque<void *> done;
    void *last = nullptr;
    struct Event { int kind, ok; void *tag; };

    APART void post(int, void *tag) { last = tag; }
    APART Event next() // 1: none yet, 2: one that was done
    {
        __asm__ volatile("" : : : "memory");
        if (done.empty())
            return {1, 1, last};
        void *tag = done.front();
        done.pop_front();
        return {2, 0, tag};
    }
};

static void events()
{
    Events events;
    long tags[200];

    for (long i = 0; i < 200; i++) {
        request_id = i + 1;
        events.post(0, tags + i);
        request_id = 0;
        events.next();
        wrong += request_id != 0;
        events.done.push_back(tags + i);
        events.next();
        look(i + 1);
    }
    events.next();
    wrong += request_id != 0; // its own again, with the next event
}

static void packaged()
{
    Line<std::shared_ptr<std::packaged_task<long()>>> line;
    std::thread worker([&] {
        for (std::shared_ptr<std::packaged_task<long()>> task; line.take(task);)
            (*task)();
    });
    std::vector<std::future<long>> results;

    for (long i = 1; i <= 200; i++) {
        request_id = i;
        std::promise<long> unused; // its result is no task
        auto task = std::make_shared<std::packaged_task<long()>>([i] { look(i); return i; });
        results.push_back(task->get_future());
        line.add(task);
        task = std::make_shared<std::packaged_task<long()>>([i, &line] { look(i); return line.is_over; }); // another type
        results.push_back(task->get_future());
        line.add(task);
    }
    request_id = 0;
    for (auto &result : results)
        result.get();
    line.end();
    worker.join();
}

static void run_mode(const char *mode)
{
    if (!strcmp(mode, "packaged"))
        return packaged();
    if (!strcmp(mode, "any"))
        return any_invocable();
    if (!strcmp(mode, "events"))
        return events();
    if (!strcmp(mode, "pieces"))
        return pieces();
    if (!strcmp(mode, "number")) {
        Timers timers;

        for (int i = 1; i <= 200; i++) {
            request_id = i;
            timers.start(i);
        }
        request_id = 0;
        return;
    }
    std::vector<Task *> kept;
    {
        Pool pool;
        Task *first = nullptr;

        for (long i = 1; i <= 200; i++) {
            request_id = i;
            if (!strcmp(mode, "unique"))
                pool.submit(std::make_unique<Task>(i));
            else if (!strcmp(mode, "parts"))
                pool.submit(new Task(i, true));
            else if (!strcmp(mode, "twice")) { // the same object waits twice
                kept.push_back(new Task(-i));
                request_id = -i;
                pool.submit(kept.back());
                pool.submit(kept.back());
            } else if (!strcmp(mode, "refuse")) {
                Task *task = new Task(i);

                if (!pool.try_submit(task)) { // its memory is the next one's, which is submitted by nobody
                    delete task;
                    request_id = 0;
                    task = new Task(1000000);
                    task->wanted = 0;
                    kept.push_back(task);
                    pool.line.add(task);
                }
            } else if (!strcmp(mode, "list")) {
                Task *task = new Task(i / 10 * 10);

                task->next = first;
                first = task;
                if (i % 10 == 9) {
                    request_id = i / 10 * 10;
                    if (!request_id)
                        for (Task *t = first; t; t = t->next)
                            t->wanted = request_id = 5;
                    pool.submit_all(first);
                    first = nullptr;
                }
            }
        }
        if (first)
            delete first;
        request_id = 0;
    }
    for (Task *task : kept)
        delete task;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        run_mode(argv[i]);
    printf("ran %ld wrong %ld\n%s\n", ran.load(), wrong.load(), wrong ? "WRONG" : "RIGHT");
    return wrong != 0;
}
