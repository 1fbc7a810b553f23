// gRPC: completions, by queue, callback and alarm, see the number of who made the call.
// libs: grpc++
#include "preset.h"
#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

struct Echo : grpc::ServerGenericBidiReactor {
    grpc::ByteBuffer message;

    Echo() { StartRead(&message); }
    void OnReadDone(bool ok) override
    {
        if (ok)
            StartWriteAndFinish(&message, {}, grpc::Status::OK);
        else
            Finish(grpc::Status::OK);
    }
    void OnDone() override { delete this; }
};

struct Service : grpc::CallbackGenericService {
    grpc::ServerGenericBidiReactor *CreateReactor(grpc::GenericCallbackServerContext *) override { return new Echo; }
};

struct Call {
    long number;
    grpc::ClientContext context;
    grpc::ByteBuffer sent, received;
    grpc::Status status;
    std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;

    explicit Call(long n) : number(n)
    {
        grpc::Slice slice("x");
        sent = grpc::ByteBuffer(&slice, 1);
    }
};

enum { CALLS = 100 };
static grpc::GenericStub *stub;

static void queue()
{
    grpc::CompletionQueue queue;
    std::thread worker([&queue] {
        void *tag;
        bool ok;

        while (queue.Next(&tag, &ok)) {
            auto *call = (Call *)tag;

            look(call->number);
            delete call;
        }
    });
    for (long i = 1; i <= CALLS; i++) {
        auto *call = new Call(i);

        request_id = i;
        call->reader = stub->PrepareUnaryCall(&call->context, "/a/b", call->sent, &queue);
        call->reader->StartCall();
        call->reader->Finish(&call->received, &call->status, call);
    }
    wait_for(CALLS);
    queue.Shutdown();
    worker.join();
}

static void callback()
{
    for (long i = 1; i <= CALLS; i++) {
        auto *call = new Call(i);

        request_id = i;
        stub->UnaryCall(&call->context, "/a/b", {}, &call->sent, &call->received, [call](grpc::Status) {
            long number = call->number;

            delete call;
            look(number);
        });
    }
    wait_for(CALLS);
}

static void alarms()
{
    grpc::CompletionQueue queue;
    std::vector<std::unique_ptr<grpc::Alarm>> alarms;

    for (long i = 1; i <= 30; i++) {
        request_id = i;
        alarms.emplace_back(new grpc::Alarm);
        alarms.back()->Set(&queue, std::chrono::system_clock::now(), (void *)i);
    }
    request_id = 0;
    std::thread worker([&queue] {
        for (int i = 0; i < 30; i++) {
            void *tag;
            bool ok;

            queue.Next(&tag, &ok);
            look((long)tag);
        }
    });
    worker.join();
    queue.Shutdown();
}

int main(int argc, char **argv)
{
    std::string address = "unix:/tmp/baton-test-grpc-" + std::to_string(getpid());
    Service service;
    grpc::ServerBuilder builder;

    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    builder.RegisterCallbackGenericService(&service);
    auto server = builder.BuildAndStart();
    grpc::GenericStub the_stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    stub = &the_stub;
    int status = run_groups({{"queue", queue}, {"callback", callback}, {"alarms", alarms}}, argc, argv);
    server->Shutdown();
    return status;
}
