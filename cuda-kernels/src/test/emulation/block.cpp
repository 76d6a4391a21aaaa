// Runs a launch: block after block, the threads of a block as fibers that wait for one another at barriers and in collectives.
//
// GRAFT_EMULATION_ORDER is the order of blocks, warps and threads: forward, reverse, or random:SEED. A kernel must give the same in all.
#include "emulator.h"
#include <cstdarg>
#include <cstdlib>
#include <random>

namespace emulation {

Thread* current;
Block block;
Thread threads[MAX_THREADS];
unsigned threadCount, barrierEpoch, blockNumber, launchNumber;
int failure;
const KernelInfo* kernel;
bool acquired;
size_t dynamicBytes;

static KernelInfo* kernels;
static std::string lastReport;
static void* schedulerStack;
static void* argumentPointers[64];
alignas(128) static char argumentBytes[4096];                       // arguments lie in the image, where the checker accepts reads
static std::vector<bool> released;                                  // by block of this launch: __threadfence, then an atomic

enum class Order { FORWARD, REVERSE, RANDOM };
static Order order;
static unsigned orderSeed = 1;

void registerKernel(KernelInfo* k) {
    k->next = kernels;
    kernels = k;
}

KernelInfo* findKernel(const char* name) {
    for (auto k = kernels; k; k = k->next)
        if (!strcmp(k->name, name)) return k;
    return nullptr;
}

std::string& report() { return lastReport; }

void toScheduler() { emulation_switch(&current->stackPointer, schedulerStack); }

static void reportAt(const char* format, va_list arguments) {
    char text[1400];
    int n = snprintf(text, sizeof text, "kernel %s, block (%u,%u,%u), thread (%u,%u,%u): ", kernel ? kernel->name : "?", block.index.x, block.index.y, block.index.z,
        current ? current->index.x : 0, current ? current->index.y : 0, current ? current->index.z : 0);
    vsnprintf(text + n, sizeof text - n, format, arguments);
    lastReport = text;
}

void fail(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    reportAt(format, arguments);
    va_end(arguments);
    if (!failure) failure = CUDA_ERROR_LAUNCH_FAILED;
    current->state = State::DONE;
    toScheduler();
    __builtin_unreachable();
}

// ---- barriers ----
static int barrierResult[4];

int barrier(BarrierKind kind, int predicate, int line) {
    current->state = State::AT_BARRIER;
    current->line = line;
    current->predicate = predicate != 0;
    current->barrierKind = kind;
    toScheduler();
    return barrierResult[kind];
}

// ---- warp collectives: lanes arrive, the last one computes the results of all. Several with disjoint masks may be under way at once. ----
struct Pending {
    Collective op;
    unsigned mask, arrived;
    int line;
};
struct Warp {
    Pending pending[8];
    unsigned active, exited;
};
static Warp warps[MAX_THREADS / 32];

void warpCollective(Collective op, unsigned mask, int line) {
    Thread* t = current;
    Warp& warp = warps[t->warp];
    unsigned bit = 1u << t->lane;
    if (!(mask & bit)) fail("line %d: lane %u calls, which is not in its own mask %08x", line, t->lane, mask);
    if (unsigned gone = mask & warp.exited) fail("line %d: mask %08x names lane %d, which has exited or does not exist", line, mask, __builtin_ctz(gone));
    Pending* mine = nullptr;
    for (unsigned a = warp.active; a; a &= a - 1) {
        Pending& other = warp.pending[__builtin_ctz(a)];
        if (other.op == op && other.mask == mask) mine = &other;
        else if (other.mask & mask)
            fail("warp divergence: lanes %08x wait in a collective at line %d with mask %08x, this lane enters another at line %d with mask %08x", other.arrived, other.line,
                other.mask, line, mask);
    }
    if (!mine) {
        int i = __builtin_ctz(~warp.active);
        if (i >= 8) fail("too many collectives of one warp at once");
        warp.active |= 1u << i;
        mine = &warp.pending[i];
        *mine = {op, mask, 0, line};
    }
    t->line = line;
    mine->arrived |= bit;
    if (mine->arrived != mask) {
        t->state = State::IN_COLLECTIVE;
        toScheduler();
        return;
    }
    Thread* lane[32] = {};
    for (unsigned m = mask; m; m &= m - 1) lane[__builtin_ctz(m)] = &threads[t->warp * 32 + __builtin_ctz(m)];
    op(lane, mask);
    warp.active &= ~(1u << (mine - warp.pending));
    for (unsigned m = mask & ~bit; m; m &= m - 1) lane[__builtin_ctz(m)]->state = State::READY;
}

static void nothing(Thread**, unsigned) {}

void syncWarp(unsigned mask, int line) {
    warpCollective(&nothing, mask, line);
    current->warpEpoch++;
    newSegment(current);
}

static void atExit() {
    Warp& warp = warps[current->warp];
    warp.exited |= 1u << current->lane;
    for (unsigned a = warp.active; a; a &= a - 1) {
        Pending& other = warp.pending[__builtin_ctz(a)];
        if (other.mask >> current->lane & 1)
            fail("this thread exits while lanes %08x of its warp wait for it in a collective at line %d with mask %08x", other.arrived, other.line, other.mask);
    }
}

// ---- release and acquire between blocks: __threadfence before an atomic, an atomic before what others have written is read ----
void atomicSeen() {
    acquired = true;
    if (!current->hasFenced) return;
    unsigned i = blockNumber - launchNumber;
    if (released.size() <= i) released.resize(i + 1);
    released[i] = true;
}

bool otherBlockReleased(unsigned other) {
    unsigned i = other - launchNumber;
    return acquired && i < released.size() && released[i];
}

// ---- the scheduler ----
static void fiberMain() {
    kernel->call(argumentPointers);
    checkProductsAreMade();
    atExit();
    current->state = State::DONE;
    toScheduler();
    __builtin_unreachable();
}

static void run(Thread& t) {
    if (!t.started) {
        t.started = true;
        t.stack = takeStack();
        t.stackPointer = freshFiber(t.stack, fiberMain);
    }
    current = &t;
    t.state = State::READY;
    newSegment(&t);
    emulation_switch(&schedulerStack, t.stackPointer);
    if (t.state == State::DONE) returnStack(t.stack);
}

static void transferMain() {
    runTransfer();
    current->state = State::DONE;
    toScheduler();
    __builtin_unreachable();
}

// On a fiber of its own, since a check that fails leaves by a switch.
static bool transfer() {
    for (unsigned i = 0; i < threadCount; i++)
        if (threads[i].state != State::DONE) current = &threads[i];
    Thread spare = *current, *real = current;
    current = &spare;
    char* stack = takeStack();
    spare.stackPointer = freshFiber(stack, transferMain);
    emulation_switch(&schedulerStack, spare.stackPointer);
    returnStack(stack);
    current = real;
    return !failure;
}

static bool stop(const char* format, ...) {
    char text[400];
    int n = snprintf(text, sizeof text, "kernel %s, block (%u,%u,%u): ", kernel->name, block.index.x, block.index.y, block.index.z);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + n, sizeof text - n, format, arguments);
    va_end(arguments);
    lastReport = text;
    failure = CUDA_ERROR_LAUNCH_FAILED;
    return false;
}

