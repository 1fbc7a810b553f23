// gRPC on its harder ways: completions of calls that are cancelled, late, or under way when their queue shuts down, alarms that
// are cancelled or call back, streams, and calls that wait, see the number of who started each, or leave nothing.
// libs: grpc++
#include "preset.h"
#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/client_unary_call.h>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

// Answers each message of /a/b with itself; never those of /a/never.
struct Echo : grpc::ServerGenericBidiReactor {
    grpc::ByteBuffer message;
    bool answers;
    std::atomic<bool> is_finished{false};

    explicit Echo(bool does) : answers(does) { StartRead(&message); }
    void finish()
    {
        if (!is_finished.exchange(true))
            Finish(grpc::Status::OK);
    }
    void OnReadDone(bool ok) override
    {
        if (!ok)
            finish();
        else if (answers)
            StartWrite(&message);
    }
    void OnWriteDone(bool ok) override
    {
        if (ok)
            StartRead(&message);
    }
    void OnCancel() override
    {
        if (!answers)
            finish();
    }
    void OnDone() override { delete this; }
};

struct Service : grpc::CallbackGenericService {
    grpc::ServerGenericBidiReactor *CreateReactor(grpc::GenericCallbackServerContext *context) override
    {
        return new Echo(context->method() == "/a/b");
    }
};

static grpc::ByteBuffer one_message()
{
    grpc::Slice slice("x");

    return grpc::ByteBuffer(&slice, 1);
}

struct Call {
    long number;
    grpc::ClientContext context;
    grpc::ByteBuffer sent = one_message(), received;
    grpc::Status status;
    std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;

    explicit Call(long n) : number(n) {}
};

static grpc::GenericStub *stub;
static std::shared_ptr<grpc::Channel> channel;

// Whoever asks for the next one has no value of its own between.
static void serve(grpc::CompletionQueue *queue)
{
    void *tag;
    bool ok;

    while (queue->Next(&tag, &ok)) {
        auto *call = (Call *)tag;

        look(call->number);
        delete call;
    }
}

static Call *begin(grpc::CompletionQueue *queue, long number, const char *method)
{
    auto *call = new Call(number);

    request_id = number;
    if (number % 3 == 0)
        call->context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(20));
    call->reader = stub->PrepareUnaryCall(&call->context, method, call->sent, queue);
    call->reader->StartCall();
    call->reader->Finish(&call->received, &call->status, call);
    return call;
}

static void cancelled()
{
    grpc::CompletionQueue queue;
    std::vector<Call *> calls;

    for (long i = 1; i <= 60; i++)
        calls.push_back(begin(&queue, i, "/a/never"));
    request_id = 999;
    for (auto *call : calls)
        if (call->number % 3)
            call->context.TryCancel();
    std::thread worker(serve, &queue);
    wait_for(60);
    queue.Shutdown();
    worker.join();
}

// The queue is shut down first; what is under way still comes out.
static void shut_down()
{
    grpc::CompletionQueue queue;
    std::vector<Call *> calls;

    for (long i = 1; i <= 30; i++)
        calls.push_back(begin(&queue, i, "/a/never"));
    request_id = 999;
    queue.Shutdown();
    for (auto *call : calls)
        call->context.TryCancel();
    request_id = 0;
    std::thread worker(serve, &queue);
    worker.join();
}

static void alarms_cancelled()
{
    grpc::CompletionQueue queue;
    std::vector<std::unique_ptr<grpc::Alarm>> alarms;
    void *tag;
    bool ok;

    for (long i = 1; i <= 30; i++) {
        request_id = i;
        alarms.emplace_back(new grpc::Alarm);
        alarms.back()->Set(&queue, std::chrono::system_clock::now() + std::chrono::hours(1), (void *)i);
    }
    request_id = 999;
    for (auto &alarm : alarms)
        alarm->Cancel();
    request_id = 0;
    for (int i = 0; i < 30; i++) {
        queue.Next(&tag, &ok);
        look((long)tag);
        wrong_ones += ok;
    }
    queue.Shutdown();
    queue.Next(&tag, &ok);
    wrong_ones += request_id != 0;
    request_id = 0;
}

static void alarms_calling()
{
    std::vector<std::unique_ptr<grpc::Alarm>> alarms;

    for (long i = 1; i <= 30; i++) {
        auto when = std::chrono::system_clock::now();

        request_id = i;
        alarms.emplace_back(new grpc::Alarm);
        alarms.back()->Set(i % 2 ? when : when + std::chrono::hours(1), [i](bool) { look(i); });
        request_id = 999;
        if (i % 2 == 0)
            alarms.back()->Cancel();
    }
    wait_for(30);
}

struct Stream : grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
    grpc::ClientContext context;
    grpc::ByteBuffer sent = one_message(), received;
    long number;
    int rounds = 3;
    std::atomic<bool> is_read{false}, is_done{false};

    explicit Stream(long n) : number(n)
    {
        stub->PrepareBidiStreamingCall(&context, "/a/b", {}, this);
        StartWrite(&sent);
        AddHold();
        StartCall();
    }
    void OnReadDone(bool ok) override
    {
        wrong_ones += request_id != number;
        if (!ok) {
            is_read = true;
            return;
        }
        if (--rounds) {
            StartWrite(&sent);
        } else {
            StartWritesDone();
            StartRead(&received);
        }
    }
    void OnWriteDone(bool ok) override
    {
        wrong_ones += request_id != number;
        if (ok)
            StartRead(&received);
    }
    void OnDone(const grpc::Status &) override
    {
        look(number);
        is_done = true;
    }
};

static void streams()
{
    std::vector<std::unique_ptr<Stream>> all;

    for (long i = 1; i <= 30; i++) {
        request_id = i;
        all.emplace_back(new Stream(i));
    }
    request_id = 0;
    for (auto &one : all) {
        while (!one->is_read)
            std::this_thread::yield();
        request_id = one->number;
        one->RemoveHold(); // whoever lets go last, here or there, has it ended elsewhere
        request_id = 0;
        while (!one->is_done)
            std::this_thread::yield();
    }
}

// A call that waits takes its completion out by itself: nothing of it is left.
static void waiting()
{
    for (long i = 1; i <= 30; i++) {
        grpc::ClientContext context;
        grpc::ByteBuffer sent = one_message(), received;

        request_id = i;
        grpc::internal::BlockingUnaryCall(channel.get(),
                                          grpc::internal::RpcMethod("/a/b", grpc::internal::RpcMethod::NORMAL_RPC),
                                          &context, sent, &received);
        wrong_ones += request_id != i;
        ran++;
    }
    request_id = 0;
}

int main(int argc, char **argv)
{
    std::string address = "unix:/tmp/baton-test-grpc-" + std::to_string(getpid());
    Service service;
    grpc::ServerBuilder builder;

    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    builder.RegisterCallbackGenericService(&service);
    auto server = builder.BuildAndStart();
    channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
    grpc::GenericStub the_stub(channel);
    stub = &the_stub;
    int status = run_groups({{"cancelled", cancelled}, {"shut_down", shut_down}, {"alarms_cancelled", alarms_cancelled},
                             {"alarms_calling", alarms_calling}, {"streams", streams}, {"waiting", waiting}}, argc, argv);
    server->Shutdown();
    return status;
}
