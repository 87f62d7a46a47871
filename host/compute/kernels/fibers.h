// Fibers: how the threads of a block take turns on a CPU.
//
// A block runs on one OS thread. Its threads run on fibers, whose stacks are in the block's memory:
//
//   block's memory: | Block | dynamic shared memory | ... | stack 1 | stack 0 |
//
// A fiber runs one thread after another to its end. So a kernel without barriers needs only one stack. A thread that
// waits leaves its stack as it is, and another thread continues. If no thread can continue before all have returned,
// the block ends with an error.
//
// The block's memory is aligned to its size. So a thread finds it through its stack pointer.
#pragma once
#ifdef __linux__
#include <link.h>
#endif

typedef unsigned int u32;
typedef unsigned long long u64;
static_assert(sizeof(u32) == 4 && sizeof(u64) == 8 && sizeof(void*) == 8, "addresses of 64 bits");

struct uint3 { u32 x, y, z; };

namespace emulation {

// Mirrored by `BlockLaunch` of src/emulated/blocks.rs.
struct Launch {
    const void* parameters;
    // `MEMORY` bytes of memory.
    void* memory;
    uint3 blocks;
    uint3 index;
    u32 threads;
    u32 shared;
    // Written if the block ends with an error: the threads that wait at a barrier of the block, and in an operation of
    // a warp.
    mutable u32 at_barrier;
    mutable u32 in_warp;
};

// How a block ended. src/emulated/blocks.rs has the same numbers.
enum Outcome : u32 { DONE = 0, DEADLOCK = 1, WRONG_MASK = 2 };

constexpr u64 MEMORY = u64(1) << 27;
// Dynamic shared memory: at least as much as a GPU gives a block.
constexpr u64 SHARED = 256 << 10;
// Not a power of two, so that the busy ends of the stacks are in different sets of the CPU's caches.
constexpr u64 STACK = (64 << 10) + 320;
constexpr u32 WARP = 32;
constexpr u32 ALL = 0xffffffff;
constexpr u32 SLOT = 64;

struct Thread {
    void* stack;
    Thread* next;
    uint3 index;
    // Exchanges of the whole warp in which the thread has taken part.
    u32 exchanges;
    // The lanes that the thread waits for.
    u32 mask;
};

struct Queue {
    Thread* first;
    Thread* last;