static const char* waiting(State s) {
    return s == State::IN_COLLECTIVE ? "for its warp or group" : s == State::POLLING ? "for a barrier in memory" : "at __syncthreads()";
}

static bool deadlock() {
    char text[300] = "";
    int n = 0;
    for (unsigned i = 0, told = 0; i < threadCount && told < 4; i++) {
        State s = threads[i].state;
        if (s != State::IN_COLLECTIVE && s != State::AT_BARRIER && s != State::POLLING) continue;
        n += snprintf(text + n, sizeof text - n, " thread %u waits %s in line %d;", i, waiting(s), threads[i].line);
        told++;
        i |= 31;
    }
    return stop("deadlock:%s", text);
}

static void beginBlock() {
    blockNumber++;
    barrierEpoch = 0;
    acquired = false;
    beginUnits();
    beginShared();
    for (unsigned i = 0; i < threadCount; i++) {
        Thread& t = threads[i];
        t.state = State::NEW;
        t.started = t.hasFenced = false;
        t.warpEpoch = 0;
        if (t.copyGroup || !t.copies.empty()) {
            t.copies.clear();
            t.copyGroup = 0;
        }
    }
    for (unsigned w = 0; w * 32 < threadCount; w++) {
        unsigned n = threadCount - w * 32;
        warps[w].active = 0;
        warps[w].exited = n >= 32 ? 0 : ~0u << n;
    }
}

// Runs what can run, a warp to its end before the next; true when something did.
static bool runReady(const unsigned* order) {
    bool ran = false;
    for (unsigned w = 0; w < threadCount; w += 32) {
        for (bool again = true; again;) {
            again = false;
            for (unsigned k = w; k < std::min(w + 32, threadCount); k++) {
                Thread& t = threads[order[k]];
                if (t.state != State::NEW && t.state != State::READY) continue;
                run(t);
                ran = again = true;
                if (failure) return false;
            }
        }
    }
    return ran;
}

