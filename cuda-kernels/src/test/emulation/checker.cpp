// Checks every load and store of a kernel: bounds, values that nothing has written, races, alignment.
//
// The checked build compiles the kernels with -fsanitize=thread,alignment,bounds,shift,integer-divide-by-zero; g++ then calls __tsan_readN and others for each access, and these
// functions are defined here, so that no sanitizer library is linked. Eight bytes of shadow for each byte say who wrote it last and who read it last.
#include "emulator.h"
#include <cstdlib>
#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>

namespace emulation {

#ifndef GRAFT_CHECKED

void shadowFill(const char*, size_t, unsigned) {}
void shadowShared(size_t) {}
bool shadowWritten(const char*) { return true; }
void shadowCopy(const char*, const char*, size_t) {}
void newSegment(Thread*) {}
void newLaunch() {}
void checkAccess(Thread*, const void*, unsigned, bool, bool) {}
void checkUnit(const void*, unsigned, bool) {}

#else

// written: NOWHERE, NEVER, BY_HOST, or the number of the segment that wrote it; read likewise, 0 for nobody.
struct Cell {
    unsigned written, read;
};
static Cell* shadow() {
    static Cell* cells;
    if (!cells) {
        prepareMemory();
        cells = static_cast<Cell*>(mmap(nullptr, ARENA_BYTES * sizeof(Cell), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        if (cells == MAP_FAILED) {
            perror("shadow of the emulated device memory");
            abort();
        }
    }
    return cells;
}

void shadowFill(const char* p, size_t bytes, unsigned state) {
    Cell* c = shadow() + (p - arena);
    for (size_t i = 0; i < bytes; i++) c[i] = {state, 0};
}

void shadowShared(size_t usedBefore) {
    memset(static_cast<void*>(shadow()), 0, usedBefore * sizeof(Cell));
    shadowFill(arena, dynamicBytes, NEVER);
}

bool shadowWritten(const char* p) { return shadow()[p - arena].written != NEVER; }

void shadowCopy(const char* to, const char* from, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) shadow()[to - arena + i] = {shadowWritten(from + i) ? unsigned(BY_HOST) : unsigned(NEVER), 0};
}

// ---- segments: what one thread runs between two synchronisations ----
struct Segment {
    unsigned block;
    unsigned short thread;
    unsigned epoch, warpEpoch;
};
static std::vector<Segment> segments;
static unsigned firstOfLaunch = 16, nextSegment = 16;               // what is older was before this launch
static const unsigned ATOMIC = 1u << 31, MANY = 1u << 30, NUMBER = MANY - 1;

void newSegment(Thread* t) {
    t->segment = nextSegment++;
    segments.push_back({blockNumber, (unsigned short)t->number, barrierEpoch, t->warpEpoch});
}

void newLaunch() {
    firstOfLaunch = nextSegment;
    segments.clear();
    if (nextSegment < 900000000u) return;
    forEachAllocation([](char* base, size_t bytes) {                // numbers have 30 bits: begin again
        Cell* c = shadow() + (base - arena);
        for (size_t i = 0; i < bytes; i++) c[i] = {c[i].written > BY_HOST ? unsigned(BY_HOST) : c[i].written, 0};
    });
    firstOfLaunch = nextSegment = 16;
}

static const Segment& segment(unsigned stamp) { return segments[(stamp & NUMBER) - firstOfLaunch]; }

static bool races(unsigned stamp, Thread* t, bool isAtomic) {
    if ((stamp & NUMBER) < firstOfLaunch || (isAtomic && (stamp & ATOMIC))) return false;
    const Segment& s = segment(stamp);
    if (s.block != blockNumber) return !otherBlockReleased(s.block);
    if (s.epoch != barrierEpoch) return false;                      // __syncthreads() lies between
    if (s.thread == t->number) return stamp & MANY;
    if (unsigned(s.thread >> 5) == t->warp) return (stamp & MANY) || s.warpEpoch == t->warpEpoch;
    return true;
}

// ---- what is told ----
static char *imageBegin, *imageEnd;

static void findImage() {
    Dl_info info;
    dladdr(reinterpret_cast<void*>(&findImage), &info);
    imageBegin = static_cast<char*>(info.dli_fbase);
    dl_iterate_phdr([](dl_phdr_info* i, size_t, void*) {
        if (reinterpret_cast<char*>(i->dlpi_addr) != imageBegin) return 0;
        for (int k = 0; k < i->dlpi_phnum; k++)
            if (i->dlpi_phdr[k].p_type == PT_LOAD) imageEnd = std::max(imageEnd, imageBegin + i->dlpi_phdr[k].p_vaddr + i->dlpi_phdr[k].p_memsz);
        return 0;
    }, nullptr);
}

// File and line of an instruction.
static std::string source(void* pc) {
    char text[400];
    Dl_info info;
    if (!dladdr(pc, &info)) return "?";
    size_t offset = size_t(static_cast<char*>(pc) - static_cast<char*>(info.dli_fbase));
    snprintf(text, sizeof text, "addr2line -s -e '%s' 0x%zx 2>/dev/null", info.dli_fname, offset - 1);
    std::string found;
    if (FILE* f = popen(text, "r")) {
        if (fgets(text, sizeof text, f)) found = text;
        pclose(f);
    }
    while (!found.empty() && found.back() == '\n') found.pop_back();
    if (found.empty() || found[0] == '?') {
        snprintf(text, sizeof text, "%s+0x%zx", info.dli_fname, offset);
        found = text;
    }
    return found;
}

static std::string place(const void* p) {
    char text[160];
    char* base;
    size_t size;
    const char* q = static_cast<const char*>(p);
    if (q < arena + SHARED_BYTES) snprintf(text, sizeof text, "shared memory byte %zd", q - arena);
    else if (findAllocation(p, &base, &size)) snprintf(text, sizeof text, "byte %zd of a device allocation of %zu bytes", q - base, size);
    else snprintf(text, sizeof text, "device address %p", p);
    return text;
}

static __attribute__((noinline)) void wrong(const char* what, const void* p, unsigned bytes, bool isWrite, void* pc, unsigned other) {
    std::string who;
    if (other) {
        const Segment& s = segment(other);
        who = "; the other access is by thread " + std::to_string(s.thread) + (other & MANY ? " (and others)" : "") + " of " + (s.block == blockNumber ? "this" : "another") + " block";
    }
    fail("%s: %s of %u bytes at %s%s [%s]", what, isWrite ? "write" : "read", bytes, place(p).c_str(), who.c_str(), source(pc).c_str());
}

static void outside(const void* p, unsigned bytes, bool isWrite, void* pc) {
    const char* q = static_cast<const char*>(p);
    if (isOnStack(p) || isHostRegion(p, bytes)) return;
    if (!imageBegin) findImage();
    if (q >= imageBegin && q < imageEnd) return;
    failure = CUDA_ERROR_ILLEGAL_ADDRESS;
    fail("illegal address: %s of %u bytes at %p, which is neither device nor shared memory [%s]", isWrite ? "write" : "read", bytes, p, source(pc).c_str());
}

static inline void check(Thread* t, const void* p, unsigned bytes, bool isWrite, bool isAtomic, void* pc) {
    size_t offset = size_t(static_cast<const char*>(p) - arena);
    if (!t) return;
    if (__builtin_expect(offset >= ARENA_BYTES, 0)) return outside(p, bytes, isWrite, pc);
    if (bytes > 1 && (bytes & (bytes - 1)) == 0 && (uintptr_t(p) & (bytes - 1))) wrong("misaligned access", p, bytes, isWrite, pc, 0);
    Cell* cells = shadow() + offset;
    unsigned me = t->segment | (isAtomic ? ATOMIC : 0);
    for (unsigned i = 0; i < bytes; i++) {
        Cell& c = cells[i];
        unsigned w = c.written, r = c.read;
        if (w == NOWHERE) wrong(offset < SHARED_BYTES ? "out of bounds (shared)" : "out of bounds (global)", p, bytes, isWrite, pc, 0);
        if (w == NEVER && (!isWrite || isAtomic)) wrong("uninitialised read", p, bytes, isWrite, pc, 0);
        if (w != me && w > BY_HOST && races(w, t, isAtomic)) wrong(isWrite ? "race (write after write)" : "race (read after write)", p, bytes, isWrite, pc, w);
        if (isWrite) {
            if (r && r != me && races(r, t, isAtomic)) wrong("race (write after read)", p, bytes, isWrite, pc, r);
            c.written = me;
            if (isAtomic) c.read = me;
        } else if (r != me) {
            bool isOfLaunch = (r & NUMBER) >= firstOfLaunch;
            bool isOther = isOfLaunch && (segment(r).thread != t->number || segment(r).block != blockNumber);
            if (isOther && segment(r).block == blockNumber && segment(r).epoch == barrierEpoch) c.read = (r & NUMBER) | MANY;
            else c.read = me;
        }
    }
}

void checkAccess(Thread* t, const void* p, unsigned bytes, bool isWrite, bool isAtomic) { check(t, p, bytes, isWrite, isAtomic, __builtin_return_address(0)); }

// No races here: copy engines and tensor cores have barriers of their own.
void checkUnit(const void* p, unsigned bytes, bool isWrite) {
    size_t offset = size_t(static_cast<const char*>(p) - arena);
    void* pc = __builtin_return_address(0);
    for (unsigned i = 0; i < bytes; i++) {
        if (offset + i >= ARENA_BYTES || shadow()[offset + i].written == NOWHERE) wrong("out of bounds (asynchronous unit)", p, bytes, isWrite, pc, 0);
        if (!isWrite && shadow()[offset + i].written == NEVER) wrong("uninitialised read (asynchronous unit)", p, bytes, isWrite, pc, 0);
        if (isWrite) shadow()[offset + i] = {BY_HOST, 0};
    }
}

#define PC __builtin_return_address(0)
extern "C" {
#define ACCESS(N)                                                                        \
    void __tsan_read##N(void* p) { check(current, p, N, false, false, PC); }             \
    void __tsan_write##N(void* p) { check(current, p, N, true, false, PC); }             \
    void __tsan_unaligned_read##N(void* p) { check(current, p, N, false, false, PC); }   \
    void __tsan_unaligned_write##N(void* p) { check(current, p, N, true, false, PC); }   \
    void __tsan_volatile_read##N(void* p) { check(current, p, N, false, true, PC); }     \
    void __tsan_volatile_write##N(void* p) { check(current, p, N, true, true, PC); }
ACCESS(1) ACCESS(2) ACCESS(4) ACCESS(8) ACCESS(16)
void __tsan_read_range(void* p, size_t n) { check(current, p, unsigned(n), false, false, PC); }
void __tsan_write_range(void* p, size_t n) { check(current, p, unsigned(n), true, false, PC); }
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
char __tsan_atomic8_load(const volatile char* p, int) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }   // of static initialisers

// -fsanitize=alignment,bounds,shift,integer-divide-by-zero: libubsan is not linked either.
struct SourceLocation {
    const char* file;
    unsigned line, column;
};
static void undefined(SourceLocation* l, const char* what) {
    const char* name = strrchr(l->file, '/');
    fail("%s [%s:%u:%u]", what, name ? name + 1 : l->file, l->line, l->column);
}
#define UNDEFINED(name, text) \
    void __ubsan_handle_##name(SourceLocation* l, void*, void*) { if (current) undefined(l, text); }
UNDEFINED(type_mismatch_v1, "misaligned or null pointer")
UNDEFINED(out_of_bounds, "array index out of bounds")
UNDEFINED(shift_out_of_bounds, "shift amount out of range")
UNDEFINED(divrem_overflow, "division by zero")
}
#endif

}  // namespace emulation
