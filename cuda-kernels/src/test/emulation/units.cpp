// What works beside the threads: cp.async, barriers in memory, the tensor memory accelerator, groups of four warps. Each copy happens as late as it is allowed to.
#include "emulator.h"
#include "tensor_map.h"

namespace emulation {

bool progress, isQuiet;

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

static bool hasHiddenBarriers;                                      // to the accelerator

void mbarrierInit(void* p, unsigned count) {
    hasHiddenBarriers = true;
    checkAccess(current, p, 8, true, false);
    Mbarrier* b = static_cast<Mbarrier*>(p);
    *b = {};
    b->pending = b->count = int(count);
}

void fenceMbarrierInit() { hasHiddenBarriers = false; }

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

// ---- tensor cores: products are exact; they and c are shifted to the exponent of the largest, where 25 bits are kept of each, and what is added is cut to 24. Nothing is rounded to nearest, so that the errors of a long sum
// all have one sign (Fasi et al. 2021, doi:10.7717/peerj-cs.330, of Ampere's, whose sums have 8 terms). ----
static uint64_t bitsOf(double x) { uint64_t bits; memcpy(&bits, &x, 8); return bits; }
static double ofBits(uint64_t bits) { double x; memcpy(&x, &bits, 8); return x; }
static int exponentOf(double x) { return int(bitsOf(x) >> 52 & 0x7ff) - 1023; }
static double power(int exponent) { return ofBits(uint64_t(1023 + exponent) << 52); }

float tensorCoreSum(float c, const float* a, const float* b, int terms) {
    for (int first = 0; first < terms; first += 8) {
        double product[8], largest = fabs(double(c)), plain = c;
        for (int i = 0; i < 8; i++) {
            product[i] = double(a[first + i]) * b[first + i];
            largest = std::max(largest, fabs(product[i]));
            plain += product[i];
        }
        if (exponentOf(plain) == 1024 || largest == 0) {             // infinite, no number, or nothing
            c = float(plain);
            continue;
        }
        int unit = exponentOf(largest) - 24;
        double toUnits = power(-unit);
        int64_t sum = int64_t(c * toUnits);
        for (double p : product) sum += int64_t(p * toUnits);
        double exact = double(sum) * power(unit);
        bool isNormal = exponentOf(exact) >= -126;                   // as a float: then the 29 bits that it has less are cut off
        c = float(isNormal ? ofBits(bitsOf(exact) & ~((uint64_t(1) << 29) - 1)) : exact);
    }
    return c;
}

extern "C" __attribute__((visibility("default"))) float emulation_tensor_core_sum(const float* a, const float* b, int terms) { return tensorCoreSum(0, a, b, terms); }

// ---- groups of four warps, and their tensor core: a product happens when the group waits for it, after all copies that may come before ----
struct Product {
    float* d[128];
    uint64_t a, b;
};
struct Group {
    Collective op;
    unsigned arrived;
    int line;
    bool isFenced;
    std::vector<Product> products;                                  // asked for, not made
    std::vector<size_t> committed;                                  // of these so many by the end of each group of products
};
static Group groups[MAX_THREADS / 128];

static Group& ownGroup() { return groups[current->number / 128]; }

static void groupCollective(Collective op, int line) {
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

struct Asked {
    float* d;
    uint64_t a, b;
};

void productFence(int line) {
    groupCollective([](Thread**, unsigned) { ownGroup().isFenced = true; }, line);
}

void productLater(float* d, uint64_t a, uint64_t b, int line) {
    current->argument<Asked>() = {d, a, b};
    groupCollective(
        [](Thread** lane, unsigned) {
            Asked& first = lane[0]->argument<Asked>();
            if (!ownGroup().isFenced) fail("wgmma: no wgmma.fence since the last wgmma.wait_group");
            if (first.a >> 62 != 1 || first.b >> 62 != 1) fail("wgmma: a descriptor does not say that its tile is swizzled in 128 bytes");
            Product p = {{}, first.a, first.b};
            for (int i = 0; i < 128; i++) {
                Asked& own = lane[i]->argument<Asked>();
                if (own.a != first.a || own.b != first.b) fail("wgmma: the descriptors differ within the warpgroup");
                p.d[i] = own.d;
            }
            ownGroup().products.push_back(p);
        },
        line);
}

void productCommit(int line) {
    groupCollective([](Thread**, unsigned) { ownGroup().committed.push_back(ownGroup().products.size()); }, line);
}

static size_t begin(uint64_t descriptor) { return (descriptor & 0x3fff) * 16; }

// Element (row, k) of a tile whose rows are 64 numbers of 16 bits, swizzled in 128 bytes.
static float ofTile(uint64_t descriptor, int row, int k) {
    size_t at = begin(descriptor) + size_t(row >> 3) * ((descriptor >> 32 & 0x3fff) * 16) + (row & 7) * 128 + k * 2;
    const char* p = arena + (at ^ ((at >> 7 & 7) << 4));
    checkUnit(p, 2, false);
    unsigned short bits;
    memcpy(&bits, p, 2);
    return __uint_as_float(unsigned(bits) << 16);
}

static void make(const Product& p) {
    static float a[64][16], b[128][16];
    for (int r = 0; r < 64; r++)
        for (int k = 0; k < 16; k++) a[r][k] = ofTile(p.a, r, k);
    for (int r = 0; r < 128; r++)
        for (int k = 0; k < 16; k++) b[r][k] = ofTile(p.b, r, k);
    for (int t = 0; t < 128; t++)
        for (int i = 0; i < 64; i++) {
            int row = (t >> 5) * 16 + (t & 31) / 4 + (i >> 1 & 1) * 8, column = (i >> 2) * 8 + (t & 3) * 2 + (i & 1);
            p.d[t][i] = tensorCoreSum(p.d[t][i], a[row], b[column], 16);
        }
}

void awaitProducts(unsigned pending, int line) {
    current->line = line;
    while (!isQuiet) {
        current->state = State::POLLING;
        toScheduler();
    }
    progress = true;
    current->argument<unsigned>() = pending;
    groupCollective(
        [](Thread** lane, unsigned) {
            Group& g = ownGroup();
            while (g.committed.size() > lane[0]->argument<unsigned>()) {
                size_t n = g.committed.front();
                for (size_t i = 0; i < n; i++) make(g.products[i]);
                g.products.erase(g.products.begin(), g.products.begin() + ptrdiff_t(n));
                g.committed.erase(g.committed.begin());
                for (auto& later : g.committed) later -= n;
            }
            g.isFenced = false;
        },
        line);
}

void checkProductsAreMade() {
    if (!ownGroup().products.empty()) fail("a thread exits while products of its warpgroup are under way: wgmma.commit_group or wgmma.wait_group is missing");
}

static void checkNoProductReads(const char* from, size_t bytes) {
    auto overlaps = [&](uint64_t descriptor, size_t rows) {
        const char* tile = arena + (begin(descriptor) & ~size_t(127));
        return from < tile + rows * 128 && tile < from + bytes;
    };
    for (auto& g : groups)
        for (auto& p : g.products)
            if (overlaps(p.a, 64) || overlaps(p.b, 128)) fail("TMA: overwrites shared memory that a product under way still reads");
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
    if (hasHiddenBarriers) fail("TMA: its barrier in memory was not made visible: no fence.mbarrier_init since mbarrier.init");
    transfers.push_back({static_cast<char*>(shared), m, x, y, static_cast<Mbarrier*>(bar)});
}

bool hasTransfers() { return !transfers.empty(); }

void runTransfer() {
    Transfer t = transfers.front();
    transfers.erase(transfers.begin());
    const TensorMap& m = t.map;
    unsigned rowBytes = m.box[0] * m.element;
    checkNoProductReads(t.shared, size_t(rowBytes) * m.box[1]);
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

void beginUnits() {
    progress = isQuiet = hasHiddenBarriers = false;
    transfers.clear();
    memset(namedArrivals, 0, sizeof namedArrivals);
    for (auto& g : groups) g = {};
}

}  // namespace emulation
