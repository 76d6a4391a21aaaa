// Device memory, from one range of addresses, and the shared memory of the block that runs. Fresh memory is filled with 0xFF bytes: a NaN in every floating type.
#include "emulator.h"
#include <cstdlib>
#include <map>
#include <sys/mman.h>

namespace emulation {

char* arena;
static size_t bump = SHARED_BYTES;
struct Allocation {
    size_t bytes;
    int device;
};
static std::map<char*, Allocation> live;
static std::multimap<size_t, char*> freed;          // by size
static size_t liveOf[16];
static std::map<char*, size_t> hostRegions;

void prepareMemory() {
    if (arena) return;
    arena = static_cast<char*>(mmap(nullptr, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (arena == MAP_FAILED) {
        perror("emulated device memory");
        abort();
    }
}

size_t liveBytes(int device) { return liveOf[device]; }

size_t deviceBytes() {
    static const char* said = getenv("GRAFT_EMULATION_MEMORY");
    return said ? strtoull(said, nullptr, 10) : size_t(4) << 30;
}

static size_t room(size_t bytes) { return (bytes + 511) / 512 * 512 + 512; }   // at least 512 bytes behind each that belong to nothing

void* allocateDevice(int device, size_t bytes) {
    prepareMemory();
    if (liveOf[device] + bytes > deviceBytes()) return nullptr;
    size_t size = room(bytes);
    char* p;
    auto it = freed.find(size);
    if (it != freed.end()) {
        p = it->second;
        freed.erase(it);
    } else {
        if (bump + size > ARENA_BYTES) return nullptr;
        p = arena + bump;
        bump += size;
    }
    memset(p, 0xFF, bytes);
    shadowFill(p, bytes, NEVER);
    live[p] = {bytes, device};
    liveOf[device] += bytes;
    return p;
}

bool freeDevice(void* p) {
    auto it = live.find(static_cast<char*>(p));
    if (it == live.end()) return false;
    size_t bytes = it->second.bytes;
    shadowFill(it->first, bytes, NOWHERE);
    liveOf[it->second.device] -= bytes;
#ifdef GRAFT_CHECKED                                // addresses never come again, so that a use after free is always seen
    madvise(it->first, bytes, MADV_DONTNEED);
#else
    freed.emplace(room(bytes), it->first);
#endif
    live.erase(it);
    return true;
}

bool findAllocation(const void* p, char** base, size_t* bytes) {
    auto it = live.upper_bound(const_cast<char*>(static_cast<const char*>(p)));
    if (it == live.begin()) return false;
    --it;
    *base = it->first;
    *bytes = it->second.bytes;
    return true;
}

int deviceOf(const void* p) {
    auto it = live.upper_bound(const_cast<char*>(static_cast<const char*>(p)));
    if (it == live.begin()) return -1;
    --it;
    return static_cast<const char*>(p) < it->first + it->second.bytes ? it->second.device : -1;
}

bool checkRange(const void* p, size_t bytes, bool mustBeWritten, std::string* why) {
    char* base;
    size_t size;
    char text[200];
    const char* first = static_cast<const char*>(p);
    if (!findAllocation(p, &base, &size) || first + bytes > base + size) {
        snprintf(text, sizeof text, "host copy of %zu bytes at %p is outside every device allocation", bytes, p);
        *why = text;
        return false;
    }
    if (mustBeWritten)
        for (size_t i = 0; i < bytes; i++)
            if (!shadowWritten(first + i)) {
                snprintf(text, sizeof text, "host copy reads byte %zu of %zu that nothing has written", i, bytes);
                *why = text;
                return false;
            }
    return true;
}

void markWritten(const void* p, size_t bytes) { shadowFill(static_cast<const char*>(p), bytes, BY_HOST); }

void copyWritten(void* to, const void* from, size_t bytes) { shadowCopy(static_cast<char*>(to), static_cast<const char*>(from), bytes); }

void hostRegion(void* p, size_t bytes, bool add) {
    if (add) hostRegions[static_cast<char*>(p)] = bytes;
    else hostRegions.erase(static_cast<char*>(p));
}

bool isHostRegion(const void* p, size_t bytes) {
    auto it = hostRegions.upper_bound(const_cast<char*>(static_cast<const char*>(p)));
    if (it == hostRegions.begin()) return false;
    --it;
    return static_cast<const char*>(p) + bytes <= it->first + it->second;
}

void forEachAllocation(void (*f)(char*, size_t)) {
    for (auto& a : live) f(a.first, a.second.bytes);
}

// Shared memory: [0, dynamicBytes) the dynamic part, then static arrays, each followed by bytes that belong to nothing.
struct Site {
    unsigned block;
    void* p;
};
static std::vector<Site> sites;
static size_t sharedTop, staticBytes;

int newSharedSite() {
    sites.push_back({0, nullptr});
    return int(sites.size()) - 1;
}

void* sharedDynamic() { return arena; }

void beginShared() {
    size_t before = sharedTop;
    staticBytes = 0;
    sharedTop = (dynamicBytes + 127) / 128 * 128 + 128;
    if (dynamicBytes) memset(arena, 0xFF, dynamicBytes);
    shadowShared(before);
}

void* sharedStatic(int number, size_t bytes, size_t alignment) {
    Site& site = sites[number];
    if (site.block == blockNumber) return site.p;
    if (alignment < 16) alignment = 16;
    sharedTop = (sharedTop + alignment - 1) / alignment * alignment;
    site = {blockNumber, arena + sharedTop};
    memset(site.p, 0xFF, bytes);
    shadowFill(static_cast<char*>(site.p), bytes, NEVER);
    sharedTop += bytes + 128;
    staticBytes += bytes;
    if (staticBytes > 48 << 10) fail("static shared memory exceeds 48 KiB");
    return site.p;
}

}  // namespace emulation