    void push(Thread* thread)
    {
        thread->next = nullptr;
        (first ? last->next : first) = thread;
        last = thread;
    }
    Thread* pop()
    {
        Thread* thread = first;
        first = thread->next;
        return thread;
    }
    void take(Queue& other)
    {
        if (!other.first) return;
        (first ? last->next : first) = other.first;
        last = other.last;
        other.first = nullptr;
    }
};

struct Warp {
    // Masks of the lanes that wait for others, and of those that have returned.
    u32 waiting, returned;
    Thread* lanes[WARP];
    // The values that lanes give in an exchange. Exchanges of all lanes use two sets in turn, so that one barrier is
    // enough. Exchanges of fewer lanes use the third set.
    alignas(64) unsigned char slots[3][WARP][SLOT];
};

struct Block {
    Thread* current;
    uint3 index, dimensions, blocks;
    unsigned char* shared;
    const void* parameters;
    void (*kernel)(const void*);
    void* caller;
    u32 started, returned, fibers, at_barrier;
    bool wrong_mask;
    Queue ready, barrier;
    Warp warps[WARP];
};
static_assert(sizeof(Block) + SHARED + (1024 + 1) * STACK < MEMORY, "room for 1024 threads");

inline __attribute__((always_inline)) Block& block()
{
    u64 stack;
#if defined(__x86_64__)
    asm("movq %%rsp, %0" : "=r"(stack));
#elif defined(__aarch64__)
    asm("mov %0, sp" : "=r"(stack));
#else
#error "the emulated device knows x86-64 and AArch64"
#endif
    return *reinterpret_cast<Block*>(stack & ~(MEMORY - 1));
}

// Saves the registers that a call preserves on the stack, stores the stack pointer, and continues on another stack. It
// ends with a jump and not with a return: a CPU predicts returns from the calls before them, and would be wrong each
// time.
extern "C" void llem_switch(void** from, void* to) asm("llem_switch");
#if defined(__x86_64__)
constexpr u64 SAVED = 6, ABOVE = 2;
asm(R"(
    .text
    .p2align 4
llem_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rcx
    jmpq *%rcx
)");
#else
constexpr u64 SAVED = 19, ABOVE = 1;
asm(R"(
    .text
    .p2align 4
llem_switch:
    sub sp, sp, #160
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp d8, d9, [sp, #80]
    stp d10, d11, [sp, #96]
    stp d12, d13, [sp, #112]
    stp d14, d15, [sp, #128]
    stp x29, x30, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp d8, d9, [sp, #80]
    ldp d10, d11, [sp, #96]
    ldp d12, d13, [sp, #112]
    ldp d14, d15, [sp, #128]
    ldp x29, x30, [sp, #144]
    add sp, sp, #160
    br x30
)");
#endif

inline void fiber();

// Makes a fiber that begins with the next thread that has not started.
inline Thread* fresh(Block& b)
{
    u64 top = reinterpret_cast<u64>(&b) + MEMORY - 64 - b.fibers++ * STACK;
    Thread* thread = reinterpret_cast<Thread*>((top - sizeof(Thread)) & ~u64(15));
    // The stack looks as `llem_switch` leaves it: the registers, above them the address to continue at, aligned as
    // after a call.
    u64* stack = reinterpret_cast<u64*>(thread) - ABOVE;
    *stack = reinterpret_cast<u64>(&fiber);
    for (u64 i = 0; i < SAVED; i++) *--stack = 0;
    thread->stack = stack;
    return thread;
}

// Continues with a thread that is ready, or else with one that has not started, or else with the caller.
inline void leave(Block& b)
{
    Thread* from = b.current;
    if (b.ready.first) b.current = b.ready.pop();
    else if (b.started < b.dimensions.x) b.current = fresh(b);
    else return llem_switch(&from->stack, b.caller);
    llem_switch(&from->stack, b.current->stack);
}

// Makes the lanes of a group ready if all of them wait for the group or have returned. Returns whether they do.
inline bool release(Block& b, Warp& warp, u32 mask)
{
    u32 group = warp.waiting & mask;
    if ((group | (warp.returned & mask)) != mask) return false;
    for (u32 rest = group; rest; rest &= rest - 1) {
        Thread* thread = warp.lanes[__builtin_ctz(rest)];
        if (thread->mask != mask) b.wrong_mask = true;
        if (thread != b.current) b.ready.push(thread);
    }
    warp.waiting &= ~group;
    return true;
}

// Waits until all lanes of the mask, which includes the caller, have called this.
inline void meet(u32 mask)
{
    Block& b = block();
    u32 lane = b.current->index.x % WARP;
    Warp& warp = b.warps[b.current->index.x / WARP];
    if (!(mask >> lane & 1)) b.wrong_mask = true;
    warp.lanes[lane] = b.current;
    b.current->mask = mask;
    warp.waiting |= 1u << lane;
    if (!release(b, warp, mask)) leave(b);
}

inline void release_barrier(Block& b)
{
    b.at_barrier = 0;
    b.ready.take(b.barrier);
}

// The function of a fiber: runs one thread after another until none is left to start.
inline void fiber()
{
    Block& b = block();
    while (b.started < b.dimensions.x) {
        Thread* thread = b.current;
        u32 index = b.started++;
        thread->index = {index, 0, 0};
        thread->exchanges = 0;
        b.kernel(b.parameters);
        b.returned++;
        if (b.at_barrier && b.at_barrier + b.returned == b.dimensions.x) release_barrier(b);
        Warp& warp = b.warps[index / WARP];
        warp.returned |= 1u << index % WARP;
        b.current = nullptr;
        for (u32 rest = warp.waiting; rest; rest &= rest - 1) {
            u32 mask = warp.lanes[__builtin_ctz(rest)]->mask;
            if (release(b, warp, mask)) rest &= warp.waiting | (rest & -rest);
        }
        b.current = thread;
    }
    leave(b);
    __builtin_unreachable();
}

#ifdef __linux__
extern "C" __attribute__((visibility("hidden"))) const char __ehdr_start;

// The `__shared__` variables of this OS thread. They are this library's thread-local storage, which contains only them
// and this struct.
struct Statics {
    unsigned char* from;
    u64 bytes;
};
static thread_local Statics statics;

inline int find_statics(dl_phdr_info* library, size_t, void* found)
{
    if (library->dlpi_addr != reinterpret_cast<u64>(&__ehdr_start)) return 0;
    for (u32 i = 0; i < library->dlpi_phnum; i++)
        if (library->dlpi_phdr[i].p_type == PT_TLS)
            *static_cast<Statics*>(found) = {static_cast<unsigned char*>(library->dlpi_tls_data), library->dlpi_phdr[i].p_memsz};
    return 1;
}

inline void poison_statics()
{
    Statics all = statics;
    if (!all.from) dl_iterate_phdr(find_statics, &all);
    __builtin_memset(all.from, 0xff, all.bytes);
    statics = all;
}
#else
inline void poison_statics() {}
#endif

inline u32 run(const Launch& launch, void (*kernel)(const void*))
{
    Block& b = *static_cast<Block*>(launch.memory);
    b.index = launch.index;
    b.blocks = launch.blocks;
    b.dimensions = {launch.threads, 1, 1};
    b.parameters = launch.parameters;
    b.kernel = kernel;
    b.started = b.returned = b.fibers = b.at_barrier = 0;
    b.wrong_mask = false;
    b.ready.first = b.barrier.first = nullptr;
    for (u32 warp = 0; warp * WARP < launch.threads; warp++) b.warps[warp].waiting = b.warps[warp].returned = 0;
    b.shared = reinterpret_cast<unsigned char*>((reinterpret_cast<u64>(&b + 1) + 1023) & ~u64(1023));
    // NaN in every format, so that a kernel that reads memory it has not written gives wrong results here too.
    __builtin_memset(b.shared, 0xff, launch.shared);
    poison_statics();
    b.current = fresh(b);
    llem_switch(&b.caller, b.current->stack);
    if (b.wrong_mask) return WRONG_MASK;
    if (b.returned == launch.threads) return DONE;
    launch.at_barrier = b.at_barrier;
    launch.in_warp = 0;
    for (u32 warp = 0; warp * WARP < launch.threads; warp++) launch.in_warp += __builtin_popcount(b.warps[warp].waiting);
    return DEADLOCK;
}

}  // namespace emulation
