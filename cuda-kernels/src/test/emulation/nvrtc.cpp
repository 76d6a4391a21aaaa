// A stand-in for NVRTC: it finds the headers that a source includes, as the compiler would, and makes an image that the emulated driver accepts. It understands no C++.
#include <cstring>
#include <map>
#include <string>
#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {
enum Result { DONE = 0, COMPILATION = 6 };
struct Program {
    std::string source, log;
    std::map<std::string, std::string> headers;
};
const char IMAGE[] = "\177ELF of the stand-in";

bool preprocess(Program* p, const std::string& text) {
    for (size_t at = text.find("#include \""); at != std::string::npos; at = text.find("#include \"", at)) {
        at += strlen("#include \"");
        std::string name = text.substr(at, text.find('"', at) - at);
        if (name == "kernel.h" || name == "ptx.h") continue;                                                // of the emulator, behind a condition
        auto header = p->headers.find(name);
        if (header == p->headers.end()) {
            p->log = "could not open source file \"" + name + "\"";
            return false;
        }
        if (!preprocess(p, header->second)) return false;
    }
    return true;
}
}  // namespace

EXPORT int nvrtcCreateProgram(Program** program, const char* source, const char*, int headers, const char* const* texts, const char* const* names) {
    *program = new Program{source, "", {}};
    for (int i = 0; i < headers; i++) (*program)->headers[names[i]] = texts[i];
    return DONE;
}
EXPORT int nvrtcDestroyProgram(Program** program) {
    delete *program;
    return DONE;
}
EXPORT int nvrtcCompileProgram(Program* program, int count, const char* const* options) {
    if (count < 1 || strncmp(options[0], "--gpu-architecture=sm_", 22)) {
        program->log = "no architecture";
        return COMPILATION;
    }
    return preprocess(program, program->source) ? DONE : COMPILATION;
}
EXPORT int nvrtcGetCUBINSize(Program*, size_t* bytes) {
    *bytes = sizeof IMAGE;
    return DONE;
}
EXPORT int nvrtcGetCUBIN(Program*, char* to) {
    memcpy(to, IMAGE, sizeof IMAGE);
    return DONE;
}
EXPORT int nvrtcGetProgramLogSize(Program* program, size_t* bytes) {
    *bytes = program->log.size() + 1;
    return DONE;
}
EXPORT int nvrtcGetProgramLog(Program* program, char* to) {
    strcpy(to, program->log.c_str());
    return DONE;
}
