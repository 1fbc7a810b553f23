// A task sees its submitter's word of a library that came when the pool's thread was there already, however
// often the library is closed and opened again, and another beside it
// libs: libuv
// link: -ldl
// usage: late_library LIBRARY OTHER
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

struct word {
    void *handle;
    void (*set)(long);
    long (*get)(void);
};

struct task {
    uv_work_t request;
    struct word *word, *other;
    long seen, other_seen, sets;
};

static int is_wrong;

static struct word opened(const char *path)
{
    struct word word = {.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL)};

    if (!word.handle) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    word.set = (void (*)(long))dlsym(word.handle, "late_set");
    word.get = (long (*)(void))dlsym(word.handle, "late_get");
    return word;
}

static void work(uv_work_t *request)
{
    struct task *task = request->data;

    if (!task->word)
        return;
    task->seen = task->word->get();
    if (task->sets)
        task->word->set(task->sets);
    if (task->other)
        task->other_seen = task->other->get();
}

static void after(uv_work_t *request, int status)
{
    struct task *task = request->data;

    if (task->word && task->seen != task->word->get())
        is_wrong = 1;
    (void)status;
}

/* What the tasks see that are handed over with these values, one after another. */
static void run(struct word *word, struct word *other, const long *values, int count)
{
    struct task tasks[8] = {0};

    for (int i = 0; i < count; i++) {
        tasks[i].request.data = &tasks[i];
        tasks[i].word = word;
        tasks[i].other = other;
        tasks[i].sets = i % 2 ? 99 : 0;
        if (word)
            word->set(values[i]);
        uv_queue_work(uv_default_loop(), &tasks[i].request, work, after);
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    for (int i = 0; word && i < count; i++) {
        printf(" %ld", tasks[i].seen);
        is_wrong |= tasks[i].seen != values[i] || (other && tasks[i].other_seen != other->get());
    }
    if (word)
        puts("");
    is_wrong |= word && word->get() != values[count - 1];
}

int main(int argc, char **argv)
{
    static const long values[] = {1, 1, 2, 3, 7, 7, 4, 5};
    struct word word, other;

    if (argc != 3 || setenv("UV_THREADPOOL_SIZE", "1", 1))
        return 2;
    run(NULL, NULL, values, 4); /* the pool's thread is there before the library */
    word = opened(argv[1]);
    run(&word, NULL, values, 8);
    dlclose(word.handle);
    other = opened(argv[2]);
    word = opened(argv[1]);
    run(&word, &other, values, 8);
    run(&word, &other, values + 2, 4);
    return is_wrong;
}
