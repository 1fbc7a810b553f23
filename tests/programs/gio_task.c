// GIO tasks: a callback runs in the context in which its task was made, whichever thread finishes it.
// libs: gio-2.0 gio-unix-2.0
// usage: gio_task MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <dirent.h>
#include <gio/gio.h>
#include <sys/socket.h>

static long worker_saw[16], saw[16], calls;

static void run_until(long count)
{
    set_current(9);
    while (calls < count)
        g_main_context_iteration(NULL, TRUE);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    expect("the loop's thread has", current(), 9);
}

static void note(gpointer data)
{
    saw[(long)data] = current();
    set_current(7000 + (long)data);
    calls++;
}

static void on_ready(GObject *object, GAsyncResult *result, gpointer data)
{
    note(data);
}

static void work(GTask *task, gpointer object, gpointer data, GCancellable *cancellable)
{
    worker_saw[(long)data] = current();
    set_current(6000);
    g_task_return_boolean(task, TRUE);
}

/* Work in GIO's own threads. */
static void mode_thread(void)
{
    for (long i = 1; i <= 4; i++) {
        GTask *task;
        set_current(100 + i);
        task = g_task_new(NULL, NULL, on_ready, (gpointer)i);
        g_task_set_task_data(task, (gpointer)i, NULL);
        g_task_run_in_thread(task, work);
        g_object_unref(task);
    }
    set_current(105);
    GTask *task = g_task_new(NULL, NULL, NULL, NULL);
    g_task_set_task_data(task, (gpointer)5, NULL);
    g_task_run_in_thread_sync(task, work);
    g_object_unref(task);
    run_until(4);
    for (int i = 1; i <= 5; i++) {
        expect("worker sees", worker_saw[i], 100 + i);
        if (i < 5)
            expect("callback sees", saw[i], 100 + i);
    }
}

static gpointer finish(gpointer data)
{
    set_current(8);
    g_task_return_boolean(data, TRUE);
    g_object_unref(data);
    return NULL;
}

/* A thread that has nothing to do with who asked finishes the task. */
static void mode_elsewhere(void)
{
    GThread *threads[4];
    for (long i = 1; i <= 4; i++) {
        set_current(100 + i);
        GTask *task = g_task_new(NULL, NULL, on_ready, (gpointer)i);
        set_current(50 + i);
        threads[i - 1] = g_thread_new("finisher", finish, task);
    }
    run_until(4);
    for (int i = 1; i <= 4; i++) {
        g_thread_join(threads[i - 1]);
        expect("callback sees", saw[i], 100 + i);
    }
}

/* Files. */
static struct gate hold = GATE_CLOSED;
static long cancelled;

static void on_cancelled(GObject *object, GAsyncResult *result, gpointer data)
{
    GError *error = NULL;
    if (object)
        g_file_read_finish(G_FILE(object), result, &error);
    else
        g_task_propagate_boolean(G_TASK(result), &error);
    cancelled += g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_clear_error(&error);
    note(data);
}

static void slow_work(GTask *task, gpointer object, gpointer data, GCancellable *cancellable)
{
    worker_saw[(long)data] = current();
    gate_wait(&hold);
    set_current(6000);
    if (g_task_set_return_on_cancel(task, FALSE))
        g_task_return_boolean(task, TRUE);
}

/* Cancelled while its work goes on in a thread, and before it begins. */
static void mode_cancel(void)
{
    GCancellable *cancel = g_cancellable_new();
    GFile *file = g_file_new_for_path("/etc/passwd");
    for (long i = 1; i <= 3; i++) {
        set_current(100 + i);
        GTask *task = g_task_new(NULL, cancel, on_cancelled, (gpointer)i);
        g_task_set_task_data(task, (gpointer)i, NULL);
        g_task_set_return_on_cancel(task, i != 2);
        g_task_run_in_thread(task, i == 1 ? slow_work : work);
        g_object_unref(task);
        if (i == 1) {
            gate_await(&hold, 1);
            set_current(50);
            g_cancellable_cancel(cancel);
        }
    }
    set_current(104);
    g_file_read_async(file, 0, cancel, on_cancelled, (gpointer)4);
    run_until(4);
    gate_open(&hold);
    expect("worker sees", worker_saw[1], 101);
    for (int i = 1; i <= 4; i++)
        expect("callback sees", saw[i], 100 + i);
    expect("cancelled", cancelled, 4);
    g_object_unref(file);
    g_object_unref(cancel);
}

