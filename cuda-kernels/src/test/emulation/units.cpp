// What works beside the threads: cp.async, barriers in memory, the tensor memory accelerator, groups of four warps. Each copy happens as late as it is allowed to.
#include "emulator.h"
#include "tensor_map.h"

namespace emulation {

bool progress;

// ---- cp.async ----
void copyLater(void* to, const void* from, unsigned bytes) {
    if ((uintptr_t(to) & 15) || (bytes == 16 && (uintptr_t(from) & 15) && from != to)) fail("cp.async: an address is not a multiple of 16");
    current->copies.push_back({to, from, bytes, current->copyGroup});
}

void awaitCopies(unsigned pending) {
    size_t kept = 0;
    for (auto& c : current->copies) {
        if (c.group + pending >= current->copyGroup) {
            current->copies[kept++] = c;
            continue;
        }
        checkAccess(current, c.from, c.bytes, false, false);
        checkAccess(current, c.to, c.bytes, true, false);
        memcpy(c.to, c.from, c.bytes);
    }
    current->copies.resize(kept);
}

// ---- barriers in memory ----
struct Mbarrier {
    int pending : 12;
    int count : 12;
    unsigned phase : 1;
    int bytes;
};
static_assert(sizeof(Mbarrier) == 8, "an mbarrier has 64 bits");

static void completeIfAll(Mbarrier* b) {
    if (b->pending || b->bytes) return;
    b->phase ^= 1;
    b->pending = b->count;
    progress = true;
}

void mbarrierInit(void* p, unsigned count) {
    checkAccess(current, p, 8, true, false);
    Mbarrier* b = static_cast<Mbarrier*>(p);
    *b = {};
    b->pending = b->count = int(count);
}

void mbarrierArrive(void* p, unsigned bytes) {
    checkAccess(current, p, 8, true, true);
    Mbarrier* b = static_cast<Mbarrier*>(p);
    if (b->pending <= 0) fail("mbarrier: more arrivals than expected");
    b->bytes += int(bytes);
    b->pending--;
    completeIfAll(b);
}

void mbarrierWait(void* p, unsigned parity, int line) {
    checkAccess(current, p, 8, true, true);
    Mbarrier* b = static_cast<Mbarrier*>(p);
    current->line = line;
    while (b->phase == (parity & 1)) {
        current->state = State::POLLING;
        toScheduler();
    }
    progress = true;
    current->warpEpoch++;
    newSegment(current);
}

static unsigned namedArrivals[16];

void namedBarrier(unsigned id, unsigned count, int line) {
    current->line = line;
    unsigned round = namedArrivals[id]++ / count;
    while (namedArrivals[id] / count == round) {
        current->state = State::POLLING;
        toScheduler();
    }
    progress = true;
    current->warpEpoch++;
    newSegment(current);
}

// ---- tensor memory accelerator: copies happen when every thread of the block waits ----
struct Transfer {
    char* shared;
    TensorMap map;
    int x, y;
    Mbarrier* bar;
};
static std::vector<Transfer> transfers;

void tmaLoad2d(void* shared, const void* map, int x, int y, void* bar) {
    TensorMap m;
    memcpy(&m, map, sizeof m);
    if (m.magic != TensorMap::MAGIC) fail("TMA: the map was not made by cuTensorMapEncodeTiled");
    if (uintptr_t(shared) & (m.swizzle ? 1023 : 127)) fail("TMA: shared memory is not aligned as its swizzle asks");
    transfers.push_back({static_cast<char*>(shared), m, x, y, static_cast<Mbarrier*>(bar)});
}

bool hasTransfers() { return !transfers.empty(); }

void runTransfer() {
    Transfer t = transfers.front();
    transfers.erase(transfers.begin());
    const TensorMap& m = t.map;
    unsigned rowBytes = m.box[0] * m.element;
    for (unsigned r = 0; r < m.box[1]; r++)
        for (unsigned c = 0; c < m.box[0]; c++) {
            int64_t x = int64_t(t.x) + c, y = int64_t(t.y) + r;
            char value[8] = {};                                     // zeros where the box goes beyond the tensor
            if (x >= 0 && y >= 0 && uint64_t(x) < m.dims[0] && uint64_t(y) < m.dims[1]) {
                const char* from = m.base + y * m.stride + x * m.element;
                checkUnit(from, m.element, false);
                memcpy(value, from, m.element);
            }
            size_t at = size_t(t.shared - arena) + size_t(r) * rowBytes + c * m.element;
            if (m.swizzle == CU_TENSOR_MAP_SWIZZLE_128B) at ^= (at >> 7 & 7) << 4;
            checkUnit(arena + at, m.element, true);
            memcpy(arena + at, value, m.element);
        }
    t.bar->bytes -= int(rowBytes * m.box[1]);
    completeIfAll(t.bar);
}

uint64_t sharedDescriptor(const void* p) {
    return (uint64_t(static_cast<const char*>(p) - arena) >> 4 & 0x3fff) | 1ull << 16 | uint64_t(1024 >> 4) << 32 | 1ull << 62;
}

// ---- groups of four warps ----
struct Group {
    Collective op;
    unsigned arrived;
    int line;
};
static Group groups[MAX_THREADS / 128];

void groupCollective(Collective op, int line) {
    unsigned number = current->number / 128;
    Group& g = groups[number];
    if (g.arrived && (g.op != op || g.line != line)) fail("divergence in a warpgroup: lines %d and %d", g.line, line);
    if (number * 128 + 128 > threadCount) fail("line %d: an instruction of a warpgroup in an incomplete one", line);
    g.op = op;
    g.line = current->line = line;
    if (++g.arrived < 128) {
        current->state = State::IN_COLLECTIVE;
        toScheduler();
        return;
    }
    Thread* lane[128];
    for (int i = 0; i < 128; i++) lane[i] = &threads[number * 128 + i];
    op(lane, ~0u);
    g.arrived = 0;
    for (auto t : lane)
        if (t != current) t->state = State::READY;
}

void beginUnits() {
    progress = false;
    transfers.clear();
    memset(namedArrivals, 0, sizeof namedArrivals);
    memset(groups, 0, sizeof groups);
}

}  // namespace emulation
