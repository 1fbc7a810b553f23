/*
 * Releases that one thread leaves to another: the reference of a source that is taken away while another
 * thread is inside its callback (source_dispatch.c says who may count).
 *
 * Rules: they are written and read under one lock; nothing foreign is called under it.
 */
#include "base/lock.h"
#include "families/fork.h"
#include "families/glib/source.h"

static struct lock remote_releases_lock;

/*
 * A remote release for a dispatch that the thread, or the one that had its block before, was thrown out of is
 * dropped: such a dispatch keeps its reference for good, with GLib's own count too.
 */
struct registration *source_take_releases(struct thread *self,
                                          bool (*is_dispatching)(const struct registration *))
{
    struct registration *remote_release, *next, *kept = NULL, *mine = NULL;

    lock_take(&remote_releases_lock);
    for (remote_release =
             atomic_load_explicit(&self->guests[GUEST_glib_sources], memory_order_relaxed);
         remote_release; remote_release = next) {
        bool is_left = !atomic_load_explicit(&remote_release->dispatcher, memory_order_relaxed);

        next = *source_release_next(remote_release);
        if (is_left || is_dispatching(remote_release)) {
            *source_release_next(remote_release) = is_left ? mine : kept;
            *(is_left ? &mine : &kept) = remote_release;
        }
    }
    atomic_store_explicit(&self->guests[GUEST_glib_sources], kept, memory_order_relaxed);
    lock_drop(&remote_releases_lock);
    return mine;
}

/*
 * The source's reference goes to `reader`, which is inside. False: it has left; the caller has it.
 *
 * The reader clears `dispatcher` and looks for remote releases, with no fence in between: that would be the atomic
 * operation. So it may have looked before this remote release was there though we still see it inside; then
 * its store is done and on its way to us, and we wait for longer than a processor holds back a store
 * (nanoseconds; whatever interrupts the reader lets it out at once). If it took still longer,
 * the remote release would be read at the end of that thread's next dispatch.
 */
enum { PATIENCE = 500 };

bool source_leave_release(struct registration *registration, struct thread *reader)
{
    struct thread *dispatcher;

    lock_take(&remote_releases_lock);
    *source_release_next(registration) =
        atomic_load_explicit(&reader->guests[GUEST_glib_sources], memory_order_relaxed);
    atomic_store_explicit(&reader->guests[GUEST_glib_sources], registration, memory_order_seq_cst);
    for (unsigned i = 0;
         (dispatcher = atomic_load_explicit(&registration->dispatcher, memory_order_acquire)) &&
         i < PATIENCE;
         i++)
        arch_pause();
    if (!dispatcher) /* still the first: others write under the lock */
        atomic_store_explicit(&reader->guests[GUEST_glib_sources],
                              *source_release_next(registration), memory_order_relaxed);
    lock_drop(&remote_releases_lock);
    return dispatcher;
}

void glib_source_fork_lock(void)
{
    lock_take_for_fork(&remote_releases_lock);
}

void glib_source_fork_unlock(void)
{
    lock_drop_after_fork(&remote_releases_lock);
}