static void mode_file(void)
{
    GFile *file = g_file_new_for_path("/etc/passwd");
    set_current(101);
    g_file_read_async(file, 0, NULL, on_ready, (gpointer)1);
    set_current(102);
    g_file_query_info_async(file, "*", 0, 0, NULL, on_ready, (gpointer)2);
    set_current(103);
    g_file_load_contents_async(file, NULL, on_ready, (gpointer)3);
    run_until(3);
    g_object_unref(file);
    for (int i = 1; i <= 3; i++)
        expect("callback sees", saw[i], 100 + i);
}

/* ---- D-Bus between two threads of one process, without a bus ---- */

static const char interface[] = "<node><interface name='a.B'><method name='Ask'><arg type='i' direction='in'/>"
                                "<arg type='i' direction='out'/></method></interface></node>";
static GMainLoop *server_loop;
static GDBusConnection *server;

static void on_method(GDBusConnection *connection, const char *sender, const char *path, const char *name,
                      const char *method, GVariant *parameters, GDBusMethodInvocation *invocation, gpointer data)
{
    g_dbus_method_invocation_return_value(invocation, parameters);
}

static gpointer serve(gpointer stream)
{
    static const GDBusInterfaceVTable table = {on_method, NULL, NULL, {0}};
    GMainContext *context = g_main_context_new();
    GDBusNodeInfo *info = g_dbus_node_info_new_for_xml(interface, NULL);
    char *guid = g_dbus_generate_guid();
    g_main_context_push_thread_default(context);
    server_loop = g_main_loop_new(context, FALSE);
    server = g_dbus_connection_new_sync(stream, guid,
                                        G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER |
                                            G_DBUS_CONNECTION_FLAGS_DELAY_MESSAGE_PROCESSING,
                                        NULL, NULL, NULL);
    g_dbus_connection_register_object(server, "/a", info->interfaces[0], &table, NULL, NULL, NULL);
    g_dbus_connection_start_message_processing(server);
    g_main_loop_run(server_loop);
    g_object_unref(server);
    g_dbus_node_info_unref(info);
    g_free(guid);
    g_main_loop_unref(server_loop);
    g_main_context_pop_thread_default(context);
    g_main_context_unref(context);
    return NULL;
}

static void on_reply(GObject *connection, GAsyncResult *result, gpointer data)
{
    GVariant *answer = g_dbus_connection_call_finish(G_DBUS_CONNECTION(connection), result, NULL);
    int number = 0;
    if (answer) {
        g_variant_get(answer, "(i)", &number);
        g_variant_unref(answer);
    }
    expect("answer", number, (long)data);
    note(data);
}

static GIOStream *stream_of(int fd)
{
    GSocket *socket = g_socket_new_from_fd(fd, NULL);
    GIOStream *stream = G_IO_STREAM(g_socket_connection_factory_create_connection(socket));
    g_object_unref(socket);
    return stream;
}

/* A reply comes to GIO's worker thread. */
static void mode_dbus(void)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        abort();
    set_current(55);
    GIOStream *one = stream_of(ends[0]), *other = stream_of(ends[1]);
    GThread *thread = g_thread_new("server", serve, one);
    GDBusConnection *client =
        g_dbus_connection_new_sync(other, NULL, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL, NULL);
    for (long i = 1; i <= 8; i++) {
        set_current(100 + i);
        g_dbus_connection_call(client, NULL, "/a", "a.B", "Ask", g_variant_new("(i)", (int)i), NULL, 0, -1, NULL, on_reply,
                               (gpointer)i);
    }
    run_until(8);
    for (int i = 1; i <= 8; i++)
        expect("reply's callback sees", saw[i], 100 + i);
    set_current(0);
    g_dbus_connection_close_sync(client, NULL, NULL);
    g_object_unref(client);
    g_main_loop_quit(server_loop);
    g_thread_join(thread);
    g_object_unref(one);
    g_object_unref(other);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    let_rest();
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {{"thread", mode_thread}, {"elsewhere", mode_elsewhere}, {"file", mode_file}, {"dbus", mode_dbus},
           {"cancel", mode_cancel}};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            let_rest(); /* GIO's threads let go of what they have finished */
            return verdict();
        }
    return 2;
}