// Only waiting threads are left: those that wait for memory look again, then one asynchronous copy may happen; when there is none, the products that are waited for.
static bool poll() {
    progress = false;
    bool polled = false;
    for (unsigned i = 0; i < threadCount; i++) {
        if (threads[i].state != State::POLLING) continue;
        polled = true;
        run(threads[i]);
        if (failure) return false;
    }
    if (!progress && hasTransfers()) {
        if (!transfer()) return false;
        progress = true;
    }
    bool isFirstQuiet = polled && !progress && !isQuiet;
    isQuiet = isFirstQuiet;
    return isFirstQuiet || (polled && progress);
}

static bool openBarrier(unsigned done) {
    int line = 0, any = 0, all = 1, count = 0;
    for (unsigned i = 0; i < threadCount; i++) {
        Thread& t = threads[i];
        if (t.state != State::AT_BARRIER) continue;
        current = &t;
        if (!line) line = t.line;
        else if (line != t.line) return stop("threads of one block wait at different __syncthreads(), in lines %d and %d", line, t.line);
    }
    if (done) return stop("%u of %u threads have exited while the others wait at __syncthreads() in line %d", done, threadCount, line);
    for (unsigned i = 0; i < threadCount; i++) {
        any |= threads[i].predicate;
        all &= threads[i].predicate;
        count += threads[i].predicate;
        threads[i].state = State::READY;
    }
    barrierResult[ANY] = any;
    barrierResult[ALL] = all;
    barrierResult[COUNT] = count;
    barrierEpoch++;
    return true;
}

static bool runBlock(const unsigned* order) {
    beginBlock();
    while (true) {
        bool ran = runReady(order);
        if (failure) return false;
        if (!ran && poll()) continue;
        if (failure) return false;
        unsigned done = 0, atBarrier = 0;
        for (unsigned i = 0; i < threadCount; i++) {
            done += threads[i].state == State::DONE;
            atBarrier += threads[i].state == State::AT_BARRIER;
        }
        if (done == threadCount) return true;
        if (atBarrier && done + atBarrier == threadCount) {
            if (!openBarrier(done)) return false;
        } else if (!ran && !progress) {
            return deadlock();
        }
    }
}

static void readOrder() {
    static bool read;
    if (read) return;
    read = true;
    const char* said = getenv("GRAFT_EMULATION_ORDER");
    order = !said || !strncmp(said, "forward", 7) ? Order::FORWARD : !strncmp(said, "reverse", 7) ? Order::REVERSE : Order::RANDOM;
    if (order == Order::RANDOM && strchr(said, ':')) orderSeed = unsigned(atoi(strchr(said, ':') + 1));
}

static void orderThreads(unsigned* to) {
    for (unsigned i = 0; i < threadCount; i++) to[i] = order == Order::REVERSE ? threadCount - 1 - i : i;
    if (order != Order::RANDOM) return;
    std::minstd_rand random(orderSeed++);
    std::vector<unsigned> firsts;
    for (unsigned w = 0; w < threadCount; w += 32) firsts.push_back(w);
    std::shuffle(firsts.begin(), firsts.end(), random);
    unsigned n = 0;
    for (unsigned w : firsts) {
        unsigned begin = n;
        for (unsigned j = w; j < std::min(w + 32, threadCount); j++) to[n++] = j;
        std::shuffle(to + begin, to + n, random);
    }
}

int launch(KernelInfo* k, dim3 grid, dim3 size, size_t dynamicShared, void** arguments) {
    prepareStacks();
    prepareMemory();
    readOrder();
    kernel = k;
    failure = 0;
    size_t at = 0;
    for (int i = 0; i < k->arguments; i++) {
        at = (at + k->alignments[i] - 1) / k->alignments[i] * k->alignments[i];
        argumentPointers[i] = argumentBytes + at;
        memcpy(argumentPointers[i], arguments[i], k->sizes[i]);
        at += k->sizes[i];
    }
    dynamicBytes = dynamicShared;
    threadCount = size.x * size.y * size.z;
    block.grid = grid;
    block.size = size;
    newLaunch();
    released.clear();
    launchNumber = blockNumber + 1;
    for (unsigned i = 0; i < threadCount; i++) {
        Thread& t = threads[i];
        t.index = {i % size.x, i / size.x % size.y, i / size.x / size.y};
        t.number = i;
        t.lane = i & 31;
        t.warp = i >> 5;
    }
    unsigned threadOrder[MAX_THREADS];
    orderThreads(threadOrder);
    size_t blocks = size_t(grid.x) * grid.y * grid.z;
    for (size_t n = 0; n < blocks && !failure; n++) {
        size_t i = order == Order::REVERSE ? blocks - 1 - n : n;
        block.index = {unsigned(i % grid.x), unsigned(i / grid.x % grid.y), unsigned(i / grid.x / grid.y)};
        if (!runBlock(threadOrder)) forgetStacks();
    }
    current = nullptr;
    return failure;
}

}  // namespace emulation
