// Reads OpenTelemetry's thread context record of a process's threads, by ELF alone, from outside.
// usage: publish_reader PID TRUTHS SAMPLES   TRUTHS: where publish.c says what its threads are at
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3 };
#define AT_REST UINT64_MAX

static pid_t pid;
static uint64_t seen, none, wrong, idle, rests, left;

static void die(const char *why)
{
    fprintf(stderr, "publish_reader: %s (%s)\n", why, strerror(errno));
    exit(3);
}

static int try_read(uint64_t at, void *into, size_t size)
{
    struct iovec local = {into, size}, remote = {(void *)(uintptr_t)at, size};

    return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

static void get(uint64_t at, void *into, size_t size)
{
    if (!try_read(at, into, size))
        die("memory cannot be read");
}

/* The first mapping whose line has `name` in it. */
static uint64_t mapping(const char *name, char *path)
{
    char file[64], line[4400];
    uint64_t start = 0;
    FILE *maps;

    snprintf(file, sizeof file, "/proc/%d/maps", pid);
    maps = fopen(file, "r");
    while (maps && !start && fgets(line, sizeof line, maps)) {
        if (strstr(line, name)) {
            start = strtoull(line, NULL, 16);
            if (path && strchr(line, '/'))
                sscanf(strchr(line, '/'), "%4000s", path);
        }
    }
    if (maps)
        fclose(maps);
    return start;
}

/* Where the descriptor of the symbol is, in the object's addresses. */
static uint64_t descriptor(const char *path, int *kind)
{
    int fd = open(path, O_RDONLY);
    struct stat status;
    const char *map;
    const Elf64_Ehdr *head;
    const Elf64_Shdr *sections;
    uint64_t found = 0;

    if (fd < 0 || fstat(fd, &status))
        die(path);
    map = malloc((size_t)status.st_size);
    if (read(fd, (void *)map, (size_t)status.st_size) != status.st_size)
        die(path);
    head = (const void *)map;
    sections = (const void *)(map + head->e_shoff);
    for (int i = 0; i < head->e_shnum; i++) {
        const Elf64_Rela *rows = (const void *)(map + sections[i].sh_offset);
        const Elf64_Shdr *symbols = &sections[sections[i].sh_link];

        if (sections[i].sh_type != SHT_RELA || symbols->sh_type != SHT_DYNSYM)
            continue;
        for (size_t j = 0; j < sections[i].sh_size / sizeof *rows; j++) {
            const Elf64_Sym *symbol = (const Elf64_Sym *)(const void *)(map + symbols->sh_offset) +
                                      ELF64_R_SYM(rows[j].r_info);
            const char *name = map + sections[symbols->sh_link].sh_offset + symbol->st_name;

            if (!strcmp(name, "otel_thread_ctx_v1")) {
                found = rows[j].r_offset;
                *kind = (int)ELF64_R_TYPE(rows[j].r_info);
            }
        }
    }
    return found;
}

/* A thread that is stopping: what its record says, and what it is at. */
static void look_at(pid_t tid, uint64_t truth_at, uint64_t descriptor_at)
{
    struct {
        uint64_t tid, number;
    } truth;
    uint64_t record, number = 0, words[2];
    struct user_regs_struct registers;
    unsigned char bytes[640];
    char text[65] = "";
    int status;

    if (waitpid(tid, &status, __WALL) < 0 || ptrace(PTRACE_GETREGS, tid, 0, &registers))
        die("wait");
    get(truth_at, &truth, sizeof truth);
    get(descriptor_at, words, sizeof words);
    get(registers.fs_base + words[1], &record, sizeof record);
    if (record) {
        get(record, bytes, 28);
        if (bytes[24] == 1) {
            uint16_t size;

            memcpy(&size, bytes + 26, 2);
            get(record + 28, bytes + 28, size);
            for (unsigned i = 0; i + 2 <= size && i + 2 + bytes[29 + i] <= size;
                 i += 2 + bytes[29 + i])
                if (bytes[28 + i] == 0)
                    snprintf(text, sizeof text, "%.*s", bytes[29 + i], bytes + 30 + i);
            number = strtoull(text, NULL, 10);
            for (unsigned i = 8; i < 16; i++) /* the trace id says the same */
                if (bytes[i] != (unsigned char)((0x10000 + number) >> (120 - 8 * i)))
                    wrong++;
        }
    }
    if (truth.number == AT_REST) {
        rests++;
        left += record && bytes[24] == 1; /* what its last task had */
    } else if (!truth.number)
        idle++; /* on the way in or out: whatever is there */
    else if (!number)
        none++;
    else if (number != truth.number)
        wrong++;
    else
        seen++;
}

int main(int argc, char **argv)
{
    char path[4096] = "", payload[4096];
    uint64_t base, at, truths, tids[THREADS], at_rest[2 * THREADS], running[2 * THREADS];
    long samples;
    int kind = 0;
    struct {
        char signature[8];
        uint32_t version, size;
        uint64_t published_ns, payload;
    } process;

    if (argc != 4)
        return 2;
    pid = atoi(argv[1]);
    truths = strtoull(argv[2], NULL, 16);
    samples = atol(argv[3]);
    at = mapping("OTEL_CTX", NULL);
    if (!at)
        die("no process context");
    get(at, &process, sizeof process);
    if (memcmp(process.signature, "OTEL_CTX", 8) || process.version != 2 ||
        process.size > sizeof payload || !process.published_ns)
        die("the process context is not right");
    get(process.payload, payload, process.size);
    if (!memmem(payload, process.size, "threadlocal.attribute_key_map", 29) ||
        !memmem(payload, process.size, "\x0a\x07request", 9))
        die("the key is not in the map");
    base = mapping("otel-publish.so", path);
    at = base ? descriptor(path, &kind) : 0;
    if (!at)
        die("no symbol");
    if (kind != R_X86_64_TLSDESC)
        return 77;
    /* All are stopped, then looked at, one after the other: three samples for one wait. */
    for (int which = 0; which < THREADS; which++) {
        while (get(truths + 16 * (uint64_t)which, &tids[which], sizeof tids[which]), !tids[which])
            usleep(1000); /* it has not begun */
        if (ptrace(PTRACE_SEIZE, (pid_t)tids[which], 0, 0))
            die("seize");
    }
    for (long sample = 0; sample < samples; sample += THREADS) {
        for (int which = 0; which < THREADS; which++)
            if (ptrace(PTRACE_INTERRUPT, (pid_t)tids[which], 0, 0))
                die("interrupt");
        for (int which = 0; which < THREADS; which++)
            look_at((pid_t)tids[which], truths + 16 * (uint64_t)which, base + at);
        get(truths, at_rest, sizeof at_rest);
        for (int which = 0; which < THREADS; which++)
            if (ptrace(PTRACE_CONT, (pid_t)tids[which], 0, 0))
                die("cont");
        do {
            usleep(20);
            get(truths, running, sizeof running);
        } while (!memcmp(running, at_rest, sizeof running)); /* until one is at something else */
    }
    printf("seen %" PRIu64 " none %" PRIu64 " wrong %" PRIu64 " idle %" PRIu64 " at rest %" PRIu64
           " of which with a task's %" PRIu64 "\n",
           seen, none, wrong, idle, rests, left);
    return wrong || none || left || !rests || seen < (uint64_t)samples / 20;
}
