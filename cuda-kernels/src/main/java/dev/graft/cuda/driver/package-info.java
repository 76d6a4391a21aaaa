/// CUDA's driver: what Graft calls of it, and who makes the calls. Begin with [Driver].
package dev.graft.cuda.driver;
