// What cuTensorMapEncodeTiled writes here, within the 128 bytes of a CUtensorMap.
#pragma once
#include <cstdint>

namespace emulation {
struct TensorMap {
    static constexpr unsigned MAGIC = 0x47524654u;
    unsigned magic, element;
    char* base;
    uint64_t dims[2], stride;
    unsigned box[2], swizzle;
};
}  // namespace emulation
